//! A model's folder to its archive, end to end: every file read and hashed, the archive compressed, hashed and on the disk. The
//! same folder goes through Arkindex's own code, one stream of MD5, and zstd alone. Each is a process of its own.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use runyard_archive::{
    Limits,
    model::{Checksum, ModelLimits, PartOptions, inspect, pack, survey},
};
use serde_json::{Value, json};

use crate::{
    Result, Settings,
    figures::{Series, mib, short},
    process,
    table::Table,
};

/// The first argument that makes this program the one that packs or reads.
pub(crate) const ARCHIVE: &str = "archive";
const TIMES: usize = 3;
const FASTER: f64 = 5.0;
const MEMORY_MAX: u64 = 200 << 20;
const PART: u64 = 16 << 20;
/// Files of weights, and bytes of a file of text.
const WEIGHTS: u64 = 4;
const TEXT: usize = 16 << 10;

/// Packs or inspects, and says what it took.
pub(crate) fn archive(args: &[String]) -> ExitCode {
    let [what, from, to] = args else { return ExitCode::FAILURE };
    let done = match what.as_str() {
        "pack" => pack_to(Path::new(from), Path::new(to)),
        _ => inspect_in(Path::new(from), Path::new(to)),
    };
    match done {
        Ok(figures) => {
            crate::say(&figures.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            crate::progress(&format!("{what}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn pack_to(folder: &Path, file: &Path) -> Result<Value> {
    let began = Instant::now();
    let mut out = File::create(file)?;
    let survey = survey(folder, &ModelLimits::default())?;
    let options = PartOptions { part_size: PART, checksum: Checksum::Sha256 };
    let packed = pack(&survey, options, |part| out.write_all(&part.bytes))?;
    let took = began.elapsed().as_secs_f64();
    Ok(json!({ "seconds": took, "size": packed.archive_size, "peak": process::peak(std::process::id()) }))
}

fn inspect_in(file: &Path, scratch: &Path) -> Result<Value> {
    let began = Instant::now();
    let seen = inspect(File::open(file)?, &Limits::default(), Some(scratch))?;
    let took = began.elapsed().as_secs_f64();
    let peak = process::peak(std::process::id());
    Ok(json!({ "seconds": took, "size": seen.archive_size, "peak": peak, "content": seen.content_md5 }))
}

pub(crate) fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let home = tempfile::tempdir_in(&settings.work)?;
    let (folder, file) = (home.path().join("model"), home.path().join("model.tar.zst"));
    crate::progress(&format!("making a model of {} MiB", settings.model_mib + settings.model_mib / 10));
    let bytes = generate(&folder, settings.model_mib << 20)?;
    let ours = |what: &str, from: &Path, to: &Path| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARCHIVE).arg(what).arg(from).arg(to);
        figures(command)
    };
    let (mut packing, mut reading, mut peak, mut reading_peak, mut size) =
        (Series::default(), Series::default(), 0, 0, 0);
    let mut content = Value::Null;
    for _ in 0..TIMES {
        let packed = ours("pack", &folder, &file)?;
        packing.add(Duration::from_secs_f64(number(&packed, "seconds")?));
        (peak, size) = (peak.max(number(&packed, "peak")? as u64), number(&packed, "size")? as u64);
        let read = ours("inspect", &file, home.path())?;
        reading.add(Duration::from_secs_f64(number(&read, "seconds")?));
        reading_peak = reading_peak.max(number(&read, "peak")? as u64);
        content = read["content"].clone();
    }
    fs::remove_file(&file)?;
    let rate = |seconds: f64| format!("{} MB/s", short(bytes as f64 / seconds / 1e6));
    let ratio = |size: f64| format!("{:.3} of the size", size / bytes as f64);
    let seconds = packing.median() / 1000.0;
    let mut own = format!("{}, {}", rate(seconds), ratio(size as f64));
    let (mut beside, mut memory_beside, mut met) =
        ("Arkindex was not given".to_owned(), String::new(), false);
    if let Some(python) = &settings.arkindex {
        let peers = peers(python, &folder, home.path())?;
        if peers.archive["content"] != content {
            return Err(format!("other contents: {} and {content}", peers.archive["content"]).into());
        }
        let theirs = number(&peers.archive, "seconds")?;
        let faster = theirs / seconds;
        own = format!("{own}, {faster:.1} times faster");
        met = faster >= FASTER;
        beside = format!(
            "Arkindex {}: {}, {}; one stream of MD5: {}; zstd -3 on all cores: {}",
            peers.archive["version"].as_str().unwrap_or_default(),
            rate(theirs),
            ratio(number(&peers.archive, "size")?),
            rate(number(&peers.md5, "seconds")?),
            rate(number(&peers.zstd, "seconds")?),
        );
        let on_disk = mib(number(&peers.archive, "temporary")? as u64);
        memory_beside = format!(
            "Arkindex: {}, and {on_disk} of temporary files",
            mib(number(&peers.archive, "peak")? as u64)
        );
    }
    let what = format!("model of {} to an archive", mib(bytes));
    table.judged(&what, ">= 5 times Arkindex", own, beside, met);
    table.judged("of this, most resident memory", "<= 200 MiB", mib(peak), memory_beside, peak <= MEMORY_MAX);
    table.recorded(
        "the archive read, with all digests, MD5s too",
        rate(reading.median() / 1000.0),
        format!("most resident memory {}", mib(reading_peak)),
    );
    table.note(
        "Models: 32-bit floats around zero, and a tenth of text in files of 16 KiB. Ours has SHA-256 of each file, part and archive, the \
         tree digest, and the archive on the disk; Arkindex's `create_archive` has MD5 of the contents and the archive, and the \
         archive on the disk."
            .into(),
    );
    Ok(())
}

/// What stands beside, each in a process of its own.
struct Peers {
    archive: Value,
    md5: Value,
    zstd: Value,
}

fn peers((python, script): &(PathBuf, PathBuf), folder: &Path, work: &Path) -> Result<Peers> {
    let run = |what: &str| {
        let mut command = Command::new(python);
        command.arg(script).arg(what).arg(folder).env("TMPDIR", work);
        figures(command)
    };
    Ok(Peers { archive: run("archive")?, md5: run("md5")?, zstd: run("zstd")? })
}

/// The JSON object that a process prints last.
fn figures(mut command: Command) -> Result<Value> {
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .map_err(|_| format!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

fn number(figures: &Value, key: &str) -> Result<f64> {
    figures[key].as_f64().ok_or_else(|| format!("no {key} in {figures}").into())
}

/// Makes the folder: weights, and text a tenth of it; how many bytes.
fn generate(folder: &Path, weights: u64) -> Result<u64> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut bytes = 0;
    fs::create_dir_all(folder.join("weights"))?;
    for n in 0..WEIGHTS {
        let mut file =
            BufWriter::with_capacity(1 << 20, File::create(folder.join(format!("weights/{n}.bin")))?);
        for _ in 0..weights / WEIGHTS / 4 {
            file.write_all(&dice.weight().to_le_bytes())?;
        }
        file.flush()?;
        bytes += weights / WEIGHTS / 4 * 4;
    }
    let words: Vec<String> = (0..4_000).map(|_| dice.word()).collect();
    for n in 0..weights / 10 / TEXT as u64 {
        let path = folder.join(format!("text/{}/{n}.txt", n % 100));
        fs::create_dir_all(path.parent().ok_or_else(|| io::Error::other("a path without a folder"))?)?;
        let mut text = String::with_capacity(TEXT + 16);
        while text.len() < TEXT {
            text.push_str(&words[dice.roll() as usize % words.len()]);
            text.push(' ');
        }
        bytes += text.len() as u64;
        fs::write(path, text)?;
    }
    Ok(bytes)
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Around zero, like a weight: four dice are close enough to a bell, and a fifth makes every bit count.
    fn weight(&mut self) -> f32 {
        let roll = self.roll();
        let sum: u32 = (0..4).map(|n| u32::from((roll >> (16 * n)) as u16)).sum();
        let fine = (self.roll() >> 41) as f32 / (1 << 23) as f32;
        (sum as f32 - 131_070.0) * 1e-6 * (1.0 + fine)
    }

    fn word(&mut self) -> String {
        let letters = 2 + self.roll() % 9;
        (0..letters).map(|_| char::from(b'a' + (self.roll() % 26) as u8)).collect()
    }
}
