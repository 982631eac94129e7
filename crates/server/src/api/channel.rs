//! Channels over HTTP: what a job brings, where it sends what goes to buckets of this server, and the lineage of runs.

use axum::extract::{Path, State};
use runyard_domain::{JobId, RunId};
use runyard_engine::{self as engine, file_set::SentFile};
use runyard_wire::{
    Data,
    channel::{Input, Lineage, LineageInput, LineageModel, LineageOutput, LineageRun, LineageUse},
    file::{CompleteFiles, File, PostFiles, Upload},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, file};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::Valid,
    limits,
    object::reference,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{Nothing, Query},
};

/// Which files of an input.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Paths strictly after this one.
    #[param(nullable = false)]
    path_after: Option<String>,
    /// At most so many; 1000 when nothing was said.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists the inputs of a job
///
/// What each of them leads to was decided when the run was submitted. Of an artifact, a checkpoint or a bucket of this server
/// the files are listed apart; a model version, a dataset and an upload are archives, and an S3 store is read by the job itself.
#[utoipa::path(get, path = "/jobs/{job_id}/inputs", operation_id = "list_inputs", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job.")),
    responses((status = 200, description = "Inputs, by name.", body = Data<Vec<Input>>), Missing, Conflicting, Refused))]
pub(super) async fn inputs(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(job): Id<JobId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<Input>> {
    let inputs = engine::channel::inputs(&app.engine, &actor, job).await?;
    let shown = inputs.into_iter().map(|input| Input {
        channel: input.channel,
        uri: input.uri,
        kind: input.kind.word().to_owned(),
        target_id: input.target_id,
        place: input.place,
        file: input.file,
    });
    data(shown.collect())
}

/// Lists the files of an input
///
/// By path, with addresses to read them for the next hour. A path that is empty or ends with `/` stands for a folder.
#[utoipa::path(get, path = "/jobs/{job_id}/inputs/{channel}/files", operation_id = "list_input_files", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job."),
        ("channel" = String, Path, description = "The channel's name."), Wanted),
    responses((status = 200, description = "Files.", body = Data<Vec<File>>), Missing, Conflicting, Refused))]
pub(super) async fn input_files(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((job, channel)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<File>> {
    let job: JobId = parse_id(&job)?;
    let limit = wanted.limit.unwrap_or(1000);
    let files = engine::channel::files(&app.engine, &actor, job, channel, wanted.path_after, limit).await?;
    let shown = files.into_iter().map(|file| File {
        path: file.path,
        size: file.size,
        sha256: file.sha256,
        mode: file.mode,
        url: Some(reference(&app, file.read.url)),
    });
    data(shown.collect())
}

/// Announces files of an output
///
/// Of one that goes to a bucket of this server. Answered with where to send them; may be repeated.
#[utoipa::path(post, path = "/jobs/{job_id}/outputs/{channel}/files", operation_id = "announce_output_files", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job."),
        ("channel" = String, Path, description = "The channel's name.")), request_body = PostFiles,
    responses((status = 200, description = "Where to send them.", body = Data<Vec<Upload>>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn announce(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((job, channel)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<PostFiles, { limits::FILES }>,
) -> Answer<Vec<Upload>> {
    let job: JobId = parse_id(&job)?;
    let files = file::announced(body);
    let begin = move |engine| async move {
        engine::channel::begin_output(&engine, &actor, job, channel, files).await
    };
    let uploads = app.command(begin).await?;
    data(uploads.into_iter().map(|upload| file::wire(&app, upload)).collect())
}

/// Puts files of an output in their places
///
/// All that are named, once each of them was sent: from here on they are in the bucket. May be repeated.
#[utoipa::path(post, path = "/jobs/{job_id}/outputs/{channel}/complete", operation_id = "complete_output_files", tag = "jobs",
    params(("job_id" = String, Path, description = "Id of the job."),
        ("channel" = String, Path, description = "The channel's name.")), request_body = CompleteFiles,
    responses((status = 200, description = "How many files there are.", body = Data<i64>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn complete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((job, channel)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<CompleteFiles, { limits::FILES }>,
) -> Answer<i64> {
    let job: JobId = parse_id(&job)?;
    let count = body.files.len() as i64;
    let sent = body.files.into_iter().map(|file| SentFile {
        path: file.path,
        etags: file.etags,
        sha256: file.sha256,
    });
    let sent: Vec<SentFile> = sent.collect();
    let complete = move |engine| async move {
        engine::channel::complete_output(&engine, &actor, job, channel, sent).await
    };
    app.command(complete).await?;
    data(count)
}

/// Reads the lineage of a run
///
/// One step up and one step down: its inputs and the runs that made them, its outputs, and the runs that read what it made.
#[utoipa::path(get, path = "/runs/{run_id}/lineage", operation_id = "get_lineage", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run.")),
    responses((status = 200, description = "The lineage.", body = Data<Lineage>), Missing, Refused))]
pub(super) async fn lineage(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(run): Id<RunId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Lineage> {
    let found = engine::channel::lineage(&app.engine, &actor, run).await?;
    data(Lineage {
        inputs: found.inputs.into_iter().map(input).collect(),
        outputs: found.outputs.into_iter().map(output).collect(),
        model_versions: found
            .versions
            .into_iter()
            .map(|version| LineageModel {
                id: version.id.to_string(),
                model: version.model,
                tag: version.tag,
            })
            .collect(),
        used_by: found
            .used_by
            .into_iter()
            .map(|(link, run)| LineageUse {
                run: named(link.run_id, run),
                channel: link.channel,
                uri: link.uri,
                kind: link.kind.word().to_owned(),
            })
            .collect(),
    })
}

fn input(up: engine::channel::lineage::Up) -> LineageInput {
    let link = up.link;
    LineageInput {
        channel: link.channel,
        uri: link.uri,
        kind: link.kind.word().to_owned(),
        target_id: link.target_id,
        title: up.title,
        run: link.from_run_id.map(|id| named(id, up.run)),
    }
}

fn output(out: engine::channel::lineage::Out) -> LineageOutput {
    let (link, set) = (out.link, out.artifact);
    LineageOutput {
        channel: link.channel,
        uri: link.uri,
        kind: link.kind.word().to_owned(),
        artifact_id: set.as_ref().map(|set| set.id.to_string()),
        status: set.as_ref().map(|set| set.status.word().to_owned()),
        files: set.as_ref().map(|set| set.files),
        size: set.map(|set| set.size),
    }
}

fn named(id: RunId, run: Option<engine::run::Run>) -> LineageRun {
    LineageRun {
        id: id.to_string(),
        status: run.as_ref().map(|run| run.life.status.to_string()),
        name: run.map(|run| run.name),
    }
}
