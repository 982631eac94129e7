//! Where in a text entities are.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{EntityId, EntityTypeId, FieldErrors, TranscriptionId, WorkerRunId};
use runyard_engine::{
    self as engine, Actor,
    element::result::{
        Placed, TranscriptionEntity as Row,
        entity::{NewPlace, Which},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    element::{Made, Makers},
    page::{self, Numbered},
    refusal::Renamed,
    site::Site,
    wanted::{id, made_by, optional_id},
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    limits,
    query::Lenient,
};

/// One of `entity` and `type_id`.
#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscriptionEntity)]
pub(in crate::dialects::arkindex) struct New {
    entity: Option<String>,
    type_id: Option<String>,
    offset: i64,
    length: i64,
    confidence: Option<f64>,
    worker_run_id: Option<String>,
}

/// `entities` of older workers, `transcription_entities` of newer ones.
#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscriptionEntities)]
pub(in crate::dialects::arkindex) struct NewBulk {
    worker_run_id: Option<String>,
    entities: Option<Vec<NewOne>>,
    transcription_entities: Option<Vec<NewOne>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewTranscriptionEntityEntry)]
struct NewOne {
    name: Option<String>,
    type_id: String,
    offset: i64,
    length: i64,
    confidence: Option<f64>,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct Created {
    id: String,
    entity: String,
    offset: i64,
    length: i64,
    confidence: Option<f64>,
    worker_version_id: Option<String>,
    worker_run_id: Option<String>,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct Bulk {
    entities: Vec<CreatedOne>,
    transcription_entities: Vec<String>,
}

#[derive(Serialize)]
struct CreatedOne {
    transcription_entity_id: String,
    entity_id: String,
    created: bool,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct TranscriptionEntity {
    id: String,
    entity: OfEntity,
    r#type: String,
    type_id: String,
    offset: i64,
    length: i64,
    confidence: Option<f64>,
    worker_version_id: Option<String>,
    worker_run_id: Option<String>,
    worker_run: Option<Made>,
}

#[derive(Serialize)]
struct OfEntity {
    id: String,
    name: String,
    r#type: String,
    metas: Map<String, Value>,
    validated: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::dialects::arkindex) struct Asked {
    #[param(nullable = false)]
    worker_version: Option<String>,
    #[param(nullable = false)]
    worker_run: Option<String>,
    #[param(nullable = false)]
    page: Option<i64>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

pub(in crate::dialects::arkindex) async fn create_one(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(text): Id<TranscriptionId>,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let mut errors = FieldErrors::default();
    let entity = optional_id::<EntityId>(&mut errors, "entity", new.entity.as_deref());
    let type_id = optional_id::<EntityTypeId>(&mut errors, "type_id", new.type_id.as_deref());
    if new.entity.is_some() == new.type_id.is_some() {
        errors.add(
            "entity",
            "Give one of `entity` and `type_id`: an entity that there is, or the type of a new one.",
        );
    }
    errors.finish(())?;
    let which = match (entity, type_id) {
        (Some(entity), _) => Which::Known(entity),
        (None, Some(type_id)) => Which::New(type_id, None),
        (None, None) => return Err(Problem::fault("a wrong id without a message")),
    };
    let (offset, length, confidence) = (new.offset, new.length, new.confidence);
    let place = NewPlace { entity: which, offset, length, confidence };
    let made = write(&app, actor, text, new.worker_run_id.as_deref(), vec![place]).await;
    let made = made.single("entities", &[("entity_id", "entity")])?.pop();
    let made = made.ok_or_else(|| Problem::fault("an entity was not placed"))?;
    let run = made.origin.worker_run.map(|id| id.to_string());
    let shown = Created {
        id: made.id.to_string(),
        entity: made.entity_id.to_string(),
        offset,
        length,
        confidence,
        worker_version_id: run.clone(),
        worker_run_id: run,
    };
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(in crate::dialects::arkindex) async fn create_many(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(text): Id<TranscriptionId>,
    Valid(new): Valid<NewBulk, { limits::RESULTS }>,
) -> Result<(StatusCode, Json<Bulk>), Problem> {
    let (list, entries) = match (new.entities, new.transcription_entities) {
        (Some(entities), _) => ("entities", entities),
        (None, Some(entities)) => ("transcription_entities", entities),
        (None, None) => return Err(Problem::field("entities", "This field is required.")),
    };
    let mut errors = FieldErrors::default();
    let mut places = Vec::with_capacity(entries.len());
    for (index, one) in entries.into_iter().enumerate() {
        let type_id = id::<EntityTypeId>(&mut errors, &format!("{list}.{index}.type_id"), &one.type_id);
        let (offset, length, confidence) = (one.offset, one.length, one.confidence);
        let name = one.name;
        places.extend(type_id.map(|type_id| {
            let entity = Which::New(type_id, name);
            NewPlace { entity, offset, length, confidence }
        }));
    }
    errors.finish(())?;
    let made = write(&app, actor, text, new.worker_run_id.as_deref(), places).await;
    let made = made.fields(&[("entities", list)])?;
    let entity = |row: &Row| CreatedOne {
        transcription_entity_id: row.id.to_string(),
        entity_id: row.entity_id.to_string(),
        created: true,
    };
    let bulk = Bulk {
        entities: made.iter().map(entity).collect(),
        transcription_entities: made.iter().map(|row| row.id.to_string()).collect(),
    };
    Ok((StatusCode::CREATED, Json(bulk)))
}

async fn write(
    app: &App,
    actor: Actor,
    text: TranscriptionId,
    worker_run: Option<&str>,
    places: Vec<NewPlace>,
) -> Result<Vec<Row>, Problem> {
    let mut errors = FieldErrors::default();
    let run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", worker_run);
    errors.finish(())?;
    let place = move |engine| async move {
        engine::element::result::entity::place(&engine, &actor, text, run, places).await
    };
    app.command(place).await
}

pub(in crate::dialects::arkindex) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(text): Id<TranscriptionId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Numbered<TranscriptionEntity>>, Problem> {
    let window = page::window(asked.page, asked.page_size);
    let mut errors = FieldErrors::default();
    let made_by =
        made_by(&mut errors, ("worker_version", asked.worker_version), ("worker_run", asked.worker_run));
    errors.finish(())?;
    let found = engine::element::result::entity::of_transcription(&app.engine, &actor, text, made_by).await?;
    let makers = Makers::of(&app, found.iter().map(|one| one.place.origin.worker_run)).await?;
    let all = found.into_iter().map(|one| show(one, &makers)).collect();
    Ok(Json(page::whole(&site, window, all)?))
}

fn show(one: Placed, makers: &Makers) -> TranscriptionEntity {
    let Placed { place, entity, of_type } = one;
    let run = place.origin.worker_run.map(|id| id.to_string());
    TranscriptionEntity {
        id: place.id.to_string(),
        r#type: of_type.clone(),
        type_id: entity.type_id.to_string(),
        entity: OfEntity {
            id: entity.id.to_string(),
            name: entity.name,
            r#type: of_type,
            metas: entity.metas.unwrap_or_default(),
            validated: entity.validated,
        },
        offset: place.offset,
        length: place.length,
        confidence: place.confidence,
        worker_version_id: run.clone(),
        worker_run_id: run,
        worker_run: makers.get(place.origin.worker_run),
    }
}
