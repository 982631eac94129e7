//! How fast the operations of a run go, and how long they still take, from a short history of what was reported.

use serde::{Deserialize, Serialize};

use crate::{record::Progress, time::Millis};

/// Values of the past that are kept of an operation.
const KEPT: usize = 8;
/// The kept values lie at least this far apart, and a 32nd of the time that the operation has taken: so the rate is that
/// of the last quarter, steady and yet of today.
const APART_MS: i64 = 1_000;

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sample(Millis, f64);

/// A named operation under way, as it was reported last, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What was reported last.
    pub reported: Progress,
    /// When it was reported first, or again from a lower value.
    pub started_at: Millis,
    /// From old to new; the last one is the newest report.
    samples: Vec<Sample>,
}

impl Operation {
    fn begin(mut reported: Progress, now: Millis) -> Self {
        let now = time(&mut reported, now);
        let samples = number(&reported.value).map(|value| Sample(now, value)).into_iter().collect();
        Self { reported, started_at: now, samples }
    }

    /// The same operation a report later; from the beginning when it fell back or counts in something else.
    fn go_on(mut self, mut reported: Progress, now: Millis) -> Self {
        let (Some(value), Some(Sample(at, before))) = (number(&reported.value), self.samples.last().copied())
        else {
            return Self::begin(reported, now);
        };
        if value < before || reported.units != self.reported.units {
            return Self::begin(reported, now);
        }
        // Clocks may be set back: time stands still then.
        let now = time(&mut reported, now).max(at);
        let apart = APART_MS.max(now.since(self.started_at) / 32);
        if let [.., Sample(kept, _), _] = self.samples[..]
            && now.since(kept) < apart
        {
            self.samples.pop();
        }
        self.samples.push(Sample(now, value));
        if self.samples.len() > KEPT {
            self.samples.remove(0);
        }
        self.reported = reported;
        self
    }

    /// Units per second; `None` until there is something to say.
    pub fn rate_per_s(&self) -> Option<f64> {
        let ([Sample(from, low), ..], [.., Sample(to, high)]) = (&self.samples[..], &self.samples[..]) else {
            return None;
        };
        let seconds = to.since(*from) as f64 / 1000.0;
        let rate = (high - low) / seconds;
        (seconds > 0.0 && rate.is_finite()).then_some(rate)
    }

    /// Seconds from the newest report to the end, if it goes on like this; `None`: nobody can say.
    pub fn seconds_left(&self) -> Option<f64> {
        let (value, end) = (number(&self.reported.value)?, number(&self.reported.final_value)?);
        if value >= end {
            return Some(0.0);
        }
        let left = (end - value) / self.rate_per_s()?;
        left.is_finite().then_some(left)
    }
}

/// When it was reported: by the program's own word, or as it arrives. Reports may arrive long after, many in a moment.
fn time(reported: &mut Progress, now: Millis) -> Millis {
    reported.created_at.take().map_or(now, Millis)
}

fn number(number: &serde_json::Number) -> Option<f64> {
    number.as_f64().filter(|value| value.is_finite())
}

/// What was known of the operations, and what is reported of them now: those that are not reported any more are gone.
pub fn advance(known: &[Operation], reported: Vec<Progress>, now: Millis) -> Vec<Operation> {
    let go_on = |progress: Progress| match known
        .iter()
        .find(|known| known.reported.operation == progress.operation)
    {
        Some(known) => known.clone().go_on(progress, now),
        None => Operation::begin(progress, now),
    };
    reported.into_iter().map(go_on).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Number, json};

    use super::*;

    fn report(value: f64) -> Vec<Progress> {
        let number = |value| Number::from_f64(value).unwrap();
        let (operation, units) = ("train".to_owned(), "epochs".to_owned());
        vec![Progress {
            operation,
            value: number(value),
            final_value: number(100.0),
            units,
            created_at: None,
        }]
    }

    /// Reports `value(i)` at `i * every_ms`.
    fn after(count: i64, every_ms: i64, value: impl Fn(f64) -> f64) -> Operation {
        let mut known = Vec::new();
        for i in 0..count {
            known = advance(&known, report(value(i as f64)), Millis(1_000_000 + i * every_ms));
        }
        known.remove(0)
    }

    #[test]
    fn a_steady_operation_says_its_rate_and_its_end() {
        let operation = after(51, 2_000, |i| i);
        assert_eq!(operation.started_at, Millis(1_000_000));
        assert!((operation.rate_per_s().unwrap() - 0.5).abs() < 1e-9);
        assert!((operation.seconds_left().unwrap() - 100.0).abs() < 1e-6);
    }

    #[test]
    fn the_rate_is_that_of_the_last_quarter() {
        // A fast start, and ten times slower since.
        let operation =
            after(2_000, 1_000, |i| if i < 1000.0 { i * 0.05 } else { 50.0 + (i - 1000.0) * 0.005 });
        let rate = operation.rate_per_s().unwrap();
        assert!((rate - 0.005).abs() < 1e-4, "{rate}");
        assert!(operation.samples.len() <= KEPT);
    }

    #[test]
    fn many_reports_within_a_moment_count_as_one() {
        let operation = after(10_000, 1, |i| i / 100.0);
        assert!(operation.samples.len() <= KEPT);
        let rate = operation.rate_per_s().unwrap();
        assert!((rate - 10.0).abs() < 0.1, "{rate}");
    }

    #[test]
    fn one_report_says_no_rate_and_the_end_is_the_end() {
        let first = after(1, 0, |_| 5.0);
        assert_eq!((first.rate_per_s(), first.seconds_left()), (None, None));
        let same_time = after(3, 0, |i| i);
        assert_eq!(same_time.rate_per_s(), None);
        let stuck = after(5, 1_000, |_| 5.0);
        assert_eq!((stuck.rate_per_s(), stuck.seconds_left()), (Some(0.0), None));
        let done = after(3, 1_000, |i| i * 50.0);
        assert_eq!(done.seconds_left(), Some(0.0));
    }

    #[test]
    fn an_operation_that_falls_back_begins_again() {
        let known = vec![after(10, 1_000, |i| i * 5.0)];
        let again = advance(&known, report(20.0), Millis(5_000_000)).remove(0);
        assert_eq!((again.started_at, again.rate_per_s()), (Millis(5_000_000), None));
        assert_eq!(advance(&known, vec![], Millis(5_000_000)), []);
    }

    #[test]
    fn reports_that_arrive_late_and_all_at_once_say_the_rate_at_which_they_were_made() {
        let mut known = Vec::new();
        // A report every two seconds; after the tenth the server is away for a minute and gets the rest in a moment.
        for i in 0..40 {
            let made = Millis(1_000_000 + i * 2_000);
            let arrived = if i < 10 { made } else { Millis(1_080_000 + i) };
            let mut reported = report(i as f64);
            reported[0].created_at = Some(made.0);
            known = advance(&known, reported, arrived);
        }
        assert!((known[0].rate_per_s().unwrap() - 0.5).abs() < 1e-9, "{:?}", known[0].rate_per_s());
        assert!((known[0].seconds_left().unwrap() - 122.0).abs() < 1e-6);
        assert_eq!(known[0].started_at, Millis(1_000_000));
        assert_eq!(known[0].reported.created_at, None, "it is in the history");
    }

    #[test]
    fn a_clock_that_is_set_back_does_no_harm() {
        let known = vec![after(10, 1_000, |i| i)];
        let next = advance(&known, report(50.0), Millis(0)).remove(0);
        assert!(next.rate_per_s().unwrap().is_finite());
    }

    #[test]
    fn what_is_stored_reads_back() {
        let operation = after(5, 1_500, |i| i);
        let text = json!(operation).to_string();
        assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation);
    }
}
