//! A fake server, for these tests only: speaks the job protocol over real HTTP, keeps what it gets in memory, and can be
//! away, stale, forgetful or full of orders when a test wants it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

mod files;

use files::Sets;
use runyard_domain::job::{Exit, Stream, StreamLengths};
use runyard_wire::{
    activity::Release,
    job::{Appended, EndJob, Heartbeat, JobState, Rejected, StartJob},
};
use serde_json::{Value, json};

/// What the fake has seen, and how it behaves.
#[derive(Default)]
pub(crate) struct State {
    /// Every connection is dropped before a word is said.
    pub(crate) away: bool,
    /// Answers every call of the job with this status and code.
    pub(crate) refuse: Option<(u16, &'static str)>,
    /// How often it did.
    pub(crate) refusals: usize,
    /// Its clock is ahead by this, in milliseconds.
    pub(crate) ahead_ms: i64,
    /// A stop in force, as epoch milliseconds of its own clock.
    pub(crate) stop_deadline: Option<i64>,
    /// Packed sources by digest.
    pub(crate) sources: BTreeMap<String, Vec<u8>>,
    pub(crate) streams: BTreeMap<Stream, Vec<u8>>,
    pub(crate) starts: usize,
    pub(crate) heartbeats: Vec<bool>,
    pub(crate) exit: Option<Exit>,
    /// Checkpoints and artifacts.
    pub(crate) sets: Sets,
    /// The worker run of the job, with how many elements each holder has.
    pub(crate) worker: Option<Worker>,
    /// Chunks that broke a rule of the protocol.
    pub(crate) offences: Vec<String>,
}

/// A worker run as far as runners ask for it.
#[derive(Default)]
pub(crate) struct Worker {
    /// Elements that are queued.
    pub(crate) queued: Vec<String>,
    pub(crate) left: i64,
    pub(crate) processed: i64,
    pub(crate) error: i64,
    /// What a dead holder is said to have had.
    pub(crate) held: BTreeMap<String, i64>,
    /// By so many every death makes less what is left.
    pub(crate) lost_each: i64,
    /// Holders that died.
    pub(crate) died: Vec<String>,
}

impl Worker {
    fn shown(&self) -> Value {
        json!({"id": "w", "project_id": "p", "corpus_id": "the-corpus", "summary": "", "worker": "w", "mode": "workers",
            "configuration": {}, "worker_configuration": {}, "user_configuration": {}, "secrets": [], "selection": {},
            "max_attempts": 3, "lease_ms": 60000, "created_at": 0,
            "counts": {"queued": self.left, "started": 0, "processed": self.processed, "error": self.error}})
    }

    fn listed(&self, query: &str) -> Value {
        let of = |id: &String| json!({"element_id": id, "state": "queued", "attempt": 0, "lost": 0, "updated_at": 0});
        let queued = if query.contains("state=queued") { self.queued.as_slice() } else { &[] };
        queued.iter().map(of).collect()
    }
}

impl State {
    pub(crate) fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_millis()).unwrap() + self.ahead_ms
    }

    pub(crate) fn text(&self, stream: Stream) -> String {
        let bytes = self.streams.get(&stream).cloned().unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    fn lengths(&self) -> StreamLengths {
        let mut lengths = StreamLengths::default();
        for (stream, bytes) in &self.streams {
            *lengths.of_mut(*stream) = bytes.len() as i64;
        }
        lengths
    }

    fn job(&self) -> Answer {
        let state = JobState { stop_deadline: self.stop_deadline, now: self.now(), lengths: self.lengths() };
        ok(&state)
    }
}

pub(crate) struct Fake {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::with(Arc::default())
    }

    /// The same server at another address, as after a restart.
    pub(crate) fn moved(&self) -> Self {
        Self::with(self.state.clone())
    }

    fn with(state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = state.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                thread::spawn(move || serve(&connection, &state));
            }
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

struct Request {
    method: String,
    path: Vec<String>,
    query: String,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn ok(data: &impl serde::Serialize) -> Answer {
    Answer { status: 200, body: serde_json::to_vec(&json!({ "data": data })).unwrap() }
}

fn error(status: u16, code: &str, expected_offset: Option<i64>) -> Answer {
    let mut body = json!({"error": format!("the fake says {code}"), "code": code, "request_id": "r"});
    if let Some(expected) = expected_offset {
        body["expected_offset"] = expected.into();
    }
    Answer { status, body: serde_json::to_vec(&body).unwrap() }
}

fn serve(connection: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader) {
        let mut state = state.lock().unwrap();
        if state.away {
            return;
        }
        let answer = answer(&mut state, &request);
        drop(state);
        let head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n", answer.status, answer.body.len());
        let mut connection = connection;
        if connection.write_all(&[head.as_bytes(), &answer.body].concat()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.trim_start_matches("/api/v2/").split('/').map(str::to_owned).collect();
    Some(Request { method, path, query: query.to_owned(), body })
}

fn answer(state: &mut State, request: &Request) -> Answer {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["sources", digest]) => match state.sources.get(*digest) {
            Some(bytes) => Answer { status: 200, body: bytes.clone() },
            None => error(404, "not_found", None),
        },
        (_, ["jobs", ..]) if state.refuse.is_some() => {
            let (status, code) = state.refuse.unwrap();
            state.refusals += 1;
            error(status, code, None)
        }
        ("POST", ["jobs", _, "start"]) => {
            let _: StartJob = serde_json::from_slice(&request.body).unwrap();
            state.starts += 1;
            state.job()
        }
        ("POST", ["jobs", _, "heartbeat"]) => {
            let beat: Heartbeat = serde_json::from_slice(&request.body).unwrap();
            state.heartbeats.push(beat.terminating);
            state.job()
        }
        ("PUT", ["jobs", _, "streams", stream]) => append(state, Stream::from_word(stream).unwrap(), request),
        ("GET", ["objects"]) => ok(&serde_json::json!({"checksum": "md5"})),
        (_, [kind @ ("checkpoints" | "artifacts"), rest @ ..]) => {
            let answer = state.sets.answer(&request.method, kind, rest, &request.body);
            answer.unwrap_or_else(|| error(404, "not_found", None))
        }
        ("PUT", ["", "objects", ..]) => state.sets.put(&path[2..], &request.body),
        ("GET", ["worker_runs", _]) => match &state.worker {
            Some(worker) => ok(&worker.shown()),
            None => error(404, "not_found", None),
        },
        ("GET", ["worker_runs", _, "activities"]) => {
            ok(&state.worker.as_ref().unwrap().listed(&request.query))
        }
        ("POST", ["worker_runs", _, "release"]) => {
            let release: Release = serde_json::from_slice(&request.body).unwrap();
            assert!(release.died);
            let worker = state.worker.as_mut().unwrap();
            worker.died.push(release.holder.clone());
            worker.left -= worker.lost_each;
            ok(&json!({"count": worker.held.get(&release.holder).copied().unwrap_or(0)}))
        }
        ("POST", ["jobs", _, "end"]) => {
            let end: EndJob = serde_json::from_slice(&request.body).unwrap();
            if end.lengths != state.lengths() {
                return error(409, "incomplete", None);
            }
            state.exit.get_or_insert(end.exit);
            state.job()
        }
        _ => error(404, "not_found", None),
    }
}

fn append(state: &mut State, stream: Stream, request: &Request) -> Answer {
    let offset: usize = request.query.strip_prefix("offset=").unwrap().parse().unwrap();
    let stored = state.streams.entry(stream).or_default();
    if offset > stored.len() {
        return error(409, "offset_gap", Some(stored.len() as i64));
    }
    let lines = stream != Stream::Logs;
    if request.body.len() > (1 << 20) + 1 || (lines && !request.body.ends_with(b"\n")) {
        state.offences.push(format!("{} bytes of {} at {offset}", request.body.len(), stream.word()));
    }
    let new = request.body.get(stored.len() - offset..).unwrap_or_default();
    let mut rejected = Vec::new();
    if lines {
        let mut at = stored.len();
        for line in new.split_inclusive(|byte| *byte == b'\n') {
            if !line.trim_ascii().is_empty() && serde_json::from_slice::<Value>(line).is_err() {
                rejected.push(Rejected { offset: at as i64, error: "no JSON".into() });
            }
            at += line.len();
        }
    }
    stored.extend_from_slice(new);
    ok(&Appended { next_offset: stored.len() as i64, rejected })
}
