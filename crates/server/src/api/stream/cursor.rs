//! How far a follower has come, as the text of an event's id. Opaque to clients.

use std::{fmt, str::FromStr};

/// All that was said up to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The newest entry of the run's log.
    pub(super) sequence: i64,
    /// The job whose output is next.
    pub(super) epoch: i64,
    /// Where its output goes on.
    pub(super) offset: i64,
    /// The newest point of the metrics.
    pub(super) metric: i64,
    /// When the progress was reported that was said last.
    pub(super) progress: i64,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an event of this stream: leave it out to follow from the beginning")]
pub(super) struct Error(String);

impl Default for Cursor {
    /// The beginning.
    fn default() -> Self {
        Self { sequence: 0, epoch: 1, offset: 0, metric: 0, progress: 0 }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, epoch, offset, metric, progress } = self;
        write!(f, "{sequence}.{epoch}.{offset}.{metric}.{progress}")
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error(text.chars().take(80).collect());
        let numbers: Vec<i64> =
            text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match numbers[..] {
            [sequence, epoch, offset, metric, progress]
                if epoch > 0 && numbers.iter().all(|number| *number >= 0) =>
            {
                Ok(Self { sequence, epoch, offset, metric, progress })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor { sequence: 7, epoch: 2, offset: 65_536, metric: 9, progress: 1_700_000_000_000 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(Cursor::default().to_string().parse(), Ok(Cursor::default()));
    }

    #[test]
    fn any_other_text_is_refused_with_the_fix() {
        for text in
            ["", "x", "1.2.3", "1.0.0.0.0", "-1.1.0.0.0", "1.1.1.1.1.1", "1.1.1.1.99999999999999999999"]
        {
            let error = text.parse::<Cursor>().unwrap_err().to_string();
            assert!(error.contains("leave it out"), "{error}");
        }
    }
}
