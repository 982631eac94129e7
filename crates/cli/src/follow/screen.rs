//! What a person sees while following: the program's output on stdout; status lines and progress bars on stderr.
//! Without a terminal on stderr the bars become lines, said seldom.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use runyard_client::{Error, run::LogText};
use runyard_domain::run::Status;
use runyard_wire::{event::Event, metric::Metric, run::Progress};

use super::{elements::Shown, log::Lines};
use crate::{
    failure::Failure,
    output::{self, Format, Tone, painted},
    show, time,
};

/// Positions of a bar: operations count in anything, also in fractions.
const STEPS: u64 = 10_000;
/// More metrics than this do not fit behind a bar.
const SHOWN_METRICS: usize = 4;
/// Without a terminal, metrics are said no more often.
const SAY_METRICS_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Screen {
    format: Format,
    color: bool,
    terminal: bool,
    bars: MultiProgress,
    /// By operation.
    bar: BTreeMap<String, ProgressBar>,
    /// By operation: tenths that were said.
    said: BTreeMap<String, u64>,
    /// That of a worker run.
    elements: Option<ProgressBar>,
    /// The tenth that was said of it.
    elements_said: Option<u64>,
    lines: Lines,
    epoch: Option<i64>,
    newest: BTreeMap<String, Metric>,
    metrics_said: Option<Instant>,
    lost: bool,
}

impl Screen {
    pub(super) fn new(format: Format) -> Self {
        let terminal = io::stderr().is_terminal() && format == Format::Table;
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            format,
            color: terminal && output::color_wanted(),
            terminal,
            bars: MultiProgress::with_draw_target(target),
            bar: BTreeMap::new(),
            said: BTreeMap::new(),
            elements: None,
            elements_said: None,
            lines: Lines::default(),
            epoch: None,
            newest: BTreeMap::new(),
            metrics_said: None,
            lost: false,
        }
    }

    /// The newest point of every tag that the program reported.
    pub(super) fn newest(&self) -> &BTreeMap<String, Metric> {
        &self.newest
    }

    /// A line for the person, above the bars. Programs that read our output get none.
    pub(super) fn say(&self, line: &str) {
        if self.format == Format::Table {
            self.bars.suspend(|| output::note(line));
        }
    }

    pub(super) fn status(&mut self, event: &Event) {
        if event.status == Status::RunRestartRequested {
            self.clear_bars();
            self.newest.clear();
        }
        let details = show::details(event);
        let details = if details.is_empty() { details } else { format!("  {details}") };
        let status = painted(event.status.word(), output::status_tone(event.status), self.color);
        self.say(&format!("{}  {status}{details}", painted(&clock(event.created_at), Tone::Dim, self.color)));
    }

    pub(super) fn log(&mut self, part: &LogText) -> Result<(), Failure> {
        if self.epoch.replace(part.epoch).is_some_and(|before| before != part.epoch) {
            let rest = self.lines.rest();
            self.print(&rest)?;
        }
        // Below a bar a line must be whole; without bars a prompt without a newline is shown as it comes.
        let text = if self.terminal { self.lines.take(&part.text) } else { part.text.clone() };
        self.print(&text)
    }

    pub(super) fn progress(&mut self, all: Vec<Progress>) {
        let gone: Vec<String> =
            self.bar.keys().filter(|name| all.iter().all(|own| own.operation != **name)).cloned().collect();
        for name in gone {
            if let Some(bar) = self.bar.remove(&name) {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
        }
        for progress in &all {
            let Some(ratio) = show::ratio(progress) else { continue };
            if self.terminal {
                self.draw(progress, ratio);
            } else {
                self.say_progress(progress, (ratio * 10.0) as u64);
            }
        }
    }

    /// How far a worker run is.
    pub(super) fn elements(&mut self, shown: &Shown) {
        if !self.terminal {
            let tenth = (shown.ratio * 10.0) as u64;
            if self.elements_said.replace(tenth) != Some(tenth) {
                self.say(&shown.text);
            }
            return;
        }
        let bar = self.elements.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:24} {wide_msg}");
            let bar =
                ProgressBar::new(STEPS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bars.insert(0, bar)
        });
        bar.set_position((shown.ratio * STEPS as f64) as u64);
        bar.set_message(shown.text.clone());
    }

    pub(super) fn metrics(&mut self, points: Vec<Metric>) {
        for point in points {
            if point.tag.starts_with("system/") {
                continue;
            }
            let newer = self.newest.get(&point.tag).is_none_or(|known| {
                (known.global_step, known.created_at) <= (point.global_step, point.created_at)
            });
            if newer {
                self.newest.insert(point.tag.clone(), point);
            }
        }
        let line = self.metrics_line();
        if line.is_empty() {
            return;
        }
        if let Some(bar) = self.bar.values().next() {
            bar.set_message(line);
        } else if self.terminal {
            let bar = self.bars.add(ProgressBar::new_spinner().with_message(line));
            bar.enable_steady_tick(Duration::from_millis(200));
            self.bar.insert(String::new(), bar);
        } else if self.metrics_said.is_none_or(|said| said.elapsed() >= SAY_METRICS_EVERY) {
            self.metrics_said = Some(Instant::now());
            self.say(&line);
        }
    }

    /// Said once per outage.
    pub(super) fn lost(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.lost, true) {
            let why = Failure::from_error(error);
            self.say(&painted(
                &format!("lost sight of the run ({why}): trying again"),
                Tone::Bad,
                self.color,
            ));
        }
    }

    pub(super) fn found(&mut self) {
        self.lost = false;
        self.say(&painted("the server is back", Tone::Good, self.color));
    }

    /// Makes room for a question.
    pub(super) fn hide(&mut self) {
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
    }

    pub(super) fn unhide(&mut self) {
        if self.terminal {
            self.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// No bars any more, and nothing held back.
    pub(super) fn close(&mut self) {
        self.clear_bars();
        let rest = self.lines.rest();
        // The end is near: if nobody reads, there is nothing to be done about it.
        let _ = self.print(&rest);
    }

    fn clear_bars(&mut self) {
        for (_, bar) in std::mem::take(&mut self.bar) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if let Some(bar) = self.elements.take() {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.said.clear();
    }

    /// The program's output belongs on stdout, except where stdout is one JSON object.
    fn print(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.bars.suspend(|| {
            if self.format == Format::Json {
                io::Write::write_all(&mut io::stderr(), text.as_bytes()).map_err(|_| Failure::NobodyReads)
            } else {
                output::text(text)
            }
        })
    }

    fn draw(&mut self, progress: &Progress, ratio: f64) {
        if let Some(spinner) = self.bar.remove("") {
            spinner.finish_and_clear();
            self.bars.remove(&spinner);
        }
        let line = self.metrics_line();
        let first = self.bar.is_empty();
        let bar = self.bar.entry(progress.operation.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:24}  {wide_msg}");
            let bar =
                ProgressBar::new(STEPS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bars.add(bar)
        });
        bar.set_prefix(show::progress(progress));
        bar.set_position((ratio * STEPS as f64) as u64);
        if first {
            bar.set_message(line);
        }
    }

    fn say_progress(&mut self, progress: &Progress, tenths: u64) {
        let said = self.said.insert(progress.operation.clone(), tenths);
        if said.is_none_or(|said| said != tenths) {
            let metrics = self.metrics_line();
            let metrics = if metrics.is_empty() { metrics } else { format!("  {metrics}") };
            self.metrics_said = Some(Instant::now());
            self.say(&format!("{}{metrics}", show::progress(progress)));
        }
    }

    /// `train/loss 0.31  val/accuracy 0.97`.
    fn metrics_line(&self) -> String {
        let shown = self.newest.values().take(SHOWN_METRICS);
        let parts: Vec<String> =
            shown.map(|point| format!("{} {}", point.tag, show::number(&point.value))).collect();
        parts.join("  ")
    }
}

/// The time of day of a moment.
fn clock(ms: i64) -> String {
    let moment = time::moment(ms);
    moment.rsplit(' ').next().unwrap_or_default().to_owned()
}
