//! The server is killed, again and again, and away for long; runners and programs live on.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use runyard_client::run::Filter;
use runyard_domain::{
    job::{Reason, folder},
    run::Status,
};
use runyard_store::testing::FreshPostgres;
use runyard_tests::{Cli, Server, Setup, block_on, processes, wait_until};

use crate::{
    dice::Dice,
    door::Door,
    program::{Desk, Fate, Program},
    verdict::{self, Account},
};

/// What 40 busy jobs need at most, on a machine that does much else.
const TO_THE_END: Duration = Duration::from_mins(3);
const CPU: &str = "4";

#[test]
fn a_server_that_is_killed_thirty_times_loses_and_repeats_nothing() {
    let mut server = Setup::default().args(&["--cpu", CPU]).start();
    survive(&mut server, &["--cpu", CPU], 40, 30, || {});
    let database = server.data().join("runyard.db");
    server.kill();
    assert_eq!(integrity(&database), "ok");
    server.restart();
}

#[test]
fn on_postgres_a_killed_server_and_cut_connections_lose_and_repeat_nothing() {
    let Some(database) = FreshPostgres::create() else { return };
    let args = ["--cpu", CPU, "--database", &database.url];
    let mut server = Setup::default().args(&args).start();
    survive(&mut server, &args, 10, 6, || database.disconnect_all());
}

#[test]
fn jobs_that_end_while_the_server_is_away_are_told_truly_when_it_returns() {
    let mut dice = Dice::new();
    let mut server = Setup::default().args(&["--cpu", CPU]).start();
    let (desk, door) = (Desk::new(&server.home()), Door::new(server.data()));
    let mut programs: Vec<Program> = (0..6).map(|n| Program::new(format!("away-{n}"), 50)).collect();
    for program in &mut programs {
        program.fate = Fate::Exits(dice.pick(&[0, 3]));
    }
    let ids: Vec<String> =
        programs.iter().map(|program| door.submit(&program.name, &desk.submission(program))).collect();
    wait_until("all programs run", TO_THE_END, || {
        programs.iter().all(|program| !desk.notes(program, "launched").is_empty())
    });
    server.kill();
    let killed = Instant::now();
    let jobs: Vec<_> =
        fs::read_dir(processes::jobs(server.data())).unwrap().map(|job| job.unwrap().path()).collect();
    assert_eq!(jobs.len(), programs.len());
    wait_until("all jobs have ended, and 20 s are over", TO_THE_END, || {
        killed.elapsed() >= Duration::from_secs(20) && jobs.iter().all(|job| job.join(folder::EXIT).exists())
    });
    server.restart();
    for (program, id) in programs.iter().zip(&ids) {
        verdict::wait_for_end(&server, id, TO_THE_END);
        verdict::unharmed(&server, id, &desk, program);
        let account = Account::of(&server, id);
        let exit = account.exit();
        let (launched, ended) = (desk.notes(program, "launched")[0].at, desk.notes(program, "ended")[0].at);
        let told = account.events.last().expect("an event").created_at;
        // The program's clock is the runner's: it was launched before it could note so, and was seen to end after it noted so.
        assert!(exit.launched_at.expect("it was launched").0 <= launched, "{exit:?}, noted: {launched}");
        assert!((ended..told).contains(&exit.ended_at.0), "{exit:?}, noted: {ended}, told: {told}");
        let expected = if program.fate == Fate::Exits(0) { Reason::Completed } else { Reason::Error };
        assert_eq!(exit.reason, expected);
    }
}

/// Submits `count` programs while the server is killed `kills` times and `disturb`ed between, and holds all of them to
/// their fate.
fn survive(server: &mut Server, args: &[&str], count: usize, kills: u32, disturb: impl Fn()) {
    let mut dice = Dice::new();
    let (desk, door) = (Desk::new(&server.home()), Door::new(server.data()));
    let programs = cast(&mut dice, count);
    let ids: Vec<String> = thread::scope(|scope| {
        let started: Vec<_> = programs
            .iter()
            .map(|program| {
                let (mut dice, desk, door) = (dice.fork(), desk.clone(), door.clone());
                scope.spawn(move || live(&mut dice, &desk, &door, program))
            })
            .collect();
        for kill in 0..kills {
            thread::sleep(dice.millis(0, 500));
            if kill % 2 == 0 {
                disturb();
            }
            thread::sleep(dice.millis(0, 500));
            if dice.below(4) == 0 {
                server.kill();
                start_and_kill(server.data(), args, dice.millis(0, 250));
            }
            server.restart();
        }
        started.into_iter().map(|thread| thread.join().expect("no user gave up")).collect()
    });
    wait_until("every run has ended", TO_THE_END, || {
        runs(server).iter().all(|run| run.status.is_some_and(Status::is_terminal))
    });
    let mut known: Vec<String> = runs(server).into_iter().filter_map(|run| run.id).collect();
    let mut submitted = ids.clone();
    known.sort_unstable();
    submitted.sort_unstable();
    assert_eq!(known, submitted, "what was acknowledged exists, once, and nothing else does");
    for (program, id) in programs.iter().zip(&ids) {
        verdict::unharmed(server, id, &desk, program);
    }
    let own = server.pid();
    wait_until("nothing is left running", Duration::from_secs(20), || {
        processes::of(server.data()).iter().all(|process| Some(process.pid) == own)
    });
}

/// Programs of every kind, in any order.
fn cast(dice: &mut Dice, count: usize) -> Vec<Program> {
    let mut programs: Vec<Program> = (0..count)
        .map(|n| {
            let fate = [Fate::Exits(0), Fate::Exits(3), Fate::Exits(0), Fate::Stopped, Fate::Exits(3)][n % 5];
            let mut program = Program::new(format!("chaos-{n}"), 40 + dice.below(60) as u32);
            program.cpu = dice.pick(&["250m", "250m", "250m", "500m", "1"]);
            program.deaf = n % 10 >= 7;
            program.fate = fate;
            program.retries = u32::from(n % 10 == 4);
            if fate == Fate::Stopped {
                program.count = 1_000_000;
            }
            program
        })
        .collect();
    dice.shuffle(&mut programs);
    programs
}

/// What a user does: submits the program at some time, perhaps twice, and stops it at some time if that is its fate.
fn live(dice: &mut Dice, desk: &Desk, door: &Door, program: &Program) -> String {
    thread::sleep(dice.millis(0, 12_000));
    let new = desk.submission(program);
    let id = door.submit(&program.name, &new);
    if dice.below(3) == 0 {
        thread::sleep(dice.millis(0, 500));
        assert_eq!(door.submit(&program.name, &new), id, "the same key answers the same run");
    }
    if program.fate == Fate::Stopped {
        thread::sleep(dice.millis(0, 8_000));
        if dice.below(2) == 0 { door.stop_by_hand(&id, "2s") } else { door.stop(&id, 2) }
    }
    id
}

/// Kills a server that has hardly begun.
fn start_and_kill(data: &Path, args: &[&str], after: Duration) {
    let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
    let server = Cli::start(data, &args, None);
    thread::sleep(after);
    // Dropping a command kills it.
    drop(server);
}

fn runs(server: &Server) -> Vec<runyard_wire::run::Run> {
    let filter = Filter { limit: Some(1000), ..Filter::default() };
    block_on(server.client().runs(&filter)).unwrap()
}

/// What SQLite itself says about its file.
pub(crate) fn integrity(database: &Path) -> String {
    let check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let said = Command::new("python3").args(["-c", check]).arg(database).output().expect("python3 is there");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}
