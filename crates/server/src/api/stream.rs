//! Follows a run over server-sent events: nothing is lost or repeated, whatever the connection does.
//!
//! The id of every event is a cursor: all that was said until then. Whoever comes back with it goes on from there.

use std::{collections::VecDeque, convert::Infallible, time::Instant};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use runyard_domain::{
    RunId, metric,
    progress::Operation,
    run::{Run, Status},
};
use runyard_engine::{
    self as engine, Actor,
    event::Event,
    log::{Range, Which},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::IntoParams;

use super::{event, run};
use crate::{
    app::{App, Id},
    auth::{Caller, Secret},
    error::Problem,
    limits,
    openapi::{Missing, Refused},
    query::Query,
};

mod cursor;
mod text;

use cursor::Cursor;

/// What to hear of.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The output of the program too.
    #[param(nullable = false)]
    logs: Option<bool>,
    /// Every point of every metric too.
    #[param(nullable = false)]
    metrics: Option<bool>,
    /// Begin with this attempt, from 1, instead of the first one (with `log_offset` or `log_tail`: instead of the newest):
    /// what happened before is left out.
    #[param(minimum = 1, nullable = false)]
    epoch: Option<i64>,
    /// Begin at this byte of its output; negative: so many before the end.
    #[param(nullable = false)]
    log_offset: Option<i64>,
    /// Begin with so many of the last lines of its output.
    #[param(minimum = 0, nullable = false)]
    log_tail: Option<i64>,
    /// Id of the last event that was seen, instead of the header `Last-Event-ID`.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Follows a run
///
/// Server-sent events: `status` (an event of the run's log), `progress` (all operations under way), `metric` (new
/// points), `log` (`job_id`, `epoch`, `offset`, `text`, `next_offset`), and at last `end` (`status`, `exit`), once
/// the run has ended and everything was said.
#[utoipa::path(get, path = "/runs/{run_id}/stream", operation_id = "follow_run", tag = "runs",
    params(("run_id" = String, Path, description = "Id of the run."), Wanted,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen.")),
    responses((status = 200, description = "Events, until the run has ended.", content_type = "text/event-stream",
        body = String), Missing, Refused))]
pub(super) async fn follow(
    State(app): State<App>,
    Caller(actor): Caller,
    Secret(secret): Secret,
    Id(id): Id<RunId>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let cursor = match (wanted.cursor.as_deref(), last.filter(|id| !id.is_empty())) {
        (Some(text), _) => {
            text.parse().map_err(|error: cursor::Error| Problem::field("cursor", error.to_string()))?
        }
        (None, Some(text)) => {
            text.parse().map_err(|error: cursor::Error| Problem::field("Last-Event-ID", error.to_string()))?
        }
        (None, None) => begin(&app, &actor, id, &wanted).await?,
    };
    // Said before the stream begins: no such run, or not for this token.
    engine::run::get(&app.engine, &actor, id).await?;
    let follower = Follower {
        changed: app.engine.signals.watch(id),
        open: Open::new(&app),
        app,
        actor,
        secret,
        checked: Instant::now(),
        run: id,
        logs: wanted.logs.unwrap_or(false),
        metrics: wanted.metrics.unwrap_or(false),
        cursor,
        said_progress: None,
        events: VecDeque::new(),
        due: VecDeque::new(),
        ended: false,
    };
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let mut response =
        Sse::new(stream).keep_alive(KeepAlive::new().interval(limits::KEEP_ALIVE)).into_response();
    // Proxies that hold back what they forward would hold back the news.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Where somebody begins who has seen nothing.
async fn begin(app: &App, actor: &Actor, run: RunId, wanted: &Wanted) -> Result<Cursor, Problem> {
    let range = match (wanted.log_offset, wanted.log_tail) {
        (Some(_), Some(_)) => {
            return Err(Problem::field("log_tail", "begin at `log_offset` or with `log_tail`, not both"));
        }
        (Some(offset), None) => Range::Bytes(offset),
        (None, Some(0)) => Range::Bytes(i64::MAX),
        (None, Some(lines)) => Range::Lines(-lines, None),
        (None, None) if wanted.epoch.is_none() => return Ok(Cursor::default()),
        (None, None) => Range::Bytes(0),
    };
    let which = wanted.epoch.map_or(Which::Newest, Which::Epoch);
    let start = engine::log::start(&app.engine, actor, run, which, range).await?;
    Ok(start.map_or_else(Cursor::default, |start| Cursor {
        sequence: start.sequence,
        epoch: start.epoch,
        offset: start.offset,
        ..Cursor::default()
    }))
}

/// Counts an open stream for as long as it lives.
struct Open(App);

impl Open {
    fn new(app: &App) -> Self {
        app.metrics.streams.inc();
        Self(app.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.streams.dec();
    }
}

/// Becomes ready at a change; never when nobody can signal one.
async fn changed(receiver: &mut watch::Receiver<u64>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Follower {
    app: App,
    actor: Actor,
    secret: String,
    /// When the token was last found to work.
    checked: Instant,
    run: RunId,
    logs: bool,
    metrics: bool,
    changed: watch::Receiver<u64>,
    /// All that was said.
    cursor: Cursor,
    /// What was said last on this connection.
    said_progress: Option<Vec<Operation>>,
    /// Read of the run's log, and not said yet.
    events: VecDeque<Event>,
    /// Ready to be sent.
    due: VecDeque<sse::Event>,
    ended: bool,
    #[expect(dead_code, reason = "counts the stream while it lives")]
    open: Open,
}

impl Follower {
    /// The next event; `None`: the stream ends.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            if self.ended || self.app.shutdown.is_cancelled() || !self.is_welcome().await {
                return None;
            }
            self.changed.mark_unchanged();
            match self.look().await {
                // When it is busy, it is asked again in a moment.
                Ok(()) | Err(engine::Error::Busy(_)) => {}
                Err(error) => {
                    tracing::debug!(run = %self.run, "an event stream ends: {error}");
                    return None;
                }
            }
            if self.due.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Waits for a change, for a tick, or for the shutdown.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.app.shutdown.cancelled() => {}
            _ = tokio::time::timeout(limits::STREAM_TICK, changed(&mut self.changed)) => {}
        }
    }

    /// Whether the token still works, as far as is known.
    async fn is_welcome(&mut self) -> bool {
        if self.checked.elapsed() < limits::STREAM_RECHECK {
            return true;
        }
        self.checked = Instant::now();
        let asked = engine::token::authenticate(&self.app.engine, &self.secret).await;
        !matches!(asked, Err(engine::Error::Unauthorized(_)))
    }

    /// Finds what was not said yet: a part of each sort, so that none holds up the others.
    async fn look(&mut self) -> engine::Result<()> {
        // The run is read first: all that led to its status is there to be read after it.
        let run = engine::run::get(&self.app.engine, &self.actor, self.run).await?;
        if self.events.is_empty() && run.sequence > self.cursor.sequence {
            let (sequence, limit) = (self.cursor.sequence, limits::EVENTS);
            let events =
                engine::event::after(&self.app.engine, &self.actor, self.run, sequence, limit).await?;
            self.events.extend(events.into_iter().filter(|event| event.sequence <= run.sequence));
        }
        self.say_events().await?;
        if self.events.is_empty() {
            self.say_output(run.life.status.is_terminal()).await?;
        }
        self.say_progress(&run);
        self.say_metrics().await?;
        let is_all_said =
            self.due.is_empty() && self.events.is_empty() && self.cursor.sequence == run.sequence;
        if is_all_said && run.life.status.is_terminal() {
            self.say("end", &json!({"status": run.life.status, "exit": run.exit}));
            self.ended = true;
        }
        Ok(())
    }

    /// Says what the run's log has, up to the next status that has output to be said before it.
    async fn say_events(&mut self) -> engine::Result<()> {
        while let Some(event) = self.events.front() {
            let restarts = event.status == Status::RunRestartRequested;
            if (restarts || event.status.is_terminal()) && self.say_output(true).await? {
                return Ok(());
            }
            let Some(event) = self.events.pop_front() else { break };
            self.cursor.sequence = event.sequence;
            if restarts {
                self.cursor.epoch += 1;
                self.cursor.offset = 0;
            }
            self.say("status", &event::wire(event));
        }
        Ok(())
    }

    /// Says a part of the current job's output; `all`: nothing will follow it. Answers whether there was any.
    async fn say_output(&mut self, all: bool) -> engine::Result<bool> {
        if !self.logs {
            return Ok(false);
        }
        let (which, range) = (Which::Epoch(self.cursor.epoch), Range::Bytes(self.cursor.offset));
        let read =
            engine::log::read(&self.app.engine, &self.actor, self.run, which, range, limits::LOG_EVENT).await;
        let part = match read {
            Ok(Some(part)) => part,
            // The job of this epoch was not made, or not yet.
            Ok(None) | Err(engine::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_whole = part.dropped.is_some() || (all && part.next_offset >= part.total);
        let mut bytes = if is_whole { &part.bytes[..] } else { text::whole_characters(&part.bytes) };
        if bytes.is_empty() && part.next_offset < part.total {
            // A character that is cut off for ever: what followed it was dropped.
            bytes = &part.bytes;
        }
        if bytes.is_empty() {
            return Ok(false);
        }
        let held_back = (part.bytes.len() - bytes.len()) as i64;
        self.cursor.offset = part.next_offset - held_back;
        let log = json!({
            "job_id": part.job_id,
            "epoch": part.epoch,
            "offset": part.offset,
            "text": String::from_utf8_lossy(bytes),
            "next_offset": self.cursor.offset,
        });
        self.say("log", &log);
        Ok(true)
    }

    fn say_progress(&mut self, run: &Run) {
        let updated = run.progress_updated_at.map_or(0, |at| at.0);
        // Two reports within a millisecond differ only in what they say.
        let differs = self.said_progress.as_ref().is_some_and(|said| *said != run.progress);
        if updated > self.cursor.progress || differs {
            self.cursor.progress = updated;
            self.said_progress = Some(run.progress.clone());
            let progress: Vec<_> = run.progress.iter().cloned().map(run::wire_progress).collect();
            self.say("progress", &progress);
        }
    }

    async fn say_metrics(&mut self) -> engine::Result<()> {
        if !self.metrics {
            return Ok(());
        }
        let query = engine::metric::Query {
            run_ids: vec![self.run],
            id_after: Some(metric::Id { run: self.run, seq: self.cursor.metric }),
            by: engine::metric::By::Id,
            limit: limits::METRIC_EVENT,
            ..engine::metric::Query::default()
        };
        let rows = engine::metric::list(&self.app.engine, &self.actor, query).await?;
        if let Some(last) = rows.last() {
            self.cursor.metric = last.id.seq;
            let points: Vec<_> = rows.iter().map(super::metric::wire).collect();
            self.say("metric", &points);
        }
        Ok(())
    }

    fn say(&mut self, name: &'static str, value: &impl serde::Serialize) {
        let data = serde_json::to_string(value).unwrap_or_else(|_| Value::Null.to_string());
        self.due.push_back(sse::Event::default().event(name).id(self.cursor.to_string()).data(data));
    }
}
