//! Reads the members of a tar.zst that anybody may have made, one after the other. Says what each is and refuses what nothing
//! here can be; writes nothing, and remembers nothing of the members before.

use std::{
    cell::Cell,
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use crate::{
    extract::{Error, Limits},
    header::{BLOCK, IN_ORDER},
    human,
};

/// Names, long names and attributes of one entry fit in this many times over; so do the zeros after the end.
const HEADERS_MAX: u64 = 1 << 20;
/// As long as Linux takes a path, and one name in it.
const PATH_MAX: usize = 4_096;
const NAME_MAX: usize = 255;

/// One member; its path is made of plain names only.
pub(crate) enum Member {
    /// No member, but what the archive says of itself: see [`header::IN_ORDER`].
    InOrder,
    Folder,
    /// What follows is read from the content.
    File {
        size: u64,
        executable: bool,
    },
    Link(PathBuf),
    /// Another name of a file; its path is made of plain names, too.
    HardLink(PathBuf),
}

/// Hands every member to `take`, with its path, and what is in it. Reads to the very end: what was cut off, or follows the end,
/// is an error.
pub(crate) fn read(
    reader: impl Read,
    limits: &Limits,
    mut take: impl FnMut(&Path, Member, &mut dyn Read) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut decoder = zstd::Decoder::new(reader).map_err(Error::Damaged)?;
    decoder.window_log_max(limits.window_log_max).map_err(Error::Damaged)?;
    let (allowance, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let metered = Metered { inner: decoder, allowance: allowance.clone(), ended: ended.clone() };
    let mut archive = tar::Archive::new(metered);
    let mut entries = archive.entries().map_err(Error::Damaged)?;
    loop {
        allowance.set(HEADERS_MAX);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(Error::Damaged)?;
        let Some((path, member)) = member(&mut entry)? else { continue };
        if let Member::File { size, .. } = member {
            allowance.set(size.saturating_add(HEADERS_MAX));
        }
        take(&path, member, &mut entry)?;
    }
    // The end is said by a block of zeros. Without it, whole members may be missing.
    if ended.get() {
        return Err(Error::Damaged(io::ErrorKind::UnexpectedEof.into()));
    }
    // What follows is padding; reading it lets zstd check its checksum.
    allowance.set(HEADERS_MAX);
    only_zeros(archive.into_inner()).map_err(Error::Damaged)
}

/// What the entry is; nothing for what says nothing about files.
fn member<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Option<(PathBuf, Member)>, Error> {
    use tar::EntryType as T;
    let kind = entry.header().entry_type();
    // Also written by `git archive`.
    if kind == T::XGlobalHeader {
        let mut comment = Vec::new();
        entry.take(BLOCK).read_to_end(&mut comment).map_err(Error::Damaged)?;
        return Ok((comment == IN_ORDER).then(|| (PathBuf::new(), Member::InOrder)));
    }
    let name = entry.path_bytes().into_owned();
    let path = plain(&name)?;
    let member = match kind {
        T::Directory => Member::Folder,
        _ if path.as_os_str().is_empty() => return Err(Error::Outside(shown(&name))),
        T::Regular | T::Continuous | T::GNUSparse => {
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            Member::File { size: entry.size(), executable }
        }
        T::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            if target.is_empty() || target.len() > PATH_MAX || target.contains(&0) {
                let (link, target) = (shown(&name), shown(&target));
                return Err(Error::LinkOut { link, target });
            }
            Member::Link(PathBuf::from(OsStr::from_bytes(&target)))
        }
        T::Link => Member::HardLink(plain(&entry.link_name_bytes().unwrap_or_default())?),
        T::Char | T::Block => return Err(Error::Kind { name: shown(&name), kind: "a device" }),
        T::Fifo => return Err(Error::Kind { name: shown(&name), kind: "a named pipe" }),
        _ => return Err(Error::Kind { name: shown(&name), kind: "of an unknown kind" }),
    };
    Ok(Some((path, member)))
}

/// The name as a path of plain components only; empty for the root itself.
pub(crate) fn plain(name: &[u8]) -> Result<PathBuf, Error> {
    let outside = || Error::Outside(shown(name));
    if name.contains(&0) {
        return Err(outside());
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) if part.len() > NAME_MAX => return Err(Error::LongName(shown(name))),
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    if path.as_os_str().len() > PATH_MAX {
        return Err(Error::LongName(shown(name)));
    }
    Ok(path)
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(200).collect()
}

fn only_zeros(mut rest: impl Read) -> io::Result<()> {
    let mut buffer = [0; 8 << 10];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) if buffer[..read].iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Err(io::Error::other("something follows its end")),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Refuses to read more than is allowed at the moment, so that a header cannot grow without bound in memory; knows whether
/// there is nothing more to read.
struct Metered<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
    ended: Rc<Cell<bool>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!("an entry's header is larger than {}", human(HEADERS_MAX))));
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..most])?;
        self.allowance.set(left - read as u64);
        self.ended.set(read == 0 && !buffer.is_empty());
        Ok(read)
    }
}
