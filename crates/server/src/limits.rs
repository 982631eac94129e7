//! Every limit of the HTTP surface, in one file. Each has an error that names it.

use std::time::Duration;

/// Largest JSON body.
pub(crate) const JSON: usize = 2 << 20;
/// Largest form of a dialect.
pub(crate) const FORM: usize = 64 << 10;
/// Largest body of metrics.
pub(crate) const METRICS: usize = 8 << 20;
/// Largest body of elements.
pub(crate) const ELEMENTS: usize = 16 << 20;
/// Largest body of results of one element.
pub(crate) const RESULTS: usize = 16 << 20;
/// Largest announcement of files.
pub(crate) const FILES: usize = 8 << 20;
/// Largest body that selects elements: fifty thousand ids.
pub(crate) const SELECTION: usize = 4 << 20;
/// Largest commit of activities.
pub(crate) const COMMIT: usize = 16 << 20;
/// Largest body of XML: a thousand keys of a bucket.
pub(crate) const XML: usize = 8 << 20;
/// Largest chunk of a job's stream.
pub(crate) const CHUNK: usize = (1 << 20) + (64 << 10);
/// Largest packed source.
pub(crate) const SOURCE: usize = runyard_engine::source::MAX_BYTES as usize;
/// Longest query string.
pub(crate) const QUERY: usize = 64 << 10;
/// Longest `x-request-id` that is taken from a client.
pub(crate) const REQUEST_ID: usize = 128;
/// Longest `Idempotency-Key`.
pub(crate) const IDEMPOTENCY_KEY: usize = 200;
/// Longest secret that is looked up.
pub(crate) const SECRET: usize = 256;

/// Part of a job's output in one answer, when nothing else was said.
pub(crate) const LOG_DEFAULT: i64 = 1 << 20;
/// Part of a job's output in one event of a stream.
pub(crate) const LOG_EVENT: i64 = 64 << 10;
/// Points of metrics in one event of a stream.
pub(crate) const METRIC_EVENT: usize = 1_000;
/// Entries of a run's log that a stream reads at once.
pub(crate) const EVENTS: i64 = 200;

/// A body that is refused for its size is read on, up to this many bytes and for this long, so that a client that
/// sends first and reads then gets to see the answer.
pub(crate) const DRAIN: usize = 64 << 20;
/// See [`DRAIN`].
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How long a request may take until its answer begins; uploads of sources excepted.
pub(crate) const ANSWER: Duration = Duration::from_mins(1);
/// How long a dialect's client waits for an archive to be read before it is told to ask again.
pub(crate) const VALIDATION: Duration = Duration::from_secs(45);
/// How long a body may stand still.
pub(crate) const BODY_IDLE: Duration = Duration::from_mins(1);
/// How often a quiet event stream says that it is alive.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often an event stream looks for changes that nothing signalled.
pub(crate) const STREAM_TICK: Duration = Duration::from_millis(500);
/// How often an event stream asks whether its token still works.
pub(crate) const STREAM_RECHECK: Duration = Duration::from_secs(5);
/// How long a shutdown waits for open requests.
pub(crate) const DRAIN_REQUESTS: Duration = Duration::from_secs(5);
/// How long a shutdown waits for the controller.
pub(crate) const DRAIN_CONTROLLER: Duration = Duration::from_secs(10);
