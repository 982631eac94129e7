//! A bundle: named pieces in one tar file, written as they come and read with every digest checked. Knows nothing of
//! what the pieces are. What was cut off, changed, left out or added is an error, never another bundle.
//!
//! The last piece holds size and digest of all others in their order, so that neither side has to remember them: both
//! note them in a file of their own, and the reader compares the two at the end.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

/// The last piece.
const DIGESTS: &str = "digests";
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// What is packed is written once and read perhaps never: time counts more than size.
const LEVEL: i32 = 1;

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The source of a piece brought more or less than was said.
    #[error("`{name}` has {got} bytes, {said} were said")]
    Size {
        /// The piece.
        name: String,
        /// As it was announced.
        said: u64,
        /// As it came.
        got: u64,
    },
    /// It is no bundle, or not the one that was written.
    #[error("{0}")]
    Damaged(String),
}

/// Writes a bundle.
pub struct Writer<W: Write> {
    tar: Builder<W>,
    notes: BufWriter<File>,
}

impl<W: Write> Writer<W> {
    /// A bundle that goes to `out`. `notes`: an empty file, for the writer alone.
    pub fn new(out: W, notes: File) -> Self {
        Self { tar: Builder::new(out), notes: BufWriter::new(notes) }
    }

    /// Adds a piece of exactly `size` bytes. After an error the bundle can only be given up.
    ///
    /// # Errors
    /// [`Error::Size`] when `content` has more or less.
    pub fn piece(&mut self, name: &str, size: u64, content: impl Read) -> Result<(), Error> {
        let mut content = Digesting::new(content.take(size.saturating_add(1)));
        // The tar is told no more than the size, so that a piece that is too long cannot spoil what follows.
        append(&mut self.tar, name, size, &mut (&mut content).take(size))?;
        io::copy(&mut content, &mut io::sink())?;
        if content.bytes != size {
            return Err(Error::Size { name: name.to_owned(), said: size, got: content.bytes });
        }
        Ok(content.note(name, &mut self.notes)?)
    }

    /// Ends the bundle; answers where it went.
    pub fn finish(mut self) -> Result<W, Error> {
        let mut notes = self.notes.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size = notes.stream_position()?;
        notes.rewind()?;
        append(&mut self.tar, DIGESTS, size, &mut notes)?;
        Ok(self.tar.into_inner()?)
    }
}

fn append(tar: &mut Builder<impl Write>, name: &str, size: u64, content: &mut impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    tar.append_data(&mut header, name, content)
}

/// Reads a bundle: hands every piece to `each`, with its name and size, in the order in which they were written. Only
/// when this answers `Ok` are they what was written. `notes`: an empty file, for the reader alone.
///
/// # Errors
/// [`Error::Damaged`], or what `each` answered.
pub fn read<E: From<Error>>(
    input: impl Read,
    notes: File,
    mut each: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let damaged = |why: String| Error::Damaged(why);
    let broken = |error: io::Error| damaged(format!("it ends too soon, or is no bundle: {error}"));
    let mut archive = Archive::new(BufReader::with_capacity(CHUNK, input));
    let mut writing = BufWriter::new(&notes);
    let mut complete = false;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| damaged("a piece has no name".to_owned()))?;
        if complete {
            return Err(damaged(format!("`{name}` follows its end")).into());
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(damaged(format!("`{name}` is no piece of a bundle")).into());
        }
        if name == DIGESTS {
            writing.flush().map_err(Error::from)?;
            (&notes).rewind().map_err(Error::from)?;
            compare(&mut entry, &mut &notes)?;
            complete = true;
            continue;
        }
        let size = entry.size();
        let mut content = Digesting::new(&mut entry);
        each(&name, size, &mut content)?;
        io::copy(&mut content, &mut io::sink()).map_err(broken)?;
        if content.bytes != size {
            return Err(damaged(format!("it ends within `{name}`")).into());
        }
        content.note(&name, &mut writing).map_err(Error::from)?;
    }
    if complete {
        Ok(())
    } else {
        Err(damaged("it ends too soon: its last piece is missing".to_owned()).into())
    }
}

/// Compares what was written with what was read, line by line.
fn compare(written: &mut impl Read, read: &mut impl Read) -> Result<(), Error> {
    use std::io::BufRead;
    let (mut written, mut read) = (BufReader::new(written).lines(), BufReader::new(read).lines());
    loop {
        match (written.next().transpose()?, read.next().transpose()?) {
            (None, None) => return Ok(()),
            (one, other) if one == other => {}
            (_, Some(line)) | (Some(line), None) => {
                let name = line.splitn(3, ' ').nth(2).unwrap_or(&line).to_owned();
                return Err(Error::Damaged(format!("`{name}` is not what was written")));
            }
        }
    }
}

/// Counts and digests what is read through it.
struct Digesting<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Digesting<R> {
    fn new(inner: R) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    fn note(self, name: &str, notes: &mut impl Write) -> io::Result<()> {
        writeln!(notes, "{} {} {name}", crate::hex(&self.digest.finalize()), self.bytes)
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Packs what `write` writes.
pub fn pack<T, E: From<io::Error>>(
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut packing = zstd::Encoder::new(out, LEVEL)?;
    packing.include_checksum(true)?;
    let done = write(&mut packing)?;
    packing.finish()?.flush()?;
    Ok(done)
}

/// What was packed.
pub fn unpack<'a>(input: impl Read + 'a) -> io::Result<impl Read + 'a> {
    zstd::Decoder::new(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> File {
        tempfile::tempfile().unwrap()
    }

    fn bundle(pieces: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), notes());
        for (name, bytes) in pieces {
            writer.piece(name, bytes.len() as u64, *bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    fn pieces(bundle: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut found = Vec::new();
        read(bundle, notes(), |name, _, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found.push((name.to_owned(), bytes));
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }

    #[test]
    fn pieces_come_back_in_their_order() {
        let long = format!("objects/{}/ü #1", "x".repeat(200));
        let big = vec![7; 600_000];
        let bundle = bundle(&[("head", b"1"), (&long, &big), ("empty", b"")]);
        let found = pieces(&bundle).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["head", &long, "empty"]);
        assert!(found[1].1 == big);
    }

    #[test]
    fn a_bundle_that_is_cut_off_anywhere_is_refused() {
        let whole = bundle(&[("one", &[1; 2000]), ("two", b"2")]);
        // Behind the digests only the tar's own end follows, which says nothing.
        let told = whole.len() - 1024;
        for end in (0..told).step_by(97) {
            let error = pieces(&whole[..end]).expect_err(&format!("cut off at {end} of {told}"));
            assert!(matches!(error, Error::Damaged(_)), "{error}");
        }
    }

    #[test]
    fn a_bundle_in_which_a_byte_changed_is_refused() {
        let whole = bundle(&[("one", &[1; 700]), ("two", b"2")]);
        for at in [512, 900, 512 + 1024 + 512] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let error = pieces(&changed).unwrap_err().to_string();
            assert!(error.contains("is not what was written"), "{at}: {error}");
        }
        assert!(matches!(pieces(b"this is no bundle").unwrap_err(), Error::Damaged(_)));
    }

    #[test]
    fn a_piece_has_the_size_that_was_said() {
        for (said, got) in [(3, 2), (1, 2)] {
            let mut writer = Writer::new(Vec::new(), notes());
            let error = writer.piece("x", said, &b"12"[..]).unwrap_err();
            assert!(matches!(error, Error::Size { .. }), "{said} {got}: {error}");
        }
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let mut packed = Vec::new();
        pack(&mut packed, |out| out.write_all(&vec![5; 100_000])).unwrap();
        assert!(packed.len() < 1000);
        let mut back = Vec::new();
        unpack(&packed[..]).unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, vec![5; 100_000]);
    }
}
