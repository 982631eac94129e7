//! Publishing a version of a model: begin it, ask where its parts go, complete it.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use runyard_domain::{FieldErrors, ModelVersionId};
use runyard_engine::{
    self as engine,
    model::{Begun, Completed, Part},
};
use runyard_wire::{
    Data,
    model::{BegunModelVersion, CompleteModelVersion, NewModelVersion, PartUrl, PostParts, SentPart},
};

use super::wire;
use crate::{
    api::{Answer, data, file, model::InProject},
    app::{App, Id},
    auth::Caller,
    body::{Bulk, Valid},
    error::Problem,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Begins a model version
///
/// Answers the version that has this content already, if there is one: then nothing is to be sent. A repeat with the same
/// `source_key` answers the same version, and the parts of it that have arrived. 409 `tag_exists` when another version has the
/// tag and it is not to be moved.
#[utoipa::path(post, path = "/models/{model}/versions", operation_id = "begin_model_version", tag = "models",
    params(("model" = String, Path, description = "Id or name."), InProject), request_body = NewModelVersion,
    responses((status = 200, description = "The version.", body = Data<BegunModelVersion>),
        Missing, Conflicting, BadBody, Refused))]
pub(in crate::api) async fn begin(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(model): Path<String>,
    Query(place): Query<InProject>,
    Valid(new): Valid<NewModelVersion>,
) -> Answer<BegunModelVersion> {
    let mut errors = FieldErrors::default();
    let new = engine::model::NewVersion {
        tag: new.tag,
        move_tag: new.move_tag,
        description: new.description,
        config: new.config,
        parent: new.parent,
        run: query::one(&mut errors, "run_id", new.run_id, str::parse),
        job: query::one(&mut errors, "job_id", new.job_id, str::parse),
        size: new.size,
        files: new.files,
        tree_digest: new.tree_digest,
        source_key: new.source_key,
    };
    errors.finish(())?;
    let begin = move |engine| async move {
        engine::model::begin(&engine, &actor, &model, place.project_id.as_deref(), new).await
    };
    let Begun { version, existing, note, parts } = app.command(begin).await?;
    let part_size = version.part_size.filter(|_| !existing);
    let parts = parts.into_iter().map(|part| SentPart {
        number: part.number,
        size: part.size,
        sha256: part.sha256,
        md5: part.md5,
        etag: part.etag,
    });
    data(BegunModelVersion { version: wire(version), existing, note, part_size, parts: parts.collect() })
}

/// Asks where to send parts of an archive
///
/// Also tells which have arrived, so that a sender that starts again is told them. May be repeated, for new addresses too.
#[utoipa::path(post, path = "/model_versions/{version_id}/parts", operation_id = "post_model_parts", tag = "models",
    params(("version_id" = String, Path, description = "Id of the version.")), request_body = PostParts,
    responses((status = 200, description = "Where to send each part.", body = Data<Vec<PartUrl>>),
        Missing, Conflicting, BadBody, Refused))]
pub(in crate::api) async fn parts(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<PostParts, { limits::FILES }>,
) -> Answer<Vec<PartUrl>> {
    let parts = body.parts.into_iter().map(|part| engine::model::NewPart {
        number: part.number,
        size: part.size,
        sha256: part.sha256,
        md5: part.md5,
    });
    let (parts, sent) = (parts.collect(), body.sent.into_iter().map(sent).collect());
    let ask = move |engine| async move { engine::model::parts(&engine, &actor, id, parts, sent).await };
    let signed = app.command(ask).await?;
    let shown = signed.into_iter().map(|(number, put)| PartUrl { number, put: file::address(&app, put) });
    data(shown.collect())
}

/// Completes a model version
///
/// The server reads the archive once and holds it against what is said here: only then the version is available. While that
/// takes longer than 20 seconds the answer is 202: repeat the request to go on waiting. 409 `archive_differs` says what is
/// otherwise, and the version has failed.
#[utoipa::path(post, path = "/model_versions/{version_id}/complete", operation_id = "complete_model_version",
    tag = "models", params(("version_id" = String, Path, description = "Id of the version.")),
    request_body = CompleteModelVersion,
    responses((status = 200, description = "The version, or the one that had this content.", body = Data<BegunModelVersion>),
        (status = 202, description = "It is being read.", body = Data<BegunModelVersion>),
        Missing, Conflicting, BadBody, Refused))]
pub(in crate::api) async fn complete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<CompleteModelVersion, { limits::FILES }>,
) -> Result<Response, Problem> {
    let said = engine::model::Said {
        parts: body.parts.into_iter().map(sent).collect(),
        archive_size: body.archive_size,
        archive_sha256: body.archive_sha256,
        tree_digest: body.tree_digest,
    };
    let complete = move |engine| async move { engine::model::complete(&engine, &actor, id, said).await };
    let (status, begun) = match app.command(complete).await? {
        Completed::Done(finished) => (
            StatusCode::OK,
            BegunModelVersion {
                version: wire(finished.version),
                existing: finished.existing,
                note: finished.note,
                ..BegunModelVersion::default()
            },
        ),
        Completed::Reading(version) => (
            StatusCode::ACCEPTED,
            BegunModelVersion { version: wire(*version), ..BegunModelVersion::default() },
        ),
    };
    Ok((status, Json(Data { data: begun })).into_response())
}

fn sent(part: SentPart) -> Part {
    Part { number: part.number, size: part.size, sha256: part.sha256, md5: part.md5, etag: part.etag }
}
