//! What a job writes to a bucket of this server: announced, sent straight to where objects are, then in its place all at
//! once. Outputs that Runyard keeps are artifacts, and those of S3 stores are the runner's alone.

use runyard_domain::{
    JobId, ProjectId,
    channel::{Direction, Kind, Place, Uri},
};
use runyard_store as store;

use crate::{
    Actor, Engine, Error, Result,
    file_set::{NewFile, SentFile, Upload},
    job::seen,
    oss,
};

/// Announces files of an output, and answers where to send each of them. May be repeated, for new addresses too.
///
/// # Errors
/// 422 for an output that goes elsewhere; wrong files by `files.N.field`; `stale_epoch` when the run has a newer job.
pub async fn begin_output(
    engine: &Engine,
    actor: &Actor,
    job: JobId,
    channel: String,
    files: Vec<NewFile>,
) -> Result<Vec<Upload>> {
    let (project, place) = place(engine, actor, job, &channel).await?;
    let at = (place.bucket.as_str(), place.key.as_str());
    oss::channel::begin_put(engine, project, at, &source(job, &channel), files).await
}

/// Puts files of an output that were announced and sent in their places. May be repeated.
///
/// # Errors
/// `incomplete` names files that are not there.
pub async fn complete_output(
    engine: &Engine,
    actor: &Actor,
    job: JobId,
    channel: String,
    files: Vec<SentFile>,
) -> Result<()> {
    let (project, place) = place(engine, actor, job, &channel).await?;
    let at = (place.bucket.as_str(), place.key.as_str());
    oss::channel::commit_put(engine, project, at, &source(job, &channel), files).await
}

/// Tells what a job sends to a channel from what others send to the same keys.
fn source(job: JobId, channel: &str) -> String {
    format!("{job}/{channel}")
}

async fn place(engine: &Engine, actor: &Actor, job: JobId, channel: &str) -> Result<(ProjectId, Place)> {
    let (actor, wanted) = (actor.clone(), channel.to_owned());
    let link = engine
        .db
        .read(move |tx| {
            let (run, _) = seen(tx, &actor, job)?;
            Ok::<_, Error>(store::channel::get(tx, run.id, Direction::Output, &wanted)?)
        })
        .await?;
    let link = link.ok_or_else(|| Error::not_found("output", channel))?;
    match Uri::parse(&link.place) {
        Ok(Uri::Oss(place)) if link.kind == Kind::Oss => Ok((link.project_id, place)),
        _ => {
            Err(Error::field("channel", format!("output `{channel}` does not go to a bucket of this server")))
        }
    }
}
