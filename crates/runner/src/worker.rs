//! What a worker run adds to a job: the environment of each of its processes, what happens to the elements of one that died, and
//! what the end of all of them means. Which element is whose the server decides; here it is only asked.

use std::collections::BTreeMap;

use runyard_client::activity::Filter;
use runyard_domain::{
    ElementId,
    job::{Exit, Reason, WorkerJob},
    worker_run::{WorkerType, holder},
};
use runyard_wire::{
    activity::{Activity, Release},
    worker_run::{Counts, WorkerRun},
};

use crate::{
    environment::{self, Environment},
    job::Job,
    server::{Patience, Refusal},
};

mod arkindex;

/// Activities of one page.
const PAGE: i64 = 1000;

/// What the death of a process leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct After {
    /// Elements that it had.
    pub(crate) held: i64,
    /// Elements that are not done.
    pub(crate) left: i64,
}

/// Makes what must be there before the processes (of Arkindex's workers, the lists of their elements); answers the numbers of
/// those to start.
pub(crate) async fn share_out(job: &Job) -> Result<Vec<usize>, String> {
    match &job.spec.worker {
        Some(own) if own.worker_type == WorkerType::Arkindex => arkindex::share_out(job, own).await,
        Some(own) => Ok((0..own.processes.max(1) as usize).collect()),
        None => Ok(vec![0]),
    }
}

/// The environment of process `number`.
pub(crate) fn environment(
    mut env: Environment,
    job: &Job,
    own: &WorkerJob,
    number: usize,
) -> Result<Environment, String> {
    let holder = holder(job.spec.job_id, number as i64);
    let mut set = |name: &str, value: String| environment::set(&mut env, name, value);
    set("RUNYARD_WORKER_RUN_ID", own.worker_run_id.to_string());
    set("RUNYARD_WORKER_PROCESS", number.to_string());
    set("RUNYARD_WORKER_PROCESSES", own.processes.to_string());
    set("RUNYARD_WORKER_HOLDER", holder);
    set("RUNYARD_WORKER_BATCH", own.batch.to_string());
    set("RUNYARD_WORKER_LEASE_MS", own.lease_ms.to_string());
    if own.worker_type == WorkerType::Arkindex {
        arkindex::add(&mut env, job, own, number)?;
    }
    Ok(env)
}

/// A process died: the server learns it at once and not when its lease runs out. Waits for a server that is away, unless the job
/// is to end; without an answer there is nothing left to do.
pub(crate) async fn after_death(job: &Job, own: &WorkerJob, number: usize) -> After {
    let ask = async {
        if own.worker_type == WorkerType::Arkindex {
            return arkindex::after_death(job, own, number).await;
        }
        let holder = holder(job.spec.job_id, number as i64);
        let held = release(job, own, &Release { holder, elements: None, died: true }).await?;
        let run = worker_run(job, own).await?;
        let Counts { queued, started, processed, error } = run.counts;
        // A worker that takes whole sets leaves elements alone: its failure is its last word.
        let by_sets = run.mode == "dataset" && held == 0 && processed + error == 0;
        Ok::<_, Refusal>(After { held, left: if by_sets { 0 } else { queued + started } })
    };
    let answer = tokio::select! {
        biased;
        answer = ask => answer,
        () = job.orders.stopped() => return After::default(),
    };
    answer.unwrap_or_else(|refusal| {
        tracing::warn!(%refusal, number, "what a dead process had comes back when its lease runs out");
        After::default()
    })
}

async fn release(job: &Job, own: &WorkerJob, release: &Release) -> Result<i64, Refusal> {
    let id = own.worker_run_id.to_string();
    let call =
        async |client: runyard_client::job::JobClient| client.api().release_elements(&id, release).await;
    job.server.insist(|| Patience::Delivering, call).await
}

/// How many elements are not done.
async fn left(job: &Job, own: &WorkerJob) -> Result<i64, Refusal> {
    let counts = worker_run(job, own).await?.counts;
    Ok(counts.queued + counts.started)
}

async fn worker_run(job: &Job, own: &WorkerJob) -> Result<WorkerRun, Refusal> {
    let id = own.worker_run_id.to_string();
    let call = async |client: runyard_client::job::JobClient| client.api().worker_run(&id).await;
    job.server.insist(|| Patience::Delivering, call).await
}

/// Hands each activity in this state to `each`, in the order of the elements.
async fn activities(
    job: &Job,
    own: &WorkerJob,
    state: &str,
    mut each: impl FnMut(Activity) -> Result<(), String>,
) -> Result<(), String> {
    let id = own.worker_run_id.to_string();
    let mut filter = Filter { state: vec![state.to_owned()], limit: Some(PAGE), ..Filter::default() };
    loop {
        let call = async |client: runyard_client::job::JobClient| client.api().activities(&id, &filter).await;
        let page =
            job.server.insist(|| Patience::Delivering, call).await.map_err(|error| error.to_string())?;
        let last = page.last().map(|activity| activity.element_id.clone());
        let full = page.len() as i64 == PAGE;
        page.into_iter().try_for_each(&mut each)?;
        if !full {
            return Ok(());
        }
        filter.id_after = last;
    }
}

/// Which process works on an element, where the elements are shared out beforehand.
fn share(element: &str, processes: i64) -> usize {
    let mixed = element.parse::<ElementId>().map_or(0, |id| {
        id.0.as_bytes()
            .iter()
            .fold(0_u64, |mixed, byte| (mixed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    });
    ((mixed >> 16) % processes.max(1).unsigned_abs()) as usize
}

/// What the end of the processes means. As Arkindex says it: a success, unless everything failed.
pub(crate) async fn judge(job: &Job, exit: Exit) -> Exit {
    let own_end = matches!(exit.reason, Reason::Completed | Reason::Error | Reason::Signaled);
    let Some(own) = job.spec.worker.as_ref().filter(|_| own_end) else { return exit };
    let asked = tokio::select! {
        biased;
        () = job.orders.stopped() => return exit,
        asked = worker_run(job, own) => asked,
    };
    match asked {
        Ok(run) => weigh(exit, run.counts),
        Err(refusal) => {
            tracing::warn!(%refusal, "how many elements are done cannot be known");
            exit
        }
    }
}

fn weigh(exit: Exit, counts: Counts) -> Exit {
    let Counts { queued, started, processed, error } = counts;
    let (left, done) = (queued + started, processed + error);
    let add = |exit: &Exit, more: String| {
        let message = exit.message.as_ref().map(|message| format!("{message}; ")).unwrap_or_default();
        Some(message + &more)
    };
    if exit.reason == Reason::Completed {
        if left == 0 && processed == 0 && error > 0 {
            let message = Some(format!("all of {error} elements failed: `runyard worker errors` says why"));
            return Exit { reason: Reason::Error, code: Some(1), message, ..exit };
        }
        if left > 0 && done > 0 {
            let message = add(&exit, format!("{left} elements are left: a restart goes on with them"));
            return Exit { message, ..exit };
        }
        return exit;
    }
    if left == 0 && processed > 0 {
        let message = add(&exit, format!("yet no element is left: {processed} processed, {error} failed"));
        return Exit { reason: Reason::Completed, code: Some(0), signal: None, message, ..exit };
    }
    if left > 0 {
        let message = add(&exit, format!("{left} elements are left"));
        return Exit { message, ..exit };
    }
    exit
}

/// Elements by who holds them.
type Held = BTreeMap<String, Vec<String>>;

#[cfg(test)]
mod tests {
    use runyard_domain::Millis;

    use super::*;

    fn ended(reason: Reason, code: i32) -> Exit {
        Exit { reason, code: Some(code), signal: None, message: None, launched_at: None, ended_at: Millis(1) }
    }

    fn counts(queued: i64, processed: i64, error: i64) -> Counts {
        Counts { queued, started: 0, processed, error }
    }

    #[test]
    fn a_worker_run_fails_only_when_everything_failed_or_something_is_left_undone() {
        let weighed = |exit: Exit, counts: Counts| {
            let exit = weigh(exit, counts);
            (exit.reason, exit.code, exit.message.unwrap_or_default())
        };
        let done = || ended(Reason::Completed, 0);
        let failed = || ended(Reason::Error, 3);
        assert_eq!(weighed(done(), counts(0, 5, 2)), (Reason::Completed, Some(0), String::new()));
        assert_eq!(weighed(done(), counts(7, 0, 0)), (Reason::Completed, Some(0), String::new()));
        let (reason, code, message) = weighed(done(), counts(0, 0, 2));
        assert_eq!((reason, code), (Reason::Error, Some(1)));
        assert!(message.contains("all of 2 elements failed"), "{message}");
        let (reason, _, message) = weighed(done(), counts(4, 1, 0));
        assert!(reason == Reason::Completed && message.contains("4 elements are left"), "{message}");
        let (reason, code, message) = weighed(failed(), counts(0, 5, 1));
        assert_eq!((reason, code), (Reason::Completed, Some(0)));
        assert!(message.contains("5 processed, 1 failed"), "{message}");
        let (reason, code, message) = weighed(failed(), counts(9, 5, 1));
        assert_eq!((reason, code), (Reason::Error, Some(3)));
        assert!(message.contains("9 elements are left"), "{message}");
    }

    #[test]
    fn elements_are_shared_out_evenly_and_always_in_the_same_way() {
        let mut counts = [0; 8];
        for n in 0..8000_u32 {
            let id = format!("01890a5d-ac96-774b-bcce-{n:012x}");
            assert_eq!(share(&id, 8), share(&id, 8));
            counts[share(&id, 8)] += 1;
        }
        assert!(counts.iter().all(|count| (500..1500).contains(count)), "{counts:?}");
    }
}
