//! Artifacts over HTTP: begin, list, read, delete; their files are announced, completed and read.

use axum::{
    extract::{Path, State},
    response::Response,
};
use runyard_domain::{FieldErrors, FileSetId, JobId, RunId, checkpoint::Kind, filter::parse_time};
use runyard_engine::{self as engine, file_set::FileSet};
use runyard_wire::{
    Data,
    artifact::{Artifact, NewArtifact},
    file::{AbandonFiles, CompleteFiles, File, PostFiles, Upload},
    run::Deleted,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{Answer, data, file, project};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::{Bulk, Valid},
    error::Problem,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query, sort_by_creation},
};

const KIND: Kind = Kind::Artifact;
/// Everything that an artifact may have; what `select` chooses from.
const FIELDS: [&str; 14] = [
    "id",
    "run_id",
    "job_id",
    "project_id",
    "created_at",
    "name",
    "type",
    "status",
    "status_updated_at",
    "reason",
    "path",
    "size",
    "files",
    "key_prefix",
];

/// Which artifacts, and what of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// Of any of these runs, by id.
    #[serde(default)]
    #[param(required = false)]
    run_id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// Any of these types.
    #[serde(default)]
    #[param(required = false)]
    r#type: Vec<String>,
    /// `incomplete`, `complete`.
    #[serde(default)]
    #[param(required = false)]
    status: Vec<String>,
    /// Created strictly after this time: epoch milliseconds or RFC 3339.
    #[param(nullable = false)]
    created_after: Option<String>,
    /// Created strictly before this time: epoch milliseconds or RFC 3339.
    #[param(nullable = false)]
    created_before: Option<String>,
    /// What follows this id in the order of the sort.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// Only these fields; `*`, or nothing said: all.
    #[serde(default)]
    #[param(required = false)]
    select: Vec<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; `created_at:desc` when nothing was said.
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    /// Leave out so many first.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

/// Lists artifacts
#[utoipa::path(get, path = "/artifacts", operation_id = "list_artifacts", tag = "artifacts", params(Wanted),
    responses((status = 200, description = "Artifacts; fields that were not selected are absent.",
        body = Data<Vec<Artifact>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Value>> {
    let mut errors = FieldErrors::default();
    let fields = file::selected(&mut errors, KIND.plural(), &FIELDS, wanted.select);
    let filter = engine::file_set::Filter {
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        run_ids: query::each(&mut errors, "run_id", wanted.run_id, str::parse),
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        names: wanted.name,
        types: wanted.r#type,
        statuses: query::each(&mut errors, "status", wanted.status, file::status),
        created_after: query::one(&mut errors, "created_after", wanted.created_after, parse_time),
        created_before: query::one(&mut errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(&mut errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
        ..engine::file_set::Filter::of(KIND)
    };
    errors.finish(())?;
    let sets = engine::file_set::list(&app.engine, &actor, filter).await?;
    file::show(sets.into_iter().map(wire), fields.as_ref())
}

/// Begins an artifact
///
/// It is `incomplete` until its files were announced and sent, and it was completed. A repeat with the same
/// `source_key` answers the same artifact.
#[utoipa::path(post, path = "/artifacts", operation_id = "create_artifact", tag = "artifacts", request_body = NewArtifact,
    responses((status = 200, description = "The artifact.", body = Data<Artifact>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewArtifact>,
) -> Answer<Artifact> {
    let mut errors = FieldErrors::default();
    let run = query::one(&mut errors, "run_id", Some(new.run_id), str::parse::<RunId>);
    let job = query::one(&mut errors, "job_id", new.job_id, str::parse::<JobId>);
    let run = errors.finish(run)?.ok_or_else(|| FieldErrors::one("run_id", "is required"))?;
    let new = engine::file_set::NewFileSet {
        kind: KIND,
        run,
        job,
        global_step: None,
        name: Some(new.name),
        of_type: new.r#type,
        source_key: new.source_key,
        path: new.path,
    };
    let create = move |engine| async move { engine::file_set::create(&engine, &actor, new).await };
    data(wire(app.command(create).await?))
}

/// Reads an artifact
#[utoipa::path(get, path = "/artifacts/{artifact_id}", operation_id = "get_artifact", tag = "artifacts",
    params(("artifact_id" = String, Path, description = "Id of the artifact.")),
    responses((status = 200, description = "The artifact.", body = Data<Artifact>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Artifact> {
    data(wire(engine::file_set::get(&app.engine, &actor, KIND, id).await?))
}

/// Deletes an artifact
///
/// With its files.
#[utoipa::path(delete, path = "/artifacts/{artifact_id}", operation_id = "delete_artifact", tag = "artifacts",
    params(("artifact_id" = String, Path, description = "Id of the artifact.")),
    responses((status = 200, description = "What that freed.", body = Data<Deleted>), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Deleted> {
    file::delete(&app, actor, KIND, id).await
}

/// Lists the files of an artifact
///
/// By path; with addresses to read them once it is complete.
#[utoipa::path(get, path = "/artifacts/{artifact_id}/files", operation_id = "list_artifact_files", tag = "artifacts",
    params(("artifact_id" = String, Path, description = "Id of the artifact."), file::Wanted),
    responses((status = 200, description = "Files.", body = Data<Vec<File>>), Missing, Refused))]
pub(super) async fn files(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(wanted): Query<file::Wanted>,
) -> Answer<Vec<File>> {
    file::list(&app, &actor, KIND, id, wanted).await
}

/// Announces files of an artifact
///
/// Answers where to send them, in the order of the request. May be repeated, also for new addresses; then `done` says
/// what need not be sent again. A file that was announced with other bytes before is refused with `file_changed`.
#[utoipa::path(post, path = "/artifacts/{artifact_id}/files", operation_id = "announce_artifact_files",
    tag = "artifacts", params(("artifact_id" = String, Path, description = "Id of the artifact.")),
    request_body = PostFiles,
    responses((status = 200, description = "Where to send each file.", body = Data<Vec<Upload>>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn announce(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<PostFiles, { limits::FILES }>,
) -> Answer<Vec<Upload>> {
    file::announce(&app, actor, KIND, id, body).await
}

/// Reads a file of an artifact
///
/// Leads to an address that needs no token, expires, and knows ranges.
#[utoipa::path(get, path = "/artifacts/{artifact_id}/files/{*path}", operation_id = "read_artifact_file",
    tag = "artifacts", params(("artifact_id" = String, Path, description = "Id of the artifact."),
        ("path" = String, Path, description = "The file's path, with `/`.")),
    responses((status = 302, description = "Where the bytes are.",
        headers(("Location" = String, description = "The address; one that begins with `/` is on this server."))),
        Missing, Conflicting, Refused))]
pub(super) async fn read(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, path)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    file::read(&app, &actor, KIND, parse_id(&id)?, path).await
}

/// Completes an artifact
///
/// Once every file is there as it was announced; else `incomplete` names what is missing. May be repeated.
#[utoipa::path(post, path = "/artifacts/{artifact_id}/complete", operation_id = "complete_artifact", tag = "artifacts",
    params(("artifact_id" = String, Path, description = "Id of the artifact.")), request_body = CompleteFiles,
    responses((status = 200, description = "The artifact: `complete`.", body = Data<Artifact>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn complete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<CompleteFiles, { limits::FILES }>,
) -> Answer<Artifact> {
    data(wire(file::complete(&app, actor, KIND, id, body).await?))
}

/// Gives the upload of an artifact up
///
/// What was sent is freed; it stays `incomplete`, with the reason. May be repeated.
#[utoipa::path(post, path = "/artifacts/{artifact_id}/abandon", operation_id = "abandon_artifact", tag = "artifacts",
    params(("artifact_id" = String, Path, description = "Id of the artifact.")), request_body = AbandonFiles,
    responses((status = 200, description = "The artifact, with the reason.", body = Data<Artifact>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn abandon(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<FileSetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<AbandonFiles>,
) -> Answer<Artifact> {
    data(wire(file::abandon(&app, actor, KIND, id, body).await?))
}

fn wire(set: FileSet) -> Artifact {
    Artifact {
        id: Some(set.id.to_string()),
        run_id: Some(set.run_id.to_string()),
        job_id: Some(set.job_id.to_string()),
        project_id: Some(set.project_id.to_string()),
        created_at: Some(set.created_at.0),
        name: set.name,
        r#type: set.of_type,
        status: Some(set.status.word().to_owned()),
        status_updated_at: Some(set.status_updated_at.0),
        reason: set.reason,
        path: set.path,
        size: Some(set.size),
        files: Some(set.files),
        key_prefix: Some(set.key_prefix),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_field_can_be_selected() {
        let schema = serde_json::to_value(Artifact::schema()).unwrap();
        let documented: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(documented, BTreeSet::from(FIELDS));
    }
}
