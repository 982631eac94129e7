//! Lists in pages, the two ways that Arkindex has. Every page carries `count`, `next` and `previous`, and one that has a
//! number says so: a client that misses any of them stops early without a word.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::site::Site;
use crate::error::Problem;

/// How many when nothing was said.
const DEFAULT: i64 = 20;
/// How many elements when nothing was said.
const LARGE: i64 = 100;
/// The most.
const MOST: i64 = 500;

/// A page by its number.
#[derive(Serialize)]
pub(super) struct Numbered<T> {
    count: i64,
    number: i64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

/// A page by what the one before it ended with.
#[derive(Serialize)]
pub(super) struct Cursor<T> {
    /// On the first page, where clients look for it: counting again what a page belongs to would cost more than the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

/// Which page, where nothing else is asked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    pub(super) page: Option<i64>,
    #[param(nullable = false)]
    pub(super) page_size: Option<i64>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    number: i64,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

/// How many a page has.
pub(super) fn size(asked: Option<i64>) -> i64 {
    asked.unwrap_or(DEFAULT).clamp(1, MOST)
}

/// The same for lists of elements, which may have a million.
pub(super) fn large(asked: Option<i64>) -> i64 {
    asked.unwrap_or(LARGE).clamp(1, MOST)
}

/// The part of the list that a page of this number and size is.
pub(super) fn window(number: Option<i64>, asked: Option<i64>) -> Window {
    let (number, limit) = (number.unwrap_or(1).max(1), size(asked));
    Window { number, limit, offset: (number - 1).saturating_mul(limit) }
}

/// The page of a window on a list of `count`.
pub(super) fn numbered<T>(
    site: &Site,
    window: Window,
    count: i64,
    results: Vec<T>,
) -> Result<Numbered<T>, Problem> {
    let Window { number, limit, .. } = window;
    let last = (count.max(1) + limit - 1) / limit;
    if number > last {
        let message = format!("there is no page {number}: the last one is {last}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    let page = |number: i64| site.with("page", &number.to_string());
    Ok(Numbered {
        count,
        number,
        next: (number < last).then(|| page(number + 1)),
        previous: (number > 1).then(|| page(number - 1)),
        results,
    })
}

/// All of a list that is short, as pages.
pub(super) fn whole<T>(site: &Site, window: Window, all: Vec<T>) -> Result<Numbered<T>, Problem> {
    let (count, skip) = (all.len() as i64, usize::try_from(window.offset).unwrap_or(usize::MAX));
    let results = all.into_iter().skip(skip).take(window.limit as usize).collect();
    numbered(site, window, count, results)
}

/// The page of a list which goes on behind `next`; `count`: of the whole list.
pub(super) fn cursor<T>(site: &Site, count: Option<i64>, next: Option<String>, results: Vec<T>) -> Cursor<T> {
    Cursor { count, next: next.map(|next| site.with("cursor", &next)), previous: None, results }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_window_whatever_was_asked_for() {
        let window = |number, size| {
            let Window { number, limit, offset } = window(number, size);
            (number, limit, offset)
        };
        assert_eq!(window(None, None), (1, 20, 0));
        assert_eq!(window(Some(3), Some(10)), (3, 10, 20));
        assert_eq!(window(Some(-1), Some(0)), (1, 1, 0));
        assert_eq!(window(Some(2), Some(9_999)), (2, 500, 500));
        assert_eq!(window(Some(i64::MAX), Some(500)).2, i64::MAX);
    }
}
