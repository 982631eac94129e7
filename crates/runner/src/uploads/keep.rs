//! Keeps the outputs of a job: as artifacts of the run, or in buckets of the server. Unlike what a program names while it runs,
//! an output that cannot be kept is not passed over: whoever asked for it is told why.

use std::rc::Rc;

use runyard_domain::channel::ARTIFACT;

use super::{
    Begun, Stop, Wanted, What, begin,
    find::Found,
    give_up,
    send::{Goal, Sending},
};
use crate::{job::Job, server::Refusal};

/// The type of artifacts that keep outputs.
const TYPE: &str = "output";

/// Keeps an output as the artifact `output/<channel>`; the inner error is why it cannot be kept.
pub(crate) async fn keep_output(
    job: &Rc<Job>,
    channel: &str,
    files: Vec<Found>,
) -> Result<Result<(), String>, Refusal> {
    let path = format!("{ARTIFACT}{channel}");
    let wanted = Wanted {
        what: What::Artifact { name: path.clone(), kind: Some(TYPE.to_owned()) },
        source_key: format!("{}:{path}", job.spec.job_id),
        path,
    };
    let id = match begin(job, &wanted).await {
        Ok(Begun::Incomplete(id)) => id,
        Ok(Begun::Over(reason)) => return Ok(reason.map_or(Ok(()), Err)),
        Err(stop) => return judge(job, stop),
    };
    let goal = Goal::Set(wanted.kind(), id.clone());
    match Sending::new(job, wanted.title(), goal).send(files).await {
        Ok(()) => Ok(Ok(())),
        Err(stop) => {
            give_up(job, &wanted, Some(&id), stop.clone()).await?;
            judge(job, stop)
        }
    }
}

/// Sends an output to its bucket of the server; the inner error is why it does not get there.
pub(crate) async fn send_output(
    job: &Rc<Job>,
    channel: &str,
    files: Vec<Found>,
) -> Result<Result<(), String>, Refusal> {
    let goal = Goal::Output(job.spec.job_id.to_string(), channel.to_owned());
    match Sending::new(job, format!("output `{channel}`"), goal).send(files).await {
        Ok(()) => Ok(Ok(())),
        Err(stop) => judge(job, stop),
    }
}

fn judge(job: &Job, stop: Stop) -> Result<Result<(), String>, Refusal> {
    match stop {
        Stop::Superseded => {
            job.supersede();
            Err(Refusal::Superseded)
        }
        Stop::GivenUp(reason) => Ok(Err(reason)),
    }
}
