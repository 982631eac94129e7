//! One round over the jobs in containers: look at their folders, see to images and containers that need it, admit, start.
//! Never waits for the engine.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use runyard_domain::{
    JobId, Millis,
    job::{Exit, folder as names},
};

use super::{Inner, body, docker::Image};
use crate::{
    Job, Observation,
    local::{
        Phase, Runner, cannot,
        folder::{self, Spawned},
        on_a_thread,
        round::{Seen, Start},
    },
};

/// What is known of jobs besides their folders. All of it can be asked for again.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Of jobs that were not started.
    pub(super) images: HashMap<JobId, Preparation>,
    /// Of jobs that were.
    pub(super) cares: HashMap<JobId, Care>,
    /// Jobs whose folder says where this process listens.
    addressed: HashSet<JobId>,
    /// When containers were last compared with the jobs.
    pub(super) swept_at: Option<Millis>,
    /// Since when containers are known that belong to no job.
    pub(super) orphans: HashMap<String, Millis>,
}

/// The image of a job that was not started.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) stage: Stage,
    task: tokio::task::JoinHandle<()>,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// It is looked for or pulled; how far that is.
    Under(String),
    /// It is here.
    Ready(Image),
    /// It will never be.
    Failed(Exit),
}

/// Who sees to a container, and how that goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Care {
    /// A task does.
    pub(super) busy: bool,
    /// Why the engine could not be asked.
    pub(super) away: Option<String>,
    /// How often the container could not be started.
    pub(super) attempts: u32,
    /// Not again before this.
    pub(super) not_before: Millis,
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    pub(super) async fn round(
        self: &Arc<Self>,
        turn: tokio::sync::OwnedMutexGuard<()>,
        jobs: &[Arc<Job>],
        now: Millis,
    ) -> Vec<Observation> {
        let unsure = self.shared.unsure(jobs);
        let shared = Arc::clone(&self.shared);
        let (turn, mut seen) = on_a_thread(move || (turn, shared.look(&unsure, now))).await;
        self.attend(jobs, &mut seen, now);
        let (mut observations, starts) = self.shared.decide(jobs, &seen, now);
        let (first, again): (Vec<Start>, Vec<Start>) = starts.into_iter().partition(|start| start.first);
        let turn = self.begin(turn, jobs, first, &mut observations, now).await;
        self.shared.start_all(turn, again, &mut observations, now).await;
        self.shared.count(jobs, &observations, now);
        self.sweep(now);
        observations
    }

    /// Starts what has to be done about images and containers, and says in `seen` how far that is.
    fn attend(self: &Arc<Self>, jobs: &[Arc<Job>], seen: &mut HashMap<JobId, Seen>, now: Millis) {
        let named: HashSet<JobId> = jobs.iter().map(|job| job.spec.job_id).collect();
        // Not every job that ended is released: who ended it may have been faster than the controller.
        let over: Vec<JobId> =
            self.shared.state().phases.keys().filter(|job| !named.contains(job)).copied().collect();
        for job in over {
            self.discard(job);
        }
        let mut state = self.state();
        state.images.retain(|job, _| named.contains(job));
        state.cares.retain(|job, _| named.contains(job));
        state.addressed.retain(|job| named.contains(job));
        drop(state);
        for job in jobs {
            let id = job.spec.job_id;
            let phase = self.shared.state().phases.get(&id).cloned();
            match (phase, seen.get(&id)) {
                (Some(Phase::Submitted), _) => {
                    if let Some(why) = self.prepare(job, now) {
                        seen.insert(id, Seen::Unready(why));
                    }
                }
                // Its runner wrote how it ended, and only has not delivered: one outside does.
                (Some(Phase::Spawned(_)), Some(Seen::Free(Some(_)))) => {}
                (Some(Phase::Spawned(runner)), Some(Seen::Free(None))) => {
                    let sight = self.care_for(job, &runner, now);
                    seen.insert(id, sight);
                }
                (Some(Phase::Spawned(_)), _) => self.address(id),
                _ => {}
            }
        }
    }

    /// What a job that was not started waits for, if its image is not here.
    fn prepare(self: &Arc<Self>, job: &Arc<Job>, now: Millis) -> Option<String> {
        let id = job.spec.job_id;
        let mut state = self.state();
        let Some(known) = state.images.get(&id) else {
            let task = tokio::spawn(Arc::clone(self).bring_image(Arc::clone(job)));
            let stage = Stage::Under("looking for the image".to_owned());
            state.images.insert(id, Preparation { stage: stage.clone(), task });
            return Some("looking for the image".to_owned());
        };
        match known.stage.clone() {
            Stage::Under(text) => Some(text),
            Stage::Ready(_) => None,
            Stage::Failed(mut exit) => {
                drop(state);
                exit.ended_at = now;
                let folder = self.shared.folder(id);
                if let Err(error) = folder::end(&folder, &exit, true) {
                    return Some(format!("cannot write how it ended into {}: {error}", folder.display()));
                }
                self.shared.state().phases.insert(id, Phase::Over(exit));
                None
            }
        }
    }

    /// What is seen of a started job whose folder has no runner and no exit record.
    fn care_for(self: &Arc<Self>, job: &Arc<Job>, runner: &Runner, now: Millis) -> Seen {
        let id = job.spec.job_id;
        let mut state = self.state();
        let care = state.cares.entry(id).or_default();
        if !care.busy && now >= care.not_before {
            care.busy = true;
            tokio::spawn(Arc::clone(self).see_to(Arc::clone(job), runner.gpus.clone()));
        }
        care.away.clone().map_or(Seen::Runs, Seen::Trouble)
    }

    /// Says in the folder of a job that lives where the server is now.
    fn address(&self, job: JobId) {
        let Some(url) = self.url() else { return };
        if !self.state().addressed.insert(job) {
            return;
        }
        let folder = self.shared.folder(job);
        if let Err(error) = folder::write_address(&folder, body::ADDRESS, url) {
            tracing::warn!("job {job}: cannot say in {} where this server is: {error}", folder.display());
            self.state().addressed.remove(&job);
        }
    }

    /// Notes that these jobs are started, and has their containers made.
    async fn begin(
        self: &Arc<Self>,
        turn: tokio::sync::OwnedMutexGuard<()>,
        jobs: &[Arc<Job>],
        starts: Vec<Start>,
        observations: &mut [Observation],
        now: Millis,
    ) -> tokio::sync::OwnedMutexGuard<()> {
        if starts.is_empty() {
            return turn;
        }
        let inner = Arc::clone(self);
        let (turn, outcomes) = on_a_thread(move || {
            let mark = |start: Start| (start.index, inner.mark(&start, now));
            (turn, starts.into_iter().map(mark).collect::<Vec<_>>())
        })
        .await;
        for (index, outcome) in outcomes {
            match outcome {
                Ok(runner) => {
                    self.care_for(&jobs[index], &runner, now);
                }
                Err(why) => observations[index] = Observation::Waiting(why),
            }
        }
        turn
    }

    /// Notes that a job is started, with all that its runner must find. `Err`: it waits as before.
    fn mark(&self, start: &Start, now: Millis) -> Result<Runner, String> {
        let folder = self.shared.folder(start.job);
        let stage = self.state().images.get(&start.job).map(|known| known.stage.clone());
        let Some(Stage::Ready(image)) = stage else { return Err("looking for the image".to_owned()) };
        let failed = |error| cannot("start the job in", &folder, &error).to_string();
        folder::make(&folder.join(names::ML)).map_err(failed)?;
        // An engine would make it, and as root.
        folder::make(&self.shared.options.cache).map_err(failed)?;
        if let Some(url) = self.url() {
            folder::write_address(&folder, body::ADDRESS, url).map_err(failed)?;
            self.state().addressed.insert(start.job);
        }
        let spawned = Spawned { at: now, gpus: start.gpus.clone() };
        let complete = |spec: &mut runyard_domain::job::JobSpec| {
            spec.image = Some(image.id.clone());
            if spec.command.is_empty() {
                spec.command.clone_from(&image.command);
            }
        };
        folder::mark_spawned(&folder, &spawned, Some(&complete)).map_err(failed)?;
        let runner = Runner::begun(spawned, now);
        self.shared.state().phases.insert(start.job, Phase::Spawned(runner.clone()));
        Ok(runner)
    }

    /// Drops what is known of a job.
    pub(super) fn forget(&self, job: JobId) {
        let mut state = self.state();
        state.images.remove(&job);
        state.cares.remove(&job);
        state.addressed.remove(&job);
    }

    /// Notes how a job that was started ended without its runner: one outside delivers that.
    pub(super) async fn end(&self, job: JobId, exit: Exit) -> std::io::Result<()> {
        let folder = self.shared.folder(job);
        on_a_thread(move || folder::end(&folder, &exit, false)).await
    }
}

/// Whether a runner has ever begun in the folder.
pub(super) fn has_begun(folder: &Path) -> bool {
    folder.join(names::STARTS).exists() || folder.join(names::LAUNCHED).exists()
}
