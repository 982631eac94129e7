//! Watches over the running program: stop and grace, time limit, memory where the kernel does not watch it, and the end
//! of all that the program has started. Decides nothing about the server: a server that is away changes nothing here.

use std::{io, process::ExitStatus, time::Duration};

use nix::sys::signal::Signal;
use runyard_domain::{
    Millis,
    job::{Exit, JobSpec, Reason},
};
use tokio::time::Instant;

use crate::{
    cgroup::{self, Group},
    clock,
    crew::{Crew, Ended},
    gang,
    job::Job,
    launch::{self, OUTPUT_PATIENCE},
    processes, system,
};

/// How often abandoned processes are buried and memory is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long the kernel may take to end what was killed.
const DEATH_PATIENCE: Duration = Duration::from_secs(10);
/// As good as never.
const FAR: Duration = Duration::from_hours(24 * 365 * 100);

/// What is watched.
pub(crate) struct Watched<'a> {
    pub(crate) job: &'a Job,
    pub(crate) group: &'a Group,
    pub(crate) launched_at: Millis,
}

/// What happened to the program besides its own end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Events {
    /// SIGKILL follows then.
    kill_at: Option<Instant>,
    killed: bool,
    time_over: bool,
    /// Bytes that were in use when they were too many, and in which instance if one alone had too many.
    memory_over: Option<(u64, Option<usize>)>,
}

/// Waits for the end of the program and of everything it started; says how it ended.
pub(crate) async fn supervise(watched: &Watched<'_>, mut program: Crew) -> Exit {
    let mut events = Events::default();
    let (status, story) = until_ended(watched, &mut program, &mut events).await;
    let ended_at = clock::now();
    end_the_rest(watched, &mut program, &events).await;
    match status {
        Ok(status) => classify(watched, status, story, &events, ended_at),
        Err(error) => {
            let message = format!("the program's end could not be seen: {error}");
            Exit { launched_at: Some(watched.launched_at), ..Exit::because(Reason::Error, message, ended_at) }
        }
    }
}

async fn until_ended(
    watched: &Watched<'_>,
    program: &mut Crew,
    events: &mut Events,
) -> (io::Result<ExitStatus>, Option<String>) {
    let job = watched.job;
    let mut orders = job.orders.watch();
    orders.mark_changed();
    let limit = job.spec.max_run_time_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()));
    let time_over = Instant::now() + limit.unwrap_or(FAR).min(FAR);
    let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            ended = program.ended() => match ended {
                Ended::All { status, story } => return (status, story),
                // Nobody waits for one that is gone: the others have their grace, as at a stop.
                Ended::OneFailed => begin_to_end(job, program, events, Instant::now() + job.grace()),
            },
            _ = orders.changed() => {
                let order = *orders.borrow_and_update();
                if let Some(deadline) = order.deadline {
                    begin_to_end(job, program, events, deadline);
                }
            }
            () = tokio::time::sleep_until(time_over), if !events.time_over => {
                events.time_over = true;
                begin_to_end(job, program, events, Instant::now() + job.grace());
            }
            () = tokio::time::sleep_until(events.kill_at.unwrap_or(time_over)),
                if events.kill_at.is_some() && !events.killed => {
                events.killed = true;
                kill(watched.group, program);
            }
            _ = tick.tick() => {
                processes::bury_adopted(&program.pids());
                if events.killed {
                    kill(watched.group, program);
                } else if let Some(over) = memory_over(watched, program) {
                    events.memory_over = Some(over);
                    events.killed = true;
                    kill(watched.group, program);
                }
            }
        }
    }
}

/// SIGTERM to the group, once; the deadline of SIGKILL only moves closer.
fn begin_to_end(job: &Job, program: &Crew, events: &mut Events, deadline: Instant) {
    if events.kill_at.is_none() {
        program.signal(Signal::SIGTERM);
        // A stopped process would sleep through its grace.
        program.signal(Signal::SIGCONT);
        job.terminating.send_replace(true);
    }
    events.kill_at = Some(events.kill_at.map_or(deadline, |old| old.min(deadline)));
}

fn kill(group: &Group, program: &Crew) {
    program.signal(Signal::SIGKILL);
    group.kill();
    processes::kill_each(&processes::ours());
}

/// Memory over the limit, where the kernel does not enforce it: of all processes, and of each instance with what is below it.
fn memory_over(watched: &Watched<'_>, program: &Crew) -> Option<(u64, Option<usize>)> {
    let limit = watched.job.spec.resources.demand().ok()?.memory_bytes?.unsigned_abs();
    if watched.group.memory_limited {
        return None;
    }
    // Pages that several processes share are counted for each of them at first: what is over the limit is looked at closely.
    let over = |pids: &[i32], limit: u64| {
        let close = || Some(system::proportional_bytes(pids)).filter(|bytes| *bytes > limit);
        (system::resident_bytes(pids) > limit).then(close).flatten()
    };
    let size = gang::size(&watched.job.spec);
    if size > 1 {
        let of_one = |(rank, pid): (usize, i32)| {
            let below = processes::descendants(pid).into_iter().map(|process| process.pid);
            Some((over(&below.chain([pid]).collect::<Vec<_>>(), limit)?, Some(rank)))
        };
        if let Some(found) = program.pids_by_instance().into_iter().find_map(of_one) {
            return Some(found);
        }
    }
    let all: Vec<i32> = processes::ours().iter().map(|process| process.pid).collect();
    Some((over(&all, limit.saturating_mul(size as u64))?, None))
}

/// The program is gone: what it started has the rest of its grace if a stop is in force, else a short while to print its
/// last words; then nothing is left.
async fn end_the_rest(watched: &Watched<'_>, program: &mut Crew, events: &Events) {
    let until = match events.kill_at {
        Some(kill_at) if !events.killed => kill_at,
        Some(_) => Instant::now(),
        None => Instant::now() + OUTPUT_PATIENCE,
    };
    if processes::has_children() || !watched.group.is_empty() {
        tokio::select! {
            () = quiet(program, events) => {}
            () = passed(watched.job, until) => {}
        }
        if !processes::sweep(Some(watched.group), DEATH_PATIENCE).await {
            tracing::warn!("a process of the program does not die: it hangs in the kernel");
        }
    }
    program.finish_output(OUTPUT_PATIENCE).await;
}

/// Waits until what the program has left behind says nothing more, and during a stop until it is gone: the grace is for
/// the whole group.
async fn quiet(program: &mut Crew, events: &Events) {
    program.output_ended().await;
    if events.kill_at.is_some() {
        groups_gone(&program.pids()).await;
    }
}

/// Waits until this time, or an earlier deadline that is said meanwhile.
async fn passed(job: &Job, until: Instant) {
    let mut orders = job.orders.watch();
    loop {
        let deadline = orders.borrow_and_update().deadline.unwrap_or(until).min(until);
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            _ = orders.changed() => {}
        }
    }
}

/// Waits until no process of these groups is alive.
async fn groups_gone(groups: &[i32]) {
    let mut pause = Duration::from_millis(5);
    while processes::ours().iter().any(|process| groups.contains(&process.group) && !process.zombie) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn classify(
    watched: &Watched<'_>,
    status: ExitStatus,
    story: Option<String>,
    events: &Events,
    ended_at: Millis,
) -> Exit {
    let spec = &watched.job.spec;
    let memory = spec.resources.memory.as_deref().unwrap_or("the machine's memory");
    let signal = launch::signal_name(status);
    let who = |instance: Option<usize>| match instance.filter(|_| gang::size(spec) > 1) {
        Some(rank) => format!("instance {rank}"),
        None => "the program".to_owned(),
    };
    let in_container = || (spec.image.is_some() && cgroup::container_out_of_memory()).then_some(0);
    let killed = watched.group.out_of_memory().or_else(in_container).filter(|_| !status.success());
    let (reason, message) = if let Some((bytes, instance)) = events.memory_over {
        let text = format!(
            "{} used {} MiB of memory, more than its limit of {memory} (measured: this machine lets Runyard \
             set no limit in the kernel): ask for more with `--memory`",
            who(instance),
            bytes >> 20
        );
        (Reason::OOMKilled, Some(text))
    } else if let Some(instance) = killed {
        let text = format!(
            "the kernel killed {} because it used more memory than its limit of {memory}: ask for more with \
             `--memory`",
            who(Some(instance))
        );
        (Reason::OOMKilled, Some(text))
    } else if events.time_over {
        (Reason::TimeLimitExceeded, Some(time_over_text(spec, events)))
    } else {
        match (status.code(), signal) {
            (Some(0), _) => (Reason::Completed, None),
            (Some(code), _) => {
                let text = story.unwrap_or_else(|| format!("the program exited with code {code}"));
                (Reason::Error, Some(text))
            }
            (None, Some((number, name))) => {
                let by = if events.killed { ": it did not end within its grace" } else { "" };
                let text =
                    story.unwrap_or_else(|| format!("the program was ended by signal {number} ({name})"));
                (Reason::Signaled, Some(text + by))
            }
            (None, None) => (Reason::Error, Some(format!("the program ended strangely ({status})"))),
        }
    };
    let (code, signal) = (status.code(), signal.map(|(number, _)| number));
    Exit { reason, code, signal, message, launched_at: Some(watched.launched_at), ended_at }
}

fn time_over_text(spec: &JobSpec, events: &Events) -> String {
    let limit = Duration::from_millis(spec.max_run_time_ms.unwrap_or(0).max(0).unsigned_abs());
    let killed = if events.killed { ", and had to be killed after its grace" } else { "" };
    format!("the program ran longer than its limit of {limit:?}{killed}: ask for more with `--max-run-time`")
}
