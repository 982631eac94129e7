//! What cannot be known of Chariot's clients without having one: an operator who has can say it.

use axum::http::StatusCode;
use runyard_domain::Millis;
use serde::Serialize;

/// How Chariot's clients are spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// The unit of times in answers; times in requests are told by their size.
    pub epoch: Epoch,
    /// Creates answer 201 instead of 200.
    pub creates_answer_201: bool,
}

/// The unit of a time since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds, with decimals: pages by time lose nothing.
    Seconds,
    /// Milliseconds.
    #[default]
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

/// A time as it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Time {
    /// Of a unit that counts in whole numbers.
    Whole(i64),
    /// In seconds.
    Seconds(f64),
}

impl Settings {
    /// How this time is answered.
    pub(super) fn time(self, at: Millis) -> Time {
        match self.epoch {
            Epoch::Seconds => Time::Seconds(at.0 as f64 / 1000.0),
            Epoch::Milliseconds => Time::Whole(at.0),
            Epoch::Microseconds => Time::Whole(at.0.saturating_mul(1000)),
        }
    }

    /// The status of an answer to a create.
    pub(super) fn created(self) -> StatusCode {
        if self.creates_answer_201 { StatusCode::CREATED } else { StatusCode::OK }
    }
}

#[cfg(test)]
mod tests {
    use runyard_domain::filter::parse_time;

    use super::*;

    #[test]
    fn a_time_is_read_back_as_it_was_answered_in_every_unit() {
        let at = Millis(1_763_772_000_123);
        let cases = [
            (Epoch::Seconds, "1763772000.123"),
            (Epoch::Milliseconds, "1763772000123"),
            (Epoch::Microseconds, "1763772000123000"),
        ];
        for (epoch, shown) in cases {
            let time = Settings { epoch, ..Settings::default() }.time(at);
            assert_eq!(serde_json::to_string(&time).unwrap(), shown);
            assert_eq!(parse_time(shown), Ok(at));
        }
    }
}
