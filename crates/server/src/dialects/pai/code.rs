//! The code of a job: objects that the client uploaded, packed into a source when the job is created. Two jobs of one second and
//! name write to the same prefix, so what is there later may be another job's.

use runyard_domain::channel::Place;
use runyard_engine::{self as engine, Actor};

use crate::{app::App, error::Problem};

/// Where the code is said to be.
const PATH: &str = "AlgorithmSpec.CodeDir";

/// The digest of the source.
pub(super) async fn source(app: &App, actor: &Actor, place: &Place) -> Result<String, Problem> {
    let (actor, place) = (actor.clone(), place.clone());
    let gathered = app.command(move |engine| async move {
        engine::source::gather(&engine, &actor, &place).await
    });
    let gathered = gathered.await.map_err(|mut problem| {
        if let Some(errors) = problem.errors.take() {
            problem.errors = Some([(PATH.to_owned(), errors.into_values().flatten().collect())].into());
        } else if problem.status == axum::http::StatusCode::NOT_FOUND {
            return Problem::field(PATH, problem.message);
        }
        problem
    })?;
    Ok(gathered.digest)
}
