//! Packs on threads: workers make the chunks of the tar and compress them, one thread puts them in order and hashes what is in
//! them, one hashes the archive, and the caller's hashes the parts and sends them. The bytes do not depend on how many there are.
//! Memory is bounded by the number of slots and parts; whoever is slowest makes the others wait.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::{
    Checksum, Error, Packed, Part, PartOptions, Summary, Survey,
    files::{Checked, joined, threads},
    frame::{self, Framer},
    layout::{Brought, Layout, Sha},
};
use crate::hex;

/// Packs what was surveyed and gives the parts to `sink`, in order. Each file is read once.
pub fn pack(
    survey: &Survey,
    options: PartOptions,
    sink: impl FnMut(Part) -> io::Result<()> + Send,
) -> Result<Packed, Error> {
    pack_on(survey, threads(), options, sink)
}

pub(super) fn pack_on(
    survey: &Survey,
    threads: usize,
    options: PartOptions,
    sink: impl FnMut(Part) -> io::Result<()>,
) -> Result<Packed, Error> {
    let layout = Layout::new(&survey.entries);
    let files = Files { survey, layout: &layout, next: AtomicU64::new(0) };
    run(&layout, &files, threads, options, sink)
}

/// Where chunks come from.
pub(super) trait Source: Sync {
    /// What a worker keeps from one chunk to the next.
    type Hand: Default;

    /// Makes the next chunk in `buffer`; nothing when there is none left.
    fn next(&self, hand: &mut Self::Hand, buffer: &mut Vec<u8>) -> Result<Option<(u64, Brought)>, Error>;
}

/// Chunks of files, which may be read in any order.
struct Files<'a> {
    survey: &'a Survey,
    layout: &'a Layout<'a>,
    next: AtomicU64,
}

impl Source for Files<'_> {
    /// The file that the last chunk ended in.
    type Hand = Option<(usize, Checked)>;

    fn next(&self, hand: &mut Self::Hand, buffer: &mut Vec<u8>) -> Result<Option<(u64, Brought)>, Error> {
        let chunk = self.next.fetch_add(1, Ordering::Relaxed);
        if chunk >= self.layout.chunks() {
            return Ok(None);
        }
        let root = &self.survey.root;
        let brought = self.layout.fill(chunk, buffer, |index, offset, buffer| {
            let entry = self.layout.entry(index);
            let file = match hand.take() {
                Some((open, file)) if open == index => file,
                _ => Checked::open(root, entry)?,
            };
            file.read(root, entry, offset, buffer)?;
            file.same(root, entry)?;
            *hand = Some((index, file));
            Ok(())
        })?;
        Ok(Some((chunk, brought)))
    }
}

/// Memory for one chunk, used again and again.
#[derive(Default)]
struct Slot {
    chunk: Vec<u8>,
    /// Empty when the chunk goes as it is.
    frame: Vec<u8>,
}

/// A chunk that is ready for the archive.
struct Done {
    index: u64,
    brought: Brought,
    slot: Slot,
}

/// Packs the chunks of `source`.
pub(super) fn run<S: Source>(
    layout: &Layout<'_>,
    source: &S,
    threads: usize,
    options: PartOptions,
    mut sink: impl FnMut(Part) -> io::Result<()>,
) -> Result<Packed, Error> {
    let threads = threads.clamp(1, usize::try_from(layout.chunks()).unwrap_or(usize::MAX));
    let (give_back, free) = channel();
    for _ in 0..2 * threads + 2 {
        // Nobody has hung up yet.
        let _ = give_back.send(Slot::default());
    }
    let free = Mutex::new(free);
    thread::scope(|scope| {
        let (done, ready) = channel();
        for _ in 0..threads {
            let (done, free) = (done.clone(), &free);
            scope.spawn(move || work(source, free, &done));
        }
        drop(done);
        // Without room in them: one part is filled, one hashed and one sent.
        let (to_hash, whole) = sync_channel::<Bytes>(0);
        let (to_send, parts) = sync_channel::<Bytes>(0);
        let archive = scope.spawn(move || {
            let (mut digest, mut size) = (Sha256::new(), 0);
            for part in whole {
                digest.update(&part);
                size += part.len() as u64;
            }
            (hex(&digest.finalize()), size)
        });
        let part_size = usize::try_from(options.part_size).unwrap_or(usize::MAX).max(1);
        let (returned, spare) = channel();
        let cutter = Cutter { part: Vec::new(), part_size, to_hash, to_send, spare, give_back: returned };
        let summary = scope.spawn(move || assemble(layout, ready, give_back, cutter));
        let sent = send(parts, options.checksum, &mut sink);
        let (summary, (archive_sha256, archive_size)) = (joined(summary), joined(archive));
        sent?;
        Ok(Packed { summary: summary?, archive_sha256, archive_size })
    })
}

/// One worker: makes chunks and compresses them until there are none left, or nobody wants them.
fn work<S: Source>(source: &S, free: &Mutex<Receiver<Slot>>, done: &Sender<Result<Done, Error>>) {
    let mut hand = S::Hand::default();
    let mut framer = match Framer::new() {
        Ok(framer) => framer,
        Err(error) => return drop(done.send(Err(Error::Compress(error)))),
    };
    loop {
        // The slot comes before the chunk: the earliest chunk always has one, so the others never wait in vain.
        let slot = free.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut slot) = slot else { return };
        let made = match source.next(&mut hand, &mut slot.chunk) {
            Ok(None) => return,
            Ok(Some((index, brought))) => framer
                .compress(&slot.chunk, &mut slot.frame)
                .map_err(Error::Compress)
                .map(|()| Done { index, brought, slot }),
            Err(error) => Err(error),
        };
        let failed = made.is_err();
        if done.send(made).is_err() || failed {
            return;
        }
    }
}

/// Puts chunks in order, hashes the files that are in several of them, and cuts the archive into parts.
fn assemble(
    layout: &Layout<'_>,
    ready: Receiver<Result<Done, Error>>,
    give_back: Sender<Slot>,
    mut cutter: Cutter,
) -> Result<Summary, Error> {
    let mut shas = layout.shas();
    let mut open: Option<(usize, Sha256)> = None;
    let mut early = BTreeMap::new();
    let mut next = 0;
    for done in ready {
        let done = done?;
        early.insert(done.index, done);
        while let Some(Done { brought, slot, .. }) = early.remove(&next) {
            next += 1;
            let frame = if slot.frame.is_empty() {
                frame::raw(&slot.chunk, |bytes| cutter.push(bytes))
            } else {
                cutter.push(&slot.frame)
            };
            for (index, sha) in brought.whole {
                shas[index] = sha;
            }
            for (index, range) in brought.pieces {
                if open.as_ref().is_none_or(|(before, _)| *before != index) {
                    close(&mut open, &mut shas);
                    open = Some((index, Sha256::new()));
                }
                if let Some((_, digest)) = &mut open {
                    digest.update(&slot.chunk[range]);
                }
            }
            if frame.is_err() {
                return Err(stopped());
            }
            // Who made chunks may have ended already.
            let _ = give_back.send(slot);
        }
    }
    close(&mut open, &mut shas);
    cutter.finish().map_err(|Stopped| stopped())?;
    Ok(layout.summary(&shas))
}

fn close(open: &mut Option<(usize, Sha256)>, shas: &mut [Sha]) {
    if let Some((index, digest)) = open.take() {
        shas[index] = digest.finalize().into();
    }
}

/// Said by who was told to stop; who told them knows why, and says that instead.
fn stopped() -> Error {
    Error::Sink(io::ErrorKind::BrokenPipe.into())
}

/// Nobody takes parts any more.
struct Stopped;

/// Cuts the archive into parts and hands each to two threads.
struct Cutter {
    part: Vec<u8>,
    part_size: usize,
    to_hash: SyncSender<Bytes>,
    to_send: SyncSender<Bytes>,
    /// Memory of parts that nobody needs any more comes back.
    spare: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
}

impl Cutter {
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Stopped> {
        while !bytes.is_empty() {
            let room = (self.part_size - self.part.len()).min(bytes.len());
            self.part.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.part.len() == self.part_size {
                self.hand_on()?;
            }
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<(), Stopped> {
        let next = self.spare.try_recv().unwrap_or_default();
        let part = std::mem::replace(&mut self.part, next);
        let part = Bytes::from_owner(Loan { part, give_back: self.give_back.clone() });
        self.to_hash.send(part.clone()).map_err(|_| Stopped)?;
        self.to_send.send(part).map_err(|_| Stopped)
    }

    fn finish(mut self) -> Result<(), Stopped> {
        if self.part.is_empty() { Ok(()) } else { self.hand_on() }
    }
}

/// The memory of a part, which goes back when the last one who holds it lets go.
struct Loan {
    part: Vec<u8>,
    give_back: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        // Fine if there is nobody to take it.
        let _ = self.give_back.send(part);
    }
}

/// Gives the parts to `sink`, each with its digest.
fn send(
    parts: Receiver<Bytes>,
    checksum: Checksum,
    sink: &mut impl FnMut(Part) -> io::Result<()>,
) -> Result<(), Error> {
    for (number, bytes) in (1..).zip(parts) {
        let checksum = match checksum {
            Checksum::Sha256 => hex(&Sha256::digest(&bytes)),
            Checksum::Md5 => hex(&Md5::digest(&bytes)),
        };
        sink(Part { number, bytes, checksum }).map_err(Error::Sink)?;
    }
    Ok(())
}
