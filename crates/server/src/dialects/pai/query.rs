//! Parameters of PAI's requests. What is not known is left out, since the SDK sends more than means something here.

use std::collections::BTreeMap;

use axum::{extract::FromRequestParts, http::request::Parts};
use runyard_domain::{Millis, filter};

use crate::{error::Problem, limits};

/// Longest page.
const PAGE_SIZE_MAX: i64 = 1000;

/// The parameters of a request by name; of several with one name the last one counts.
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Parameters {
    fn read(raw: &str) -> Result<Self, Problem> {
        if raw.len() > limits::QUERY {
            let message = format!("is longer than {} bytes", limits::QUERY);
            return Err(Problem::field("query", message));
        }
        let mut named = BTreeMap::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode =
                |raw| filter::decode(raw).map_err(|error| Problem::field("query", error.to_string()));
            named.insert(decode(name)?, decode(value)?);
        }
        Ok(Self(named))
    }

    /// A parameter that says something.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &self,
        name: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let message =
                format!("`{shown}` is not a whole number from {} to {}", range.start(), range.end());
            Problem::field(name, message)
        })
    }

    /// A time.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, Problem> {
        let read = |text| filter::parse_time(text).map_err(|error| Problem::field(name, error.to_string()));
        self.text(name).map(read).transpose()
    }

    /// Whether the order is from old to new.
    pub(super) fn ascending(&self, default: bool) -> Result<bool, Problem> {
        match self.text("Order") {
            None => Ok(default),
            Some(word) if word.eq_ignore_ascii_case("asc") => Ok(true),
            Some(word) if word.eq_ignore_ascii_case("desc") => Ok(false),
            Some(word) => {
                let shown: String = word.chars().take(40).collect();
                Err(Problem::field("Order", format!("`{shown}` is neither ASC nor DESC")))
            }
        }
    }

    /// Which page: what to leave out first, and how many to answer. Pages are counted from 1, and have the size that was
    /// asked for, since readers know by it whether there is more.
    pub(super) fn page(&self) -> Result<Page, Problem> {
        let number = self.number("PageNumber", 1, 1..=1_000_000_000)?;
        let size = self.number("PageSize", 10, 1..=PAGE_SIZE_MAX)?;
        Ok(Page { offset: (number - 1) * size, size })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: i64,
    pub(super) size: i64,
}

impl Page {
    /// The page of a list that is there as a whole.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        all.into_iter().skip(skipped).take(usize::try_from(self.size).unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Parameters {
        Parameters::read(raw).unwrap()
    }

    #[test]
    fn pages_are_counted_from_one_and_have_the_size_that_was_asked_for() {
        assert_eq!(read("PageNumber=3&PageSize=20").page().unwrap(), Page { offset: 40, size: 20 });
        assert_eq!(read("").page().unwrap(), Page { offset: 0, size: 10 });
        for bad in ["PageNumber=0", "PageSize=0", "PageSize=x", "PageSize=1001", "PageNumber=-1"] {
            let problem = read(bad).page().unwrap_err();
            assert_eq!(problem.status, 422, "{bad}");
        }
        assert_eq!(Page { offset: 2, size: 2 }.of(vec![1, 2, 3, 4, 5]), [3, 4]);
        assert!(Page { offset: 9, size: 2 }.of(vec![1]).is_empty());
    }

    #[test]
    fn values_are_decoded_and_what_is_empty_says_nothing() {
        let asked = read("Name=a+b%2Fc&Status=&Order=desc");
        assert_eq!((asked.text("Name"), asked.text("Status")), (Some("a b/c"), None));
        assert!(!asked.ascending(true).unwrap());
        assert!(read("Order=up").ascending(true).is_err());
        assert_eq!(
            read("StartTime=2024-07-10T11:49:47Z").time("StartTime").unwrap(),
            Some(Millis(1_720_612_187_000))
        );
    }
}
