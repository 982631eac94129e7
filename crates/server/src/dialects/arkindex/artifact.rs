//! Artifacts of tasks. A task is a run, whose artifacts are shown file by file beside what its worker uploaded here; or the build
//! of a dataset, whose one artifact is the archive.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use runyard_domain::{Millis, RunId};
use runyard_engine::{
    self as engine, Actor,
    dataset::Whole,
    file_set::{self, FileSet, Filter, Kind, Status, WantedFiles, loose},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{model::time, site::Site};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::Valid,
    error::Problem,
};

/// Artifacts of a run that are looked at, and files of each.
const MOST: i64 = 1_000;
/// What is said of bytes of which nothing is known.
const BYTES: &str = "application/octet-stream";
/// What an archive of a dataset is.
const ARCHIVE: &str = "application/zstd";

#[derive(Serialize)]
pub(super) struct Artifact {
    id: String,
    path: String,
    content_type: String,
    size: i64,
    s3_put_url: Option<String>,
    created: String,
    updated: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewArtifact)]
pub(super) struct New {
    path: String,
    content_type: Option<String>,
    #[schema(minimum = 0)]
    size: i64,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(task): Path<String>,
) -> Result<Json<Vec<Artifact>>, Problem> {
    if let Some(whole) = built(&app, &actor, &task).await? {
        return Ok(Json(archive(&whole).into_iter().collect()));
    }
    let run = parse_id::<RunId>(&task)?;
    let mut artifacts: Vec<Artifact> = loose::list(&app.engine, &actor, run)
        .await?
        .into_iter()
        .map(|file| show(run, file.path, BYTES, file.size, file.stored_at))
        .collect();
    for set in sets(&app, &actor, run).await? {
        let wanted = WantedFiles { limit: MOST, ..WantedFiles::default() };
        for (file, _) in file_set::files(&app.engine, &actor, Kind::Artifact, set.id, wanted).await? {
            let path = format!("{}/{}", name(&set), file.path);
            if !artifacts.iter().any(|other| other.path == path) {
                artifacts.push(show(run, path, BYTES, file.size, set.created_at));
            }
        }
    }
    Ok(Json(artifacts))
}

/// The path may have slashes, encoded.
pub(super) async fn download(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Path((task, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let shown: String = path.chars().take(200).collect();
    let absent = || Problem::not_found(format!("task {task} has no artifact `{shown}`"));
    if let Some(whole) = built(&app, &actor, &task).await? {
        let known = archive(&whole).filter(|artifact| artifact.path == path);
        known.ok_or_else(absent)?;
        let signed = engine::dataset::archive(&app.engine, &actor, whole.dataset.id).await?;
        return Ok(found(site.address(&app, signed.url)));
    }
    let run = parse_id::<RunId>(&task)?;
    if let Some(signed) = loose::read(&app.engine, &actor, run, &path).await? {
        return Ok(found(site.address(&app, signed.url)));
    }
    for set in sets(&app, &actor, run).await? {
        let Some(file) = path.strip_prefix(name(&set)).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        match file_set::file(&app.engine, &actor, Kind::Artifact, set.id, file.to_owned()).await {
            Ok(signed) => return Ok(found(site.address(&app, signed.url))),
            Err(engine::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(absent())
}

/// Where to send an artifact; there is no word of these clients for that it has arrived.
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(run): Id<RunId>,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Artifact>), Problem> {
    let put = loose::begin(&app.engine, &actor, run, &new.path, new.size).await?;
    let content_type = new.content_type.unwrap_or_else(|| BYTES.to_owned());
    let mut artifact = show(run, new.path, &content_type, new.size, app.engine.now());
    artifact.s3_put_url = Some(site.address(&app, put.url));
    Ok((StatusCode::CREATED, Json(artifact)))
}

/// The dataset that a task built, if that is what it was.
async fn built(app: &App, actor: &Actor, task: &str) -> Result<Option<Whole>, Problem> {
    match engine::dataset::by_task(&app.engine, actor, task.to_owned()).await {
        Ok(whole) => Ok(Some(whole)),
        Err(engine::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The archive of a dataset, once it is made.
fn archive(whole: &Whole) -> Option<Artifact> {
    let dataset = &whole.dataset;
    let archive = dataset.archive.as_ref()?;
    let path = format!("{}.tar.zst", dataset.id);
    Some(Artifact {
        id: dataset.id.to_string(),
        path,
        content_type: ARCHIVE.to_owned(),
        size: archive.size,
        s3_put_url: None,
        created: time(dataset.updated_at),
        updated: time(dataset.updated_at),
    })
}

/// Complete artifacts of a run, the newest first.
async fn sets(app: &App, actor: &Actor, run: RunId) -> Result<Vec<FileSet>, Problem> {
    let filter = Filter {
        run_ids: vec![run],
        statuses: vec![Status::Complete],
        limit: MOST,
        ..Filter::of(Kind::Artifact)
    };
    Ok(file_set::list(&app.engine, actor, filter).await?)
}

fn name(set: &FileSet) -> &str {
    set.name.as_deref().unwrap_or("artifact")
}

fn show(run: RunId, path: String, content_type: &str, size: i64, at: Millis) -> Artifact {
    Artifact {
        id: format!("{run}/{path}"),
        path,
        content_type: content_type.to_owned(),
        size,
        s3_put_url: None,
        created: time(at),
        updated: time(at),
    }
}

fn found(address: String) -> Response {
    let headers = [(header::LOCATION, address), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}
