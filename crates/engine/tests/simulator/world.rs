//! The world outside the server: jobs, their runners and programs, and a fake executor that sees them.
//!
//! Labelled a fake: the real local executor has its own tests, and the end-to-end suite.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runyard_domain::{
    JobId, Millis, RunId,
    job::{Exit, Reason},
    resources::{Demand, Resources},
};
use runyard_engine::Clock;
use runyard_executors::{Capacity, Error, Executor, Job, Observation};

use crate::plan::{Chance, Plan};

/// A job as it truly is.
pub(crate) struct Work {
    pub(crate) run: RunId,
    pub(crate) epoch: i64,
    pub(crate) plan: Plan,
    /// A runner was started at least once.
    pub(crate) spawned: bool,
    pub(crate) runner_alive: bool,
    /// How often the program was launched: never more than once.
    pub(crate) launches: usize,
    /// The program runs.
    pub(crate) program_alive: bool,
    /// The server has agreed to the start.
    pub(crate) agreed: bool,
    pub(crate) output: String,
    /// How much of the output the runner knows to be stored.
    pub(crate) shipped: usize,
    pub(crate) stop: Option<Millis>,
    pub(crate) told_program: bool,
    pub(crate) exit: Option<Exit>,
    pub(crate) delivered: bool,
    /// The runner learned that it was superseded, and left.
    pub(crate) superseded: bool,
}

pub(crate) struct State {
    pub(crate) now: Millis,
    pub(crate) chance: Chance,
    pub(crate) works: BTreeMap<JobId, Work>,
    /// Whether the executor can be asked.
    pub(crate) in_sight: bool,
    /// The back end answers, and knows no job any more.
    pub(crate) forgetful: bool,
    /// Effects until the server is killed.
    pub(crate) crash_in: Option<usize>,
    pub(crate) crashed: bool,
    pub(crate) slots: usize,
    /// What happens while the executor is being asked, once.
    pub(crate) meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

/// The world, shared by the fake executor, the clock and the test.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let slots = 1 + chance.below(4);
        Self(Arc::new(Mutex::new(State {
            now: Millis(1_700_000_000_000),
            chance,
            works: BTreeMap::new(),
            in_sight: true,
            forgetful: false,
            crash_in: None,
            crashed: false,
            slots,
            meanwhile: None,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A point where the server may be killed; true: it is dead, and nothing it does has an effect any more.
    pub(crate) fn dead(&self) -> bool {
        let mut state = self.state();
        if let Some(left) = state.crash_in {
            state.crash_in = left.checked_sub(1);
            state.crashed |= left == 0;
        }
        state.crashed
    }
}

impl Clock for World {
    fn now(&self) -> Millis {
        self.state().now
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state();
        bytes.fill_with(|| state.chance.next() as u8);
    }
}

#[async_trait::async_trait]
impl Executor for World {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, demand: &Demand, _: &Resources) -> Result<(), String> {
        if demand.cpu_milli > 64_000 { Err("asks for more than there is".to_owned()) } else { Ok(()) }
    }

    fn capacity(&self) -> Capacity {
        Capacity::default()
    }

    async fn submit(&self, job: &Job) -> Result<(), Error> {
        if self.dead() {
            return Err(Error::Unavailable("dead".to_owned()));
        }
        let mut state = self.state();
        let plan = Plan::new(&mut state.chance);
        state.works.entry(job.spec.job_id).or_insert_with(|| Work {
            run: job.spec.run_id,
            epoch: job.spec.epoch,
            plan,
            spawned: false,
            runner_alive: false,
            launches: 0,
            program_alive: false,
            agreed: false,
            output: String::new(),
            shipped: 0,
            stop: None,
            told_program: false,
            exit: None,
            delivered: false,
            superseded: false,
        });
        drop(state);
        if self.dead() { Err(Error::Unavailable("dead".to_owned())) } else { Ok(()) }
    }

    async fn poll(&self, jobs: &[Arc<Job>], _: Millis) -> Vec<Observation> {
        if self.dead() {
            return jobs.iter().map(|_| Observation::Waiting(String::new())).collect();
        }
        let mut state = self.state();
        if !state.in_sight {
            return jobs.iter().map(|_| Observation::OutOfSight("the network is down".to_owned())).collect();
        }
        if state.forgetful {
            return jobs.iter().map(|_| Observation::Absent).collect();
        }
        let slots = state.slots;
        let seen = jobs
            .iter()
            .map(|job| {
                let named = jobs.iter().filter_map(|job| state.works.get(&job.spec.job_id));
                let busy = named.filter(|work| work.spawned && !work.delivered).count();
                let Some(work) = state.works.get_mut(&job.spec.job_id) else { return Observation::Absent };
                if let Some(exit) = work.exit.clone().filter(|_| work.delivered) {
                    return Observation::Ended(exit);
                }
                if work.delivered || work.runner_alive {
                    return Observation::Alive;
                }
                if !work.spawned && (work.stop.is_some() || busy >= slots) {
                    return Observation::Waiting("waits for a slot".to_owned());
                }
                // A first runner, or one that recovers what a killed one has left.
                (work.spawned, work.runner_alive) = (true, true);
                Observation::Alive
            })
            .collect();
        let meanwhile = state.meanwhile.take();
        drop(state);
        if let Some(happen) = meanwhile {
            happen();
        }
        seen
    }

    async fn terminate(&self, job: &Job, deadline: Millis) -> Result<bool, Error> {
        if self.dead() || !self.state().in_sight {
            return Err(Error::Unavailable("dead".to_owned()));
        }
        let there_is_a_runner = match self.state().works.get_mut(&job.spec.job_id) {
            Some(work) => {
                work.stop = Some(work.stop.map_or(deadline, |stop| stop.min(deadline)));
                work.spawned
            }
            None => false,
        };
        if self.dead() { Err(Error::Unavailable("dead".to_owned())) } else { Ok(there_is_a_runner) }
    }

    async fn kill(&self, job: &Job) -> Result<(), Error> {
        if self.dead() || !self.state().in_sight {
            return Err(Error::Unavailable("dead".to_owned()));
        }
        let mut state = self.state();
        let now = state.now;
        if let Some(work) = state.works.get_mut(&job.spec.job_id) {
            assert!(work.stop.is_some_and(|stop| stop < now), "force is used only after a stop's deadline");
            (work.runner_alive, work.agreed, work.program_alive) = (false, false, false);
        }
        Ok(())
    }

    async fn release(&self, _: JobId) -> Result<(), Error> {
        Ok(())
    }

    async fn delete(&self, job: JobId) -> Result<i64, Error> {
        if self.dead() {
            return Err(Error::Unavailable("dead".to_owned()));
        }
        self.state().works.remove(&job);
        Ok(0)
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

/// How a killed runner's job ends.
pub(crate) fn runner_killed(now: Millis) -> Exit {
    Exit::because(Reason::RunnerKilled, "the runner was killed", now)
}
