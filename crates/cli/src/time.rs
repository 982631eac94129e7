//! Times and durations, read from people and shown to them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time now, in epoch milliseconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Reads `30s`, `10m`, `1h30m`, `2d`, `500ms`, `1.5h`, or plain seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 30s, 10m, 1h30m, 2d or plain seconds");
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" if digits == text.trim().len() => 1.0,
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        seconds += number * unit;
    }
    // A hundred years: more than that is a slip of the keyboard, and would overflow further on.
    if seconds > 3.2e9 { Err(wrong()) } else { Duration::try_from_secs_f64(seconds).map_err(|_| wrong()) }
}

/// Reads a duration of at least one second; answers whole seconds, rounded up.
pub(crate) fn parse_seconds(text: &str) -> Result<i64, String> {
    match parse(text)?.as_secs_f64().ceil() as i64 {
        0 => Err("must be at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}

/// `0.8s`, `42s`, `3m 05s`, `2h 07m`, `3d 4h`.
pub(crate) fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match ms {
        ..10_000 => format!("{}.{}s", seconds, ms.max(0) % 1000 / 100),
        10_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{minutes}m {:02}s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// How long ago something was, in its largest unit: `5s`, `12m`, `3h`, `9d`.
pub(crate) fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment in the local time zone: `2026-11-21 23:51:39`.
pub(crate) fn moment(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text: &str| parse(text).map(|duration| duration.as_secs_f64());
        for (text, expected) in [
            ("30s", 30.0),
            ("10m", 600.0),
            ("1h30m", 5400.0),
            ("90", 90.0),
            ("1.5h", 5400.0),
            ("500ms", 0.5),
            ("1d", 86_400.0),
            ("0", 0.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_answered_with_what_is_one() {
        for text in ["", "s", "-5s", "1x", "1h30", "1..2s", "1e9", "99999999999d", "ten", "1 h"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")) && error.contains("1h30m"), "{error}");
        }
        assert_eq!(parse_seconds("0s"), Err("must be at least 1s".to_owned()));
        assert_eq!(parse_seconds("1500ms"), Ok(2));
    }

    #[test]
    fn durations_are_shown_in_two_units_at_most() {
        let shown = [0, 1_250, 42_000, 185_000, 7_620_000, 273_600_000, -5].map(duration);
        assert_eq!(shown, ["0.0s", "1.2s", "42s", "3m 05s", "2h 07m", "3d 4h", "0.0s"]);
        assert_eq!([59_000, 60_000, 7_200_000, 200_000_000].map(age), ["59s", "1m", "2h", "2d"]);
    }
}
