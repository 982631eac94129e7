//! Reads an archive of anybody once, on threads: one reads and hashes it, one unpacks it, others hash what is in it. Nothing but
//! `extract_model` writes to a folder, and that one only inside it.

use std::{
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{
    Expected, Inspected, Packed, Summary, content::Contents, files::joined, layout::Sha, paper::Paper,
    summary::depth_first,
};
use crate::{
    extract::{Error, Limits, Tree},
    hex,
    members::{self, Member},
};

/// Bytes that go from thread to thread at once, and how many of them may wait.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 16;

/// Reads a tar.zst of anybody once, and extracts nothing. `scratch` is a folder for a temporary file without a name: needed to
/// know the content MD5 of an archive that is not in the order that `pack` makes, or has links to files. Archives of `pack`
/// without such links say so, and nothing of them is kept there.
pub fn inspect(
    reader: impl Read + Send,
    limits: &Limits,
    scratch: Option<&Path>,
) -> Result<Inspected, Error> {
    let read = read(reader, limits, Purpose::Inspect { scratch })?;
    let (content_md5, archive_md5) = read.md5.unwrap_or_default();
    let (archive_sha256, archive_size) = (read.archive_sha256, read.archive_size);
    Ok(Inspected { summary: read.summary, content_md5, archive_sha256, archive_md5, archive_size })
}

/// Extracts into `folder`, which must be missing or empty, and holds what came against `expected`: what is in the folder is
/// there when all of it is right, and not before. What a killed process leaves is a folder beside it (or in it) whose name
/// begins with `.` and ends with `.part`.
pub fn extract_model(
    reader: impl Read + Send,
    folder: &Path,
    limits: &Limits,
    expected: &Expected,
) -> Result<Packed, Error> {
    let place = Place::new(folder)?;
    let read = read(reader, limits, Purpose::Extract { folder: place.part.path() })?;
    let packed = Packed {
        summary: read.summary,
        archive_sha256: read.archive_sha256,
        archive_size: read.archive_size,
    };
    same("SHA-256", expected.archive_sha256.as_ref(), &packed.archive_sha256)?;
    same("tree digest", expected.tree_digest.as_ref(), &packed.summary.tree_digest)?;
    place.keep()?;
    Ok(packed)
}

fn same(what: &'static str, expected: Option<&String>, found: &str) -> Result<(), Error> {
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => {
            Err(Error::Differs { what, expected: expected.clone(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Where a model is extracted, and where it goes when it is whole.
struct Place<'a> {
    folder: &'a Path,
    /// Inside `folder` when that is there already: it may be somebody's current folder, or a mounted disk.
    part: TempDir,
    exists: bool,
}

impl<'a> Place<'a> {
    fn new(folder: &'a Path) -> Result<Self, Error> {
        let failed = |path: &Path, cause| Error::Write { path: path.to_owned(), cause };
        let (exists, beside) = match fs::read_dir(folder).map(|mut found| found.next().is_none()) {
            Ok(true) => (true, folder),
            Ok(false) => return Err(Error::NotEmpty(folder.to_owned())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let beside = folder.parent().filter(|path| !path.as_os_str().is_empty());
                (false, beside.unwrap_or(Path::new(".")))
            }
            Err(cause) => return Err(failed(folder, cause)),
        };
        fs::create_dir_all(beside).map_err(|cause| failed(beside, cause))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        // As wide as the umask lets it be, like any folder.
        let part = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.chars().take(100).collect::<String>()))
            .suffix(".part")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(beside)
            .map_err(|cause| failed(beside, cause))?;
        Ok(Self { folder, part, exists })
    }

    fn keep(self) -> Result<(), Error> {
        let failed = |cause| Error::Write { path: self.folder.to_owned(), cause };
        if !self.exists {
            fs::rename(self.part.path(), self.folder).map_err(failed)?;
            // It is elsewhere now: there is nothing to delete.
            let _ = self.part.keep();
            return Ok(());
        }
        for child in fs::read_dir(self.part.path()).map_err(failed)? {
            let child = child.map_err(failed)?;
            fs::rename(child.path(), self.folder.join(child.file_name())).map_err(failed)?;
        }
        self.part.close().map_err(failed)
    }
}

/// What an archive is read for.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    /// To know it, with its MD5s.
    Inspect { scratch: Option<&'a Path> },
    /// To have it.
    Extract { folder: &'a Path },
}

/// What was read.
struct WasRead {
    summary: Summary,
    /// Of the contents, if that could be known, and of the archive.
    md5: Option<(Option<String>, String)>,
    archive_sha256: String,
    archive_size: u64,
}

fn read(reader: impl Read + Send, limits: &Limits, purpose: Purpose<'_>) -> Result<WasRead, Error> {
    let mut paper = Paper::new(limits);
    thread::scope(|scope| {
        let (to_unpack, blocks) = sync_channel(WAITING);
        let (to_sha, contents) = sync_channel(WAITING);
        let mut outs = Outs { sha: to_sha, md5: None, ordered: true, promised: false, last: String::new() };
        let (mut to_md5, mut md5s) = (None, None);
        if let Purpose::Inspect { scratch } = purpose {
            let (to_whole, whole) = sync_channel::<Bytes>(WAITING);
            let (to_contents, contents) = sync_channel(WAITING);
            (to_md5, outs.md5) = (Some(to_whole), Some(to_contents));
            let whole =
                scope.spawn(move || hex(&whole.iter().fold(Md5::new(), Digest::chain_update).finalize()));
            md5s = Some((scope.spawn(move || collect(&contents, scratch)), whole, scratch));
        }
        let archive = scope.spawn(move || bring(reader, &to_unpack, to_md5.as_ref()));
        let shas = scope.spawn(move || hash(&contents));
        let unpacked =
            unpack(Blocks { blocks, current: Bytes::new() }, limits, purpose, &mut paper, &mut outs);
        let ordered = outs.ordered;
        // Whoever waits for more now knows that there is none.
        drop(outs);
        let (shas, (archive_sha256, archive_size)) = (joined(shas), joined(archive));
        let md5s = md5s.map(|(contents, whole, scratch)| (joined(contents), joined(whole), scratch));
        let md5 = match md5s {
            // A scratch file that cannot be written stops the unpacking: its reason is the better one.
            Some((Err(cause), _, Some(scratch))) => {
                return Err(Error::Write { path: scratch.to_owned(), cause });
            }
            Some((contents, whole, scratch)) => {
                unpacked?;
                let content = contents.and_then(|contents| contents.finish(&paper.hashed(), ordered));
                let path = scratch.map(Path::to_owned).unwrap_or_default();
                Some((content.map_err(|cause| Error::Write { path, cause })?, whole))
            }
            None => {
                unpacked?;
                None
            }
        };
        Ok(WasRead { summary: paper.summary(&shas), md5, archive_sha256, archive_size })
    })
}

/// Reads the archive and passes it on; knows its SHA-256 and size at the end.
fn bring(
    mut reader: impl Read,
    to_unpack: &SyncSender<io::Result<Bytes>>,
    to_md5: Option<&SyncSender<Bytes>>,
) -> (String, u64) {
    let (mut digest, mut size) = (Sha256::new(), 0);
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = reader.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        let block = Bytes::from(block);
        let ended = block.len() < BLOCK;
        digest.update(&block);
        size += block.len() as u64;
        if let Some(to_md5) = to_md5 {
            // It waits for us until the end.
            let _ = to_md5.send(block.clone());
        }
        // Who unpacks may have found that it is no archive.
        let stopped = to_unpack.send(Ok(block)).is_err();
        let failed = read.is_err();
        if let Err(error) = read {
            let _ = to_unpack.send(Err(error));
        }
        if ended || stopped || failed {
            return (hex(&digest.finalize()), size);
        }
    }
}

/// The archive as it comes from the thread that reads it.
struct Blocks {
    blocks: Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.blocks.recv() {
                Ok(block) => self.current = block?,
                Err(_) => return Ok(0),
            }
        }
        let read = buffer.len().min(self.current.len());
        buffer[..read].copy_from_slice(&self.current.split_to(read));
        Ok(read)
    }
}

/// Bytes of a content, for who hashes them.
struct Piece {
    bytes: Bytes,
    /// The content ends with them.
    last: bool,
    /// All contents so far came in the order of their paths.
    ordered: bool,
    /// The archive says that they all will.
    promised: bool,
}

/// Where the contents go.
struct Outs {
    sha: SyncSender<Piece>,
    md5: Option<SyncSender<Piece>>,
    ordered: bool,
    promised: bool,
    /// The path of the content before.
    last: String,
}

impl Outs {
    /// A content begins.
    fn begin(&mut self, path: &Path) {
        let path = path.to_str().unwrap_or_default();
        self.ordered &= self.last.is_empty() || depth_first(&self.last, path).is_lt();
        path.clone_into(&mut self.last);
    }

    fn send(&self, bytes: Bytes, last: bool) -> io::Result<()> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let piece = || Piece { bytes: bytes.clone(), last, ordered: self.ordered, promised: self.promised };
        self.md5.as_ref().map_or(Ok(()), |md5| md5.send(piece()).map_err(gone))?;
        self.sha.send(piece()).map_err(gone)
    }
}

fn unpack(
    archive: impl Read,
    limits: &Limits,
    purpose: Purpose<'_>,
    paper: &mut Paper<'_>,
    outs: &mut Outs,
) -> Result<(), Error> {
    let mut tree = match purpose {
        Purpose::Extract { folder } => Some(Tree::new(folder, limits)?),
        Purpose::Inspect { .. } => None,
    };
    members::read(archive, limits, |path, member, content| {
        paper.add(path, &member)?;
        // Only before the first content.
        outs.promised |= matches!(member, Member::InOrder) && outs.last.is_empty();
        let size = if let Member::File { size, .. } = member { Some(size) } else { None };
        if size.is_some() {
            outs.begin(path);
        }
        let mut passed = Passing { content, outs, left: size.unwrap_or(0) };
        if size == Some(0) {
            passed.outs.send(Bytes::new(), true).map_err(Error::Damaged)?;
        }
        match (&mut tree, size) {
            (Some(tree), _) => tree.add(path, member, &mut passed),
            (None, Some(_)) => passed.drain().map_err(Error::Damaged),
            (None, None) => Ok(()),
        }
    })?;
    paper.check_links()?;
    tree.map_or(Ok(()), |tree| tree.finish().map(drop))
}

/// A content on its way: who reads it lets the others see it.
struct Passing<'a> {
    content: &'a mut dyn Read,
    outs: &'a Outs,
    left: u64,
}

impl Passing<'_> {
    /// For nobody but the others.
    fn drain(&mut self) -> io::Result<()> {
        while self.left > 0 {
            let most = BLOCK.min(usize::try_from(self.left).unwrap_or(BLOCK));
            let mut block = Vec::with_capacity(most);
            (&mut *self.content).take(most as u64).read_to_end(&mut block)?;
            if block.len() < most {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= most as u64;
            self.outs.send(Bytes::from(block), self.left == 0)?;
        }
        Ok(())
    }
}

impl Read for Passing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.content.read(&mut buffer[..most])?;
        self.left -= read as u64;
        if read > 0 {
            self.outs.send(Bytes::copy_from_slice(&buffer[..read]), self.left == 0)?;
        }
        Ok(read)
    }
}

/// SHA-256 of each content.
fn hash(contents: &Receiver<Piece>) -> Vec<Sha> {
    let (mut shas, mut digest) = (Vec::new(), Sha256::new());
    for piece in contents {
        digest.update(&piece.bytes);
        if piece.last {
            shas.push(digest.finalize_reset().into());
        }
    }
    shas
}

/// What is needed for the MD5 of all contents.
fn collect(contents: &Receiver<Piece>, scratch: Option<&Path>) -> io::Result<Contents> {
    let mut collected = Contents::new(scratch);
    for piece in contents {
        if piece.promised {
            collected.in_order();
        }
        collected.take(&piece.bytes, piece.ordered)?;
        if piece.last {
            collected.end();
        }
    }
    Ok(collected)
}
