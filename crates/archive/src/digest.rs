//! What is said of a file before it is sent: SHA-256 of all of it, MD5 of each piece that is sent. Reads it as it is now;
//! whoever sends it makes sure that it is still the same.

use std::{fs::File, io, os::unix::fs::FileExt, thread};

use md5::Md5;
use sha2::{Digest as _, Sha256};

const BUFFER: usize = 256 << 10;
/// Below this, a second thread costs more than it saves.
const LARGE: u64 = 4 << 20;

/// The digests of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Hex SHA-256 of all bytes.
    pub sha256: String,
    /// Hex MD5 of each piece, in order; one piece, perhaps an empty one, when the file is not cut.
    pub md5: Vec<String>,
}

/// The digests of the first `size` bytes of `file`, cut into pieces of `piece` bytes.
///
/// # Errors
/// When it cannot be read, and `UnexpectedEof` when it is shorter.
pub fn digests(file: &File, size: u64, piece: Option<u64>) -> io::Result<Digests> {
    let piece = piece.unwrap_or(size).max(1);
    if size < LARGE {
        return Ok(Digests { sha256: sha256(file, size)?, md5: pieces(file, size, piece)? });
    }
    thread::scope(|scope| {
        let whole = scope.spawn(|| sha256(file, size));
        let md5 = pieces(file, size, piece);
        let sha256 = whole.join().unwrap_or_else(|_| Err(io::Error::other("a thread that reads it broke")));
        Ok(Digests { sha256: sha256?, md5: md5? })
    })
}

fn sha256(file: &File, size: u64) -> io::Result<String> {
    let mut digest = Sha256::new();
    each_chunk(file, 0, size, |bytes| digest.update(bytes))?;
    Ok(hex(&digest.finalize()))
}

fn pieces(file: &File, size: u64, piece: u64) -> io::Result<Vec<String>> {
    let starts = (0..size.div_ceil(piece).max(1)).map(|index| index * piece);
    starts
        .map(|start| {
            let mut digest = Md5::new();
            each_chunk(file, start, piece.min(size - start), |bytes| digest.update(bytes))?;
            Ok(hex(&digest.finalize()))
        })
        .collect()
}

fn each_chunk(file: &File, start: u64, size: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER))];
    let mut done = 0;
    while done < size {
        let wanted = buffer.len().min(usize::try_from(size - done).unwrap_or(BUFFER));
        match file.read_at(&mut buffer[..wanted], start + done) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                take(&buffer[..read]);
                done += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_file_that_is_not_cut_has_one_md5() {
        let abc = digests(&file(b"abc"), 3, None).unwrap();
        assert_eq!(abc.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(abc.md5, ["900150983cd24fb0d6963f7d28e17f72"]);
        let nothing = digests(&file(b""), 0, None).unwrap();
        assert_eq!(nothing.md5, ["d41d8cd98f00b204e9800998ecf8427e"]);
    }

    #[test]
    fn a_large_file_has_an_md5_for_each_piece() {
        let content = vec![7; LARGE as usize + 5];
        let whole = digests(&file(&content), content.len() as u64, Some(1 << 20)).unwrap();
        let alone = |bytes: &[u8]| digests(&file(bytes), bytes.len() as u64, None).unwrap();
        assert_eq!(whole.md5.len(), 5);
        assert_eq!(whole.md5[0], alone(&content[..1 << 20]).md5[0]);
        assert_eq!(whole.md5[4], alone(&content[..5]).md5[0]);
        assert_eq!(whole.sha256, hex(&Sha256::digest(&content)));
    }

    #[test]
    fn a_file_that_became_shorter_has_no_digest() {
        let error = digests(&file(b"abc"), 4, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
