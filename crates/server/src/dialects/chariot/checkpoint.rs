//! Checkpoints, as Chariot's clients list them and make models of them. Their files are had from our own API.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{FieldErrors, FileSetId, filter::parse_time};
use runyard_engine::{
    self as engine,
    file_set::{FileSet, Filter, Kind, Status},
    model::checkpoint::NewCheckpointModel,
};
use runyard_wire::Data;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, data, ids, projects, run::Created, select, settings::Time};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    query::{self, Lenient, sort_by_creation},
};

/// What `select` chooses from; where the files are is told only when nothing was selected.
const FIELDS: [&str; 7] =
    ["id", "created_at", "run_id", "project_id", "global_step", "status", "status_updated_at"];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    run_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    global_step: Vec<i64>,
    #[serde(default)]
    #[param(required = false)]
    status: Vec<String>,
    #[param(nullable = false)]
    created_after: Option<String>,
    #[param(nullable = false)]
    created_before: Option<String>,
    #[param(nullable = false)]
    id_after: Option<String>,
    #[serde(default)]
    #[param(required = false)]
    select: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

#[derive(Serialize)]
struct Checkpoint {
    id: String,
    run_id: String,
    project_id: String,
    global_step: i64,
    created_at: Time,
    status: Status,
    status_updated_at: Time,
    /// Absent where the objects are files of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_name: Option<String>,
    key_prefix: String,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Lenient(wanted): Lenient<Wanted>,
) -> Answer<Vec<Value>> {
    let mut errors = FieldErrors::default();
    let fields = select::read(&mut errors, "checkpoint", wanted.select, &FIELDS);
    let statuses = query::each(&mut errors, "status", wanted.status, status);
    let created_after = query::one(&mut errors, "created_after", wanted.created_after, parse_time);
    let created_before = query::one(&mut errors, "created_before", wanted.created_before, parse_time);
    let id_after = query::one(&mut errors, "id_after", wanted.id_after, str::parse);
    let sort = sort_by_creation(&mut errors, wanted.sort);
    errors.finish(())?;
    let projects = projects(&app, &actor, &wanted.project_id).await?;
    let Some(((ids, run_ids), project_ids)) = ids(&wanted.id).zip(ids(&wanted.run_id)).zip(projects) else {
        return data(Vec::new());
    };
    let filter = Filter {
        ids,
        run_ids,
        project_ids,
        global_steps: wanted.global_step,
        statuses,
        created_after,
        created_before,
        id_after,
        sort,
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
        ..Filter::of(Kind::Checkpoint)
    };
    let sets = engine::file_set::list(&app.engine, &actor, filter).await?;
    select::show(sets.into_iter().map(|set| show(&app, set)), fields.as_ref())
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateModelRequest {
    name: String,
    version: String,
    summary: String,
    project_id: Option<String>,
}

/// Answers the id of the version: a model of Chariot's is one version of a name.
pub(super) async fn create_model(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Valid(new): Valid<CreateModelRequest>,
) -> Result<(StatusCode, Json<Data<Created>>), Problem> {
    let new = NewCheckpointModel {
        name: new.name,
        version: new.version,
        summary: new.summary,
        project: new.project_id,
    };
    let create =
        move |engine| async move { engine::model::checkpoint::create(&engine, &actor, id, new).await };
    let id = app.command(create).await?.id.to_string();
    Ok((app.chariot.created(), Json(Data { data: Created { id } })))
}

fn status(word: &str) -> Result<Status, String> {
    Status::from_word(word).filter(|status| Status::LISTED.contains(status)).ok_or_else(|| {
        let word: String = word.chars().take(80).collect();
        format!("`{word}` is not a status: it is {}", Status::LISTED.map(Status::word).join(" or "))
    })
}

fn show(app: &App, set: FileSet) -> Checkpoint {
    let place = app.engine.objects.bucket();
    Checkpoint {
        id: set.id.to_string(),
        run_id: set.run_id.to_string(),
        project_id: set.project_id.to_string(),
        global_step: set.global_step.unwrap_or_default(),
        created_at: app.chariot.time(set.created_at),
        status: set.status,
        status_updated_at: app.chariot.time(set.status_updated_at),
        bucket_name: place.map(|(bucket, _)| bucket.to_owned()),
        key_prefix: place.map_or("", |(_, prefix)| prefix).to_owned() + &set.key_prefix,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_and_the_code_agree_on_the_fields_of_a_checkpoint() {
        let parameters: BTreeSet<String> =
            Wanted::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
        super::super::tests::agrees("/v2/checkpoints", &parameters, &FIELDS);
    }
}
