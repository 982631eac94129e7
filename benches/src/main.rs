//! Measures the product from outside, on the release binary, and prints one table: target, measured, what stands beside it.
//! Not tests: nothing fails for being slow. `scripts/bench` builds and prepares what this needs.

mod archive;
mod checkpoint;
mod elements;
mod figures;
mod get;
mod ingest;
mod latency;
mod list;
mod million;
mod process;
mod read;
mod records;
mod run;
mod server;
mod start;
mod table;
mod throughput;

use std::{path::PathBuf, process::ExitCode};

use table::Table;

/// What can go wrong is for the person who runs the benches to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str =
    "usage: runyard-benches --runyard BINARY --work FOLDER [--postgres URL] [--python PYTHON [--peer SCRIPT] [--mlflow SCRIPT]]
    [--arkindex-python PYTHON --arkindex SCRIPT] [--model-mib N] [--runs N] [--elements N]
    [--only start,latency,throughput,ingest,records,read,checkpoint,archive,list,elements]";

/// What is measured, and with what.
struct Settings {
    /// The release binary.
    runyard: PathBuf,
    /// For data folders; on the disk that is to be measured.
    work: PathBuf,
    /// An empty PostgreSQL database.
    postgres: Option<String>,
    /// A Python for programs.
    python: Option<PathBuf>,
    /// A Python that has HyperQueue, and the script that times it.
    peer: Option<(PathBuf, PathBuf)>,
    /// A Python that has MLflow, and the script that times it.
    mlflow: Option<(PathBuf, PathBuf)>,
    /// A Python that has Arkindex's package for workers, and the script that times it.
    arkindex: Option<(PathBuf, PathBuf)>,
    /// MiB of weights in the model that is packed.
    model_mib: u64,
    /// Runs in the long list.
    runs: u64,
    /// Elements in the large corpus.
    elements: u64,
    /// Parts to measure; empty: all.
    only: Vec<String>,
}

impl Settings {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let (mut runyard, mut work, mut postgres) = (None, None, None);
        let (mut python, mut peer, mut mlflow) = (None, None, None);
        let (mut arkindex_python, mut arkindex, mut model_mib) = (None, None, 1_024);
        let (mut runs, mut elements, mut only) = (1_000_000, 1_000_000, Vec::new());
        while let Some(name) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match name.as_str() {
                "--runyard" => runyard = Some(PathBuf::from(value)),
                "--work" => work = Some(PathBuf::from(value)),
                "--postgres" => postgres = Some(value),
                "--python" => python = Some(PathBuf::from(value)),
                "--peer" => peer = Some(PathBuf::from(value)),
                "--mlflow" => mlflow = Some(PathBuf::from(value)),
                "--arkindex-python" => arkindex_python = Some(PathBuf::from(value)),
                "--arkindex" => arkindex = Some(PathBuf::from(value)),
                "--model-mib" => model_mib = value.parse()?,
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
            peer: python.clone().zip(peer),
            mlflow: python.clone().zip(mlflow),
            python,
            arkindex: arkindex_python.zip(arkindex),
            model_mib,
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
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(latency::STAMP) => return latency::stamp(args.get(1).cloned()),
        Some(records::REPORT) => return records::report(&args[1..]),
        Some(checkpoint::SAVE) => return checkpoint::save(&args[1..]),
        Some(archive::ARCHIVE) => return archive::archive(&args[1..]),
        _ => {}
    }
    match Settings::parse(args.into_iter()).and_then(|settings| measure(&settings)) {
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
    table.note(format!(
        "Load when this began: {}. Others on the same cores make every figure worse.",
        process::load()
    ));
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
    if settings.wants("records") {
        runtime.block_on(records::measure(settings, &mut table))?;
    }
    if settings.wants("read") {
        runtime.block_on(read::measure(settings, &mut table))?;
    }
    if settings.wants("checkpoint") {
        runtime.block_on(checkpoint::measure(settings, &mut table))?;
    }
    if settings.wants("archive") {
        archive::measure(settings, &mut table)?;
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
