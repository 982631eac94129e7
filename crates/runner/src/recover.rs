//! What an earlier runner on this folder left behind when it was killed: its program, and what that had started. Kills
//! only what is proven to belong to this job.

use std::{fs, time::Duration};

use nix::unistd::{Pid, getsid};
use runyard_domain::{
    Millis,
    job::{Exit, Reason, folder},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    cgroup::{Group, Limits},
    clock,
    folder::Folder,
    gang,
    job::Job,
    printed::Printed,
    processes::{self, Process},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// `program.json`: how to find the program again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Its pid and process group.
    pub(crate) pid: i32,
    session: i32,
    /// Clock ticks after the machine's start.
    started: u64,
    boot_id: String,
    pub(crate) launched_at: Millis,
    group: Group,
}

impl Program {
    /// Describes a program that has just been launched.
    pub(crate) fn new(pid: i32, launched_at: Millis, group: &Group) -> Self {
        let session = getsid(None).map_or(0, Pid::as_raw);
        let started = processes::read(pid).map_or(0, |process| process.started);
        Self { pid, session, started, boot_id: processes::boot_id(), launched_at, group: group.clone() }
    }

    /// Whether a process is of the program's group: the numbers alone may have been given to others since.
    fn owns(&self, process: &Process) -> bool {
        process.group == self.pid && process.session == self.session && process.started >= self.started
    }
}

/// The exit of a job whose runner died after the launch, once nothing of it lives any more.
pub(crate) async fn after_launch(job: &Job) -> Exit {
    let program = match job.folder.read::<Program>(folder::PROGRAM) {
        Ok(program) => program,
        Err(error) => {
            tracing::warn!(%error, "what an earlier runner launched is not known: looking for it by its environment");
            None
        }
    };
    // Killed between the launch and this file: the group, if there was one, has the job's name.
    let group = program.as_ref().map_or_else(
        || Group::make(&job.spec.job_id.to_string(), gang::size(&job.spec), Limits::default()),
        |known| known.group.clone(),
    );
    end_what_is_left(job, program.as_ref(), &group).await;
    Printed::finish(Printed::of(job), job).await;
    let launched_at = program.map(|program| program.launched_at).or_else(|| launched_at(&job.folder));
    let message = "the runner was killed, or the machine restarted, while the program ran; the program was ended with it";
    Exit { launched_at, ..Exit::because(Reason::RunnerKilled, message, clock::now()) }
}

/// Kills what is left of this job from before this runner.
pub(crate) async fn end_what_is_left(job: &Job, program: Option<&Program>, group: &Group) {
    let same_boot = program.filter(|program| program.boot_id == processes::boot_id());
    let mark = format!("RUNYARD_JOB_ID={}", job.spec.job_id);
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        let left: Vec<Process> = processes::all()
            .into_iter()
            .filter(|process| !process.zombie && process.pid != std::process::id().cast_signed())
            .filter(|process| {
                same_boot.is_some_and(|program| program.owns(process)) || carries(process.pid, &mark)
            })
            .collect();
        if left.is_empty() && group.is_empty() {
            break;
        }
        if Instant::now() >= until {
            tracing::warn!(?left, "processes of an earlier runner do not die");
            break;
        }
        group.kill();
        processes::kill_each(&left);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    group.remove().await;
}

/// Whether the process was started with this variable in its environment.
fn carries(pid: i32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

fn launched_at(folder: &Folder) -> Option<Millis> {
    fs::read_to_string(folder.path(folder::LAUNCHED)).ok()?.trim().parse().ok().map(Millis)
}
