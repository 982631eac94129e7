//! Metrics that the program prints: each whole line of `output.log` is searched for the run's definitions, and what is found is
//! written as records to `system.jsonl`. The n-th value of a metric in a job has the step n, so that a second runner, which
//! reads the output from its beginning, knows what the first one has written. Never slows the program.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::Duration,
};

use runyard_domain::{
    job::folder,
    metric::{Value, definition::Reader, exact_value},
};
use serde_json::json;

use crate::{clock, job::Job};

/// How often new output is looked at.
const PAUSE: Duration = Duration::from_millis(250);
/// Read at once; between two parts others have their turn.
const PART: usize = 64 << 10;
/// Of a line that is longer, this is searched.
const LINE_MAX: usize = 64 << 10;
/// Most points of one record, which keeps it below what the server takes.
const POINTS: usize = 500;
/// How notes of the runner begin: nobody printed them.
const NOTE: &str = "[runyard] ";

/// Reads the output of one job.
#[derive(Debug)]
pub(crate) struct Printed {
    output: PathBuf,
    records: PathBuf,
    metrics: Vec<Metric>,
    /// Lines begin with the number of their instance.
    numbered: bool,
    offset: u64,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Points that wait for the disk.
    points: Vec<serde_json::Value>,
    /// The records may end within a line.
    torn: bool,
}

#[derive(Debug)]
struct Metric {
    reader: Reader,
    count: u64,
    /// So many were written by an earlier runner.
    written: u64,
}

impl Printed {
    /// `None`: the run defines no metrics.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        if job.spec.metric_definitions.is_empty() {
            return None;
        }
        let records = job.folder.path(folder::SYSTEM);
        let text = fs::read_to_string(&records).unwrap_or_default();
        let written = counts(&text);
        let metric = |definition| match Reader::new(definition) {
            Ok(reader) => {
                let written = written.get(reader.name()).copied().unwrap_or(0);
                Some(Metric { reader, count: 0, written })
            }
            // It was right when the run was submitted.
            Err(error) => {
                job.output.note(&format!("metric {}: {error}", definition.name));
                None
            }
        };
        Some(Self {
            output: job.folder.path(folder::OUTPUT),
            torn: !text.is_empty() && !text.ends_with('\n'),
            records,
            metrics: job.spec.metric_definitions.iter().filter_map(metric).collect(),
            numbered: job.spec.instances > 1,
            offset: 0,
            line: Vec::new(),
            points: Vec::new(),
        })
    }

    /// Reads until it is dropped.
    pub(crate) async fn run(this: &mut Option<Self>, job: &Job) -> Infallible {
        let Some(printed) = this else { return std::future::pending().await };
        loop {
            printed.catch_up(job).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads the rest: nobody prints any more, and a last line without an end is a line too.
    pub(crate) async fn finish(this: Option<Self>, job: &Job) {
        let Some(mut printed) = this else { return };
        printed.catch_up(job).await;
        printed.end_line();
        printed.write(job);
    }

    async fn catch_up(&mut self, job: &Job) {
        loop {
            match self.part() {
                Ok(true) => self.write(job),
                Ok(false) => return self.write(job),
                Err(error) => return tracing::debug!(%error, "the output cannot be read for metrics"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads a part; answers whether there may be more.
    fn part(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; PART];
        let read = File::open(&self.output)?.read_at(&mut buffer, self.offset)?;
        self.offset += read as u64;
        for byte in &buffer[..read] {
            match byte {
                // A progress bar goes back to the beginning of its line and writes it anew.
                b'\n' | b'\r' => self.end_line(),
                _ if self.line.len() < LINE_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(read == PART)
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = if self.numbered { without_number(&text) } else { &text };
        if text.is_empty() || text.starts_with(NOTE) {
            return;
        }
        let created_at = clock::now().0;
        for metric in &mut self.metrics {
            let Some(value) = metric.reader.read(text) else { continue };
            metric.count += 1;
            if metric.count > metric.written {
                self.points.push(point(metric.reader.name(), metric.count, value, created_at));
            }
        }
    }

    /// Writes what was found; on a disk that refuses it waits for the next time.
    fn write(&mut self, job: &Job) {
        if self.points.is_empty() {
            return;
        }
        let mut text = if self.torn { "\n".to_owned() } else { String::new() };
        for points in self.points.chunks(POINTS) {
            text.push_str(&json!({ "metrics": points }).to_string());
            text.push('\n');
        }
        let opened = OpenOptions::new().append(true).create(true).open(&self.records);
        match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => {
                self.torn = false;
                self.points.clear();
                job.sampled.notify_one();
            }
            Err(error) => {
                self.torn = true;
                tracing::debug!(%error, "metrics of the output could not be written");
            }
        }
    }
}

fn point(tag: &str, step: u64, value: Value, created_at: i64) -> serde_json::Value {
    json!({"tag": tag, "global_step": step, "value": exact_value(value), "created_at": created_at})
}

/// `[12] text` is `text` of instance 12.
fn without_number(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    rest.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit())).map_or(line, |(_, text)| text)
}

/// How many points of each tag the records have, in lines that are whole.
fn counts(records: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in records.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        for point in line["metrics"].as_array().into_iter().flatten() {
            if let Some(tag) = point["tag"].as_str() {
                *counts.entry(tag.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_records_count() {
        let records = "{\"metrics\":[{\"tag\":\"a\"},{\"tag\":\"b\"},{\"tag\":\"a\"}]}\nno json\n{\"metrics\":[{\"tag\":\"a\"}]}";
        let counts = counts(records);
        assert_eq!((counts["a"], counts["b"], counts.len()), (2, 1, 2));
    }

    #[test]
    fn a_line_of_an_instance_is_read_without_its_number() {
        let texts = ["[0] loss=1", "[12] [3] x", "[x] y", "plain", "[1]"].map(without_number);
        assert_eq!(texts, ["loss=1", "[3] x", "[x] y", "plain", "[1]"]);
    }
}
