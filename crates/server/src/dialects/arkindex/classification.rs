//! Classes of corpora, and classifications of elements. A class that there is, and a classification that the element has from
//! the same worker run, are refused with 400 in the words that workers wait for.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{
    ClassId, CorpusId, ElementId, FieldErrors, WorkerRunId,
    element::{ClassificationState, check_confidence},
};
use runyard_engine::{
    self as engine, Actor,
    element::{
        Classification as Row,
        result::{
            Again,
            classify::{NewClassification, Page},
        },
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    element::{Made, Makers},
    page::{self, Numbered},
    refusal::Renamed,
    site::Site,
    wanted::{containing, id, optional_id},
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    limits,
    query::Lenient,
};

/// Whoever says nothing of it is sure from here on.
const SURE: f64 = 1.0;

#[derive(Serialize)]
pub(super) struct MLClass {
    id: String,
    name: String,
}

#[derive(Serialize)]
pub(super) struct Classification {
    id: String,
    ml_class: MLClass,
    state: &'static str,
    confidence: f64,
    high_confidence: bool,
    worker_run_id: Option<String>,
    worker_run: Option<Made>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    search: Option<String>,
    #[param(nullable = false)]
    page: Option<i64>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewMLClass)]
pub(super) struct NewClass {
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewClassification)]
pub(super) struct New {
    element: String,
    ml_class: String,
    worker_run_id: Option<String>,
    confidence: Option<f64>,
    high_confidence: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewClassifications)]
pub(super) struct NewBulk {
    parent: String,
    worker_run_id: Option<String>,
    classifications: Vec<NewOne>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewClassificationEntry)]
struct NewOne {
    ml_class: String,
    confidence: Option<f64>,
    high_confidence: Option<bool>,
}

/// What was made; the class by its id alone.
#[derive(Serialize)]
pub(super) struct Created {
    id: String,
    element: String,
    ml_class: String,
    state: &'static str,
    confidence: f64,
    high_confidence: bool,
    worker_run_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Bulk {
    parent: String,
    worker_run_id: Option<String>,
    classifications: Vec<Created>,
}

pub(super) async fn classes(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<CorpusId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Numbered<MLClass>>, Problem> {
    let window = page::window(asked.page, asked.page_size);
    let wanted = Page {
        name_ilike: asked.search.filter(|text| !text.is_empty()).map(|text| containing(&text)),
        offset: window.offset,
        limit: Some(window.limit),
    };
    let (found, count) = engine::element::result::classify::classes(&app.engine, &actor, id, wanted).await?;
    let shown = found.into_iter().map(|class| MLClass { id: class.id.to_string(), name: class.name });
    Ok(Json(page::numbered(&site, window, count, shown.collect())?))
}

pub(super) async fn create_class(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Valid(new): Valid<NewClass>,
) -> Result<(StatusCode, Json<MLClass>), Problem> {
    let create = move |engine| async move {
        engine::element::result::classify::create_class(&engine, &actor, id, new.name).await
    };
    let made = app.command(create).await?;
    Ok((StatusCode::CREATED, Json(MLClass { id: made.id.to_string(), name: made.name })))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let New { element, ml_class, worker_run_id, confidence, high_confidence } = new;
    let one = vec![NewOne { ml_class, confidence, high_confidence }];
    let place = ("element", element.as_str());
    let made = write(&app, actor, place, worker_run_id.as_deref(), one, Again::IsLeftOut).await;
    let made = made.single("classifications", &[])?.pop();
    Ok((StatusCode::CREATED, Json(made.ok_or_else(|| Problem::fault("a classification was not made"))?)))
}

/// A bulk whose answer was lost comes again: it replaces what it wrote.
pub(super) async fn create_bulk(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewBulk, { limits::RESULTS }>,
) -> Result<(StatusCode, Json<Bulk>), Problem> {
    let place = ("parent", new.parent.as_str());
    let run = new.worker_run_id.as_deref();
    let classifications = write(&app, actor, place, run, new.classifications, Again::Replaces).await?;
    let bulk = Bulk { parent: new.parent, worker_run_id: new.worker_run_id, classifications };
    Ok((StatusCode::CREATED, Json(bulk)))
}

async fn write(
    app: &App,
    actor: Actor,
    (field, element): (&str, &str),
    worker_run: Option<&str>,
    new: Vec<NewOne>,
    again: Again,
) -> Result<Vec<Created>, Problem> {
    let mut errors = FieldErrors::default();
    let worker_run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", worker_run);
    let element = id::<ElementId>(&mut errors, field, element);
    let mut rows = Vec::with_capacity(new.len());
    for (index, one) in new.into_iter().enumerate() {
        let path = format!("classifications.{index}");
        let class = id::<ClassId>(&mut errors, &format!("{path}.ml_class"), &one.ml_class);
        check_confidence(&format!("{path}.confidence"), one.confidence, &mut errors);
        rows.extend(class.map(|class_id| NewClassification {
            class_id,
            confidence: one.confidence.unwrap_or(SURE),
            high_confidence: one.high_confidence.unwrap_or(false),
            state: ClassificationState::Pending,
        }));
    }
    errors.finish(())?;
    let Some(element) = element else { return Err(Problem::fault("a wrong id without a message")) };
    let classify = move |engine| async move {
        engine::element::result::classify::classify(&engine, &actor, element, worker_run, rows, again).await
    };
    let made = app.command(classify).await.fields(&[("class_id", "ml_class")])?;
    Ok(made.into_iter().map(|(row, _)| created(&row)).collect())
}

fn created(row: &Row) -> Created {
    Created {
        id: row.id.to_string(),
        element: row.element_id.to_string(),
        ml_class: row.class_id.to_string(),
        state: row.state.word(),
        confidence: row.confidence,
        high_confidence: row.high_confidence,
        worker_run_id: row.origin.worker_run.map(|id| id.to_string()),
    }
}

/// A classification of an element, with the name of its class.
pub(super) fn show(row: &Row, class: &str, makers: &Makers) -> Classification {
    Classification {
        id: row.id.to_string(),
        ml_class: MLClass { id: row.class_id.to_string(), name: class.to_owned() },
        state: row.state.word(),
        confidence: row.confidence,
        high_confidence: row.high_confidence,
        worker_run_id: row.origin.worker_run.map(|id| id.to_string()),
        worker_run: makers.get(row.origin.worker_run),
    }
}
