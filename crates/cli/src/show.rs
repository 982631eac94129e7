//! How things of the API look to people, wherever they are shown.

use std::fmt::Write as _;

use runyard_domain::{job::Exit, resources::Resources, run::Status};
use runyard_wire::{event::Event, metric::Metric, run::Progress, run::Run};
use serde_json::{Map, Value};

use crate::{output::Cell, time};

/// The exit code that says how a run ended.
pub(crate) fn exit_code(status: Option<Status>, exit: Option<&Exit>) -> u8 {
    match (status, exit) {
        (Some(Status::JobCompleted), _) => 0,
        (Some(Status::JobTerminated), _) => 130,
        (_, Some(Exit { code: Some(code), .. })) if (1..=255).contains(code) => *code as u8,
        (_, Some(Exit { signal: Some(signal), .. })) if (1..=127).contains(signal) => 128 + *signal as u8,
        _ => 1,
    }
}

/// The exit record in `value`, where it is one.
pub(crate) fn exit(value: Option<&Value>) -> Option<Exit> {
    serde_json::from_value(value?.clone()).ok()
}

/// `exit code 3`, `OOMKilled: the program wanted more memory than 1Gi`.
pub(crate) fn exit_text(exit: &Exit) -> String {
    let reason = format!("{:?}", exit.reason);
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!(" (exit code {code})"),
        (None, Some(signal)) => format!(" (signal {signal})"),
        (None, None) => String::new(),
    };
    match &exit.message {
        Some(message) => format!("{reason}{how}: {message}"),
        None => format!("{reason}{how}"),
    }
}

/// How long the run's program ran, or has been running.
pub(crate) fn run_duration(run: &Run, now: i64) -> String {
    if let Some(exit) = exit(run.exit.as_ref()).filter(|_| run.status.is_some_and(Status::is_terminal)) {
        return exit.launched_at.map_or_else(String::new, |from| time::duration(exit.ended_at.since(from)));
    }
    match (run.status, run.status_updated_at) {
        (Some(Status::JobRunning), Some(since)) => time::duration(now - since),
        _ => String::new(),
    }
}

/// `train 12/60 epochs (20%), 2.5 epochs/s, 3m 05s left`.
pub(crate) fn progress(progress: &Progress) -> String {
    format!("{}{}", how_far(progress), pace(progress))
}

/// `train 12/60 epochs (20%)`.
pub(crate) fn how_far(progress: &Progress) -> String {
    let percent = ratio(progress).map_or_else(String::new, |ratio| format!(" ({:.0}%)", ratio * 100.0));
    let Progress { operation, units, .. } = progress;
    let text = format!(
        "{operation} {}/{} {units}",
        number(&progress.value.clone().into()),
        number(&progress.final_value.clone().into())
    );
    format!("{}{percent}", text.trim_end())
}

/// `, 2.5 epochs/s, 3m 05s left`, as far as it is known and goes on.
fn pace(progress: &Progress) -> String {
    let mut text = String::new();
    let goes_on = progress.seconds_left.filter(|&left| left > 0.0);
    if let Some((rate, left)) = progress.rate_per_s.zip(goes_on) {
        let units = progress.units.trim();
        // Slow ones in a unit of time that people count in.
        let (rate, per) = match rate {
            1.0.. => (rate, "s"),
            0.02.. => (rate * 60.0, "min"),
            _ => (rate * 3600.0, "h"),
        };
        let rate = significant_of(rate, 3);
        let _ = write!(text, ", {rate}{}{units}/{per}", if units.is_empty() { "" } else { " " });
        let _ = write!(text, ", {} left", time::duration((left * 1000.0) as i64));
    }
    text
}

/// How an operation goes, in few words: `train 20%, 3m 05s left`.
pub(crate) fn brief(own: &Progress) -> String {
    match (ratio(own), own.seconds_left.filter(|&left| left > 0.0)) {
        (Some(ratio), Some(left)) => {
            let left = time::duration((left * 1000.0) as i64);
            format!("{} {:.0}%, {left} left", own.operation, ratio * 100.0)
        }
        _ => how_far(own),
    }
}

/// How far an operation is, from 0 to 1.
pub(crate) fn ratio(progress: &Progress) -> Option<f64> {
    let (value, end) = (progress.value.as_f64()?, progress.final_value.as_f64()?);
    (end > 0.0).then(|| (value / end).clamp(0.0, 1.0))
}

/// A number with as many digits as a person reads: integers whole, others with five significant digits.
pub(crate) fn number(value: &Value) -> String {
    match value {
        // NaN and the infinities.
        Value::String(word) => word.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Value::Number(number) => significant(number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

fn significant(value: f64) -> String {
    significant_of(value, 5)
}

fn significant_of(value: f64, digits: i64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !(1e-4..1e9).contains(&magnitude) {
        return if value == 0.0 { "0".to_owned() } else { format!("{value:.4e}") };
    }
    let decimals = (digits - 1 - magnitude.log10().floor() as i64).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Tag, step and value of a point.
pub(crate) fn metric_row(metric: &Metric) -> Vec<Cell> {
    vec![metric.tag.as_str().into(), metric.global_step.into(), number(&metric.value).into()]
}

/// `2 cores, 2Gi, 1 A100`.
pub(crate) fn resources(resources: &Resources) -> String {
    let mut text = format!("{} CPU", resources.cpu);
    for (what, label) in [(&resources.memory, "memory"), (&resources.ephemeral_storage, "disk")] {
        if let Some(quantity) = what {
            let _ = write!(text, ", {quantity} {label}");
        }
    }
    if let Some(gpu) = &resources.gpu {
        let kind = if matches!(gpu.kind.as_str(), "" | "any") { "GPU" } else { gpu.kind.as_str() };
        let _ = write!(text, ", {} {kind}", gpu.count);
    }
    text
}

/// A command as it would be typed into a shell.
pub(crate) fn command(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte))
    };
    let quoted = |word: &String| {
        if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// What an event has to say beside its status, in a line.
pub(crate) fn details(event: &Event) -> String {
    if let Some(exit) = exit(Some(&Value::Object(event.details.clone()))) {
        return exit_text(&exit);
    }
    pairs(&event.details)
}

fn pairs(details: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for (key, value) in details {
        match (key.as_str(), value) {
            ("epoch", _) | (_, Value::Null) => {}
            ("reason", Value::String(text)) => parts.push(text.clone()),
            ("warning", Value::String(text)) => parts.push(format!("warning: {text}")),
            ("by", Value::String(text)) => parts.push(format!("by {text}")),
            ("grace_ms", Value::Number(ms)) => {
                parts.push(format!("grace {}", time::duration(ms.as_i64().unwrap_or(0))));
            }
            ("deadline", Value::Number(ms)) => {
                parts.push(format!("until {}", time::moment(ms.as_i64().unwrap_or(0))));
            }
            (_, Value::String(text)) => parts.push(format!("{key} {text}")),
            _ => parts.push(format!("{key} {value}")),
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use runyard_domain::{Millis, job::Reason};
    use serde_json::json;

    use super::*;

    fn ended(reason: Reason, code: Option<i32>, signal: Option<i32>) -> Exit {
        Exit { reason, code, signal, message: None, launched_at: None, ended_at: Millis(0) }
    }

    #[test]
    fn the_exit_code_is_the_programs() {
        let failed = Some(Status::JobFailed);
        assert_eq!(exit_code(Some(Status::JobCompleted), None), 0);
        assert_eq!(exit_code(failed, Some(&ended(Reason::Error, Some(3), None))), 3);
        assert_eq!(exit_code(failed, Some(&ended(Reason::Signaled, None, Some(11)))), 139);
        assert_eq!(
            exit_code(Some(Status::JobTerminated), Some(&ended(Reason::Completed, Some(0), None))),
            130
        );
        assert_eq!(exit_code(failed, Some(&ended(Reason::TimeLimitExceeded, Some(0), None))), 1);
        assert_eq!(exit_code(Some(Status::JobCreateFailed), None), 1);
    }

    #[test]
    fn numbers_have_as_many_digits_as_a_person_reads() {
        let shown = [
            json!(3),
            json!(0.123_456_789),
            json!(12.5),
            json!(99_999.96),
            json!(1e-7),
            json!(0.0),
            json!("-Infinity"),
        ];
        let shown: Vec<String> = shown.iter().map(number).collect();
        assert_eq!(shown, ["3", "0.12346", "12.5", "100000", "1.0000e-7", "0", "-Infinity"]);
    }

    #[test]
    fn progress_says_how_far_and_of_what() {
        let of = |value: Value, end: Value| -> Progress {
            serde_json::from_value(
                json!({"operation": "train", "value": value, "final_value": end, "units": "epochs"}),
            )
            .unwrap()
        };
        assert_eq!(progress(&of(json!(12), json!(60))), "train 12/60 epochs (20%)");
        assert_eq!(progress(&of(json!(0.5), json!(0))), "train 0.5/0 epochs");
        assert_eq!(ratio(&of(json!(9), json!(3))), Some(1.0));
    }

    #[test]
    fn progress_says_how_fast_and_how_long_still() {
        let of = |rate: f64, left: f64| -> Progress {
            serde_json::from_value(json!({
                "operation": "train", "value": 12, "final_value": 60, "units": "epochs",
                "started_at": 1, "rate_per_s": rate, "seconds_left": left,
            }))
            .unwrap()
        };
        assert_eq!(progress(&of(2.5, 185.2)), "train 12/60 epochs (20%), 2.5 epochs/s, 3m 05s left");
        assert_eq!(progress(&of(0.1, 480.0)), "train 12/60 epochs (20%), 6 epochs/min, 8m 00s left");
        assert_eq!(progress(&of(0.001, 48_000.0)), "train 12/60 epochs (20%), 3.6 epochs/h, 13h 20m left");
        assert_eq!(progress(&of(2.5, 0.0)), "train 12/60 epochs (20%)");
        assert_eq!(brief(&of(2.5, 185.2)), "train 20%, 3m 05s left");
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["python", "train.py", "--name", "it's mine", ""].map(String::from);
        assert_eq!(command(&words), r"python train.py --name 'it'\''s mine' ''");
    }

    #[test]
    fn an_event_says_what_there_is_to_say() {
        let event = |details: Value| Event {
            id: "e".into(),
            sequence: 1,
            run_id: "r".into(),
            created_at: 0,
            status: Status::JobFailed,
            details: details.as_object().unwrap().clone(),
        };
        assert_eq!(details(&event(json!({}))), "");
        assert_eq!(details(&event(json!({"epoch": 1}))), "");
        assert_eq!(details(&event(json!({"by": "ann", "grace_ms": 30_000}))), "by ann, grace 30s");
        assert_eq!(details(&event(json!({"reason": "waits for 2 cores"}))), "waits for 2 cores");
        let exit = json!({"reason": "Error", "code": 3, "ended_at": 9, "epoch": 1, "message": "see the log"});
        assert_eq!(details(&event(exit)), "Error (exit code 3): see the log");
    }
}
