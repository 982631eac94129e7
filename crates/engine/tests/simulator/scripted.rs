//! Lives of a yard that are not left to chance: what chance would meet too seldom.

use runyard_domain::{
    job::{Exit, Reason, StreamLengths},
    run::{Spec, Status},
    token::Scope,
};
use runyard_engine::{
    Actor, job,
    run::{self, NewRun},
};

use super::{Yard, admin, now};

impl Yard {
    /// A job whose back end has forgotten it, while its runner still speaks: it lives. When the runner falls silent
    /// too, that is proof.
    pub(crate) fn forget(mut self) {
        self.lossy = false;
        let spec = Some(Spec { command: vec!["program".to_owned()], ..Spec::default() });
        let new = NewRun { name: "sim".to_owned(), spec, ..NewRun::default() };
        let run = now(run::submit(&self.engine, &admin(), new, None)).expect("a run").id;
        self.tick();
        let job = *self.world.state().works.keys().next().expect("a job");
        let actor = Actor { token_id: None, name: "job".to_owned(), scope: Scope::Run(self.project, run) };
        now(job::start(&self.engine, &actor, job, "sim".to_owned())).expect("the start");
        self.world.state().forgetful = true;
        for _ in 0..10 {
            self.pass(20_000);
            now(job::heartbeat(&self.engine, &actor, job, false)).expect("a heartbeat");
            self.tick();
            assert_eq!(self.run(run).expect("the run").life.status, Status::JobRunning);
        }
        self.pass(61_000);
        self.tick();
        let ended = self.run(run).expect("the run");
        assert_eq!(ended.life.status, Status::JobFailed);
        assert_eq!(ended.exit.expect("an exit").reason, Reason::BackendFailed);
    }

    /// A job fails, and its run is retried, while the executor is being asked: what it says of the first job is not
    /// taken for the second one's.
    pub(crate) fn retry_while_looking(mut self) {
        self.lossy = false;
        let spec = Some(Spec { command: vec!["program".to_owned()], retries: Some(1), ..Spec::default() });
        let new = NewRun { name: "sim".to_owned(), spec, ..NewRun::default() };
        let run = now(run::submit(&self.engine, &admin(), new, None)).expect("a run").id;
        self.tick();
        let first = *self.world.state().works.keys().next().expect("a job");
        let actor = Actor { token_id: None, name: "job".to_owned(), scope: Scope::Run(self.project, run) };
        now(job::start(&self.engine, &actor, first, "sim".to_owned())).expect("the start");
        let exit = Exit { code: Some(1), ..Exit::because(Reason::Error, "exit 1", self.world.state().now) };
        let engine = self.engine.clone();
        {
            let mut state = self.world.state();
            let work = state.works.get_mut(&first).expect("the job");
            (work.exit, work.delivered, work.runner_alive) = (Some(exit.clone()), true, false);
            state.meanwhile = Some(Box::new(move || {
                now(job::end(&engine, &actor, first, exit, StreamLengths::default())).expect("the end");
            }));
        }
        for _ in 0..5 {
            self.tick();
        }
        let retried = self.run(run).expect("the run");
        assert_eq!((retried.life.status, retried.life.epoch), (Status::JobPending, 2));
    }
}
