//! Runs: submit, read, stop, restart, delete; their events, jobs, logs and progress.

use bytes::Bytes;
use reqwest::{Method, Response};
use runyard_domain::run::Status;
use runyard_wire::{
    event::Event,
    job::Job,
    log::LogSearch,
    run::{Deleted, NewRun, Progress, PutProgress, RestartRun, Run, RunPatch, StopRun},
};

use crate::{Client, Error, query::Query};

mod sse;
mod stream;

pub use stream::{End, Following, From, LogText, Update, Want};

/// Which runs to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Ids of blueprints.
    pub blueprint_id: Vec<String>,
    /// SQL ILIKE patterns of names.
    pub name_ilike: Vec<String>,
    /// Statuses.
    pub status: Vec<Status>,
    /// Task types.
    pub task_type: Vec<String>,
    /// `key=value` or `key`.
    pub label: Vec<String>,
    /// Created after this time, in epoch milliseconds.
    pub created_after: Option<i64>,
    /// Created before this time, in epoch milliseconds.
    pub created_before: Option<i64>,
    /// Only ids after this one, in the order of the sort.
    pub id_after: Option<String>,
    /// Only these fields.
    pub select: Vec<String>,
    /// `field` or `field:desc`; the server's default is `created_at:desc`.
    pub sort: Option<String>,
    /// At most so many, up to 1000; the server's default is 10.
    pub limit: Option<i64>,
    /// Skip so many.
    pub offset: Option<i64>,
}

/// A part of a job's output.
#[derive(Debug, Clone, Default)]
pub struct LogPart {
    /// The job; `None`: the run has no job yet.
    pub job_id: Option<String>,
    /// Where the bytes start.
    pub offset: i64,
    /// Where the next part starts.
    pub next_offset: i64,
    /// How much output there was in all.
    pub total: i64,
    /// How many lines that are; where lines were asked for.
    pub lines: Option<i64>,
    /// How many bytes were dropped, if this part stands for them.
    pub dropped: Option<i64>,
    /// The bytes.
    pub bytes: Bytes,
}

/// What to search for in the output of a job.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// The text.
    pub q: String,
    /// Whether it is a regular expression.
    pub regex: bool,
    /// Whether capital and small letters are the same.
    pub ignore_case: bool,
    /// Of the job with this epoch; the newest one when absent.
    pub epoch: Option<i64>,
    /// From the line that starts here.
    pub offset: i64,
    /// At most so many lines; the server's default is 100.
    pub limit: Option<i64>,
    /// Only lines of this instance.
    pub instance: Option<i64>,
}

impl Client {
    /// Submits a run.
    pub async fn create_run(&self, new: &NewRun) -> Result<Run, Error> {
        self.http.create(self.http.api(&["runs"])?, new).await
    }

    /// Runs that match.
    pub async fn runs(&self, filter: &Filter) -> Result<Vec<Run>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("project_id", &filter.project_id)
            .each("blueprint_id", &filter.blueprint_id)
            .each("name_ilike", &filter.name_ilike)
            .each("status", &filter.status)
            .each("task_type", &filter.task_type)
            .each("label", &filter.label)
            .one("created_after", filter.created_after)
            .one("created_before", filter.created_before)
            .one("id_after", filter.id_after.as_ref())
            .each("select", &filter.select)
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["runs"])?)).await
    }

    /// The run with this id.
    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        self.http.get(self.http.api(&["runs", id])?).await
    }

    /// Changes name, notes or labels.
    pub async fn patch_run(&self, id: &str, patch: &RunPatch) -> Result<Run, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["runs", id])?, patch).await
    }

    /// Deletes a run that has ended, with everything it wrote.
    pub async fn delete_run(&self, id: &str) -> Result<Deleted, Error> {
        let url = self.http.api(&["runs", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// Asks a run to stop. A second stop may only shorten the grace.
    pub async fn stop_run(&self, id: &str, stop: &StopRun) -> Result<(), Error> {
        let url = self.http.api(&["runs", id, "stop"])?;
        self.http.done(self.http.request(Method::POST, url)?.json(stop)).await
    }

    /// Starts a run that has ended once more, as a new job.
    pub async fn restart_run(&self, id: &str, restart: &RestartRun) -> Result<(), Error> {
        let url = self.http.api(&["runs", id, "restart"])?;
        self.http.done(self.http.request(Method::POST, url)?.json(restart)).await
    }

    /// Events of a run, by `sort` (`sequence:asc` or `sequence:desc`).
    pub async fn events(
        &self,
        id: &str,
        sort: &str,
        limit: Option<i64>,
        offset: Option<i64>,
    ) -> Result<Vec<Event>, Error> {
        let query = Query::default().one("sort", Some(sort)).one("limit", limit).one("offset", offset);
        self.http.get(query.on(self.http.api(&["runs", id, "events"])?)).await
    }

    /// Jobs of a run.
    pub async fn jobs(&self, id: &str) -> Result<Vec<Job>, Error> {
        self.http.get(self.http.api(&["runs", id, "jobs"])?).await
    }

    /// Up to `limit` bytes of output from `offset` (negative: from the end) of the job with this epoch, or of the newest job.
    pub async fn logs(
        &self,
        id: &str,
        epoch: Option<i64>,
        offset: i64,
        limit: i64,
    ) -> Result<LogPart, Error> {
        let query =
            Query::default().one("epoch", epoch).one("offset", Some(offset)).one("limit", Some(limit));
        self.log_part(id, query).await
    }

    /// Output from line `from` on (from 1; negative: from the end), at most `lines` lines.
    pub async fn log_lines(
        &self,
        id: &str,
        epoch: Option<i64>,
        from: i64,
        lines: Option<i64>,
    ) -> Result<LogPart, Error> {
        let query = Query::default().one("epoch", epoch).one("line_from", Some(from)).one("lines", lines);
        self.log_part(id, query).await
    }

    /// Up to `limit` bytes of what one instance printed, whole lines of it, from `offset` in the output of all. An empty part whose
    /// `next_offset` has moved: nothing of it so far.
    pub async fn instance_logs(
        &self,
        id: &str,
        instance: i64,
        epoch: Option<i64>,
        offset: i64,
        limit: i64,
    ) -> Result<LogPart, Error> {
        let query = Query::default().one("instance", Some(instance)).one("epoch", epoch);
        self.log_part(id, query.one("offset", Some(offset)).one("limit", Some(limit))).await
    }

    /// Lines that one instance printed, from its line `from` on (from 1; negative: from the end), at most `lines` lines.
    pub async fn instance_lines(
        &self,
        id: &str,
        instance: i64,
        epoch: Option<i64>,
        from: i64,
        lines: Option<i64>,
    ) -> Result<LogPart, Error> {
        let query = Query::default().one("instance", Some(instance)).one("epoch", epoch);
        self.log_part(id, query.one("line_from", Some(from)).one("lines", lines)).await
    }

    /// Lines of output that match; until `complete`, search on from `next_offset`.
    pub async fn search_logs(&self, id: &str, search: &LogQuery) -> Result<LogSearch, Error> {
        let query = Query::default()
            .one("q", Some(&search.q))
            .one("regex", search.regex.then_some(true))
            .one("ignore_case", search.ignore_case.then_some(true))
            .one("instance", search.instance)
            .one("epoch", search.epoch)
            .one("offset", Some(search.offset))
            .one("limit", search.limit);
        self.http.get(query.on(self.http.api(&["runs", id, "logs", "search"])?)).await
    }

    async fn log_part(&self, id: &str, query: Query) -> Result<LogPart, Error> {
        let url = query.on(self.http.api(&["runs", id, "logs"])?);
        let mut response = self.http.open(self.http.request(Method::GET, url)?).await?;
        let mut part = LogPart {
            job_id: header(&response, "x-runyard-job-id"),
            offset: number(&response, "x-runyard-offset"),
            next_offset: number(&response, "x-runyard-next-offset"),
            total: number(&response, "x-runyard-total"),
            lines: header(&response, "x-runyard-lines").and_then(|text| text.parse().ok()),
            dropped: header(&response, "x-runyard-dropped").and_then(|text| text.parse().ok()),
            bytes: Bytes::new(),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = self.http.chunk(&mut response).await? {
            bytes.extend_from_slice(&chunk);
        }
        part.bytes = bytes.into();
        Ok(part)
    }

    /// Named operations under way.
    pub async fn progress(&self, id: &str) -> Result<Vec<Progress>, Error> {
        self.http.get(self.http.api(&["runs", id, "progress"])?).await
    }

    /// Replaces the progress of a run.
    pub async fn put_progress(&self, id: &str, progress: Vec<Progress>) -> Result<(), Error> {
        let url = self.http.api(&["runs", id, "progress"])?;
        self.http.done(self.http.request(Method::PUT, url)?.json(&PutProgress { progress })).await
    }

    /// Follows a run to its end; see [`Following::next`].
    pub fn follow_run(&self, id: &str, want: Want) -> Following {
        Following::new(self.http.clone(), id, want)
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn number(response: &Response, name: &str) -> i64 {
    header(response, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}
