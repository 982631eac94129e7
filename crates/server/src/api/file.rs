//! What checkpoints and artifacts have in common over HTTP: their files, and how both end.

use std::collections::BTreeSet;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use runyard_domain::{FieldErrors, FileSetId, checkpoint::Kind};
use runyard_engine::{self as engine, Actor, file_set::FileSet};
use runyard_wire::{
    Data,
    file::{AbandonFiles, CompleteFiles, File, NewFile, Part, PostFiles, SignedUrl, Upload},
    run::Deleted,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{app::App, error::Problem, object::reference};

/// Which files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only these paths.
    #[serde(default)]
    #[param(required = false)]
    path: Vec<String>,
    /// Paths strictly after this one.
    #[param(nullable = false)]
    path_after: Option<String>,
    /// At most so many; 1000 when nothing was said.
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

pub(super) async fn list(
    app: &App,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    wanted: Wanted,
) -> Answer<Vec<File>> {
    let wanted = engine::file_set::WantedFiles {
        paths: wanted.path,
        path_after: wanted.path_after,
        limit: wanted.limit.unwrap_or(1000),
    };
    let files = engine::file_set::files(&app.engine, actor, kind, id, wanted).await?;
    let shown = files.into_iter().map(|(file, signed)| File {
        path: file.path,
        size: file.size,
        sha256: file.sha256,
        mode: file.mode,
        url: signed.map(|signed| reference(app, signed.url)),
    });
    data(shown.collect())
}

/// Leads to the bytes.
pub(super) async fn read(
    app: &App,
    actor: &Actor,
    kind: Kind,
    id: FileSetId,
    path: String,
) -> Result<Response, Problem> {
    Ok(lead_to(app, engine::file_set::file(&app.engine, actor, kind, id, path).await?))
}

/// Leads to a signed address. Nobody may keep where: it expires.
pub(super) fn lead_to(app: &App, signed: runyard_objects::Signed) -> Response {
    let headers =
        [(header::LOCATION, reference(app, signed.url)), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

pub(super) async fn announce(
    app: &App,
    actor: Actor,
    kind: Kind,
    id: FileSetId,
    body: PostFiles,
) -> Answer<Vec<Upload>> {
    let (local, files): (Vec<NewFile>, Vec<NewFile>) =
        body.files.into_iter().partition(|file| file.local.is_some());
    if !local.is_empty() {
        if files.is_empty() {
            return take(app, actor, kind, id, local).await;
        }
        let message = "name `local` for all files, or for none";
        return Err(FieldErrors::one("files", message).into());
    }
    let files = announced(PostFiles { files });
    let announce =
        move |engine| async move { engine::file_set::upload(&engine, &actor, kind, id, files).await };
    let uploads = app.command(announce).await?;
    data(uploads.into_iter().map(|upload| wire(app, upload)).collect())
}

/// What a body announces.
pub(super) fn announced(body: PostFiles) -> Vec<engine::file_set::NewFile> {
    let files = body.files.into_iter().map(|file| engine::file_set::NewFile {
        path: file.path,
        size: file.size,
        md5: file.md5,
        sha256: file.sha256.unwrap_or_default(),
        parts: file
            .parts
            .into_iter()
            .map(|part| engine::file_set::NewPart {
                size: part.size,
                md5: part.md5,
                sha256: part.sha256,
                etag: part.etag,
            })
            .collect(),
        mode: file.mode,
    });
    files.collect()
}

async fn take(
    app: &App,
    actor: Actor,
    kind: Kind,
    id: FileSetId,
    files: Vec<NewFile>,
) -> Answer<Vec<Upload>> {
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let files = files.into_iter().filter_map(|NewFile { path, size, local, .. }| {
        let local = local?;
        Some(engine::file_set::LocalFile {
            path,
            size,
            place: local.place,
            file: (local.device, local.inode),
            modified: (local.modified_s, local.modified_ns),
        })
    });
    let files = files.collect();
    let take = move |engine| async move { engine::file_set::take(&engine, &actor, kind, id, files).await };
    let taken = app.command(take).await?;
    let answer = |path: String| {
        let done = taken.contains(&path);
        Upload { path, done, put: None, upload_id: None, parts: Vec::new() }
    };
    data(paths.into_iter().map(answer).collect())
}

pub(super) async fn complete(
    app: &App,
    actor: Actor,
    kind: Kind,
    id: FileSetId,
    body: CompleteFiles,
) -> Result<FileSet, Problem> {
    let sent = body.files.into_iter().map(|file| engine::file_set::SentFile {
        path: file.path,
        etags: file.etags,
        sha256: file.sha256,
    });
    let sent = sent.collect();
    let complete =
        move |engine| async move { engine::file_set::complete(&engine, &actor, kind, id, sent).await };
    app.command(complete).await
}

pub(super) async fn abandon(
    app: &App,
    actor: Actor,
    kind: Kind,
    id: FileSetId,
    body: AbandonFiles,
) -> Result<FileSet, Problem> {
    let abandon =
        move |engine| async move { engine::file_set::abandon(&engine, &actor, kind, id, body.reason).await };
    app.command(abandon).await
}

pub(super) async fn delete(app: &App, actor: Actor, kind: Kind, id: FileSetId) -> Answer<Deleted> {
    let delete = move |engine| async move { engine::file_set::delete(&engine, &actor, kind, id).await };
    let freed_bytes = app.command(delete).await?;
    data(Deleted { id: id.to_string(), freed_bytes })
}

/// The fields that were selected of each; `None`: all.
pub(super) fn show<T: Serialize>(
    all: impl Iterator<Item = T>,
    fields: Option<&BTreeSet<String>>,
) -> Result<Json<Data<Vec<Value>>>, Problem> {
    let one = |thing: T| {
        let mut value = serde_json::to_value(thing)?;
        if let (Some(fields), Some(object)) = (fields, value.as_object_mut()) {
            object.retain(|name, _| fields.contains(name));
        }
        Ok(value)
    };
    let shown: serde_json::Result<Vec<Value>> = all.map(one).collect();
    data(shown.map_err(|error| Problem::fault(format!("cannot write a list: {error}")))?)
}

/// What `select` asks for; `None`: all fields.
pub(super) fn selected(
    errors: &mut FieldErrors,
    nouns: &str,
    known: &[&str],
    names: Vec<String>,
) -> Option<BTreeSet<String>> {
    for name in names.iter().filter(|name| *name != "*" && !known.contains(&name.as_str())) {
        let name: String = name.chars().take(80).collect();
        let known = known.join(", ");
        errors.add("select", format!("`{name}` is no field of {nouns}: the fields are {known}"));
    }
    let all = names.is_empty() || names.iter().any(|name| name == "*");
    (!all).then(|| names.into_iter().collect())
}

/// A status that lists know.
pub(super) fn status(word: &str) -> Result<engine::file_set::Status, String> {
    use engine::file_set::Status;
    Status::LISTED.into_iter().find(|status| status.word() == word).ok_or_else(|| {
        let word: String = word.chars().take(80).collect();
        format!("`{word}` is not a status: the statuses are incomplete, complete")
    })
}

/// A signed request, for who reaches the server by a name of their own.
pub(super) fn address(app: &App, signed: runyard_objects::Signed) -> SignedUrl {
    SignedUrl {
        url: reference(app, signed.url),
        method: signed.method.to_owned(),
        headers: signed.headers,
        expires_at: signed.expires_at.0,
    }
}

/// Where to send a file.
pub(super) fn wire(app: &App, upload: engine::file_set::Upload) -> Upload {
    let signed = |signed| address(app, signed);
    Upload {
        path: upload.path,
        done: upload.done,
        put: upload.put.map(signed),
        upload_id: upload.upload,
        parts: upload
            .parts
            .into_iter()
            .map(|part| Part {
                number: part.number,
                offset: part.offset,
                size: part.size,
                done: part.put.is_none(),
                put: part.put.map(signed),
            })
            .collect(),
    }
}
