//! Follows a run through the server's event stream: reconnects where it left off, so that nothing is lost or repeated.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use runyard_domain::run::Status;
use runyard_wire::{event::Event, metric::Metric, run::Progress};
use serde::Deserialize;
use serde_json::Value;

use super::sse::{Frame, Parser};
use crate::{Error, http::Http, query::Query};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What to hear of besides status and progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Want {
    /// The output of the program.
    pub logs: bool,
    /// Every point of every metric.
    pub metrics: bool,
    /// Where to begin.
    pub from: From,
}

/// Where following begins; what happened before is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum From {
    /// With the creation of the run.
    #[default]
    Beginning,
    /// With the output of this attempt.
    Epoch(i64),
    /// With the byte at this offset of the output of this attempt.
    Offset {
        /// Which attempt.
        epoch: i64,
        /// Which byte.
        offset: i64,
    },
    /// With the last so many lines of the output of this attempt, or of the newest one.
    Tail {
        /// Which attempt.
        epoch: Option<i64>,
        /// How many lines.
        lines: i64,
    },
}

/// Something that happened to a run.
#[derive(Debug)]
pub enum Update {
    /// A status was reached (or kept, with new details).
    Status(Event),
    /// All operations under way.
    Progress(Vec<Progress>),
    /// New points.
    Metrics(Vec<Metric>),
    /// Output of the program.
    Log(LogText),
    /// The run has ended, and everything was said. The last update.
    End(End),
    /// The server is out of reach; it will be asked again. Said before each new attempt.
    Lost(Error),
    /// The server is back after [`Update::Lost`].
    Found,
}

/// A part of a job's output.
#[derive(Debug, Clone, Deserialize)]
pub struct LogText {
    /// The job.
    pub job_id: String,
    /// Which attempt.
    pub epoch: i64,
    /// Where the text starts, in bytes.
    pub offset: i64,
    /// The text.
    pub text: String,
    /// Where the next text starts.
    pub next_offset: i64,
}

/// How a run ended.
#[derive(Debug, Clone, Deserialize)]
pub struct End {
    /// The terminal status.
    pub status: Status,
    /// The exit record, where there is one.
    #[serde(default)]
    pub exit: Option<Value>,
}

/// A run that is being followed.
#[derive(Debug)]
pub struct Following {
    http: Http,
    run: String,
    want: Want,
    /// Id of the last event that was handed out.
    cursor: Option<String>,
    connection: Option<Response>,
    parser: Parser,
    frames: VecDeque<Frame>,
    /// When to try again, and how long the pause after that is.
    retry: Option<(Instant, Duration)>,
    ended: bool,
}

impl Following {
    pub(super) fn new(http: Http, run: &str, want: Want) -> Self {
        Self {
            http,
            run: run.to_owned(),
            want,
            cursor: None,
            connection: None,
            parser: Parser::default(),
            frames: VecDeque::new(),
            retry: None,
            ended: false,
        }
    }

    /// The server has moved: the next attempt goes there.
    pub fn set_url(&mut self, url: &str) {
        self.http.set_url(url);
    }

    /// The next update; `None` after [`Update::End`]. May be dropped at any await and called again.
    ///
    /// # Errors
    /// What trying again cannot mend: the run does not exist, the token is not good for it.
    pub async fn next(&mut self) -> Result<Option<Update>, Error> {
        loop {
            if self.ended {
                return Ok(None);
            }
            while let Some(frame) = self.frames.pop_front() {
                let update = read(&frame, self.http.url())?;
                self.cursor = frame.id.or(self.cursor.take());
                self.ended = matches!(update, Some(Update::End(_)));
                if update.is_some() {
                    return Ok(update);
                }
            }
            if self.connection.is_none() {
                match self.connect().await {
                    Ok(false) => {}
                    Ok(true) => return Ok(Some(Update::Found)),
                    Err(error) => return self.lost(error),
                }
            }
            if let Err(error) = self.fill().await {
                return self.lost(error);
            }
        }
    }

    /// Answers whether the server was lost before.
    async fn connect(&mut self) -> Result<bool, Error> {
        if let Some((at, _)) = self.retry {
            tokio::time::sleep_until(at.into()).await;
        }
        let mut query = Query::default()
            .one("logs", self.want.logs.then_some(true))
            .one("metrics", self.want.metrics.then_some(true));
        // Whoever has seen an event goes on from there.
        match self.want.from {
            From::Epoch(epoch) if self.cursor.is_none() => query = query.one("epoch", Some(epoch)),
            From::Offset { epoch, offset } if self.cursor.is_none() => {
                query = query.one("epoch", Some(epoch)).one("log_offset", Some(offset));
            }
            From::Tail { epoch, lines } if self.cursor.is_none() => {
                query = query.one("epoch", epoch).one("log_tail", Some(lines));
            }
            _ => {}
        }
        let url = query.on(self.http.api(&["runs", &self.run, "stream"])?);
        let mut request = self.http.request(Method::GET, url)?.header("accept", "text/event-stream");
        if let Some(cursor) = &self.cursor {
            request = request.header("last-event-id", cursor);
        }
        self.connection = Some(self.http.open(request).await?);
        self.parser = Parser::default();
        Ok(self.retry.is_some())
    }

    /// Reads until there is at least one frame.
    async fn fill(&mut self) -> Result<(), Error> {
        let broken =
            |http: &Http, cause: &str| Error::Broken { url: http.url().to_owned(), cause: cause.into() };
        while self.frames.is_empty() {
            let Some(connection) = &mut self.connection else { return Ok(()) };
            let Some(chunk) = self.http.chunk(connection).await? else {
                return Err(broken(&self.http, "the event stream ended before the run"));
            };
            if self.parser.feed(&chunk, &mut self.frames).is_err() {
                return Err(broken(&self.http, "an event is larger than 16 MiB"));
            }
            // It works again: the next loss starts with a short pause.
            self.retry = None;
        }
        Ok(())
    }

    fn lost(&mut self, error: Error) -> Result<Option<Update>, Error> {
        self.connection = None;
        if !error.is_transient() {
            return Err(error);
        }
        let pause = self.retry.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.retry = Some((Instant::now() + pause, pause));
        Ok(Some(Update::Lost(error)))
    }
}

/// `None`: an event of a newer server that this client does not know.
fn read(frame: &Frame, url: &str) -> Result<Option<Update>, Error> {
    fn json<T: serde::de::DeserializeOwned>(frame: &Frame, url: &str) -> Result<T, Error> {
        serde_json::from_str(&frame.data).map_err(|error| Error::Unexpected {
            url: url.to_owned(),
            status: 200,
            why: format!("an event `{}`: {error}", frame.event),
        })
    }
    Ok(Some(match frame.event.as_str() {
        "status" => Update::Status(json(frame, url)?),
        "progress" => Update::Progress(json(frame, url)?),
        "metric" => Update::Metrics(json(frame, url)?),
        "log" => Update::Log(json(frame, url)?),
        "end" => Update::End(json(frame, url)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;
