//! Reads the job's streams in chunks that the server takes: at most 1 MiB, records only up to the end of a line.
//! Keeps no file open: a program may replace its records file, and memory stays flat however long a file is.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use bytes::Bytes;

/// The most that the server takes at once.
pub(crate) const CHUNK_MAX: usize = 1 << 20;

/// How a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Anywhere.
    Bytes,
    /// After a newline. Only of a line that is longer than a whole chunk are pieces sent: the server refuses each.
    Lines,
}

/// The next chunk of the file at `path` after `offset`; `None` when there is none (yet). With `ended`, nobody writes to
/// the file any more: a last line without a newline is a line too, and gets one.
pub(crate) fn next_chunk(path: &Path, offset: i64, cut: Cut, ended: bool) -> io::Result<Option<Bytes>> {
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
    let mut chunk = vec![0; CHUNK_MAX.min(usize::try_from(left).unwrap_or(CHUNK_MAX))];
    let read = read_fully(&file, &mut chunk, offset)?;
    chunk.truncate(read);
    if cut == Cut::Lines {
        match chunk.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => chunk.truncate(newline + 1),
            None if chunk.len() == CHUNK_MAX => {}
            None if ended && !chunk.is_empty() => chunk.push(b'\n'),
            None => return Ok(None),
        }
    }
    Ok((!chunk.is_empty()).then(|| chunk.into()))
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

    fn chunks(content: &[u8], cut: Cut, ended: bool) -> Vec<Bytes> {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("f");
        std::fs::write(&path, content).unwrap();
        let (mut offset, mut chunks) = (0, Vec::new());
        while let Some(chunk) = next_chunk(&path, offset, cut, ended).unwrap() {
            offset += chunk.len() as i64;
            chunks.push(chunk);
        }
        chunks
    }

    #[test]
    fn records_go_line_by_line_and_the_last_line_waits_for_its_end() {
        assert_eq!(chunks(b"one\ntwo\nthr", Cut::Lines, false), [&b"one\ntwo\n"[..]]);
        assert_eq!(chunks(b"one\ntwo\nthr", Cut::Lines, true), [&b"one\ntwo\n"[..], &b"thr\n"[..]]);
        assert_eq!(chunks(b"one\nthr", Cut::Bytes, false), [&b"one\nthr"[..]]);
        assert!(chunks(b"", Cut::Lines, true).is_empty());
        assert_eq!(next_chunk(Path::new("/nonexistent/f"), 0, Cut::Bytes, true).unwrap(), None);
    }

    #[test]
    fn a_line_longer_than_a_chunk_is_sent_in_pieces() {
        let mut content = vec![b'x'; CHUNK_MAX + 10];
        content.extend_from_slice(b"\nnext\n");
        let lengths: Vec<usize> = chunks(&content, Cut::Lines, false).iter().map(Bytes::len).collect();
        assert_eq!(lengths, [CHUNK_MAX, 16]);
    }

    #[test]
    fn a_file_that_became_shorter_has_nothing_to_send() {
        let base = tempfile::TempDir::new().unwrap();
        let path = base.path().join("f");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(next_chunk(&path, 100, Cut::Bytes, true).unwrap(), None);
    }
}
