//! The output of a job, a page of lines at a time. The SDK reads a page until it is full.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use runyard_engine::{
    self as engine,
    log::{Range, Which},
};
use serde_json::json;

use super::{
    Answer, Asked, id,
    job::find,
    query::{Page, Parameters},
    refusal::{self, NO_LOG_YET},
    show::{self, Beside},
};
use crate::{app::App, error::Problem};

/// Bytes that are read at once.
const PART: i64 = 8 << 20;

pub(super) async fn list(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    read(&app, &asked, &id, &parameters).await
}

async fn read(app: &App, asked: &Asked, id: &str, parameters: &Parameters) -> Answer {
    let run = find(app, asked, id).await?;
    let page = parameters.page()?;
    let instance = parameters.text("InstanceId").or(parameters.text("WorkerId"));
    let instance =
        instance.map(|instance| id::instance_index(run.id, instance).ok_or_else(|| unknown(instance)));
    let instance = instance.transpose()?.filter(|_| run.spec.instances() > 1);
    if let Some(index) = instance {
        return of_instance(app, asked, &run, index, page).await;
    }
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
    Ok(asked.answer(json!({"Logs": found.lines, "TotalCount": found.total.to_string()})))
}

/// The lines of one instance alone.
async fn of_instance(app: &App, asked: &Asked, run: &engine::run::Run, index: i64, page: Page) -> Answer {
    let mut range = Range::Lines(page.offset + 1, Some(page.size));
    let (mut lines, mut total) = (Vec::new(), 0);
    while (lines.len() as i64) < page.size {
        let read =
            engine::log::read_instance(&app.engine, &asked.actor, run.id, index, Which::Newest, range, PART);
        let Some(part) = read.await? else { break };
        total = part.total_lines.unwrap_or(total);
        let text = String::from_utf8_lossy(&part.bytes).into_owned();
        lines.extend(text.lines().map(str::to_owned));
        if part.next_offset >= part.total || part.bytes.is_empty() {
            break;
        }
        range = Range::Bytes(part.next_offset);
    }
    lines.truncate(usize::try_from(page.size).unwrap_or(0));
    Ok(asked.answer(json!({"Logs": lines, "TotalCount": total.to_string()})))
}

fn unknown(instance: &str) -> Problem {
    let instance: String = instance.chars().take(100).collect();
    Problem::new(StatusCode::NOT_FOUND, NO_LOG_YET, format!("the job has no instance `{instance}`"))
}
