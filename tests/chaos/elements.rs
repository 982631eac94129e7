//! Workers of elements are killed, one every 200 ms, and so are the server and the runner below them: in the end every element is
//! processed, and committed exactly once.
//!
//! `RUNYARD_CHAOS=full` makes it 100,000 elements and ten deaths of the server; that takes longer than nextest waits:
//! `RUNYARD_CHAOS=full cargo test -p runyard-tests --test chaos elements -- --nocapture`.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use runyard_domain::{WorkerRunId, run::Status};
use runyard_store::{Db, Options, testing::FreshPostgres};
use runyard_tests::{Server, Setup, block_on, processes, wait_for, wait_until};
use runyard_wire::{
    corpus::{NewCorpus, NewElementType},
    worker_run::{Counts, NewWorkerRun},
};
use serde_json::json;

use crate::{
    dice::Dice,
    harvest,
    workers::{Crew, Workers},
};

const WORKERS: usize = 8;
/// How often one of them is killed.
const EVERY: Duration = Duration::from_millis(200);
/// Elements of one request.
const LINES: u64 = 5_000;
/// What a killed worker had comes back after this.
const LEASE_MS: i64 = 2_000;
/// Being killed is no mark against an element here: any may be hit more often than a poisoned one would be tried.
const MAX_ATTEMPTS: i64 = 50;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Size {
    elements: u64,
    server_deaths: u64,
    /// The longest time that a worker takes for one claim, in seconds.
    pause: &'static str,
    patience: Duration,
}

impl Size {
    /// What fits into the test command, or what was asked for.
    fn of(elements: u64, server_deaths: u64) -> Self {
        if std::env::var("RUNYARD_CHAOS").is_ok_and(|size| size == "full") {
            let patience = Duration::from_mins(30);
            return Self { elements: 100_000, server_deaths: 10, pause: "0.4", patience };
        }
        Self { elements, server_deaths, pause: "1.0", patience: Duration::from_mins(4) }
    }
}

/// Sets it when it is dropped, so that a failure ends those who look at it.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn every_element_is_committed_once_whatever_workers_and_servers_are_killed() {
    let mut server = Setup::default().start();
    let run = free_workers(&mut server, Size::of(5_000, 5), || {});
    let database = server.data().join("runyard.db");
    server.kill();
    assert_eq!(crate::servers::integrity(&database), "ok");
    let db = Db::open_sqlite(&database, &Options::default()).expect("the database opens");
    harvest::judge(&db, &run);
}

#[test]
fn on_postgres_every_element_is_committed_once_whatever_workers_servers_and_connections_end() {
    let Some(database) = FreshPostgres::create() else { return };
    let mut server = Setup::default().args(&["--database", &database.url]).start();
    let run = free_workers(&mut server, Size::of(3_000, 3), || database.disconnect_all());
    server.kill();
    harvest::judge(&Db::open_postgres(&database.url, &Options::default()).expect("it opens"), &run);
}

/// Eight processes that know the HTTP API and nothing else, until all elements are done; answers what they worked through.
fn free_workers(server: &mut Server, size: Size, disturb: impl Fn()) -> harvest::Field {
    let mut dice = Dice::new();
    let corpus = import(server, size.elements);
    let new = NewWorkerRun {
        corpus: Some(corpus),
        worker: "reader".to_owned(),
        selection: Some(serde_json::from_value(json!({"query": {"type": "page"}})).unwrap()),
        max_attempts: Some(MAX_ATTEMPTS),
        lease_ms: Some(LEASE_MS),
        ..NewWorkerRun::default()
    };
    let run = block_on(server.client().create_worker_run(&new)).unwrap().id;
    let workers = Workers::new(server, &run, size.pause, dice.below(1_000_000));
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let killed = thread::scope(|scope| {
        let _over = Over(&over);
        let (mut own, workers, over) = (dice.fork(), &workers, &over);
        let killer = scope.spawn(move || {
            let mut crew = Crew::start(workers, WORKERS);
            while !over.load(Ordering::SeqCst) {
                thread::sleep(EVERY);
                crew.kill_one(&mut own);
            }
            crew.finish()
        });
        for death in 1..=size.server_deaths {
            let due = size.elements * death / (size.server_deaths + 1);
            wait_until("the workers get on", size.patience, || {
                assert!(!killer.is_finished(), "the workers have ended");
                processed(server, &run) >= due
            });
            if death % 2 == 0 {
                disturb();
            }
            server.kill();
            if dice.below(3) == 0 {
                // Longer than a lease.
                thread::sleep(dice.millis(2_000, 3_000));
            }
            server.restart();
        }
        wait_until("every element is processed", size.patience, || {
            assert!(!killer.is_finished(), "the workers have ended");
            processed(server, &run) == size.elements
        });
        over.store(true, Ordering::SeqCst);
        killer.join().expect("all workers end well")
    });
    tell(&format!(
        "{} elements: {killed} workers and {} servers were killed in {:.1} s",
        size.elements,
        size.server_deaths,
        began.elapsed().as_secs_f64()
    ));
    harvest::Field { worker_run: id(&run), elements: size.elements, notes: workers.notes().to_owned() }
}

#[test]
fn every_element_is_committed_once_whatever_processes_and_runners_of_a_worker_run_are_killed() {
    let mut dice = Dice::new();
    let size = Size::of(4_000, 2);
    let mut server = Setup::default().args(&["--cpu", "4"]).start();
    import(&server, size.elements);
    let run = submit(&server, size, dice.below(1_000_000));
    let (began, mut killed, mut deaths) = (Instant::now(), 0, 0);
    let mut shaken: u64 = 0;
    wait_until("the run has ended", size.patience, || {
        thread::sleep(EVERY);
        if kill_process(&server, &run, &mut dice) {
            killed += 1;
        }
        // In turn the server dies, and the runner.
        let due = size.elements * (shaken + 1) / (2 * size.server_deaths + 1);
        if shaken < 2 * size.server_deaths && processed(&server, &run) >= due {
            shaken += 1;
            if shaken.is_multiple_of(2) {
                server.restart();
            } else if let Some(runner) = processes::runner(server.data(), &server.job(&run)) {
                processes::sigkill(runner);
                deaths += 1;
            }
        }
        block_on(server.client().run(&run)).is_ok_and(|run| run.status.is_some_and(Status::is_terminal))
    });
    let ended = block_on(server.client().run(&run)).unwrap();
    assert_eq!(ended.status, Some(Status::JobCompleted), "{:?}", ended.exit);
    assert!(killed > 0 && deaths > 0, "nobody was killed: that is no chaos");
    tell(&format!(
        "{} elements: {killed} processes, {deaths} runners and {} servers were killed in {:.1} s",
        size.elements,
        size.server_deaths,
        began.elapsed().as_secs_f64()
    ));
    let field =
        harvest::Field { worker_run: id(&run), elements: size.elements, notes: server.home().join("notes") };
    let database = server.data().join("runyard.db");
    server.stop();
    harvest::judge(&Db::open_sqlite(database, &Options::default()).expect("the database opens"), &field);
}

/// `runyard worker run`; answers the run's id.
fn submit(server: &Server, size: Size, seed: u64) -> String {
    let program = server.home().join("worker.py");
    std::fs::write(&program, include_str!("worker.py")).unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (attempts, seed) = (MAX_ATTEMPTS.to_string(), seed.to_string());
    let (program, notes) = (text(program), text(server.home().join("notes")));
    let args = [
        &["--output", "quiet", "worker", "run", "--corpus", "books", "--type", "page", "-n", "8", "--detach"]
            [..],
        &["--lease", "2s", "--max-attempts", &attempts, "--retries", "50"],
        &["--", "python3", &program, &notes, size.pause, &seed],
    ];
    server.cli(&args.concat()).ok().stdout.trim().to_owned()
}

/// Kills one process of the worker run, if there is one.
fn kill_process(server: &Server, run: &str, dice: &mut Dice) -> bool {
    let there = processes::of_job(server.data(), &server.job(run));
    let workers: Vec<i32> =
        there.iter().filter(|one| one.command.contains("/worker.py ")).map(|one| one.pid).collect();
    if workers.is_empty() {
        return false;
    }
    processes::sigkill(dice.pick(&workers));
    true
}

/// A corpus `books` with pages.
fn import(server: &Server, elements: u64) -> String {
    let new = NewCorpus {
        name: "books".to_owned(),
        types: vec![NewElementType { slug: "page".to_owned(), ..NewElementType::default() }],
        ..NewCorpus::default()
    };
    let client = server.client();
    let corpus = block_on(client.create_corpus(&new)).unwrap().id;
    let how = runyard_client::element::HowMade { corpus_id: corpus.clone(), ..Default::default() };
    for from in (0..elements).step_by(LINES as usize) {
        let to = elements.min(from + LINES);
        let lines: String = (from..to)
            .map(|n| json!({"type": "page", "name": format!("page {n}")}).to_string() + "\n")
            .collect();
        block_on(client.create_elements_of_lines(&how, lines.into())).unwrap();
    }
    corpus
}

/// How many elements are done, as the server says.
fn processed(server: &Server, run: &str) -> u64 {
    let Counts { processed, error, .. } = wait_for("the server answers", Duration::from_mins(1), || {
        block_on(server.client().worker_run(run)).ok().map(|run| run.counts)
    });
    assert_eq!(error, 0, "elements failed");
    processed.unsigned_abs()
}

fn id(text: &str) -> WorkerRunId {
    text.parse().expect("the id of a worker run")
}

#[expect(clippy::print_stderr, reason = "figures for whoever looks at the output")]
fn tell(text: &str) {
    eprintln!("{text}");
}
