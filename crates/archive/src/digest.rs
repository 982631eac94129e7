//! What is said of a file before it is sent: SHA-256 of all of it, and of each piece that is sent the digest that its
//! receiver checks. Reads it as it is now; whoever sends it makes sure that it is still the same.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::{hex, model::Checksum};

const BUFFER: usize = 256 << 10;

/// SHA-256 of the first `size` bytes of `file`, in hex.
///
/// # Errors
/// When it cannot be read, and `UnexpectedEof` when it is shorter.
pub fn sha256(file: &File, size: u64) -> io::Result<String> {
    digest::<Sha256>(file, 0, size)
}

/// The digests, in hex, of the pieces of `piece` bytes that the first `size` bytes of `file` are cut into, in order; of one
/// piece, perhaps an empty one, when they are not cut. `threads` of them are made at a time.
///
/// # Errors
/// When it cannot be read, and `UnexpectedEof` when it is shorter.
pub fn pieces(
    file: &File,
    size: u64,
    piece: Option<u64>,
    checksum: Checksum,
    threads: usize,
) -> io::Result<Vec<String>> {
    let piece = piece.unwrap_or(size).max(1);
    let starts: Vec<u64> = (0..size.div_ceil(piece).max(1)).map(|index| index * piece).collect();
    in_parallel(&starts, threads, |start| {
        let size = piece.min(size - start);
        match checksum {
            Checksum::Sha256 => digest::<Sha256>(file, *start, size),
            Checksum::Md5 => digest::<Md5>(file, *start, size),
        }
    })
    .into_iter()
    .collect()
}

/// What `work` makes of each of `all`, in their order, on at most so many threads.
pub fn in_parallel<T: Sync, R: Send>(all: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = all.get(at) else { return done };
            done.push((at, work(one)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(all.len())).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for other in others {
            // What broke there breaks here.
            done.extend(other.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
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
        let sha = sha256(&file(b"abc"), 3).unwrap();
        assert_eq!(sha, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(pieces(&file(b"abc"), 3, None, Checksum::Sha256, 4).unwrap(), [sha]);
        let md5 = pieces(&file(b"abc"), 3, None, Checksum::Md5, 1).unwrap();
        assert_eq!(md5, ["900150983cd24fb0d6963f7d28e17f72"]);
        let nothing = pieces(&file(b""), 0, None, Checksum::Md5, 1).unwrap();
        assert_eq!(nothing, ["d41d8cd98f00b204e9800998ecf8427e"]);
    }

    #[test]
    fn a_large_file_has_a_digest_for_each_piece_in_order_on_any_number_of_threads() {
        let content: Vec<u8> = (0..300_005_u32).map(|n| (n % 251) as u8).collect();
        for checksum in [Checksum::Sha256, Checksum::Md5] {
            let alone = |bytes: &[u8]| pieces(&file(bytes), bytes.len() as u64, None, checksum, 1).unwrap();
            let each: Vec<String> = content.chunks(100_000).flat_map(alone).collect();
            assert_eq!(each.len(), 4);
            for threads in [0, 1, 3, 9] {
                let size = content.len() as u64;
                assert_eq!(pieces(&file(&content), size, Some(100_000), checksum, threads).unwrap(), each);
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_has_no_digest() {
        let error = pieces(&file(b"abc"), 4, None, Checksum::Md5, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(sha256(&file(b"abc"), 4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
