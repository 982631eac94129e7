//! Measures the product from outside, on the release binary, and prints one table: target, measured, what stands beside it.
//! Not tests: nothing fails for being slow. `scripts/bench` builds and prepares what this needs.

mod elements;
mod figures;
mod ingest;
mod latency;
mod list;
mod million;
mod server;
mod start;
mod table;
mod throughput;

use std::{path::PathBuf, process::ExitCode};

use table::Table;

/// What can go wrong is for the person who runs the benches to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str =
    "usage: runyard-benches --runyard BINARY --work FOLDER [--postgres URL] [--python PYTHON --peer SCRIPT]
    [--runs N] [--elements N] [--only start,latency,throughput,list,ingest,elements]";

/// What is measured, and with what.
struct Settings {
    /// The release binary.
    runyard: PathBuf,
    /// For data folders; on the disk that is to be measured.
    work: PathBuf,
    /// An empty PostgreSQL database.
    postgres: Option<String>,
    /// A Python that has HyperQueue, and the script that times it.
    peer: Option<(PathBuf, PathBuf)>,
    /// Runs in the long list.
    runs: u64,
    /// Elements in the large corpus.
    elements: u64,
    /// Parts to measure; empty: all.
    only: Vec<String>,
}

impl Settings {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let (mut runyard, mut work, mut postgres, mut python, mut peer) = (None, None, None, None, None);
        let (mut runs, mut elements, mut only) = (1_000_000, 1_000_000, Vec::new());
        while let Some(name) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match name.as_str() {
                "--runyard" => runyard = Some(PathBuf::from(value)),
                "--work" => work = Some(PathBuf::from(value)),
                "--postgres" => postgres = Some(value),
                "--python" => python = Some(PathBuf::from(value)),
                "--peer" => peer = Some(PathBuf::from(value)),
                "--runs" => runs = value.parse()?,
                "--elements" => elements = value.parse()?,
                "--only" => only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self {
            runyard: runyard.ok_or(USAGE)?,
            work: work.ok_or(USAGE)?,
            postgres,
            peer: python.zip(peer),
            runs,
            elements,
            only,
        })
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    if args.peek().is_some_and(|first| first == latency::STAMP) {
        return latency::stamp(args.nth(1));
    }
    match Settings::parse(args).and_then(|settings| measure(&settings)) {
        Ok(table) => {
            say(&table.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            progress(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: &Settings) -> Result<Table> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut table = Table::default();
    if settings.wants("start") {
        start::measure(settings, &mut table)?;
    }
    if settings.wants("latency") {
        runtime.block_on(latency::measure(settings, &mut table))?;
    }
    if settings.wants("throughput") {
        runtime.block_on(throughput::measure(settings, &mut table))?;
    }
    if settings.wants("elements") {
        runtime.block_on(elements::measure(settings, &mut table))?;
    }
    if settings.wants("ingest") {
        runtime.block_on(ingest::measure(settings, &mut table))?;
    }
    if settings.wants("list") {
        runtime.block_on(list::measure(settings, &mut table))?;
    }
    Ok(table)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(text: &str) {
    println!("{text}");
}

/// For who waits; the table alone is on stdout.
#[expect(clippy::print_stderr, reason = "benches take minutes: say what is going on")]
fn progress(text: &str) {
    eprintln!("{text}");
}
