//! From a submit over HTTP to the first instruction of its program: this program itself, which writes down when it began.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use runyard_client::Client;
use runyard_domain::run::Status;
use runyard_wire::run::{NewRun, RunSpec};

use crate::{
    Result, Settings,
    figures::{Series, ms},
    server::Server,
    table::Table,
};

/// The first argument that makes this program the one that is launched.
pub(crate) const STAMP: &str = "stamp";
const TIMES: usize = 100;
const WARM: usize = 5;
const TARGET_MS: f64 = 60.0;
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(2);

/// Writes the time into `file`, whole or not at all.
pub(crate) fn stamp(file: Option<String>) -> ExitCode {
    let now = now();
    let written = file.ok_or_else(|| "no file was named".to_owned()).and_then(|file| {
        let part = format!("{file}.part");
        let text = now.as_nanos().to_string();
        fs::write(&part, text).and_then(|()| fs::rename(&part, &file)).map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::progress(&format!("stamp: {error}"));
            ExitCode::FAILURE
        }
    }
}

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let program = std::env::current_exe()?.display().to_string();
    let server = Server::start(settings, &home.path().join("data"), None)?;
    let client = server.client();
    let (mut started, mut answered, mut bare) = (Series::default(), Series::default(), Series::default());
    for n in 0..WARM + TIMES {
        let file = home.path().join(format!("run-{n}"));
        let command = vec![program.clone(), STAMP.into(), file.display().to_string()];
        let new = NewRun {
            name: format!("stamp {n}"),
            spec: Some(RunSpec { command, ..RunSpec::default() }),
            ..NewRun::default()
        };
        let submitted = now();
        let run = client.create_run(&new).await?;
        let answer = now().saturating_sub(submitted);
        let began = read_stamp(&file).await?;
        ended(&client, &run.id.ok_or("a run without an id")?).await?;
        let direct = home.path().join(format!("bare-{n}"));
        let spawned = now();
        let status = Command::new(&program).arg(STAMP).arg(&direct).status()?;
        let bare_began = read_stamp(&direct).await?;
        if !status.success() {
            return Err(format!("the program ended with {status}").into());
        }
        if n >= WARM {
            started.add(began.saturating_sub(submitted));
            answered.add(answer);
            bare.add(bare_began.saturating_sub(spawned));
        }
    }
    server.stop()?;
    let median = started.median();
    table.judged(
        "submit to first instruction, median of 100",
        "< 60 ms",
        format!("{} (p95 {})", ms(median), ms(started.percentile(95.0))),
        format!(
            "submit is answered after {}; fork and exec of the same program: {}",
            ms(answered.median()),
            ms(bare.median())
        ),
        median < TARGET_MS,
    );
    Ok(())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn read_stamp(file: &Path) -> Result<Duration> {
    let began = Instant::now();
    loop {
        match fs::read_to_string(file) {
            Ok(text) => return Ok(Duration::from_nanos(text.parse()?)),
            Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(format!("no program wrote {}: {error}", file.display()).into()),
        }
    }
}

/// Waits for the end of a run, so that the next one finds a quiet server.
async fn ended(client: &Client, run: &str) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        match client.run(run).await?.status {
            Some(Status::JobCompleted) => return Ok(()),
            Some(status) if status.is_terminal() => return Err(format!("run {run} is {status}").into()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
    Err(format!("run {run} does not end").into())
}
