//! Texts on elements, alone, in bulk, and on children that are found or made by their polygons.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{
    ElementId, FieldErrors, WorkerRunId,
    element::{Orientation, Polygon},
};
use runyard_engine::{
    self as engine, Actor,
    element::{
        Depth,
        result::{
            Transcription as Row,
            transcribe::{Filter, NewTranscription, OnChild, PlacedText},
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
    wanted::{flag, id, made_by, optional_id},
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    limits,
    query::Lenient,
};

#[derive(Serialize)]
pub(super) struct Transcription {
    id: String,
    element_id: String,
    element: OfElement,
    text: String,
    confidence: Option<f64>,
    orientation: &'static str,
    worker_version_id: Option<String>,
    worker_run_id: Option<String>,
    worker_run: Option<Made>,
}

#[derive(Serialize)]
struct OfElement {
    id: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscription)]
pub(super) struct New {
    text: String,
    worker_run_id: Option<String>,
    confidence: Option<f64>,
    orientation: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscriptions)]
pub(super) struct NewBulk {
    worker_run_id: Option<String>,
    transcriptions: Vec<NewOne>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscriptionEntry)]
struct NewOne {
    element_id: String,
    text: String,
    confidence: Option<f64>,
    orientation: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Bulk {
    worker_run_id: Option<String>,
    transcriptions: Vec<Transcription>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewElementTranscriptions)]
pub(super) struct NewOnChildren {
    element_type: String,
    worker_run_id: Option<String>,
    transcriptions: Vec<NewPlaced>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewElementTranscription)]
struct NewPlaced {
    #[schema(value_type = Vec<Vec<f64>>)]
    polygon: Polygon,
    text: String,
    confidence: Option<f64>,
    orientation: Option<String>,
    element_confidence: Option<f64>,
}

/// A text on a child.
#[derive(Serialize)]
pub(super) struct Annotation {
    id: String,
    element_id: String,
    created: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    element_type: Option<String>,
    #[param(nullable = false)]
    recursive: Option<String>,
    #[param(nullable = false)]
    worker_version: Option<String>,
    #[param(nullable = false)]
    worker_run: Option<String>,
    #[param(nullable = false)]
    page: Option<i64>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(element_id): Id<ElementId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Numbered<Transcription>>, Problem> {
    let window = page::window(asked.page, asked.page_size);
    let mut errors = FieldErrors::default();
    let recursive = flag(&mut errors, "recursive", asked.recursive).unwrap_or(false);
    let made_by =
        made_by(&mut errors, ("worker_version", asked.worker_version), ("worker_run", asked.worker_run));
    errors.finish(())?;
    let filter = Filter {
        element_id,
        depth: if recursive { Depth::All } else { Depth::One },
        element_type: asked.element_type,
        made_by,
        offset: window.offset,
        limit: window.limit,
    };
    let (rows, count) = engine::element::result::transcribe::list(&app.engine, &actor, filter).await?;
    Ok(Json(page::numbered(&site, window, count, shown(&app, rows).await?)?))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(element): Id<ElementId>,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Transcription>), Problem> {
    // Of one element it is said here that it is not there, and not which of a list.
    engine::element::get(&app.engine, &actor, element).await?;
    let New { text, worker_run_id, confidence, orientation } = new;
    let one = NewOne { element_id: element.to_string(), text, confidence, orientation };
    let made = write(&app, actor, worker_run_id.as_deref(), vec![one]).await.single("transcriptions", &[])?;
    let made = shown(&app, made).await?.pop();
    Ok((StatusCode::CREATED, Json(made.ok_or_else(|| Problem::fault("a transcription was not made"))?)))
}

pub(super) async fn create_bulk(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewBulk, { limits::RESULTS }>,
) -> Result<(StatusCode, Json<Bulk>), Problem> {
    let made = write(&app, actor, new.worker_run_id.as_deref(), new.transcriptions).await?;
    let transcriptions = shown(&app, made).await?;
    Ok((StatusCode::CREATED, Json(Bulk { worker_run_id: new.worker_run_id, transcriptions })))
}

pub(super) async fn create_on_children(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(element): Id<ElementId>,
    Valid(new): Valid<NewOnChildren, { limits::RESULTS }>,
) -> Result<(StatusCode, Json<Vec<Annotation>>), Problem> {
    let mut errors = FieldErrors::default();
    let run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", new.worker_run_id.as_deref());
    let mut rows = Vec::with_capacity(new.transcriptions.len());
    for (index, one) in new.transcriptions.into_iter().enumerate() {
        let path = format!("transcriptions.{index}.orientation");
        rows.push(PlacedText {
            polygon: one.polygon,
            text: one.text,
            confidence: one.confidence,
            orientation: orientation(&mut errors, &path, one.orientation.as_deref()),
            element_confidence: one.element_confidence,
        });
    }
    errors.finish(())?;
    let of_type = new.element_type;
    let write = move |engine| async move {
        engine::element::result::transcribe::transcribe_children(&engine, &actor, element, run, of_type, rows)
            .await
    };
    let annotation = |one: OnChild| Annotation {
        id: one.transcription.id.to_string(),
        element_id: one.transcription.element_id.to_string(),
        created: one.created,
    };
    let made = app.command(write).await?;
    Ok((StatusCode::CREATED, Json(made.into_iter().map(annotation).collect())))
}

async fn write(
    app: &App,
    actor: Actor,
    worker_run: Option<&str>,
    new: Vec<NewOne>,
) -> Result<Vec<Row>, Problem> {
    let mut errors = FieldErrors::default();
    let worker_run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", worker_run);
    let mut rows = Vec::with_capacity(new.len());
    for (index, one) in new.into_iter().enumerate() {
        let path = format!("transcriptions.{index}");
        let element = id::<ElementId>(&mut errors, &format!("{path}.element_id"), &one.element_id);
        let orientation =
            orientation(&mut errors, &format!("{path}.orientation"), one.orientation.as_deref());
        let (text, confidence) = (one.text, one.confidence);
        rows.extend(element.map(|element_id| NewTranscription { element_id, text, confidence, orientation }));
    }
    errors.finish(())?;
    let write = move |engine| async move {
        engine::element::result::transcribe::transcribe(&engine, &actor, worker_run, rows).await
    };
    app.command(write).await
}

fn orientation(errors: &mut FieldErrors, path: &str, word: Option<&str>) -> Orientation {
    let Some(word) = word else { return Orientation::default() };
    Orientation::from_word(word).unwrap_or_else(|| {
        let known: Vec<&str> = Orientation::ALL.iter().map(|known| known.word()).collect();
        let word: String = word.chars().take(80).collect();
        errors.add(path, format!("`{word}` is none of {}", known.join(", ")));
        Orientation::default()
    })
}

async fn shown(app: &App, rows: Vec<Row>) -> Result<Vec<Transcription>, Problem> {
    let makers = Makers::of(app, rows.iter().map(|row| row.origin.worker_run)).await?;
    Ok(rows.into_iter().map(|row| show(row, &makers)).collect())
}

fn show(row: Row, makers: &Makers) -> Transcription {
    let run = row.origin.worker_run.map(|id| id.to_string());
    Transcription {
        id: row.id.to_string(),
        element_id: row.element_id.to_string(),
        element: OfElement { id: row.element_id.to_string() },
        text: row.text,
        confidence: row.confidence,
        orientation: row.orientation.word(),
        worker_version_id: run.clone(),
        worker_run_id: run,
        worker_run: makers.get(row.origin.worker_run),
    }
}
