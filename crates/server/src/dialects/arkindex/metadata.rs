//! Metadata of elements.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{
    ElementId, EntityId, FieldErrors, WorkerRunId,
    element::{self as rules, MetadataType},
};
use runyard_engine::{
    self as engine, Actor,
    element::{Metadata as Row, result::metadata::NewMetadata},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    element::{Made, Makers},
    model::time,
    refusal::Renamed,
    wanted::{flag, optional_id},
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
pub(super) struct MetaData {
    id: String,
    r#type: &'static str,
    name: String,
    value: String,
    dates: [(); 0],
    entity: Option<OfEntity>,
    worker_run_id: Option<String>,
    worker_run: Option<Made>,
    created: String,
}

#[derive(Serialize)]
struct OfEntity {
    id: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewMetaData)]
pub(super) struct New {
    worker_run_id: Option<String>,
    r#type: String,
    name: String,
    /// Numbers are written as texts.
    #[schema(value_type = Value)]
    value: Text,
    entity_id: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewMetaDataBulk)]
pub(super) struct NewBulk {
    worker_run_id: Option<String>,
    metadata_list: Vec<NewOne>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewMetaDataEntry)]
struct NewOne {
    r#type: String,
    name: String,
    #[schema(value_type = Value)]
    value: Text,
    entity_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Bulk {
    worker_run_id: Option<String>,
    metadata_list: Vec<MetaData>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    load_parents: Option<String>,
}

/// A value as workers send it: a text, or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(serde_json::Number),
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Vec<MetaData>>, Problem> {
    let mut errors = FieldErrors::default();
    let parents = flag(&mut errors, "load_parents", asked.load_parents).unwrap_or(false);
    errors.finish(())?;
    let rows = engine::element::result::metadata::list(&app.engine, &actor, id, parents).await?;
    Ok(Json(shown(&app, rows).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<MetaData>), Problem> {
    let New { worker_run_id, r#type, name, value, entity_id } = new;
    let one = NewOne { r#type, name, value, entity_id };
    let made =
        write(&app, actor, id, worker_run_id.as_deref(), vec![one]).await.single("metadata_list", &[])?;
    let made = shown(&app, made).await?.pop().ok_or_else(|| Problem::fault("metadata was not made"))?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn create_bulk(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Valid(new): Valid<NewBulk, { limits::RESULTS }>,
) -> Result<(StatusCode, Json<Bulk>), Problem> {
    let made = write(&app, actor, id, new.worker_run_id.as_deref(), new.metadata_list).await?;
    let metadata_list = shown(&app, made).await?;
    Ok((StatusCode::CREATED, Json(Bulk { worker_run_id: new.worker_run_id, metadata_list })))
}

async fn write(
    app: &App,
    actor: Actor,
    element: ElementId,
    worker_run: Option<&str>,
    new: Vec<NewOne>,
) -> Result<Vec<Row>, Problem> {
    let mut errors = FieldErrors::default();
    let worker_run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", worker_run);
    let mut rows = Vec::with_capacity(new.len());
    for (index, one) in new.into_iter().enumerate() {
        let path = format!("metadata_list.{index}");
        let entity_id =
            optional_id::<EntityId>(&mut errors, &format!("{path}.entity_id"), one.entity_id.as_deref());
        let Some(of_type) = MetadataType::from_word(&one.r#type) else {
            let known: Vec<&str> = MetadataType::ALL.iter().map(|known| known.word()).collect();
            let message = format!("`{}` is none of {}", one.r#type, known.join(", "));
            errors.add(format!("{path}.type"), message);
            continue;
        };
        let value = match one.value {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        };
        rows.push(NewMetadata { given: rules::Metadata { of_type, name: one.name, value }, entity_id });
    }
    errors.finish(())?;
    let add = move |engine| async move {
        engine::element::result::metadata::add(&engine, &actor, element, worker_run, rows).await
    };
    app.command(add).await.fields(&[("metadata", "metadata_list")])
}

async fn shown(app: &App, rows: Vec<Row>) -> Result<Vec<MetaData>, Problem> {
    let makers = Makers::of(app, rows.iter().map(|row| row.origin.worker_run)).await?;
    Ok(rows.iter().map(|row| show(row, &makers)).collect())
}

/// Metadata of an element.
pub(super) fn show(row: &Row, makers: &Makers) -> MetaData {
    MetaData {
        id: row.id.to_string(),
        r#type: row.of_type.word(),
        name: row.name.clone(),
        value: row.value.clone(),
        dates: [],
        entity: row.entity_id.map(|id| OfEntity { id: id.to_string() }),
        worker_run_id: row.origin.worker_run.map(|id| id.to_string()),
        worker_run: makers.get(row.origin.worker_run),
        created: time(row.origin.at),
    }
}
