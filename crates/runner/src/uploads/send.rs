//! Sends the files of one checkpoint or artifact: read and hashed on threads, announced in batches, sent where the server
//! says, verified by it. Memory stays flat: a batch of names and digests, and a few small buffers, are all there is.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io,
    num::NonZero,
    path::Path,
    sync::Arc,
    thread,
};

use runyard_archive::{
    digest::{self, in_parallel, sha256},
    model::Checksum,
};
use runyard_client::{Client, Error};
use runyard_domain::{
    ChecksumKind,
    checkpoint::{Kind, part_size, parts},
};
use runyard_wire::file::{LocalFile, NewFile, NewPart, SentFile, SignedUrl, Upload};
use tokio::task::{JoinHandle, JoinSet};

use super::{
    blocking,
    find::{self, Found, Stamp},
    insist::{Patience, Stop},
};
use crate::job::Job;

/// Files that are announced together: so many, or so many bytes.
const BATCH_FILES: usize = 100;
const BATCH_BYTES: u64 = 64 << 20;
/// Less is hashed on one thread.
const HASHED_ALONE: u64 = 4 << 20;
/// Requests to the store at the same time.
const AT_ONCE: usize = 3;
/// Files of an output that are put in their places in one step.
const COMPLETED: usize = 5_000;
/// How often everything is looked through again when the server says that something is missing.
const ROUNDS: u32 = 3;
/// How often bytes that arrive damaged are sent again.
const DAMAGED_MAX: u32 = 3;

/// A file whose digests are known.
struct Hashed {
    found: Found,
    stamp: Stamp,
    new: NewFile,
}

/// Where a set of files goes.
pub(super) enum Goal {
    /// Into a checkpoint or an artifact.
    Set(Kind, String),
    /// Into a bucket of the server, by the job's id and the channel.
    Output(String, String),
}

/// A set of files on its way.
pub(super) struct Sending<'a> {
    goal: Goal,
    server: Patience<'a>,
    /// Where signed addresses lead: well or not for reasons of its own.
    store: Patience<'a>,
    /// SHA-256 by path of the files that go in parts, made while these are on their way.
    whole: BTreeMap<String, String>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(job: &'a Job, title: String, goal: Goal) -> Self {
        let (server, store) = (Patience::new(job, title.clone()), Patience::with_store(job, title));
        Self { goal, server, store, whole: BTreeMap::new() }
    }

    /// Sends all files, and completes the set.
    pub(super) async fn send(mut self, files: Vec<Found>) -> Result<(), Stop> {
        let files: Arc<[Found]> = files.into();
        let checksum = self.server.insist(async |client| client.object_checksum().await).await?;
        for round in 0..ROUNDS {
            let untaken = if round == 0 { self.let_take(&files, checksum).await? } else { files.clone() };
            self.send_all(&untaken, checksum).await?;
            if self.complete(&files).await? {
                return Ok(());
            }
        }
        Err(Stop::GivenUp(format!(
            "its files do not arrive: the object store lost some of them {ROUNDS} times"
        )))
    }

    /// Whether the server has found everything in its place.
    async fn complete(&mut self, files: &[Found]) -> Result<bool, Stop> {
        let sent = |path: &str| SentFile {
            path: path.to_owned(),
            sha256: self.whole.get(path).cloned(),
            ..SentFile::default()
        };
        let (all, at_once): (Vec<SentFile>, usize) = match &self.goal {
            // What is not new to the server may be left out.
            Goal::Set(..) => (self.whole.keys().map(|path| sent(path)).collect(), usize::MAX),
            Goal::Output(..) => (files.iter().map(|file| sent(&file.path)).collect(), COMPLETED),
        };
        let mut parts: Vec<&[SentFile]> = all.chunks(at_once).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for sent in parts {
            if !self.complete_part(sent.to_vec()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn complete_part(&mut self, sent: Vec<SentFile>) -> Result<bool, Stop> {
        loop {
            let (client, sent) = (self.server.client(), sent.clone());
            let completed = match &self.goal {
                Goal::Set(kind, id) => client.complete_files(*kind, id, sent).await,
                Goal::Output(job, channel) => client.complete_output(job, channel, sent).await.map(drop),
            };
            match completed {
                Ok(()) => return Ok(true),
                // The store lost something, or an earlier runner was cut off: look at all files again.
                Err(error) if error.code() == Some("incomplete") => {
                    tracing::warn!(%error, "not all files have arrived: sending what is missing");
                    return Ok(false);
                }
                Err(error) => self.server.meet(&error).await?,
            }
        }
    }

    /// Lets the server take what it can from a disk that it shares with the job; answers the other files.
    async fn let_take(&mut self, files: &Arc<[Found]>, checksum: ChecksumKind) -> Result<Arc<[Found]>, Stop> {
        let job = self.server.job();
        let Goal::Set(kind, id) = &self.goal else { return Ok(files.clone()) };
        // Only objects in a folder are bound by SHA-256.
        if job.spec.server_file.is_none() || checksum != ChecksumKind::Sha256 {
            return Ok(files.clone());
        }
        let Ok(ml) = job.folder.ml().canonicalize() else { return Ok(files.clone()) };
        let (mut untaken, mut start) = (Vec::new(), 0);
        while start < files.len() {
            let (all, root) = (files.clone(), ml.clone());
            let (batch, end) = blocking(move || local(&all, start, &root)).await.map_err(Stop::GivenUp)?;
            let announce = async |client: Client| client.announce_files(*kind, id, batch.clone()).await;
            let answers = self.server.insist(announce).await?;
            let taken: HashSet<String> =
                answers.into_iter().filter(|one| one.done).map(|one| one.path).collect();
            untaken.extend(files[start..end].iter().filter(|one| !taken.contains(&one.path)).cloned());
            start = end;
        }
        Ok(untaken.into())
    }

    /// Hashes a batch while the one before it is on its way.
    async fn send_all(&mut self, files: &Arc<[Found]>, checksum: ChecksumKind) -> Result<(), Stop> {
        let mut next = hash(files, 0, checksum);
        loop {
            let hashed = next.await.unwrap_or_else(|error| Err(error.to_string()));
            let Some((batch, end)) = hashed.map_err(Stop::GivenUp)? else { return Ok(()) };
            next = hash(files, end, checksum);
            self.send_batch(batch).await?;
        }
    }

    /// Sends a batch, and learns the SHA-256 of its large files meanwhile.
    async fn send_batch(&mut self, batch: Vec<Hashed>) -> Result<(), Stop> {
        let large = batch.iter().filter(|hashed| !hashed.new.parts.is_empty());
        let new = large.filter(|hashed| !self.whole.contains_key(&hashed.found.path));
        let hashing: Vec<_> = new.map(|hashed| hash_whole(hashed.found.clone(), hashed.stamp)).collect();
        self.send_missing(batch).await?;
        for digest in hashing {
            let digest = digest.await.unwrap_or_else(|error| Err(error.to_string()));
            let (path, sha256) = digest.map_err(Stop::GivenUp)?;
            self.whole.insert(path, sha256);
        }
        Ok(())
    }

    /// Sends what the store does not have of a batch. Each round announces what is left, so that addresses that have
    /// expired are new again and the server learns which parts are there.
    async fn send_missing(&mut self, mut batch: Vec<Hashed>) -> Result<(), Stop> {
        let mut damaged = 0;
        loop {
            let news: Vec<NewFile> = batch.iter().map(|hashed| hashed.new.clone()).collect();
            let goal = &self.goal;
            let announce = async |client: Client| match goal {
                Goal::Set(kind, id) => client.announce_files(*kind, id, news.clone()).await,
                Goal::Output(job, channel) => client.announce_output(job, channel, news.clone()).await,
            };
            let uploads = self.server.insist(announce).await?;
            batch.retain(|hashed| {
                uploads.iter().any(|upload| upload.path == hashed.found.path && !upload.done)
            });
            let pieces = pieces(&batch, &uploads);
            if pieces.is_empty() {
                // All there; the parts of a file are put together when the set is completed.
                return Ok(());
            }
            match self.send_pieces(&mut batch, pieces).await? {
                None => {}
                Some(error) if is_damage(&error) => {
                    damaged += 1;
                    if damaged == DAMAGED_MAX {
                        return Err(Stop::GivenUp(format!("its files arrive damaged: {error}")));
                    }
                }
                Some(error) => self.store.meet(&error).await?,
            }
        }
    }

    /// Sends pieces, a few at a time. Answers the first trouble with the network or the store, once nothing is under way.
    async fn send_pieces(&mut self, batch: &mut [Hashed], pieces: Vec<Piece>) -> Result<Option<Error>, Stop> {
        let mut left = pieces.into_iter();
        let mut under_way = JoinSet::new();
        let mut trouble = None;
        loop {
            while trouble.is_none() && under_way.len() < AT_ONCE {
                let Some(piece) = left.next() else { break };
                let Hashed { found, stamp, .. } = &batch[piece.file];
                under_way.spawn_local(put(self.server.client(), found.clone(), *stamp, piece));
            }
            let Some(ended) = under_way.join_next().await else { return Ok(trouble) };
            let broken = |error| Stop::GivenUp(format!("the runner is broken: {error}"));
            let (piece, sent) = ended.map_err(broken)?;
            match sent {
                Ok(etag) => {
                    self.store.well();
                    if let Some(part) = piece.part {
                        batch[piece.file].new.parts[part].etag = Some(etag);
                    }
                }
                Err(Fault::File(reason)) => return Err(Stop::GivenUp(reason)),
                Err(Fault::Way(error)) => trouble = Some(error),
            }
        }
    }
}

type Batch = JoinHandle<Result<Option<(Vec<Hashed>, usize)>, String>>;

/// The digests of the next files from `start` on, and where the batch after them starts; `None` after the last.
fn hash(files: &Arc<[Found]>, start: usize, checksum: ChecksumKind) -> Batch {
    let files = files.clone();
    tokio::task::spawn_blocking(move || {
        let (mut batch, mut bytes, mut at) = (Vec::new(), 0, start);
        while at < files.len() && batch.len() < BATCH_FILES && bytes < BATCH_BYTES {
            let (file, stamp) = find::open(&files[at])?;
            bytes += stamp.size;
            batch.push((&files[at], file, stamp));
            at += 1;
        }
        // For little, other threads cost more than they save.
        let threads = if bytes < HASHED_ALONE { 1 } else { threads() };
        let hashed =
            in_parallel(&batch, threads, |(found, file, stamp)| hash_one(found, file, *stamp, checksum));
        let hashed: Vec<Hashed> = hashed.into_iter().collect::<Result<_, _>>()?;
        Ok((!hashed.is_empty()).then_some((hashed, at)))
    })
}

/// Where the next files from `start` on are, and where the batch after them starts.
fn local(files: &[Found], start: usize, ml: &Path) -> Result<(Vec<NewFile>, usize), String> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for found in &files[start..] {
        if batch.len() == BATCH_FILES || bytes >= BATCH_BYTES {
            break;
        }
        let (_, stamp) = find::open(found)?;
        bytes += stamp.size;
        let place = found.real.strip_prefix(ml).ok().and_then(Path::to_str).unwrap_or_default();
        let local = LocalFile {
            place: place.to_owned(),
            device: stamp.file.0,
            inode: stamp.file.1,
            modified_s: stamp.modified.0,
            modified_ns: stamp.modified.1,
        };
        batch.push(NewFile {
            path: found.path.clone(),
            size: stamp.size.cast_signed(),
            local: Some(local),
            ..NewFile::default()
        });
    }
    let end = start + batch.len();
    Ok((batch, end))
}

/// A few: the program wants its cores.
fn threads() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get).min(4)
}

/// What is announced of a file. Of a large one all but its SHA-256, which need not be waited for.
fn hash_one(found: &Found, file: &File, stamp: Stamp, checksum: ChecksumKind) -> Result<Hashed, String> {
    let wrong = |error| unread(found, &error);
    let size = stamp.size.cast_signed();
    let piece = part_size(size).map(i64::cast_unsigned);
    let kind = match checksum {
        ChecksumKind::Md5 => Checksum::Md5,
        ChecksumKind::Sha256 => Checksum::Sha256,
    };
    let mode = i64::from(stamp.mode & 0o777);
    let mut new = NewFile { path: found.path.clone(), size, mode: Some(mode), ..NewFile::default() };
    if piece.is_some() {
        let new_part = |((_, size), digest): ((i64, i64), String)| match checksum {
            ChecksumKind::Md5 => NewPart { size, md5: Some(digest), ..NewPart::default() },
            ChecksumKind::Sha256 => NewPart { size, sha256: Some(digest), ..NewPart::default() },
        };
        let digests = digest::pieces(file, stamp.size, piece, kind, threads()).map_err(wrong)?;
        new.parts = parts(size).zip(digests).map(new_part).collect();
    } else {
        new.sha256 = Some(sha256(file, stamp.size).map_err(wrong)?);
        if checksum == ChecksumKind::Md5 {
            new.md5 = digest::pieces(file, stamp.size, None, kind, 1).map_err(wrong)?.pop();
        }
    }
    Ok(Hashed { found: found.clone(), stamp, new })
}

/// Path and SHA-256 of a file that is the same before and after.
fn hash_whole(found: Found, stamp: Stamp) -> JoinHandle<Result<(String, String), String>> {
    tokio::task::spawn_blocking(move || {
        let (file, before) = find::open(&found)?;
        let digest = sha256(&file, stamp.size).map_err(|error| unread(&found, &error))?;
        let (_, after) = find::open(&found)?;
        if before == stamp && after == stamp { Ok((found.path, digest)) } else { Err(changed(&found)) }
    })
}

fn unread(found: &Found, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(found),
        _ => format!("`{}` {}", found.path, find::gone_or(error)),
    }
}

/// A whole file or a part of one, and where it goes.
struct Piece {
    /// Place of the file in its batch.
    file: usize,
    /// Place of the part in its file.
    part: Option<usize>,
    offset: i64,
    size: i64,
    put: SignedUrl,
}

/// What to send until the next announcement: of a file with very many parts only some, so that a runner that is killed
/// has not sent all of them in vain.
fn pieces(batch: &[Hashed], uploads: &[Upload]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for upload in uploads.iter().filter(|upload| !upload.done) {
        let Some(file) = batch.iter().position(|hashed| hashed.found.path == upload.path) else { continue };
        if let Some(put) = &upload.put {
            let size = batch[file].new.size;
            pieces.push(Piece { file, part: None, offset: 0, size, put: put.clone() });
        }
        let most = (upload.parts.len() / 16).max(8);
        let missing = upload.parts.iter().filter(|part| !part.done).take(most);
        pieces.extend(missing.filter_map(|part| {
            let at = usize::try_from(part.number - 1).ok().filter(|at| *at < batch[file].new.parts.len())?;
            let put = part.put.clone()?;
            Some(Piece { file, part: Some(at), offset: part.offset, size: part.size, put })
        }));
    }
    pieces
}

/// What went wrong with a piece.
enum Fault {
    /// The file is not what it was.
    File(String),
    /// The network, the server or the store.
    Way(Error),
}

async fn put(client: Client, found: Found, stamp: Stamp, piece: Piece) -> (Piece, Result<String, Fault>) {
    let sent = put_unchanged(&client, &found, stamp, &piece).await;
    (piece, sent)
}

/// Sends a piece of a file that is the same before and after.
async fn put_unchanged(client: &Client, found: &Found, stamp: Stamp, piece: &Piece) -> Result<String, Fault> {
    let file = unchanged(found, stamp).await?;
    let sent = client.put_signed(&piece.put, file.into(), piece.offset, piece.size).await;
    unchanged(found, stamp).await?;
    match sent {
        Err(Error::Local { cause, .. }) => {
            Err(Fault::File(format!("`{}` {}", found.path, find::gone_or(&cause))))
        }
        sent => sent.map_err(Fault::Way),
    }
}

async fn unchanged(found: &Found, stamp: Stamp) -> Result<std::fs::File, Fault> {
    let (wanted, path) = (found.clone(), found.clone());
    let (file, now) = blocking(move || find::open(&wanted)).await.map_err(Fault::File)?;
    if now == stamp { Ok(file) } else { Err(Fault::File(changed(&path))) }
}

fn changed(found: &Found) -> String {
    format!(
        "`{}` changed while it was uploaded: name files when they are whole, and leave them alone",
        found.path
    )
}

/// Whether the store found other bytes than were announced.
fn is_damage(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 422))
}
