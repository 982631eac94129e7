//! Packs files that are not in a folder: each is read once, when its turn comes. Makes the same archive as the same files on a disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    Error, Packed, Part, PartOptions,
    files::threads,
    layout::{Brought, Layout},
    pack::{Source, run},
    summary::depth_first,
    survey::text,
};
use crate::{
    members::plain,
    walk::{Entry, Kind, Stamp},
};

/// A file to pack that is read from somewhere else than a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFile {
    /// Relative, with `/`. Folders are implied.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Bytes, exactly.
    pub size: u64,
}

/// The same archive from files that `open` brings one after the other, when their turn comes; `files` may have any order.
pub fn pack_streams<R: Read + Send>(
    files: &[StreamFile],
    open: impl FnMut(&StreamFile) -> io::Result<R> + Send,
    options: PartOptions,
    sink: impl FnMut(Part) -> io::Result<()> + Send,
) -> Result<Packed, Error> {
    let by_path = checked(files)?;
    let entries = entries(&by_path);
    let layout = Layout::new(&entries);
    let reading = Mutex::new(Reading { open, current: None, next: 0 });
    run(&layout, &Streams { layout: &layout, by_path: &by_path, reading }, threads(), options, sink)
}

/// The files by their paths: plain, different, and none where another needs a folder.
fn checked(files: &[StreamFile]) -> Result<BTreeMap<&str, &StreamFile>, Error> {
    let refused = |file: &StreamFile, why| Error::Refused { path: file.path.clone(), why };
    let mut by_path = BTreeMap::new();
    let mut total = 0_u64;
    for file in files {
        // As text: paths compare equal whatever dots and slashes are in them.
        let plain = plain(file.path.as_bytes()).is_ok_and(|plain| plain.as_os_str() == file.path.as_str());
        if !plain || file.path.is_empty() {
            return Err(refused(file, "its path must be relative, of plain names, without `.` and `..`"));
        }
        if by_path.insert(file.path.as_str(), file).is_some() {
            return Err(refused(file, "it is named twice"));
        }
        total = total.checked_add(file.size).ok_or_else(|| refused(file, "it is too large"))?;
    }
    if by_path.is_empty() {
        return Err(Error::Refused {
            path: String::new(),
            why: "no file was named, and what is empty is no model",
        });
    }
    if total > i64::MAX as u64 {
        return Err(Error::Refused {
            path: files[0].path.clone(),
            why: "these files are too large together",
        });
    }
    for file in files {
        let mut above = Path::new(&file.path).ancestors().skip(1);
        if above.any(|above| above.to_str().is_some_and(|above| by_path.contains_key(above))) {
            return Err(refused(file, "a file stands where it needs a folder"));
        }
    }
    Ok(by_path)
}

/// The files and the folders that they imply.
fn entries(by_path: &BTreeMap<&str, &StreamFile>) -> Vec<Entry> {
    let above = |path: &str| Path::new(path).ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>();
    let mut folders: BTreeSet<PathBuf> = by_path.keys().flat_map(|path| above(path)).collect();
    folders.remove(Path::new(""));
    let folders = folders.into_iter().map(|path| Entry { path, kind: Kind::Folder });
    let file = |file: &&StreamFile| {
        let kind = Kind::File(Stamp::elsewhere(file.size, file.executable));
        Entry { path: PathBuf::from(&file.path), kind }
    };
    let mut entries: Vec<Entry> = by_path.values().map(file).chain(folders).collect();
    entries.sort_unstable_by(|a, b| depth_first(text(a), text(b)));
    entries
}

/// Chunks of streams, which can only be read in order.
struct Streams<'a, O, R> {
    layout: &'a Layout<'a>,
    by_path: &'a BTreeMap<&'a str, &'a StreamFile>,
    reading: Mutex<Reading<O, R>>,
}

struct Reading<O, R> {
    open: O,
    current: Option<(usize, R)>,
    next: u64,
}

impl<O, R> Source for Streams<'_, O, R>
where
    O: FnMut(&StreamFile) -> io::Result<R> + Send,
    R: Read + Send,
{
    type Hand = ();

    fn next(&self, (): &mut (), buffer: &mut Vec<u8>) -> Result<Option<(u64, Brought)>, Error> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let chunk = reading.next;
        if chunk >= self.layout.chunks() {
            return Ok(None);
        }
        reading.next += 1;
        let brought = self.layout.fill(chunk, buffer, |index, offset, buffer| {
            let path = text(self.layout.entry(index));
            self.by_path.get(path).map_or(Ok(()), |file| reading.read(file, index, offset, buffer))
        });
        if brought.is_err() {
            // Nobody goes on behind what is missing.
            reading.next = self.layout.chunks();
        }
        brought.map(|brought| Some((chunk, brought)))
    }
}

impl<O, R> Reading<O, R>
where
    O: FnMut(&StreamFile) -> io::Result<R>,
    R: Read,
{
    fn read(&mut self, file: &StreamFile, index: usize, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let unreadable = |cause| Error::unreadable(Path::new(&file.path), cause);
        let mut reader = match self.current.take() {
            Some((open, reader)) if open == index => reader,
            _ => (self.open)(file).map_err(unreadable)?,
        };
        let shorter = || Error::Refused { path: file.path.clone(), why: "it is shorter than was said" };
        reader.read_exact(buffer).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => shorter(),
            _ => unreadable(cause),
        })?;
        if offset + (buffer.len() as u64) < file.size {
            self.current = Some((index, reader));
            return Ok(());
        }
        match io::copy(&mut reader.take(1), &mut io::sink()).map_err(unreadable)? {
            0 => Ok(()),
            _ => Err(Error::Refused { path: file.path.clone(), why: "it is longer than was said" }),
        }
    }
}
