//! A server with its people and its jobs, living by chance, and what must hold whatever happens.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use runyard_domain::{
    JobId, Millis, ProjectId, RunId,
    job::{Exit, Reason, RetryOn, Stream, StreamLengths},
    resources::Resources,
    run::{Run, Spec, Status},
    token::Scope,
};
use runyard_engine::{
    Actor, Engine, Error, Options, Parts, Result, Signals, garbage, job, log,
    open::ensure_default_project,
    project,
    reconcile::Controller,
    run::{self, NewRun},
};
use runyard_objects::Objects;
use runyard_store::Db;

use crate::{
    plan::Plan,
    world::{Work, World, runner_killed},
};

mod scripted;

const STEPS: usize = 160;
const MAX_RUNS: usize = 5;

pub(crate) struct Yard {
    world: World,
    db: Db,
    engine: Engine,
    controller: Controller,
    project: ProjectId,
    runs: BTreeSet<RunId>,
    deleted: BTreeSet<RunId>,
    /// Runs that were restarted while their job was lost from sight: the old program may still live for a while.
    restarted_unseen: BTreeSet<RunId>,
    /// Messages are lost and repeated.
    lossy: bool,
    seed: u64,
}

impl Yard {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let hook = world.clone();
        let db = Db::inline_with(move |_| {
            if hook.dead() { Err(runyard_store::Error::Unavailable("dead".to_owned())) } else { Ok(()) }
        })
        .expect("a database in memory");
        let engine = engine(&world, &db);
        now(ensure_default_project(&engine)).expect("the first start");
        let project = now(project::get(&engine, &admin(), project::DEFAULT)).expect("the default project").id;
        let controller = Controller::new(engine.clone());
        Self {
            world,
            db,
            engine,
            controller,
            project,
            runs: BTreeSet::new(),
            deleted: BTreeSet::new(),
            restarted_unseen: BTreeSet::new(),
            lossy: true,
            seed,
        }
    }

    pub(crate) fn live(mut self) {
        for _ in 0..STEPS {
            if self.percent(12) {
                let effects = self.below(10);
                self.world.state().crash_in = Some(effects);
            }
            self.step();
            if std::mem::take(&mut self.world.state().crashed) {
                self.reboot();
            }
            let ms = self.below(400) as i64;
            self.pass(ms);
        }
        self.settle();
        self.check();
    }

    fn step(&mut self) {
        match self.below(100) {
            0..=24 => self.tick(),
            25..=34 => self.submit(),
            35..=74 => {
                if let Some(job) = self.any_job() {
                    self.runner(job);
                }
            }
            75..=79 => self.stop(),
            80..=84 => self.restart(),
            85..=86 => self.delete(),
            87..=89 => self.kill_runner(),
            90..=91 => {
                let mut state = self.world.state();
                state.in_sight = !state.in_sight;
            }
            92..=97 => {
                let ms = self.below(40_000) as i64;
                self.pass(ms);
            }
            _ => self.reboot(),
        }
    }

    /// The server is gone, and a new one starts on the same database.
    fn reboot(&mut self) {
        {
            let mut state = self.world.state();
            (state.crashed, state.crash_in) = (false, None);
        }
        self.engine = engine(&self.world, &self.db);
        self.controller = Controller::new(self.engine.clone());
    }

    fn tick(&mut self) {
        let outcome = now(self.controller.tick());
        let dead = self.world.state().crashed;
        assert!(outcome.is_ok() || dead, "seed {}: a living server's round failed: {outcome:?}", self.seed);
    }

    fn submit(&mut self) {
        if self.runs.len() >= MAX_RUNS {
            return;
        }
        let hopeless = self.percent(5);
        let new = NewRun {
            name: "sim".to_owned(),
            spec: Some(Spec {
                command: vec!["program".to_owned()],
                retries: Some(self.below(3) as i64),
                retry_on: Some(vec![RetryOn::Failed, RetryOn::Lost]),
                ..Spec::default()
            }),
            resources: hopeless.then(|| Resources { cpu: "100".to_owned(), ..Resources::default() }),
            ..NewRun::default()
        };
        let key = format!("key {}", self.below(1_000_000));
        // A person (or their client) repeats the request until it is answered: it must make one run.
        for _ in 0..3 {
            match now(run::submit(&self.engine, &admin(), new.clone(), Some(key.clone()))) {
                Ok(run) => {
                    self.runs.insert(run.id);
                    return;
                }
                Err(error) => assert!(self.world.state().crashed, "seed {}: {error}", self.seed),
            }
            self.reboot();
        }
    }

    fn stop(&mut self) {
        let Some(id) = self.any_run() else { return };
        let grace = 1 + self.below(60) as i64;
        let before = self.run(id);
        match now(run::stop(&self.engine, &admin(), id, Some(grace))) {
            Ok(_) => assert!(before.is_some_and(|run| !run.life.status.is_terminal()), "seed {}", self.seed),
            Err(Error::Conflict { .. }) => {
                assert!(before.is_some_and(|run| run.life.status.is_terminal()), "seed {}", self.seed);
            }
            Err(error) => assert!(self.world.state().crashed, "seed {}: {error}", self.seed),
        }
    }

    fn restart(&mut self) {
        let Some(id) = self.any_run() else { return };
        let before = self.run(id);
        let unseen = before.is_some_and(|run| run.life.status == Status::JobUnknown);
        if unseen {
            self.restarted_unseen.insert(id);
        }
        match now(run::restart(&self.engine, &admin(), id, None)) {
            Ok(_) | Err(Error::Conflict { .. }) => {}
            Err(error) => assert!(self.world.state().crashed, "seed {}: {error}", self.seed),
        }
    }

    fn delete(&mut self) {
        let Some(id) = self.any_run() else { return };
        let gone = now(run::delete(&self.engine, &admin(), id)).is_ok();
        if gone || self.run(id).is_none() {
            self.runs.remove(&id);
            self.deleted.insert(id);
        }
    }

    fn kill_runner(&mut self) {
        let Some(id) = self.any_job() else { return };
        let mut state = self.world.state();
        if let Some(work) = state.works.get_mut(&id) {
            (work.runner_alive, work.agreed) = (false, false);
            work.program_alive = false;
        }
    }

    /// One thing that a job's runner does.
    fn runner(&mut self, id: JobId) {
        let Some(work) = self.look(id) else { return };
        if !work.alive || work.delivered {
            return;
        }
        if work.ended {
            self.deliver(id, &work);
        } else if work.launched && !work.program_alive {
            let now = self.now();
            self.change(id, |work| work.exit = Some(runner_killed(now)));
        } else if work.launched {
            self.supervise(id, &work);
        } else if work.stop.is_some() {
            let exit = Exit::because(Reason::NeverStarted, "stopped before the launch", self.now());
            self.change(id, |work| work.exit = Some(exit));
        } else if work.agreed {
            self.launch(id);
        } else {
            let actor = self.job_actor(&work);
            let answer = self.send(|engine| now(job::start(engine, &actor, id, "sim".to_owned())));
            self.hear(id, answer, |work| work.agreed = true);
        }
    }

    fn launch(&mut self, id: JobId) {
        let state = self.world.state();
        let run = state.works[&id].run;
        let others = state.works.iter().filter(|(other, work)| **other != id && work.run == run);
        let twice = others.into_iter().any(|(_, work)| work.program_alive);
        drop(state);
        assert!(!twice || self.restarted_unseen.contains(&run), "seed {}: run {run} runs twice", self.seed);
        self.change(id, |work| {
            work.launches += 1;
            work.program_alive = true;
        });
        assert_eq!(self.world.state().works[&id].launches, 1, "seed {}: launched twice", self.seed);
    }

    fn supervise(&mut self, id: JobId, work: &Seen) {
        let moment = self.now();
        if let Some(deadline) = work.stop {
            self.change(id, |work| work.told_program = true);
            let killed = moment >= deadline;
            let code = work.plan.code_when_stopped.filter(|_| self.percent(50));
            if killed || code.is_some() {
                return self.finish(id, if killed { Some(137) } else { code });
            }
        }
        match self.below(4) {
            0 if work.lines < work.plan.lines => self.change(id, |work| {
                let line = format!("line {} of {}\n", work.output.lines().count() + 1, work.epoch);
                work.output.push_str(&line);
            }),
            1 => self.ship(id, work),
            2 => {
                let (actor, told) = (self.job_actor(work), work.stop.is_some());
                let answer = self.send(|engine| now(job::heartbeat(engine, &actor, id, told)));
                self.hear(id, answer, |_| ());
            }
            3 if work.lines >= work.plan.lines => self.finish(id, Some(work.plan.code)),
            _ => {}
        }
    }

    fn finish(&mut self, id: JobId, code: Option<i32>) {
        let moment = self.now();
        self.change(id, |work| {
            work.program_alive = false;
            let reason = if code == Some(0) { Reason::Completed } else { Reason::Error };
            work.exit =
                Some(Exit { reason, code, signal: None, message: None, launched_at: None, ended_at: moment });
        });
    }

    fn ship(&mut self, id: JobId, work: &Seen) {
        // Sometimes from too early (the answer to the last one was lost), sometimes from too late.
        let offset = if self.percent(20) { self.below(work.output.len() + 1) } else { work.shipped };
        let offset = if self.percent(5) { offset + 7 } else { offset };
        let chunk = Bytes::from(work.output.get(offset..).unwrap_or("gap").to_owned());
        let actor = self.job_actor(work);
        let answer = self
            .send(|engine| now(job::append(engine, &actor, id, Stream::Logs, offset as i64, chunk.clone())));
        match answer {
            Some(Ok(appended)) => self.change(id, |work| work.shipped = appended.next_offset as usize),
            Some(Err(Error::OffsetGap { expected, .. })) => {
                self.change(id, |work| work.shipped = expected as usize);
            }
            Some(Err(Error::Conflict { .. } | Error::NotFound { .. })) => self.leave(id),
            Some(Err(_)) | None => {}
        }
    }

    fn deliver(&mut self, id: JobId, work: &Seen) {
        if work.shipped < work.output.len() && !self.percent(10) {
            return self.ship(id, work);
        }
        let exit = self.world.state().works[&id].exit.clone().expect("an exit to deliver");
        let lengths = StreamLengths { logs: work.output.len() as i64, ..StreamLengths::default() };
        let actor = self.job_actor(work);
        match self.send(|engine| now(job::end(engine, &actor, id, exit.clone(), lengths))) {
            Some(Ok(_)) => self.change(id, |work| work.delivered = true),
            Some(Err(Error::Incomplete { stored })) => {
                self.change(id, |work| work.shipped = stored.logs as usize);
            }
            Some(Err(Error::Conflict { .. } | Error::NotFound { .. })) => self.leave(id),
            Some(Err(_)) | None => {}
        }
    }

    /// What a runner does with an answer that carries the job's state.
    fn hear(&mut self, id: JobId, answer: Option<Result<job::State>>, agreed: impl FnOnce(&mut Work)) {
        match answer {
            Some(Ok(state)) => self.change(id, |work| {
                agreed(work);
                if let Some(deadline) = state.stop_deadline {
                    work.stop = Some(work.stop.map_or(deadline, |stop| stop.min(deadline)));
                }
            }),
            Some(Err(Error::Conflict { .. } | Error::NotFound { .. })) => self.leave(id),
            Some(Err(_)) | None => {}
        }
    }

    /// The runner was superseded, or its run is gone: it ends its program and leaves.
    fn leave(&mut self, id: JobId) {
        self.change(id, |work| {
            work.superseded = true;
            work.delivered = true;
            work.program_alive = false;
        });
    }

    /// A message to the server, over a bad line: it may be lost, come twice, or its answer may be lost.
    fn send<T>(&mut self, message: impl Fn(&Engine) -> Result<T>) -> Option<Result<T>> {
        if self.lossy && self.percent(10) {
            return None;
        }
        let mut answer = message(&self.engine);
        if self.lossy && self.percent(10) && !self.world.state().crashed {
            answer = message(&self.engine);
        }
        if self.world.state().crashed || (self.lossy && self.percent(10)) {
            return None;
        }
        if let Err(error @ (Error::Internal(_) | Error::Busy(_))) = &answer {
            panic!("seed {}: a living server answered {error}", self.seed);
        }
        Some(answer)
    }

    /// From here on nothing goes wrong any more: everything must come to its end.
    fn settle(&mut self) {
        self.reboot();
        self.lossy = false;
        self.world.state().in_sight = true;
        for _ in 0..600 {
            self.tick();
            let jobs: Vec<JobId> = self.world.state().works.keys().copied().collect();
            for job in jobs {
                self.runner(job);
            }
            self.pass(2_000);
            let runs = self.runs.clone();
            let ended = |id| self.run(id).is_none_or(|run| run.life.status.is_terminal());
            if runs.into_iter().all(ended) {
                return;
            }
        }
        let states: Vec<String> = self
            .runs
            .clone()
            .into_iter()
            .filter_map(|id| self.run(id))
            .map(|run| format!("{} is {}", run.id, run.life.status))
            .collect();
        panic!("seed {}: not all runs end: {}", self.seed, states.join(", "));
    }

    fn check(&mut self) {
        for id in self.runs.clone() {
            let Some(run) = self.run(id) else { continue };
            let (stopped, restarted) = self.check_events(&run);
            let jobs = now(job::list(&self.engine, &admin(), id)).expect("the jobs of a run");
            for job in &jobs {
                self.check_log(id, job.id);
            }
            let seed = self.seed;
            let last = jobs.first().filter(|job| job.epoch == run.life.epoch);
            let exit = last.and_then(|job| self.world.state().works.get(&job.id)?.exit.clone());
            let expected = match exit {
                _ if stopped => Status::JobTerminated,
                None if run.life.status == Status::JobCreateFailed => {
                    assert_eq!(run.resources.cpu, "100", "seed {seed}: refused without a reason");
                    Status::JobCreateFailed
                }
                Some(Exit { reason: Reason::Completed, .. }) => Status::JobCompleted,
                Some(_) => Status::JobFailed,
                None => panic!("seed {seed}: run {id} ended as {} without an end", run.life.status),
            };
            assert_eq!(run.life.status, expected, "seed {seed}: run {id} lies about its end");
            assert!(run.life.epoch > restarted, "seed {seed}: every restart raises the epoch");
        }
        for id in self.deleted.clone() {
            assert!(self.run(id).is_none(), "seed {}: a deleted run is there", self.seed);
        }
    }

    /// The log of a run follows the table. Answers whether the last attempt was stopped, and how often it restarted.
    fn check_events(&self, run: &Run) -> (bool, i64) {
        let events = now(runyard_engine::event::after(&self.engine, &admin(), run.id, 0, 10_000));
        let events = events.expect("the events of a run");
        let (mut stopped, mut restarts) = (false, 0);
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.sequence, index as i64 + 1, "seed {}: a gap in the log", self.seed);
            if let Some(before) = index.checked_sub(1).map(|before| events[before].status) {
                let follows = event.status == before || event.status.may_follow(before);
                assert!(follows, "seed {}: {before} -> {}", self.seed, event.status);
            }
            match event.status {
                Status::RunStopRequested => stopped = true,
                Status::RunRestartRequested => (stopped, restarts) = (false, restarts + 1),
                _ => {}
            }
        }
        assert_eq!(events.last().map(|event| event.status), Some(run.life.status), "seed {}", self.seed);
        (stopped, restarts)
    }

    /// Every line is there once and in order; of a superseded job, the first ones.
    fn check_log(&self, run: RunId, job: JobId) {
        let which = log::Which::Job(job);
        let part =
            now(log::read(&self.engine, &admin(), run, which, log::Range::Bytes(0), 1 << 20)).expect("a log");
        let stored = String::from_utf8(part.expect("the log of a job").bytes).expect("text");
        let state = self.world.state();
        let Some(work) = state.works.get(&job) else { return };
        let whole = work.delivered && !work.superseded;
        assert!(work.output.starts_with(&stored), "seed {}: {stored:?} of {:?}", self.seed, work.output);
        assert!(!whole || stored == work.output, "seed {}: {stored:?} of {:?}", self.seed, work.output);
    }

    fn run(&self, id: RunId) -> Option<Run> {
        now(run::get(&self.engine, &admin(), id)).ok()
    }

    fn any_run(&mut self) -> Option<RunId> {
        let index = self.below(self.runs.len());
        self.runs.iter().nth(index).copied()
    }

    fn any_job(&mut self) -> Option<JobId> {
        let count = self.world.state().works.len();
        let index = self.below(count);
        self.world.state().works.keys().nth(index).copied()
    }

    fn job_actor(&self, work: &Seen) -> Actor {
        Actor { token_id: None, name: "job".to_owned(), scope: Scope::Run(self.project, work.run) }
    }

    fn look(&self, id: JobId) -> Option<Seen> {
        let state = self.world.state();
        let work = state.works.get(&id)?;
        Some(Seen {
            run: work.run,
            plan: work.plan.clone(),
            alive: work.runner_alive,
            launched: work.launches > 0,
            program_alive: work.program_alive,
            agreed: work.agreed,
            stop: work.stop,
            ended: work.exit.is_some(),
            delivered: work.delivered,
            output: work.output.clone(),
            lines: work.output.lines().count(),
            shipped: work.shipped,
        })
    }

    fn change(&self, id: JobId, change: impl FnOnce(&mut Work)) {
        if let Some(work) = self.world.state().works.get_mut(&id) {
            change(work);
        }
    }

    fn now(&self) -> Millis {
        self.world.state().now
    }

    fn pass(&self, ms: i64) {
        let mut state = self.world.state();
        state.now = state.now.plus(ms);
    }

    fn below(&mut self, end: usize) -> usize {
        self.world.state().chance.below(end)
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.world.state().chance.percent(percent)
    }
}

/// What a runner knows of its job.
struct Seen {
    run: RunId,
    plan: Plan,
    alive: bool,
    launched: bool,
    program_alive: bool,
    agreed: bool,
    stop: Option<Millis>,
    ended: bool,
    delivered: bool,
    output: String,
    lines: usize,
    shipped: usize,
}

fn admin() -> Actor {
    Actor { token_id: None, name: "ann".to_owned(), scope: Scope::Admin }
}

fn engine(world: &World, db: &Db) -> Engine {
    let folder = std::env::temp_dir().join(format!("runyard-simulator-{}", std::process::id()));
    Engine::new(Parts {
        db: db.clone(),
        objects: Objects::open_folder(&folder).expect("a folder for objects"),
        executors: vec![Arc::new(world.clone())],
        clock: Arc::new(world.clone()),
        signals: Signals::default(),
        options: Options {
            url: Arc::new(OnceLock::from("http://127.0.0.1:0".to_owned())),
            server_file: None,
            cache_dir: folder,
            server_id: "simulator".to_owned(),
            key: [7; 32],
            max_log_bytes: log::DEFAULT_MAX_BYTES,
            instance_types: runyard_domain::instance_type::built_in(),
            keep: garbage::gc::Keep::default(),
        },
        waiting: std::sync::Mutex::default(),
        last_id: std::sync::Mutex::default(),
        uploads: tokio::sync::Mutex::default(),
        models: runyard_engine::model::Verifications::default(),
        backup: Arc::default(),
    })
}

/// Runs a future that never has to wait: the database is inline, and the world answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("a future waits for something that nobody in the simulator does");
}
