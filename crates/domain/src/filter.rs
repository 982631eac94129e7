//! What list requests are made of: patterns, sort orders, list values and times, read from their texts.
//!
//! Every text that is refused is refused with the fix; nothing here panics or takes more than linear memory.

use crate::time::Millis;

#[cfg(test)]
mod tests;

/// Characters of the longest pattern.
pub const MAX_PATTERN: usize = 500;
/// Values that one list parameter may carry.
pub const MAX_VALUES: usize = 1000;

/// A text that cannot be filtered, sorted or paged by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A pattern that escapes nothing.
    #[error(
        "the pattern `{0}` ends in a lone backslash: write `\\\\` for a backslash, `\\%` and `\\_` for % and _"
    )]
    LoneEscape(String),
    /// A pattern over [`MAX_PATTERN`].
    #[error("the pattern has {0} characters: at most {MAX_PATTERN} are allowed")]
    LongPattern(usize),
    /// A sort field that the list does not have.
    #[error("cannot sort by `{field}`: sort by one of {allowed}, as field, field:asc or field:desc")]
    SortField {
        /// What was asked for.
        field: String,
        /// What is possible, joined by commas.
        allowed: String,
    },
    /// A direction other than `asc` and `desc`.
    #[error("`{0}` is not a direction: write asc or desc behind the colon")]
    Direction(String),
    /// A percent escape that is not followed by two hexadecimal digits.
    #[error(
        "`{0}` is not percent-encoded: % is followed by two hexadecimal digits; write %25 for a % itself"
    )]
    Escape(String),
    /// Bytes that are no text after percent-decoding.
    #[error("`{0}` is not UTF-8 text after percent-decoding")]
    Encoding(String),
    /// A NUL character, which no stored text has.
    #[error("a NUL character is not allowed here")]
    Nul,
    /// A list over [`MAX_VALUES`].
    #[error("the list has {0} values: at most {MAX_VALUES} are allowed; ask for them in several requests")]
    ManyValues(usize),
    /// A text that is no time.
    #[error(
        "`{0}` is not a time: write epoch milliseconds (seconds, microseconds and nanoseconds are told by their size) \
         or RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"
    )]
    Time(String),
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A valid ILIKE pattern: `%` is any run of characters, `_` is one, `\` escapes; letters of ASCII match in both cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    atoms: Vec<Atom>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atom {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A lone `\` at the end, a NUL, or more than [`MAX_PATTERN`] characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let length = text.chars().count();
        if length > MAX_PATTERN {
            return Err(Error::LongPattern(length));
        }
        if text.contains('\0') {
            return Err(Error::Nul);
        }
        let mut atoms = Vec::with_capacity(length);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' if atoms.last() == Some(&Atom::Any) => {}
                '%' => atoms.push(Atom::Any),
                '_' => atoms.push(Atom::One),
                '\\' => {
                    let escaped = chars.next().ok_or_else(|| Error::LoneEscape(excerpt(text)))?;
                    atoms.push(Atom::Char(escaped.to_ascii_lowercase()));
                }
                c => atoms.push(Atom::Char(c.to_ascii_lowercase())),
            }
        }
        Ok(Self { text: text.to_owned(), atoms })
    }

    /// The pattern as it was written, for SQL's `LIKE .. ESCAPE '\'`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether all of `text` matches. Only the last `%` is ever tried again, so the work is at most
    /// the length of the pattern times that of the text.
    pub fn matches(&self, text: &str) -> bool {
        let (mut atoms, mut rest) = (self.atoms.as_slice(), text.chars());
        let mut retry: Option<(&[Atom], std::str::Chars<'_>)> = None;
        loop {
            if let [Atom::Any, after @ ..] = atoms {
                atoms = after;
                retry = Some((after, rest.clone()));
                continue;
            }
            let next = rest.next();
            atoms = match (atoms, next) {
                ([], None) => return true,
                ([Atom::One, after @ ..], Some(_)) => after,
                ([Atom::Char(want), after @ ..], Some(c)) if *want == c.to_ascii_lowercase() => after,
                (_, None) => return false,
                (_, Some(_)) => {
                    let Some((after, from)) = retry.as_mut() else { return false };
                    from.next();
                    rest = from.clone();
                    after
                }
            };
        }
    }
}

/// A field to sort by, and the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// One of the allowed fields.
    pub field: &'static str,
    /// From high to low.
    pub descending: bool,
}

impl Sort {
    /// Reads `field`, `field:asc` or `field:desc`; no direction means ascending.
    ///
    /// # Errors
    /// A field that is not among `allowed`, or another direction.
    pub fn parse(text: &str, allowed: &[&'static str]) -> Result<Self, Error> {
        let (name, direction) = text.split_once(':').unwrap_or((text, "asc"));
        let field = allowed
            .iter()
            .find(|field| **field == name)
            .ok_or_else(|| Error::SortField { field: excerpt(name), allowed: allowed.join(", ") })?;
        match direction {
            "asc" => Ok(Self { field, descending: false }),
            "desc" => Ok(Self { field, descending: true }),
            other => Err(Error::Direction(excerpt(other))),
        }
    }
}

/// Splits the raw, still encoded value of a query parameter at its commas and decodes each piece, so that a
/// comma inside a value (`%2C`) survives. An empty value is one empty piece.
///
/// # Errors
/// A broken escape, bytes that are no text, a NUL, or more than [`MAX_VALUES`] pieces.
pub fn split_list(raw: &str) -> Result<Vec<String>, Error> {
    let count = raw.split(',').count();
    if count > MAX_VALUES {
        return Err(Error::ManyValues(count));
    }
    raw.split(',').map(decode).collect()
}

/// Decodes one raw query value: `%XX` and `+` for a space.
///
/// # Errors
/// A broken escape, bytes that are no text, or a NUL.
pub fn decode(raw: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = digit().zip(digit()).ok_or_else(|| Error::Escape(excerpt(raw)))?;
                (high << 4 | low) as u8
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::Encoding(excerpt(raw)))?;
    if text.contains('\0') { Err(Error::Nul) } else { Ok(text) }
}

/// Reads a time: an epoch number, whole or decimal, whose size tells its unit (below 10^11 seconds, below 10^14
/// milliseconds, below 10^17 microseconds, else nanoseconds), or RFC 3339. What is finer than a millisecond is cut off.
///
/// # Errors
/// A text that is neither.
pub fn parse_time(text: &str) -> Result<Millis, Error> {
    parse_epoch(text).or_else(|| parse_rfc3339(text)).ok_or_else(|| Error::Time(excerpt(text)))
}

fn parse_epoch(text: &str) -> Option<Millis> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 19
        || !is_number(whole)
        || !is_number(fraction)
        || digits.ends_with('.')
    {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let ms = if whole < 100_000_000_000 {
        let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
        whole * 1000 + thousandths.parse::<i128>().ok()?
    } else if whole < 100_000_000_000_000 {
        whole
    } else if whole < 100_000_000_000_000_000 {
        whole / 1000
    } else {
        whole / 1_000_000
    };
    i64::try_from(if negative { -ms } else { ms }).ok().map(Millis)
}

fn parse_rfc3339(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .try_fold(0i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second (:60) is the first instant of the next minute, as POSIX counts.
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut ms = 0;
    if is(at, b".") {
        let end = (at + 1..bytes.len()).find(|i| !bytes[*i].is_ascii_digit())?;
        if end == at + 1 {
            return None;
        }
        let digits = (end - at - 1).min(3);
        ms = number(at + 1, at + 1 + digits)? * [100, 10, 1][digits - 1];
        at = end;
    }
    let offset = match bytes.get(at..)? {
        [b'Z' | b'z'] => 0,
        // A `+` that came unencoded through a query string is a space by now.
        [sign @ (b'+' | b' ' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_epoch(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
    Some(Millis(seconds * 1000 + ms))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
