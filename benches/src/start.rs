//! From exec to ready, on a new data folder and on one that is there already; memory of an idle server; size of the binary.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result, Settings,
    figures::{Series, mib, ms},
    server::Server,
    table::Table,
};

const TIMES: usize = 20;
const READY_MS: f64 = 100.0;
const IDLE_BYTES: u64 = 50 << 20;
const BINARY_BYTES: u64 = 40 << 20;
/// Long enough for what a server does once after its start.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let (mut fresh, mut again, mut exec) = (Series::default(), Series::default(), Series::default());
    let old = tempfile::tempdir_in(&settings.work)?;
    Server::start(settings, &old.path().join("data"), None)?.stop()?;
    for _ in 0..TIMES {
        let new = tempfile::tempdir_in(&settings.work)?;
        let server = Server::start(settings, &new.path().join("data"), None)?;
        fresh.add(server.ready_after);
        server.stop()?;
        let server = Server::start(settings, &old.path().join("data"), None)?;
        again.add(server.ready_after);
        server.stop()?;
        let began = Instant::now();
        Command::new(&settings.runyard).arg("--version").stdout(Stdio::null()).status()?;
        exec.add(began.elapsed());
    }
    let beside = || format!("`runyard --version`: {}", ms(exec.median()));
    for (what, series) in
        [("start on a new folder, median of 20", fresh), ("start on an existing folder, median of 20", again)]
    {
        let (median, worst) = (series.median(), series.percentile(100.0));
        let measured = format!("{} (worst {})", ms(median), ms(worst));
        table.judged(what, "< 100 ms", measured, beside(), median < READY_MS);
    }
    let server = Server::start(settings, &old.path().join("data"), None)?;
    thread::sleep(SETTLE);
    let resident = server.resident()?;
    server.stop()?;
    table.judged("resident when idle", "< 50 MiB", mib(resident), String::new(), resident < IDLE_BYTES);
    let size = fs::metadata(&settings.runyard)?.len();
    table.judged("release binary", "< 40 MiB", mib(size), String::new(), size < BINARY_BYTES);
    Ok(())
}
