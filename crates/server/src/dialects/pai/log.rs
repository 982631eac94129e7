//! The output of a job, a page of lines at a time. The SDK reads a page until it is full, and gives up a run at the first
//! refusal that it does not know: whatever goes wrong here is that there is no log yet.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use runyard_engine as engine;
use serde_json::json;

use super::{
    Answer, Asked, id,
    job::find,
    query::Parameters,
    refusal::{self, NO_LOG_YET},
    show::{self, Beside},
};
use crate::{app::App, error::Problem};

pub(super) async fn list(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    read(&app, &asked, &id, &parameters).await.map_err(not_yet)
}

/// A fault of this server is no reason to give up a run.
fn not_yet(problem: Problem) -> Problem {
    if problem.status.is_server_error() {
        tracing::warn!("a log cannot be read now: {}", problem.message);
        return Problem::new(StatusCode::NOT_FOUND, NO_LOG_YET, "the log cannot be read now: ask again");
    }
    problem
}

async fn read(app: &App, asked: &Asked, id: &str, parameters: &Parameters) -> Answer {
    let run = find(app, asked, id).await?;
    let page = parameters.page()?;
    let instance = parameters.text("InstanceId").or(parameters.text("WorkerId"));
    let instance = instance.map(|instance| id::instance_index(run.id, instance).ok_or_else(|| unknown(instance)));
    let instance = instance.transpose()?.filter(|_| run.spec.instances() > 1);
    let read = engine::log::lines(&app.engine, &asked.actor, run.id, page.offset, page.size, show::last_word);
    let mut found = read.await.map_err(|error| refusal::no_job(error.into(), id))?;
    // A run that never had a job has no output; what is wrong with it is said all the same.
    if run.life.status == runyard_domain::run::Status::JobCreateFailed {
        if (page.offset..page.offset + page.size).contains(&found.total) {
            let events = engine::event::list(&app.engine, &asked.actor, run.id, true, 1, 0).await?;
            let why = show::reason(&run, &Beside { events, ..Beside::default() });
            found.lines.push(format!("[runyard] the job could not be made: {}", why.message));
        }
        found.total += 1;
    }
    let _ = instance;
    Ok(asked.answer(json!({"Logs": found.lines, "TotalCount": found.total.to_string()})))
}

fn unknown(instance: &str) -> Problem {
    let instance: String = instance.chars().take(100).collect();
    Problem::new(StatusCode::NOT_FOUND, NO_LOG_YET, format!("the job has no instance `{instance}`"))
}
