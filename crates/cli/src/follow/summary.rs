//! What is said when a run has ended: how, how long, its final metrics, and where to look next. On stderr, below the
//! program's output.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal},
};

use runyard_domain::{job::Exit, run::Status};
use runyard_wire::{metric::Metric, run::Run, worker_run::Counts};

use crate::{
    address,
    output::{self, Tone},
    show, time,
};

/// More final metrics than this are left to `runyard metrics`.
const SHOWN: usize = 30;

pub(super) fn tell(
    run: Option<&Run>,
    id: &str,
    status: Option<Status>,
    exit: Option<&Exit>,
    newest: &BTreeMap<String, Metric>,
) {
    let color = output::color_wanted() && io::stderr().is_terminal();
    let name = run.and_then(|run| run.name.as_deref()).unwrap_or("run");
    let word = status.map_or("ended", Status::word);
    let tone = status.map_or(Tone::Plain, output::status_tone);
    let mut head = format!("\n{name}  {}", output::painted(word, tone, color));
    if let Some(duration) =
        run.map(|run| show::run_duration(run, time::now())).filter(|text| !text.is_empty())
    {
        let _ = write!(head, " after {duration}");
    }
    output::note(head);
    if let Some(exit) = exit.filter(|_| status != Some(Status::JobCompleted)) {
        output::note(show::exit_text(exit));
    }
    if !newest.is_empty() {
        let rows = newest.values().take(SHOWN).map(show::metric_row).collect();
        output::note(format!("\n{}", output::plain(&["METRIC", "STEP", "VALUE"], rows).trim_end()));
        if newest.len() > SHOWN {
            output::note(format!("... and {} more", newest.len() - SHOWN));
        }
    }
    output::note(format!("\n{}", next(id, status, newest.is_empty())));
}

/// How many elements became what.
pub(super) fn tell_elements(id: &str, counts: Counts) {
    let Counts { queued, started, processed, error } = counts;
    let left = match queued + started {
        0 => String::new(),
        left => format!(", {left} left"),
    };
    output::note(format!("elements: {processed} processed, {error} failed{left}"));
    if error > 0 {
        let id = address::short(id);
        output::note(format!(
            "why: runyard worker errors {id}; again: runyard worker retry {id} --state error --restart"
        ));
    }
}

/// Where to look next.
fn next(id: &str, status: Option<Status>, no_metrics: bool) -> String {
    let id = address::short(id);
    let mut lines = vec![format!("runyard show {id}"), format!("runyard logs {id}")];
    if !no_metrics {
        lines.push(format!("runyard metrics {id} --output csv"));
    }
    if status != Some(Status::JobCompleted) {
        lines.push(format!("runyard events {id}"));
        lines.push(format!("runyard restart {id}"));
    }
    format!("next: {}", lines.join("\n      "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_points_to_its_events_and_to_a_restart() {
        let text = next("01890a5d-ac96-774b-bcce-b302099a8057", Some(Status::JobFailed), true);
        assert!(text.starts_with("next: runyard show 099a8057\n"), "{text}");
        assert!(
            text.contains("runyard logs 099a8057") && text.contains("runyard restart 099a8057"),
            "{text}"
        );
        assert!(!text.contains("metrics"), "{text}");
    }
}
