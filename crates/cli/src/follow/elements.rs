//! How far a worker run is: counts of its elements, how many per second, how long still.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    time::{Duration, Instant},
};

use runyard_wire::worker_run::Counts;

use crate::time;

/// The rate is that of so long.
const WINDOW: Duration = Duration::from_secs(20);

/// Counts as they come in.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When how many were done.
    seen: VecDeque<(Instant, i64)>,
}

/// What there is to show.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    /// From 0 to 1.
    pub(super) ratio: f64,
    /// `120/1000 elements (12%), 80 queued, ...`.
    pub(super) text: String,
}

impl Pace {
    /// Takes the counts of now.
    pub(super) fn take(&mut self, counts: Counts, now: Instant) -> Shown {
        let Counts { queued, started, processed, error } = counts;
        let (done, all) = (processed + error, queued + started + processed + error);
        // Elements that are queued again were not done.
        if self.seen.back().is_some_and(|(_, before)| *before > done) {
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
        {
            self.seen.pop_front();
        }
        let ratio = if all > 0 { done as f64 / all as f64 } else { 1.0 };
        let mut text = format!(
            "{done}/{all} elements ({:.0}%)  queued {queued}, started {started}, processed {processed}, error {error}",
            (ratio * 100.0).floor()
        );
        if let Some(rate) = self.rate().filter(|_| done < all) {
            let left = (all - done) as f64 / rate;
            let _ = write!(text, ", {}/s, {} left", digits(rate), time::duration((left * 1000.0) as i64));
        }
        Shown { ratio, text }
    }

    /// Elements per second.
    fn rate(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.seen.front()?, self.seen.back()?);
        let seconds = to.duration_since(*from).as_secs_f64();
        (after > before && seconds > 0.0).then(|| (after - before) as f64 / seconds)
    }
}

fn digits(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let counts =
            |processed, error| Counts { queued: 1000 - processed - error - 8, started: 8, processed, error };
        let mut pace = Pace::default();
        let first = pace.take(counts(0, 0), at(0));
        assert_eq!(first.text, "0/1000 elements (0%)  queued 992, started 8, processed 0, error 0");
        let next = pace.take(counts(90, 10), at(10));
        assert!(next.text.ends_with("error 10, 10/s, 1m 30s left"), "{}", next.text);
        pace.take(counts(390, 10), at(30));
        let last = pace.take(counts(590, 10), at(40));
        assert!(last.text.contains("60%") && last.text.contains(", 17/s, 24s left"), "{}", last.text);
        let again = pace.take(counts(300, 0), at(41));
        assert!(!again.text.contains("/s"), "{}", again.text);
        let nothing = Pace::default().take(Counts::default(), start);
        assert_eq!((nothing.ratio, nothing.text.contains("left")), (1.0, false));
    }
}
