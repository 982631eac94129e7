//! Reads the job's streams in chunks that the server takes: at most 1 MiB, records only up to the end of a line.
//! Keeps no file open: a program may replace its records file, and memory stays flat however long a file is.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use bytes::Bytes;
use runyard_domain::record::MAX_LINE;

/// The most that is sent of a stream of bytes at once.
const CHUNK_MAX: usize = 1 << 20;
/// The same of lines: the longest line that the server takes, with its newline.
const LINES_MAX: usize = MAX_LINE + 1;

/// How a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Anywhere.
    Bytes,
    /// After a newline.
    Lines,
}

/// A part of a stream, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// With this chunk a line begins that is too long. It is sent as blanks, of which the server makes nothing, so that
    /// offsets stay those of the file.
    pub(crate) too_long: bool,
}

/// The next chunk of the file at `path` after `offset`; `None` when there is none (yet). With `ended`, nobody writes to
/// the file any more: a last line without a newline is a line too, and gets one.
pub(crate) fn next_chunk(path: &Path, offset: i64, cut: Cut, ended: bool) -> io::Result<Option<Chunk>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let offset = u64::try_from(offset).unwrap_or(0);
    let left = file.metadata()?.len().saturating_sub(offset);
    if left == 0 {
        return Ok(None);
    }
    let most = if cut == Cut::Bytes { CHUNK_MAX } else { LINES_MAX };
    let mut bytes = vec![0; most.min(usize::try_from(left).unwrap_or(most))];
    let read = read_fully(&file, &mut bytes, offset)?;
    bytes.truncate(read);
    let mut too_long = false;
    if cut == Cut::Lines {
        if inside_line(&file, offset)? {
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1);
            bytes.truncate(end);
            blank(&mut bytes);
        } else if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
            bytes.truncate(newline + 1);
        } else if bytes.len() == LINES_MAX {
            too_long = true;
            blank(&mut bytes);
        } else if ended && !bytes.is_empty() {
            bytes.push(b'\n');
        } else {
            bytes.clear();
        }
    }
    Ok((!bytes.is_empty()).then(|| Chunk { bytes: bytes.into(), too_long }))
}

/// Whether the last chunk ended within a line: only one that is too long is ever cut.
fn inside_line(file: &File, offset: u64) -> io::Result<bool> {
    let mut before = [b'\n'];
    if offset > 0 {
        read_fully(file, &mut before, offset - 1)?;
    }
    Ok(before != [b'\n'])
}

fn blank(bytes: &mut [u8]) {
    bytes.fill(b' ');
    if let Some(last) = bytes.last_mut() {
        *last = b'\n';
    }
}

fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(content: &[u8], cut: Cut, ended: bool) -> Vec<Chunk> {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("f");
        std::fs::write(&path, content).unwrap();
        let (mut offset, mut chunks) = (0, Vec::new());
        while let Some(chunk) = next_chunk(&path, offset, cut, ended).unwrap() {
            offset += chunk.bytes.len() as i64;
            chunks.push(chunk);
        }
        chunks
    }

    #[test]
    fn records_go_line_by_line_and_the_last_line_waits_for_its_end() {
        let texts = |content: &str, cut, ended| -> Vec<Bytes> {
            chunks(content.as_bytes(), cut, ended).into_iter().map(|chunk| chunk.bytes).collect()
        };
        assert_eq!(texts("one\ntwo\nthr", Cut::Lines, false), ["one\ntwo\n"]);
        assert_eq!(texts("one\ntwo\nthr", Cut::Lines, true), ["one\ntwo\n", "thr\n"]);
        assert_eq!(texts("one\nthr", Cut::Bytes, false), ["one\nthr"]);
        assert!(chunks(b"", Cut::Lines, true).is_empty());
        assert_eq!(next_chunk(Path::new("/nonexistent/f"), 0, Cut::Bytes, true).unwrap(), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_sent_as_blanks_and_the_next_as_it_is() {
        let mut content = vec![b'x'; LINES_MAX + 10];
        content.extend_from_slice(b"\n{}\n");
        for ended in [false, true] {
            let chunks = chunks(&content, Cut::Lines, ended);
            let seen: Vec<_> = chunks.iter().map(|chunk| (chunk.bytes.len(), chunk.too_long)).collect();
            assert_eq!(seen, [(LINES_MAX, true), (11, false), (3, false)]);
            assert!(chunks[..2].iter().all(|chunk| chunk.bytes.trim_ascii().is_empty()));
            assert!(chunks.iter().all(|chunk| chunk.bytes.ends_with(b"\n")));
        }
        // Also when its end never comes.
        let unended = chunks(&content[..LINES_MAX + 10], Cut::Lines, true);
        assert_eq!(unended.iter().map(|chunk| chunk.bytes.len()).sum::<usize>(), LINES_MAX + 10);
        // The longest that is allowed goes through.
        let longest = [vec![b'x'; MAX_LINE], b"\n".to_vec()].concat();
        assert_eq!(chunks(&longest, Cut::Lines, false), [Chunk { bytes: longest.into(), too_long: false }]);
    }

    #[test]
    fn a_file_that_became_shorter_has_nothing_to_send() {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("f");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(next_chunk(&path, 100, Cut::Bytes, true).unwrap(), None);
    }
}
