//! Kubernetes resource quantities: `500m`, `2`, `1.5Gi`, `1e3`.
//!
//! Source: the Kubernetes reference, "Quantity". A quantity is held in thousandths of its unit, rounded up,
//! so that `100m` CPU and `2Gi` memory are exact integers.

use std::{fmt, str::FromStr};

/// An amount in thousandths of its unit (cores, bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a number with a known suffix.
    #[error(
        "`{0}` is not a quantity: write a number with one of the suffixes m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei, such as 500m or 2Gi"
    )]
    Syntax(String),
    /// A common wrong suffix, with the right one.
    #[error("`{text}` is not a quantity: write {fix}")]
    Suffix {
        /// The text that was given.
        text: String,
        /// What to write instead.
        fix: String,
    },
    /// Below zero.
    #[error("`{0}` is negative: a resource quantity is zero or more")]
    Negative(String),
    /// More than the API can carry.
    #[error("`{0}` is too large: the largest quantity is 8Ei")]
    TooLarge(String),
}

const MAX_MILLI: i128 = (1i128 << 63) * 1000;

impl Quantity {
    /// A whole number of units (bytes, cores).
    pub fn units(units: i64) -> Self {
        Self(i128::from(units) * 1000)
    }

    /// Thousandths of the unit, rounded up where the text was finer; saturates at `i64::MAX`.
    pub fn milli(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// So many times as much; saturates.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)).clamp(0, MAX_MILLI))
    }

    /// Whole units (bytes), rounded up; saturates at `i64::MAX`.
    pub fn ceil(self) -> i64 {
        i64::try_from((self.0 + 999) / 1000).unwrap_or(i64::MAX)
    }
}

impl FromStr for Quantity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let syntax = || Error::Syntax(text.chars().take(60).collect());
        let split = text
            .char_indices()
            .find(|&(i, c)| !(c.is_ascii_digit() || c == '.' || (i == 0 && (c == '+' || c == '-'))))
            .map_or(text.len(), |(i, _)| i);
        let (number, suffix) = text.split_at(split);
        let (mantissa, decimals, negative) = decimal(number).ok_or_else(syntax)?;
        let Some((factor, exponent)) = scale(suffix) else {
            return Err(wrong_suffix(text, number, suffix).unwrap_or_else(syntax));
        };
        if negative && mantissa != 0 {
            return Err(Error::Negative(text.to_owned()));
        }
        let too_large = || Error::TooLarge(text.to_owned());
        let mut value = mantissa.checked_mul(factor).ok_or_else(too_large)?;
        let power = exponent + 3 - decimals;
        if mantissa == 0 {
            return Ok(Self(0));
        }
        if power >= 0 {
            let times = 10i128.checked_pow(power.unsigned_abs()).ok_or_else(too_large)?;
            value = value.checked_mul(times).ok_or_else(too_large)?;
        } else {
            // More than 38 places below the smallest unit still rounds up to it.
            let by = 10i128.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX);
            value = value / by + i128::from(value % by != 0);
        }
        if value > MAX_MILLI { Err(too_large()) } else { Ok(Self(value)) }
    }
}

/// `(digits as an integer, digits after the point, negative)`.
fn decimal(number: &str) -> Option<(i128, i32, bool)> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > 30 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((all.parse().ok()?, i32::try_from(fraction.len()).ok()?, negative))
}

/// `(binary factor, decimal exponent)` of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            (1, (-40..=40).contains(&exponent).then_some(exponent)?)
        }
    })
}

fn wrong_suffix(text: &str, number: &str, suffix: &str) -> Option<Error> {
    let letter = match suffix {
        "B" | "b" => {
            let fix = format!("{number} (bytes have no suffix)");
            return Some(Error::Suffix { text: text.to_owned(), fix });
        }
        "K" | "KB" | "kB" | "kb" | "KiB" => 'K',
        "MB" | "Mb" | "mb" | "MiB" => 'M',
        "g" | "GB" | "Gb" | "gb" | "GiB" => 'G',
        "t" | "TB" | "Tb" | "tb" | "TiB" => 'T',
        _ => return None,
    };
    let decimal = if letter == 'K' { 'k' } else { letter };
    let fix = format!("{number}{letter}i (powers of 1024) or {number}{decimal} (powers of 1000)");
    Some(Error::Suffix { text: text.to_owned(), fix })
}

impl fmt::Display for Quantity {
    /// The shortest exact text: `2Gi`, `500m`, `3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 != 0 {
            return write!(f, "{}m", self.0);
        }
        let units = self.0 / 1000;
        for (suffix, bits) in [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if units != 0 && units % (1i128 << bits) == 0 {
                return write!(f, "{}{suffix}", units >> bits);
            }
        }
        write!(f, "{units}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn milli(text: &str) -> i64 {
        text.parse::<Quantity>().unwrap().milli()
    }

    #[test]
    fn kubernetes_quantities_are_read() {
        assert_eq!(milli("1"), 1000);
        assert_eq!(milli("500m"), 500);
        assert_eq!(milli("0.1"), 100);
        assert_eq!(milli(".5"), 500);
        assert_eq!(milli("1e3"), 1_000_000);
        assert_eq!(milli("12E-1"), 1200);
        assert_eq!(milli("1n"), 1, "finer than a thousandth rounds up");
        assert_eq!("5Gi".parse::<Quantity>().unwrap().ceil(), 5 << 30);
        assert_eq!("5000000Ki".parse::<Quantity>().unwrap().ceil(), 5_000_000 << 10);
        assert_eq!("1.5G".parse::<Quantity>().unwrap().ceil(), 1_500_000_000);
    }

    #[test]
    fn a_wrong_suffix_is_answered_with_the_right_one() {
        let error = "5GB".parse::<Quantity>().unwrap_err().to_string();
        assert_eq!(error, "`5GB` is not a quantity: write 5Gi (powers of 1024) or 5G (powers of 1000)");
    }

    #[test]
    fn rubbish_is_refused() {
        for text in ["", "Gi", "1..2", "--1", "1 Gi", "1e99", "1e", "x", "1ee3", "٣", "0x10", "1_000"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
        assert!(matches!("-1".parse::<Quantity>(), Err(Error::Negative(_))));
        assert!(matches!("9Ei".parse::<Quantity>(), Err(Error::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(milli in 0i64..) {
            let quantity = Quantity(i128::from(milli));
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap(), quantity);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Quantity>();
        }

        #[test]
        fn number_like_texts_never_panic(text in "[-+]?[0-9.]{0,40}[eEkKMGTPimnu0-9+-]{0,5}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
