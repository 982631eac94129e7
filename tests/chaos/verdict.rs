//! What must be true of a run in the end, whatever was killed meanwhile.

use std::{collections::BTreeMap, fs, time::Duration};

use runyard_client::{Client, metric::Filter};
use runyard_domain::{
    job::{Exit, folder},
    run::Status,
};
use runyard_tests::{Server, block_on, processes, wait_until};
use runyard_wire::{event::Event, job::Job, metric::Metric, run::Run};

use crate::program::{Desk, Fate, Program};

/// Small pages, so that there are many of them.
const POINTS: i64 = 17;
const BYTES: i64 = 100;

/// Everything that the server tells about a run.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) run: Run,
    pub(crate) events: Vec<Event>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) points: Vec<Metric>,
    /// What each job printed, by its epoch.
    pub(crate) outputs: BTreeMap<i64, String>,
}

impl Account {
    pub(crate) fn of(server: &Server, id: &str) -> Self {
        let client = server.client();
        block_on(async {
            let jobs = client.jobs(id).await.unwrap();
            let mut outputs = BTreeMap::new();
            for job in &jobs {
                outputs.insert(job.epoch, output(&client, id, job.epoch).await);
            }
            Self {
                run: client.run(id).await.unwrap(),
                events: client.events(id, "sequence:asc", Some(1000), None).await.unwrap(),
                jobs,
                points: points(&client, id).await,
                outputs,
            }
        })
    }

    pub(crate) fn status(&self) -> Status {
        self.run.status.expect("a run has a status")
    }

    /// What its newest job printed.
    pub(crate) fn output(&self) -> &str {
        self.outputs.values().next_back().map_or("", String::as_str)
    }

    /// How its job ended.
    pub(crate) fn exit(&self) -> Exit {
        serde_json::from_value(self.run.exit.clone().expect("an ended job has an exit")).unwrap()
    }
}

async fn points(client: &Client, id: &str) -> Vec<Metric> {
    let mut filter = Filter {
        run_id: vec![id.to_owned()],
        tag: vec!["n".to_owned()],
        sort: Some("global_step:asc".to_owned()),
        limit: Some(POINTS),
        ..Filter::default()
    };
    let mut all: Vec<Metric> = Vec::new();
    loop {
        let page = client.metrics(&filter).await.unwrap();
        let Some(last) = page.last() else { return all };
        filter.global_step_after = Some(last.global_step);
        all.extend(page);
    }
}

async fn output(client: &Client, id: &str, epoch: i64) -> String {
    let mut all = Vec::new();
    loop {
        let part = client.logs(id, Some(epoch), all.len() as i64, BYTES).await.unwrap();
        if part.bytes.is_empty() {
            assert_eq!(part.total, all.len() as i64, "the output has the length that is told");
            return String::from_utf8(all).unwrap();
        }
        all.extend_from_slice(&part.bytes);
    }
}

/// Waits until the run has ended.
pub(crate) fn wait_for_end(server: &Server, id: &str, patience: Duration) {
    let client = server.client();
    let ended = || block_on(client.run(id)).unwrap().status.is_some_and(Status::is_terminal);
    wait_until(&format!("run {id} ends"), patience, ended);
}

/// The log of a run has no gap and follows the table of statuses.
pub(crate) fn follows_the_table(account: &Account) {
    let mut before = None;
    for (at, event) in (1..).zip(&account.events) {
        assert_eq!(event.sequence, at, "{:#?}", account.events);
        let follows = match before {
            None => event.status == Status::RunCreated,
            // A second stop is noted under the status that was.
            Some(before) => event.status == before || event.status.may_follow(before),
        };
        assert!(follows, "{} after {before:?}: {:#?}", event.status, account.events);
        before = Some(event.status);
    }
    assert_eq!(before, Some(account.status()));
}

/// As many attempts were made as there had to be, each launched its program once; or there was none, when the run was
/// stopped before.
pub(crate) fn launched_once(account: &Account, desk: &Desk, program: &Program) {
    let launches = desk.notes(program, "launched");
    let (jobs, due) = (account.jobs.len(), program.launches());
    let stopped_before = program.fate == Fate::Stopped && launches.is_empty();
    assert!(launches.len() == due || stopped_before, "{} was launched: {launches:?}", program.name);
    assert!(jobs == due || (jobs == 0 && stopped_before), "{}: {:#?}", program.name, account.jobs);
}

/// Nobody sent the program a SIGTERM that nobody asked for.
pub(crate) fn left_in_peace(desk: &Desk, program: &Program) {
    let signals = desk.notes(program, "signalled");
    assert!(program.fate == Fate::Stopped || signals.is_empty(), "{}: {signals:?}", program.name);
}

/// Every record and every line of output that the program wrote is there, once and in order.
pub(crate) fn tells_all(server: &Server, account: &Account, program: &Program) {
    let name = &program.name;
    for (at, point) in (0..).zip(&account.points) {
        assert_eq!((point.global_step, point.value.as_i64()), (at, Some(at)), "{name}: {point:?}");
    }
    for output in account.outputs.values() {
        assert!(output.is_empty() || output.ends_with('\n'), "{name}: {output}");
        for (at, line) in output.lines().enumerate() {
            assert_eq!(line, format!("line {at}"), "{name}: {output}");
        }
    }
    let mut records = 0;
    for job in &account.jobs {
        let folder = processes::jobs(server.data()).join(&job.id);
        let read = |file| fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert_eq!(account.outputs[&job.epoch], read(folder::OUTPUT), "{name}");
        // Of a step that two attempts reached, one point lives.
        records = records.max(read(folder::RECORDS).lines().count());
    }
    assert_eq!(account.points.len(), records, "{name}");
}

/// Its run ended as the program did, after it had said everything.
pub(crate) fn ended_truly(account: &Account, program: &Program) {
    let (name, events) = (&program.name, &account.events);
    assert_eq!(account.status(), program.outcome(), "{name}: {events:#?}");
    if let Fate::Exits(code) = program.fate {
        let exit = account.exit();
        assert_eq!((exit.code, exit.signal), (Some(code), None), "{name}: {events:#?}");
        let said = (account.points.len(), account.output().lines().count());
        assert_eq!(said, (program.count as usize, program.count as usize), "{name}");
    }
}

/// All that must hold of a run whose runner was left alone.
pub(crate) fn unharmed(server: &Server, id: &str, desk: &Desk, program: &Program) {
    let account = Account::of(server, id);
    assert_eq!(account.run.name.as_ref(), Some(&program.name));
    ended_truly(&account, program);
    follows_the_table(&account);
    launched_once(&account, desk, program);
    left_in_peace(desk, program);
    tells_all(server, &account, program);
}
