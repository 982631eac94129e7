//! Medians and other figures of a series of measurements. Never rounds before the end.

use std::time::Duration;

/// Measurements of one thing.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    /// A figure that is no time.
    pub(crate) fn add_number(&mut self, number: f64) {
        self.0.push(number);
    }

    /// All of them, in the order of measuring.
    pub(crate) fn each(&self) -> String {
        self.0.iter().map(|number| short(*number)).collect::<Vec<_>>().join(", ")
    }

    /// In milliseconds; so many percent of the measurements are not above it.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    /// The one in the middle, in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}

/// A number as people read it: three digits that count.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 1_000_000.0 => format!("{:.2} M", number / 1e6),
        size if size >= 10_000.0 => format!("{:.0} k", number / 1e3),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Milliseconds as people read them.
pub(crate) fn ms(number: f64) -> String {
    format!("{} ms", short(number))
}

/// Bytes as people read them.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", short(bytes as f64 / f64::from(1 << 20)))
}
