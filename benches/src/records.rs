//! Points through the records file: a real job appends lines, runner and server bring them to where they can be read. This
//! program itself is the job, so that nothing else than appending is measured; the Python package stands beside it.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use runyard_client::Client;
use runyard_domain::run::Status;

use crate::{
    Result, Settings,
    figures::{Series, mib, short},
    ingest::loss,
    process, run,
    server::Server,
    table::Table,
};

/// The first argument that makes this program the one that reports.
pub(crate) const REPORT: &str = "report";
/// What tells a program where to report.
const RECORDS: &str = "RUNYARD_RECORDS";
const TAGS: [&str; 4] = ["train/loss", "train/accuracy", "lr", "grad_norm"];
/// Points of a program that does nothing but report.
const FLAT_OUT: u64 = 2_000_000;
/// Points of a program that also works, and how much: about 200,000 points a second on a core of 2024.
const WORKING: u64 = 1_000_000;
const WORK: u64 = 1_700;
/// Steps of the Python program.
const STEPS: u64 = 50_000;
const PAIRS: usize = 5;

/// Appends points one by one, one write each, as a program without a library would: `FILE POINTS WORK RECORDS`. Writes into
/// `FILE` when it began, how long it took and how long it had a core.
pub(crate) fn report(args: &[String]) -> ExitCode {
    let appended = || -> Result<()> {
        let [file, points, work, path] = args else {
            return Err("usage: report FILE POINTS WORK RECORDS".into());
        };
        let (points, work): (u64, u64) = (points.parse()?, work.parse()?);
        let mut records = OpenOptions::new().append(true).create(true).open(path)?;
        let (began, clock) = (SystemTime::now().duration_since(UNIX_EPOCH)?, Instant::now());
        let mut line = Vec::with_capacity(200);
        for n in 0..points {
            line.clear();
            let (tag, step) = (TAGS[(n % 4) as usize], n / 4);
            let value = loss(step as i64 + work_on(n, work));
            writeln!(line, r#"{{"metric":{{"tag":"{tag}","global_step":{step},"value":{value}}}}}"#)?;
            records.write_all(&line)?;
        }
        fs::write(
            file,
            format!("{} {} {}", began.as_nanos(), clock.elapsed().as_nanos(), process::on_core()?),
        )?;
        Ok(())
    };
    match appended() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::progress(&format!("report: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Keeps a core busy; answers 0.
fn work_on(seed: u64, rounds: u64) -> i64 {
    let mut mixed = seed | 1;
    for _ in 0..rounds {
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    // Never 0, which the compiler does not know.
    i64::from(mixed == 0)
}

/// What became of one program.
struct Told {
    began: Duration,
    took: Duration,
    on_core: Duration,
}

fn told(file: &Path) -> Result<Told> {
    let text = fs::read_to_string(file)?;
    let figures: std::result::Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
    let [began, took, on_core] = figures?[..] else {
        return Err("the program told other than three figures".into());
    };
    let [began, took, on_core] = [began, took, on_core].map(Duration::from_nanos);
    Ok(Told { began, took, on_core })
}

/// A program that reports, and what its last point is.
struct Program<'a> {
    name: &'a str,
    points: u64,
    command: &'a dyn Fn(&Path) -> Vec<String>,
    last: (&'a str, i64),
}

/// Figures of pairs of the same program, with a runner that reads and without one.
#[derive(Default)]
struct Figures {
    alone: Series,
    read: Series,
    /// By how many percent each was slower than its pair.
    slower: Series,
    /// The same of the time that it had a core: what is left when others want the cores too.
    dearer: Series,
    /// From the first point until all could be read.
    readable: Series,
    runner: u64,
}

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let own = std::env::current_exe()?.display().to_string();
    let appending = |points: u64, work: u64| {
        let own = own.clone();
        move |file: &Path| {
            let file = file.display().to_string();
            let program = [own.clone(), REPORT.into(), file, points.to_string(), work.to_string()];
            run::given("\"$RUNYARD_RECORDS\"", program)
        }
    };
    let last = |points: u64| (TAGS[3], (points / 4) as i64 - 1);
    let home = tempfile::tempdir_in(&settings.work)?;
    let data = home.path().join("data");
    let server = Server::start(settings, &data, None)?;
    let yard = Yard { home: home.path(), data: &data, client: server.client() };

    let command = appending(FLAT_OUT, 0);
    let program = Program { name: "flat out", points: FLAT_OUT, command: &command, last: last(FLAT_OUT) };
    flat_out(table, &program, &yard.pairs(&program, 3).await?);
    let command = appending(WORKING, WORK);
    let program = Program { name: "working", points: WORKING, command: &command, last: last(WORKING) };
    slowed(table, &program, &yard.pairs(&program, PAIRS).await?);
    if let Some(python) = &settings.python {
        let script = home.path().join("report.py");
        fs::write(&script, include_str!("report.py"))?;
        let command = |file: &Path| {
            let arguments = [python.as_path(), script.as_path(), file];
            let arguments = arguments.map(|path| std::path::absolute(path).unwrap_or(path.to_owned()));
            let mut arguments: Vec<String> =
                arguments.iter().map(|path| path.display().to_string()).collect();
            arguments.push(STEPS.to_string());
            arguments
        };
        let last = ("train/loss", STEPS as i64 - 1);
        let program = Program { name: "python", points: STEPS * 4, command: &command, last };
        with_package(table, &program, &yard.pairs(&program, 3).await?);
    }
    let peak = process::peak(server.id());
    server.stop()?;
    table.recorded("peak memory of the server after all of these points", mib(peak), String::new());
    Ok(())
}

fn rate(points: u64, ms: f64) -> f64 {
    points as f64 / ms * 1000.0
}

fn flat_out(table: &mut Table, program: &Program<'_>, figures: &Figures) {
    let all = rate(program.points, figures.readable.median());
    table.judged(
        "records file, one line and one write a point, as fast as it goes: until all can be read",
        ">= 200 k points/s",
        format!("{} points/s", short(all)),
        format!(
            "the program alone writes {} points/s; with a runner {}; peak memory of the runner: {}",
            short(rate(program.points, figures.alone.median())),
            short(rate(program.points, figures.read.median())),
            mib(figures.runner)
        ),
        all >= 200_000.0,
    );
}

fn slowed(table: &mut Table, program: &Program<'_>, figures: &Figures) {
    let slower = figures.slower.median();
    table.judged(
        "a program that works and reports: slowed, against the same lines that no runner reads",
        "<= 2 %",
        format!(
            "{slower:.1} % (each of {PAIRS} pairs: {}; its time on a core: {:.1} %)",
            figures.slower.each(),
            figures.dearer.median()
        ),
        format!(
            "it writes {} points/s, all can be read at {} points/s; peak memory of the runner: {}",
            short(rate(program.points, figures.alone.median())),
            short(rate(program.points, figures.readable.median())),
            mib(figures.runner)
        ),
        slower <= 2.0,
    );
}

fn with_package(table: &mut Table, program: &Program<'_>, figures: &Figures) {
    table.recorded(
        "records file, `runyard.log_metrics` of 4 tags as fast as Python goes: until all can be read",
        format!("{} points/s", short(rate(program.points, figures.readable.median()))),
        format!(
            "the program alone writes {} points/s; slowed by {:.1} %",
            short(rate(program.points, figures.alone.median())),
            figures.slower.median()
        ),
    );
}

/// Where programs run.
struct Yard<'a> {
    home: &'a Path,
    data: &'a Path,
    client: Client,
}

impl Yard<'_> {
    async fn pairs(&self, program: &Program<'_>, pairs: usize) -> Result<Figures> {
        let mut figures = Figures::default();
        for n in 0..pairs {
            let alone = self.alone(program)?;
            let (told, readable, runner) = self.as_a_job(program, n).await?;
            let more = |with: Duration, without: Duration| {
                (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0
            };
            figures.alone.add(alone.took);
            figures.read.add(told.took);
            figures.slower.add_number(more(told.took, alone.took));
            figures.dearer.add_number(more(told.on_core, alone.on_core));
            figures.readable.add(readable);
            figures.runner = figures.runner.max(runner);
        }
        Ok(figures)
    }

    /// The same program writes the same lines onto the same disk, and nobody reads them.
    fn alone(&self, program: &Program<'_>) -> Result<Told> {
        let (file, records) = (self.home.join("alone"), self.home.join("records.jsonl"));
        let command = (program.command)(&file);
        let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../python");
        let status = Command::new(&command[0])
            .args(&command[1..])
            .env(RECORDS, &records)
            .env("PYTHONPATH", packages)
            .status()?;
        if !status.success() {
            return Err(format!("the program ended with {status}").into());
        }
        fs::remove_file(records)?;
        told(&file)
    }

    /// What the program told, how long it took until its last point could be read, and the most memory of its runner.
    async fn as_a_job(&self, program: &Program<'_>, n: usize) -> Result<(Told, Duration, u64)> {
        let file = self.home.join(format!("{}-{n}", program.name.replace(' ', "-")));
        let run =
            run::submit(&self.client, program.name, &run::all_cores(), (program.command)(&file)).await?;
        run::reached(&self.client, &run, Status::JobRunning).await?;
        let runner = process::runner(self.data, &run::job(&self.client, &run).await?);
        let (tag, step) = program.last;
        let mut most = 0;
        let readable = run::until(async || {
            most = most.max(runner.map_or(0, process::peak));
            let last = self.client.last_metric(&run, tag).await?;
            Ok(last.filter(|last| last.global_step >= step).map(|_| SystemTime::now()))
        })
        .await?;
        run::reached(&self.client, &run, Status::JobCompleted).await?;
        let told = told(&file)?;
        let took = readable.duration_since(UNIX_EPOCH)?.saturating_sub(told.began);
        Ok((told, took, most))
    }
}
