//! The program whose reports are counted, what it is to come to, and what it noted about itself outside of its job.

use std::{
    fs,
    path::{Path, PathBuf},
};

use runyard_domain::{resources::Resources, run::Status};
use runyard_wire::run::{NewRun, RunSpec};

/// What is to become of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Exits with this code.
    Exits(i32),
    /// Runs until a stop ends it.
    Stopped,
}

/// One program to be.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) fate: Fate,
    /// Ignores SIGTERM.
    pub(crate) deaf: bool,
    /// Starts processes that would outlive it.
    pub(crate) children: bool,
    pub(crate) cpu: &'static str,
    /// Records and lines that it has to write, unless it is ended before.
    pub(crate) count: u32,
    pub(crate) pause_ms: u32,
    /// How often its run restarts itself after a failure.
    pub(crate) retries: u32,
}

/// A line of a program's notes: a word, a process id, epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) word: String,
    pub(crate) pid: i32,
    pub(crate) at: i64,
}

/// Where programs are started from and where they leave their notes: outside of the server's data.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    folder: PathBuf,
}

impl Program {
    /// One that says `count` things and completes.
    pub(crate) fn new(name: impl Into<String>, count: u32) -> Self {
        let (fate, cpu) = (Fate::Exits(0), "250m");
        Self { name: name.into(), fate, deaf: false, children: false, cpu, count, pause_ms: 40, retries: 0 }
    }

    /// How often it must be launched, unless a stop comes before.
    pub(crate) fn launches(&self) -> usize {
        if matches!(self.fate, Fate::Exits(1..)) { 1 + self.retries as usize } else { 1 }
    }

    /// The status that its run must have in the end.
    pub(crate) fn outcome(&self) -> Status {
        match self.fate {
            Fate::Exits(0) => Status::JobCompleted,
            Fate::Exits(_) => Status::JobFailed,
            Fate::Stopped => Status::JobTerminated,
        }
    }
}

impl Desk {
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir(folder.join("notes")).unwrap();
        fs::write(folder.join("program.py"), include_str!("program.py")).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// What is submitted to get the program run.
    pub(crate) fn submission(&self, program: &Program) -> NewRun {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let code = if let Fate::Exits(code) = program.fate { code } else { 0 };
        let mut command = vec![
            "python3".to_owned(),
            text(self.folder.join("program.py")),
            text(self.notes_file(program)),
            program.count.to_string(),
            (f64::from(program.pause_ms) / 1000.0).to_string(),
            code.to_string(),
        ];
        command.extend(program.deaf.then(|| "deaf".to_owned()));
        command.extend(program.children.then(|| "children".to_owned()));
        NewRun {
            name: program.name.clone(),
            resources: Some(Resources { cpu: program.cpu.to_owned(), ..Resources::default() }),
            spec: Some(RunSpec { command, retries: Some(program.retries.into()), ..RunSpec::default() }),
            ..NewRun::default()
        }
    }

    fn notes_file(&self, program: &Program) -> PathBuf {
        self.folder.join("notes").join(&program.name)
    }

    /// The program's notes with this word.
    pub(crate) fn notes(&self, program: &Program, word: &str) -> Vec<Note> {
        let text = fs::read_to_string(self.notes_file(program)).unwrap_or_default();
        let read = |line: &str| {
            let mut parts = line.split(' ');
            let mut next = || parts.next().expect("three words in a note");
            Note { word: next().into(), pid: next().parse().unwrap(), at: next().parse().unwrap() }
        };
        text.lines().map(read).filter(|note| note.word == word).collect()
    }
}
