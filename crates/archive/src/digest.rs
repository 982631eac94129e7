//! What is said of a file before it is sent: SHA-256 of all of it, and of each piece that is sent the digest that its
//! receiver checks. Reads it as it is now; whoever sends it makes sure that it is still the same.

use std::{fs::File, io, os::unix::fs::FileExt, thread};

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::{hex, model::Checksum};

const BUFFER: usize = 256 << 10;
/// Below this, a second thread costs more than it saves.
const LARGE: u64 = 4 << 20;

/// The digests of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Hex SHA-256 of all bytes.
    pub sha256: String,
    /// The digest of each piece in hex, in order; one piece, perhaps an empty one, when the file is not cut.
    pub pieces: Vec<String>,
}

/// The digests of the first `size` bytes of `file`, cut into pieces of `piece` bytes.
///
/// # Errors
/// When it cannot be read, and `UnexpectedEof` when it is shorter.
pub fn digests(file: &File, size: u64, piece: Option<u64>, checksum: Checksum) -> io::Result<Digests> {
    let whole = || digest::<Sha256>(file, 0, size);
    let piece = piece.unwrap_or(size).max(1);
    if checksum == Checksum::Sha256 && piece >= size {
        let sha256 = whole()?;
        return Ok(Digests { pieces: vec![sha256.clone()], sha256 });
    }
    if size < LARGE {
        return Ok(Digests { sha256: whole()?, pieces: pieces(file, size, piece, checksum)? });
    }
    thread::scope(|scope| {
        let whole = scope.spawn(whole);
        let pieces = pieces(file, size, piece, checksum);
        let sha256 = whole.join().unwrap_or_else(|_| Err(io::Error::other("a thread that reads it broke")));
        Ok(Digests { sha256: sha256?, pieces: pieces? })
    })
}

fn digest_piece(file: &File, start: u64, size: u64, checksum: Checksum) -> io::Result<String> {
    match checksum {
        Checksum::Sha256 => digest::<Sha256>(file, start, size),
        Checksum::Md5 => digest::<Md5>(file, start, size),
    }
}

fn pieces(file: &File, size: u64, piece: u64, checksum: Checksum) -> io::Result<Vec<String>> {
    let starts = (0..size.div_ceil(piece).max(1)).map(|index| index * piece);
    starts.map(|start| digest_piece(file, start, piece.min(size - start), checksum)).collect()
}

fn digest<Hash: Digest>(file: &File, start: u64, size: u64) -> io::Result<String> {
    let mut digest = Hash::new();
    each_chunk(file, start, size, |bytes| digest.update(bytes))?;
    Ok(hex(&digest.finalize()))
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
    fn a_file_that_is_not_cut_is_one_piece() {
        let abc = digests(&file(b"abc"), 3, None, Checksum::Sha256).unwrap();
        assert_eq!(abc.pieces, [abc.sha256.as_str()]);
        let abc = digests(&file(b"abc"), 3, None, Checksum::Md5).unwrap();
        assert_eq!(abc.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(abc.pieces, ["900150983cd24fb0d6963f7d28e17f72"]);
        let nothing = digests(&file(b""), 0, None, Checksum::Md5).unwrap();
        assert_eq!(nothing.pieces, ["d41d8cd98f00b204e9800998ecf8427e"]);
    }

    #[test]
    fn a_large_file_has_a_digest_for_each_piece() {
        let content = vec![7; LARGE as usize + 5];
        for checksum in [Checksum::Sha256, Checksum::Md5] {
            let whole = digests(&file(&content), content.len() as u64, Some(1 << 20), checksum).unwrap();
            let alone = |bytes: &[u8]| digests(&file(bytes), bytes.len() as u64, None, checksum).unwrap();
            assert_eq!(whole.pieces.len(), 5);
            assert_eq!(whole.pieces[0], alone(&content[..1 << 20]).pieces[0]);
            assert_eq!(whole.pieces[4], alone(&content[..5]).pieces[0]);
            assert_eq!(whole.sha256, hex(&Sha256::digest(&content)));
        }
    }

    #[test]
    fn a_file_that_became_shorter_has_no_digest() {
        let error = digests(&file(b"abc"), 4, None, Checksum::Md5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
