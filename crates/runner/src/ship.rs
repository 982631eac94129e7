//! Brings the streams to the server: each by offset, from what the server says it has, until it has all. Resending is
//! harmless. A server that is away only makes the files on the disk wait.

use std::{cell::Cell, io, path::PathBuf, rc::Rc, time::Duration};

use runyard_client::job::JobClient;
use runyard_domain::{
    job::{Stream, StreamLengths, folder},
    record::MAX_LINE,
};
use runyard_wire::job::{Appended, EndJob, Heartbeat, Rejected};
use tokio::{
    sync::{Notify, watch},
    task::{JoinError, JoinHandle},
};

use crate::{
    job::Job,
    records::{self, Cut},
    server::{Patience, Refusal, Server},
    uploads,
};

/// The shortest time between two small chunks: a program that prints a thousand lines a second is not a thousand calls.
const PACE: Duration = Duration::from_millis(50);
/// A chunk of this size is followed by the next at once.
const LARGE: usize = 64 << 10;
/// How often the records file is looked at, when it grows and when it has not grown for long.
const POLL_MIN: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_millis(200);
/// So many refused records are said one by one.
const REJECTED_SAID: u64 = 20;

/// All streams on their way.
#[derive(Debug)]
pub(crate) struct Shipping {
    parcels: Vec<OnWay>,
    uploads: Uploading,
    rejected: Rc<Cell<u64>>,
    delivering: Rc<Cell<bool>>,
}

/// The task that brings a stream, and how it is told that nobody writes to the file any more.
#[derive(Debug)]
struct OnWay {
    stream: Stream,
    ended: watch::Sender<bool>,
    task: JoinHandle<Result<i64, Refusal>>,
}

/// The task that brings files, told in the same way.
#[derive(Debug)]
struct Uploading {
    ended: watch::Sender<bool>,
    task: JoinHandle<Result<(), Refusal>>,
}

/// One stream on its way.
struct Parcel {
    server: Rc<Server>,
    stream: Stream,
    path: PathBuf,
    offset: i64,
    /// Nobody writes to the file any more.
    ended: watch::Receiver<bool>,
    delivering: Rc<Cell<bool>>,
}

impl Shipping {
    /// Starts with what the server has already.
    pub(crate) fn begin(job: &Rc<Job>, lengths: StreamLengths) -> Self {
        let (rejected, delivering) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let parcels = Stream::ALL.map(|stream| {
            let (ended, seen) = watch::channel(false);
            let parcel = Parcel {
                server: job.server.clone(),
                stream,
                path: job.folder.path(file_of(stream)),
                offset: lengths.of(stream),
                ended: seen,
                delivering: delivering.clone(),
            };
            let (job, rejected) = (job.clone(), rejected.clone());
            let task = tokio::task::spawn_local(async move { parcel.bring(&job, &rejected).await });
            OnWay { stream, ended, task }
        });
        Self { parcels: parcels.into(), uploads: Uploading::begin(job), rejected, delivering }
    }

    /// Everything was written: waits until the server has it; answers the lengths. Records and files go before logs
    /// because what is wrong with them is said in the log.
    pub(crate) async fn finish(self, job: &Job) -> Result<StreamLengths, Refusal> {
        self.delivering.set(true);
        let mut lengths = StreamLengths::default();
        let (logs, others): (Vec<_>, Vec<_>) =
            self.parcels.into_iter().partition(|parcel| parcel.stream == Stream::Logs);
        for parcel in &others {
            parcel.ended.send_replace(true);
        }
        let mut uploads = self.uploads;
        uploads.ended.send_replace(true);
        for mut parcel in others {
            *lengths.of_mut(parcel.stream) = parcel.arrived().await?;
        }
        uploads.arrived().await?;
        let unsaid = self.rejected.get().saturating_sub(REJECTED_SAID);
        if unsaid > 0 {
            job.output.note(&format!("{unsaid} more records lines were skipped"));
        }
        job.output.finish();
        for mut parcel in logs {
            parcel.ended.send_replace(true);
            *lengths.of_mut(parcel.stream) = parcel.arrived().await?;
        }
        Ok(lengths)
    }
}

impl Uploading {
    fn begin(job: &Rc<Job>) -> Self {
        let (ended, seen) = watch::channel(false);
        Self { ended, task: tokio::task::spawn_local(uploads::run(job.clone(), seen)) }
    }

    /// Waits until all files are where they belong, or given up.
    async fn arrived(&mut self) -> Result<(), Refusal> {
        (&mut self.task).await.unwrap_or_else(broken)
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn broken<T>(error: JoinError) -> Result<T, Refusal> {
    Err(Refusal::Refused(format!("the runner is broken: {error}")))
}

impl OnWay {
    /// Waits until the server has all of the stream; answers its length.
    async fn arrived(&mut self) -> Result<i64, Refusal> {
        (&mut self.task).await.unwrap_or_else(broken)
    }
}

impl Drop for OnWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Brings what is left and the exit. Repeats what the server turns out to be missing.
pub(crate) async fn deliver(job: &Rc<Job>, begun: Option<Shipping>, end: &EndJob) -> Result<(), Refusal> {
    let mut shipping = begun;
    let mut end = end.clone();
    loop {
        let on_way = match shipping.take() {
            Some(on_way) => on_way,
            None => Shipping::begin(job, lengths(&job.server).await?),
        };
        end.lengths = on_way.finish(job).await?;
        let sent = job.server.insist(|| Patience::Delivering, async |client| client.end(&end).await).await;
        match sent {
            Ok(_) => return Ok(()),
            Err(Refusal::Incomplete | Refusal::Gap(_)) => {
                tracing::warn!("the server has lost a part of the streams: sending it again");
                tokio::time::sleep(PACE).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// What the server has of each stream.
async fn lengths(server: &Server) -> Result<StreamLengths, Refusal> {
    let beat = Heartbeat { terminating: false };
    let state = server.insist(|| Patience::Delivering, async |client| client.heartbeat(&beat).await).await?;
    Ok(state.lengths)
}

impl Parcel {
    /// Until the stream has ended and the server has all of it; answers its length.
    async fn bring(mut self, job: &Job, rejected: &Cell<u64>) -> Result<i64, Refusal> {
        let cut = if self.stream == Stream::Logs { Cut::Bytes } else { Cut::Lines };
        let mut idle = Duration::ZERO;
        let mut shortened = false;
        loop {
            let ended = *self.ended.borrow_and_update();
            let chunk = match records::next_chunk(&self.path, self.offset, cut, ended) {
                Ok(chunk) => chunk,
                Err(error) if ended => return Err(unreadable(&self.path, &error)),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "a stream cannot be read now");
                    None
                }
            };
            let Some(chunk) = chunk else {
                if ended {
                    return Ok(self.offset);
                }
                shortened = shortened || self.say_shortened(job);
                idle = (idle + POLL_MIN / 10).clamp(POLL_MIN, POLL_MAX);
                self.wait(job, idle).await;
                continue;
            };
            if self.stream == Stream::Records {
                job.recorded.notify_one();
            }
            idle = Duration::ZERO;
            let large = chunk.bytes.len() >= LARGE;
            if chunk.too_long {
                let error =
                    format!("it is longer than {MAX_LINE} bytes; write several records instead of one");
                say_rejected(job, rejected, &[Rejected { offset: self.offset, error }]);
            }
            match self.append(chunk.bytes).await {
                Ok(appended) if appended.next_offset > self.offset => {
                    self.offset = appended.next_offset;
                    say_rejected(job, rejected, &appended.rejected);
                }
                Ok(_) if ended => {
                    return Err(Refusal::Refused(format!("{} do not grow", self.stream.word())));
                }
                Ok(_) => tokio::time::sleep(POLL_MAX).await,
                Err(Refusal::Gap(expected)) => {
                    self.offset = expected;
                    tokio::time::sleep(PACE).await;
                }
                Err(Refusal::Superseded) => {
                    job.supersede();
                    return Err(Refusal::Superseded);
                }
                Err(refusal) => return Err(refusal),
            }
            if !large && !ended {
                let _ = tokio::time::timeout(PACE, self.ended.changed()).await;
            }
        }
    }

    async fn append(&self, chunk: bytes::Bytes) -> Result<Appended, Refusal> {
        let (stream, offset) = (self.stream, self.offset);
        let patience = || if self.delivering.get() { Patience::Delivering } else { Patience::Running };
        let send = async |client: JobClient| client.append(stream, offset, chunk.clone()).await;
        self.server.insist(patience, send).await
    }

    /// A program that overwrites its records instead of appending loses them: say so, once.
    fn say_shortened(&self, job: &Job) -> bool {
        let length = self.path.metadata().map_or(0, |found| found.len() as i64);
        let shorter = self.stream == Stream::Records && length < self.offset;
        if shorter {
            job.output.note(&format!(
                "the records file became shorter ({length} bytes, {} were read): what is written below that length is \
                 lost; append to the file, never write it anew",
                self.offset
            ));
        }
        shorter
    }

    /// Until the file may have grown.
    async fn wait(&mut self, job: &Job, idle: Duration) {
        let grown: Option<&Notify> = match self.stream {
            Stream::Logs => Some(&job.output.grown),
            Stream::System => Some(&job.sampled),
            Stream::Records => None,
        };
        tokio::select! {
            _ = self.ended.changed() => {}
            () = async { match grown {
                Some(grown) => grown.notified().await,
                None => tokio::time::sleep(idle).await,
            } } => {}
        }
    }
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> Refusal {
    Refusal::Refused(format!("`{}` cannot be read: {error}", path.display()))
}

fn say_rejected(job: &Job, said: &Cell<u64>, lines: &[Rejected]) {
    for line in lines {
        said.set(said.get() + 1);
        if said.get() <= REJECTED_SAID {
            job.output.note(&format!("records line at byte {} skipped: {}", line.offset, line.error));
        }
    }
}

/// The file of a stream.
fn file_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Logs => folder::OUTPUT,
        Stream::Records => folder::RECORDS,
        Stream::System => folder::SYSTEM,
    }
}
