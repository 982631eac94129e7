//! TensorBoards: there are none here, and whoever asks for one is told where metrics are instead.

use axum::{extract::Path, http::StatusCode};
use serde_json::json;

use super::{Answer, Asked};
use crate::error::Problem;

pub(super) async fn list(asked: Asked) -> Answer {
    Ok(asked.answer(json!({"Tensorboards": [], "TotalCount": 0})))
}

pub(super) async fn create() -> Problem {
    let message = "this server starts no TensorBoard: the job's files are in its output channel `tensorboard`, and the metrics \
                   that it reported are at /api/v2/metrics and in `runyard metrics`";
    Problem::new(StatusCode::BAD_REQUEST, "TensorboardNotSupported", message)
}

pub(super) async fn missing(Path(id): Path<String>) -> Problem {
    let id: String = id.chars().take(100).collect();
    Problem::not_found(format!("there is no TensorBoard `{id}`: this server starts none"))
}
