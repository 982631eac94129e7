//! The APIs of other systems, spoken over the same engine calls that our own API makes. A dialect translates, decides
//! nothing, and never uses another one.

pub mod arkindex;
pub mod chariot;
pub(crate) mod oss;
pub mod pai;

use axum::Router;

use crate::{
    app::App,
    error::{self, Form, Problem},
};

/// Everything that dialects answer.
pub(crate) fn router(app: &App) -> Router<App> {
    chariot::router(app).merge(arkindex::router(app)).merge(oss::addresses())
}

/// How what is refused at this path is written.
pub(crate) fn form(path: &str) -> Form {
    chariot::form(path).or_else(|| arkindex::form(path)).unwrap_or(error::form)
}

/// What a dialect says of a path below its own that leads nowhere.
pub(crate) fn unknown_path(path: &str) -> Option<Problem> {
    if arkindex::owns(path) {
        return Some(arkindex::unknown_path(path));
    }
    chariot::owns(path).then(chariot::unknown_path)
}
