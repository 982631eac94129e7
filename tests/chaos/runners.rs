//! Runners are killed: before the launch, while their program runs, while they deliver; alone, or with the server.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runyard_domain::{
    job::{Reason, folder},
    run::Status,
};
use runyard_tests::{Server, Setup, processes, wait_for, wait_until};

use crate::{
    dice::Dice,
    door::Door,
    program::{Desk, Fate, Program},
    verdict::{self, Account},
};

const SOON: Duration = Duration::from_mins(1);
/// A killed runner's run has ended "within seconds", on a machine that does much else.
const SECONDS: Duration = Duration::from_secs(20);

/// When a runner is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// As soon as it is there.
    BeforeLaunch,
    /// When its program has written so many records.
    Running(usize),
    /// When the exit record is written, and the server does not answer.
    Delivering,
}

/// A run, and what its job's folder held when the runner was dead.
#[derive(Debug)]
struct Victim {
    program: Program,
    id: String,
    job: String,
    remains: Remains,
}

#[derive(Debug)]
struct Remains {
    launched: bool,
    ended: bool,
    output: String,
    records: usize,
}

#[test]
fn the_run_of_a_killed_runner_ends_truly_within_seconds() {
    let mut dice = Dice::new();
    let server = Setup::default().args(&["--cpu", "4"]).start();
    let (desk, door) = (Desk::new(&server.home()), Door::new(server.data()));
    let mut moments: Vec<Moment> = (0..5).map(|_| Moment::Running(dice.below(60) as usize)).collect();
    moments.extend([Moment::Delivering; 2]);
    moments.extend([Moment::BeforeLaunch; 3]);
    let mut waiting = Vec::new();
    let mut victims = Vec::new();
    for (n, moment) in moments.into_iter().enumerate() {
        let program = victim(&mut dice, n);
        let id = door.submit(&program.name, &desk.submission(&program));
        if moment == Moment::BeforeLaunch {
            victims.push(strike(&server, &desk, moment, program, id));
        } else {
            waiting.push((moment, program, id));
        }
    }
    while !waiting.is_empty() {
        let due = |(moment, program, id): &(Moment, Program, String)| is_due(&server, *moment, program, id);
        let (moment, program, id) = wait_for("a runner's hour comes", SOON, || {
            let at = waiting.iter().position(due)?;
            Some(waiting.swap_remove(at))
        });
        victims.push(strike(&server, &desk, moment, program, id));
    }
    for victim in &victims {
        ends_truly(&server, &desk, victim);
    }
}

#[test]
fn a_server_that_returns_without_its_runners_tells_their_true_ends() {
    let mut dice = Dice::new();
    let mut server = Setup::default().args(&["--cpu", "4"]).start();
    let (desk, door) = (Desk::new(&server.home()), Door::new(server.data()));
    let programs: Vec<Program> = (0..6).map(|n| victim(&mut dice, n)).collect();
    let ids: Vec<String> =
        programs.iter().map(|program| door.submit(&program.name, &desk.submission(program))).collect();
    let jobs: Vec<String> = ids.iter().map(|id| server.job(id)).collect();
    let until = Instant::now() + dice.millis(0, 3_500);
    thread::sleep(until - Instant::now());
    server.kill();
    let mut victims = Vec::new();
    for ((program, id), job) in programs.into_iter().zip(ids).zip(jobs) {
        let remains = kill_runner(&server, &job);
        victims.push(Victim { program, id, job, remains });
    }
    server.restart();
    for victim in &victims {
        ends_truly(&server, &desk, victim);
    }
}

fn victim(dice: &mut Dice, n: usize) -> Program {
    let mut program = Program::new(format!("victim-{n}"), 60 + dice.below(40) as u32);
    program.fate = Fate::Exits(dice.pick(&[0, 3]));
    program.children = true;
    program.cpu = "200m";
    program
}

/// Whether the moment has come. Of one who delivers it is a little before, so that the server can be held.
fn is_due(server: &Server, moment: Moment, program: &Program, id: &str) -> bool {
    let records = read(&folder_of(server, &server.job(id)), folder::RECORDS).lines().count();
    match moment {
        Moment::BeforeLaunch => true,
        Moment::Running(count) => records >= count,
        Moment::Delivering => records + 5 >= program.count as usize,
    }
}

/// Kills the runner of a run while the server is held, so that what is found in the folder is what was left.
fn strike(server: &Server, desk: &Desk, moment: Moment, program: Program, id: String) -> Victim {
    let job = server.job(&id);
    let folder = folder_of(server, &job);
    if moment != Moment::Delivering {
        wait_until("the job has a runner", SOON, || processes::runner(server.data(), &job).is_some());
        if let Moment::Running(_) = moment {
            wait_until("its program runs", SOON, || !desk.notes(&program, "launched").is_empty());
        }
    }
    let server_pid = Pid::from_raw(server.pid().expect("the server runs"));
    kill(server_pid, Signal::SIGSTOP).expect("the server can be held");
    if moment == Moment::Delivering {
        wait_until("the program has ended", SOON, || folder.join(folder::EXIT).exists());
    }
    let remains = kill_runner(server, &job);
    kill(server_pid, Signal::SIGCONT).expect("the server can go on");
    Victim { program, id, job, remains }
}

/// Kills the job's runner if it has one; answers what is in the folder then.
fn kill_runner(server: &Server, job: &str) -> Remains {
    if let Some(runner) = processes::runner(server.data(), job) {
        processes::sigkill(runner);
        wait_until("the runner is dead", SOON, || !processes::is_alive(runner));
    }
    let folder = folder_of(server, job);
    Remains {
        launched: folder.join(folder::LAUNCHED).exists(),
        ended: folder.join(folder::EXIT).exists(),
        output: read(&folder, folder::OUTPUT),
        records: read(&folder, folder::RECORDS).lines().count(),
    }
}

/// The run says within seconds what became of it, its program is gone with all that it started, and nothing that was said
/// before is lost or told twice.
fn ends_truly(server: &Server, desk: &Desk, victim: &Victim) {
    let Victim { program, id, job, remains } = victim;
    verdict::wait_for_end(server, id, if remains.launched { SECONDS } else { SOON });
    let account = Account::of(server, id);
    verdict::follows_the_table(&account);
    verdict::left_in_peace(desk, program);
    verdict::tells_all(server, &account, program);
    assert!(account.points.len() >= remains.records, "{remains:?}, told: {}", account.points.len());
    assert!(account.output().starts_with(&remains.output), "{remains:?}, told: {}", account.output());
    if remains.launched && !remains.ended {
        assert_eq!(account.status(), Status::JobFailed, "{:#?}", account.events);
        assert_eq!(account.exit().reason, Reason::RunnerKilled, "{:#?}", account.events);
        // It may have died between the mark and the program's first line.
        assert!(desk.notes(program, "launched").len() <= 1);
    } else {
        verdict::ended_truly(&account, program);
        verdict::launched_once(&account, desk, program);
    }
    for word in ["launched", "child"] {
        for note in desk.notes(program, word) {
            assert!(!processes::is_alive(note.pid), "{} survived: {note:?}", program.name);
        }
    }
    let gone = || processes::of_job(server.data(), job).is_empty();
    wait_until("nothing of the job is left running", SECONDS, gone);
}

fn folder_of(server: &Server, job: &str) -> PathBuf {
    processes::jobs(server.data()).join(job)
}

fn read(folder: &std::path::Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_default()
}
