//! A checkpoint of a gigabyte, from the record that names it until it is complete in the embedded store; beside it plain `cp`
//! and fsync of the same bytes on the same disk. This program itself is the job.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use runyard_domain::run::Status;

use crate::{
    Result, Settings,
    figures::{Series, mib},
    process, run,
    server::Server,
    table::Table,
};

/// The first argument that makes this program the one that saves.
pub(crate) const SAVE: &str = "save";
const SIZE: u64 = 1 << 30;
const TIMES: usize = 3;

/// Writes a checkpoint of random bytes, makes it durable, and names it: `FILE FILES ML RECORDS`. Writes into `FILE` when it did.
pub(crate) fn save(args: &[String]) -> ExitCode {
    let saved = || -> Result<()> {
        let [file, files, ml, records] = args else {
            return Err("usage: save FILE FILES ML RECORDS".into());
        };
        write(&Path::new(ml).join("output/checkpoints/1"), files.parse()?)?;
        let named = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let record = "{\"checkpoint\":{\"global_step\":1,\"path\":\"output/checkpoints/1\"}}\n";
        File::options().append(true).create(true).open(records)?.write_all(record.as_bytes())?;
        fs::write(file, named.as_nanos().to_string())?;
        Ok(())
    };
    match saved() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::progress(&format!("save: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `files` files that make [`SIZE`] bytes, none of which repeat.
fn write(folder: &Path, files: u64) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0; 1 << 20];
    for n in 0..files {
        let mut file = File::create(folder.join(format!("shard-{n:04}")))?;
        for _ in 0..SIZE / files / block.len() as u64 {
            for word in block.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            file.write_all(&block)?;
        }
        file.sync_all()?;
    }
    Ok(())
}

pub(crate) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    for (files, what, judged) in
        [(1, "1 GiB checkpoint in one file", true), (64, "1 GiB checkpoint in 64 files", false)]
    {
        let home = tempfile::tempdir_in(&settings.work)?;
        let source = home.path().join("source");
        write(&source, files)?;
        let (mut stored, mut copied, mut most) = (Series::default(), Series::default(), Most::default());
        for n in 0..TIMES {
            copied.add(copy(&source, &home.path().join("copy"))?);
            stored.add(store(settings, home.path(), n, files, &mut most).await?);
        }
        let speed = |ms: f64| mib((SIZE as f64 / ms * 1000.0) as u64);
        let share = copied.median() / stored.median() * 100.0;
        let measured = format!("{share:.0} % ({}/s; each {} ms)", speed(stored.median()), stored.each());
        let beside = format!(
            "cp and fsync: {}/s (each {} ms); runner and server have cores for {:.1} s; peak memory of the runner {}, \
             of the server {}",
            speed(copied.median()),
            copied.each(),
            most.cores.as_secs_f64() / TIMES as f64,
            mib(most.runner),
            mib(most.server)
        );
        let what = format!("{what}, named until complete, against `cp` and fsync, medians of {TIMES}");
        if judged {
            table.judged(&what, ">= 60 %", measured, beside, share >= 60.0);
        } else {
            table.recorded(&what, measured, beside);
        }
    }
    Ok(())
}

/// As `cp` does, and durable.
fn copy(from: &Path, to: &Path) -> Result<Duration> {
    let began = Instant::now();
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status()?;
    if !status.success() {
        return Err(format!("cp ended with {status}").into());
    }
    for entry in fs::read_dir(to)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    let took = began.elapsed();
    fs::remove_dir_all(to)?;
    Ok(took)
}

#[derive(Default)]
struct Most {
    runner: u64,
    server: u64,
    /// How long both had cores, in all.
    cores: Duration,
}

/// How long a checkpoint takes from its record until it is complete.
async fn store(settings: &Settings, home: &Path, n: usize, files: u64, most: &mut Most) -> Result<Duration> {
    let (data, file) = (home.join(format!("data-{n}")), home.join(format!("named-{n}")));
    let server = Server::start(settings, &data, None)?;
    let client = server.client();
    let own = std::env::current_exe()?.display().to_string();
    let program = [own, SAVE.into(), file.display().to_string(), files.to_string()];
    let command = run::given("\"$RUNYARD_ML\" \"$RUNYARD_RECORDS\"", program);
    let run = run::submit(&client, "saves", &run::all_cores(), command).await?;
    run::reached(&client, &run, Status::JobRunning).await?;
    let runner = process::runner(&data, &run::job(&client, &run).await?);
    let mut cores = Duration::ZERO;
    let complete = run::until(async || {
        most.runner = most.runner.max(runner.map_or(0, process::peak));
        cores = cores.max(runner.map_or(Duration::ZERO, process::cores));
        Ok(client.newest_checkpoint(&run, None).await?.map(|_| SystemTime::now()))
    })
    .await?;
    run::reached(&client, &run, Status::JobCompleted).await?;
    most.server = most.server.max(process::peak(server.id()));
    most.cores += cores + process::cores(server.id());
    server.stop()?;
    let named = Duration::from_nanos(fs::read_to_string(&file)?.trim().parse()?);
    fs::remove_dir_all(&data)?;
    Ok(complete.duration_since(UNIX_EPOCH)?.saturating_sub(named))
}
