//! Results of elements over HTTP.

use axum::{extract::State, http::StatusCode};
use runyard_domain::{ElementId, FieldErrors};
use runyard_engine::{self as engine, element::result as rows};
use runyard_wire::{
    Data,
    element::AddResults,
    result::{Classification, ElementResults, Metadata, Transcription, TranscriptionEntity},
};

use super::{Answer, data};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Bulk,
    error::Problem,
    limits,
    openapi::{BadBody, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Reads what was found about an element
#[utoipa::path(get, path = "/elements/{element_id}/results", operation_id = "get_element_results", tag = "elements",
    params(("element_id" = String, Path, description = "Id of the element.")),
    responses((status = 200, description = "All but its children.", body = Data<ElementResults>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<ElementResults> {
    let mut found = engine::element::result::get(&app.engine, &actor, id).await?;
    data(ElementResults {
        classifications: found.classifications.into_iter().map(wire_classification).collect(),
        transcriptions: found
            .transcriptions
            .into_iter()
            .map(|one| {
                let entities = found.entities.remove(&one.id).unwrap_or_default();
                wire_transcription(one, entities)
            })
            .collect(),
        metadata: found.metadata.into_iter().map(wire_metadata).collect(),
    })
}

/// Adds results to an element
///
/// All or none. Workers commit theirs with `POST /worker_runs/{worker_run_id}/commit`, where state and results are one.
#[utoipa::path(post, path = "/elements/{element_id}/results", operation_id = "add_element_results", tag = "elements",
    params(("element_id" = String, Path, description = "Id of the element.")), request_body = AddResults,
    responses((status = 204, description = "They are there."), Missing, BadBody, Refused))]
pub(super) async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<AddResults, { limits::RESULTS }>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let worker_run = query::one(&mut errors, "worker_run_id", body.worker_run_id, str::parse);
    errors.finish(())?;
    app.command(move |engine| async move {
        engine::element::result::add(&engine, &actor, id, worker_run, body.replace, body.results).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn wire_classification((one, class): (rows::Classification, String)) -> Classification {
    Classification {
        id: one.id.to_string(),
        class,
        class_id: one.class_id.to_string(),
        confidence: one.confidence,
        high_confidence: one.high_confidence,
        state: one.state,
        worker_run_id: run(one.origin),
    }
}

pub(super) fn wire_metadata(one: rows::Metadata) -> Metadata {
    Metadata {
        id: one.id.to_string(),
        of_type: one.of_type,
        name: one.name,
        value: one.value,
        entity_id: one.entity_id.map(|id| id.to_string()),
        worker_run_id: run(one.origin),
    }
}

fn wire_transcription(one: rows::Transcription, entities: Vec<rows::Placed>) -> Transcription {
    Transcription {
        id: one.id.to_string(),
        text: one.text,
        confidence: one.confidence,
        orientation: one.orientation,
        worker_run_id: run(one.origin),
        entities: entities
            .into_iter()
            .map(|rows::Placed { place, entity, of_type }| TranscriptionEntity {
                id: place.id.to_string(),
                entity_id: place.entity_id.to_string(),
                of_type,
                name: entity.name,
                offset: place.offset,
                length: place.length,
                confidence: place.confidence,
                worker_run_id: run(place.origin),
            })
            .collect(),
    }
}

fn run(origin: rows::Origin) -> Option<String> {
    origin.worker_run.map(|id| id.to_string())
}
