//! Uploads in parts to a folder: each part is written to its place in one file below `.multipart/UPLOAD/`, so that
//! completing is a rename and no byte is written twice. Parts of a loose upload have any size, so nobody knows their
//! place: each is a file, and completing copies them together. A part counts once its marker is there, and its marker
//! is made after its bytes are durable. Only one process at a time has the folder.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use runyard_domain::ChecksumKind;

use crate::{
    Checksum, Error, PART_MIN, PARTS_MAX, PUT_MAX, SignedPart, SignedPut, SignedRequest, Size, blocking,
    folder::Folder,
    key::MULTIPART,
    turns::Turn,
    write::{Body, check, fill, kind_of, unique_name},
};

/// An upload that nothing was added to for this long was given up.
const LEFTOVER_AGE: Duration = Duration::from_hours(7 * 24);
/// In the place of a size: parts of any size.
pub(crate) const LOOSE: u64 = 0;
/// The file that is to become the object.
const DATA: &str = "data";

pub(crate) fn check_part_size(size: u64) -> Result<(), Error> {
    if (PART_MIN..=PUT_MAX).contains(&size) {
        return Ok(());
    }
    Err(Error::InvalidPart(format!("a part cannot have {size} bytes: choose {PART_MIN} to {PUT_MAX}")))
}

pub(crate) fn check_number(number: i64) -> Result<(), Error> {
    if (1..=PARTS_MAX).contains(&number) {
        return Ok(());
    }
    Err(Error::InvalidPart(format!("there is no part {number}: parts are numbered from 1 to {PARTS_MAX}")))
}

/// The `ETag`s of the parts 1, 2, 3 and so on, none missing, without their quotes.
pub(crate) fn in_order(parts: &[(i64, String)]) -> Result<Vec<String>, Error> {
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_by_key(|(number, _)| *number);
    if parts.is_empty() {
        return Err(Error::InvalidPart("an upload has at least one part".to_owned()));
    }
    check_number(parts.len() as i64)?;
    for (at, (number, _)) in sorted.iter().enumerate() {
        let expected = at as i64 + 1;
        if *number != expected {
            return Err(Error::InvalidPart(format!(
                "part {expected} of {} is missing or named twice: name each one, from 1 on",
                parts.len()
            )));
        }
    }
    Ok(sorted.into_iter().map(|(_, etag)| etag.trim_matches('"').to_owned()).collect())
}

/// Begins an upload; its name tells the size of its parts, or [`LOOSE`].
pub(crate) async fn begin(folder: &Arc<Folder>, part_size: u64) -> Result<String, Error> {
    let folder = Arc::clone(folder);
    blocking(move || {
        let upload = format!("{}-{part_size}", unique_name());
        let path = folder.path().join(MULTIPART).join(&upload);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.and_then(|()| sync_folder(&folder.path().join(MULTIPART)))
            .map_err(|error| folder.fail("begin", &upload, error))?;
        Ok(upload)
    })
    .await
}

/// Refuses to sign what could not be stored.
pub(crate) fn check_signed(folder: &Folder, request: &SignedRequest) -> Result<(), Error> {
    let SignedRequest::Put(put @ SignedPut { part: Some(part), .. }) = request else { return Ok(()) };
    let place = Place::of(folder, &put.key, &part.upload)?;
    place.check_size(part.number, put.size.limit())?;
    if place.path.is_dir() { Ok(()) } else { Err(place.gone()) }
}

/// Where an upload is.
struct Place {
    path: PathBuf,
    /// `None`: any.
    part_size: Option<u64>,
    key: String,
    upload: String,
}

impl Place {
    fn of(folder: &Folder, key: &str, upload: &str) -> Result<Self, Error> {
        let gone = || Error::NoUpload { key: key.to_owned(), upload: upload.to_owned() };
        // Digits and `-`, as we name them: such a name leads nowhere else.
        let plain = upload.len() <= 100 && upload.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let part_size = upload.rsplit_once('-').and_then(|(_, size)| size.parse().ok());
        match part_size {
            Some(size) if plain && (size == LOOSE || check_part_size(size).is_ok()) => Ok(Self {
                path: folder.path().join(MULTIPART).join(upload),
                part_size: (size != LOOSE).then_some(size),
                key: key.to_owned(),
                upload: upload.to_owned(),
            }),
            _ => Err(gone()),
        }
    }

    fn gone(&self) -> Error {
        Error::NoUpload { key: self.key.clone(), upload: self.upload.clone() }
    }

    fn fail(&self, folder: &Folder, verb: &str, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => self.gone(),
            _ => folder.fail(verb, &self.key, error),
        }
    }

    fn check_size(&self, number: i64, size: u64) -> Result<(), Error> {
        let most = self.part_size.unwrap_or(PUT_MAX);
        if size <= most {
            return Ok(());
        }
        Err(Error::InvalidPart(format!("part {number} has {size} bytes: this upload has parts of {most}")))
    }

    /// The file that a part is written to, and where in it.
    fn of_part(&self, number: i64) -> (PathBuf, u64) {
        match self.part_size {
            Some(size) => (self.path.join(DATA), (number as u64 - 1) * size),
            None => (self.path.join(format!("part-{number}")), 0),
        }
    }

    /// The parts that are there whole.
    fn markers(&self) -> io::Result<Vec<Marker>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            found.extend(entry?.file_name().to_str().and_then(Marker::read));
        }
        Ok(found)
    }
}

/// Says that a part is there: an empty file whose name is all of this.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marker {
    number: i64,
    checksum: Checksum,
    size: u64,
}

impl Marker {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.number, self.checksum.hex(), self.size)
    }

    fn read(name: &str) -> Option<Self> {
        let mut fields = name.split('-');
        let (number, text, size) = (fields.next()?, fields.next()?, fields.next()?);
        let kind = ChecksumKind::ALL.into_iter().find(|kind| kind.digits() == text.len())?;
        let checksum = Checksum::from_hex(kind, text)?;
        Some(Self { number: number.parse().ok()?, checksum, size: size.parse().ok()? })
    }

    /// Whether this is the part that was signed. What may have any size is never known to be.
    fn is(&self, put: &SignedPut) -> bool {
        put.size == Size::Exactly(self.size) && put.checksum == Some(self.checksum)
    }
}

/// A part on its way to its place. Holds its turn, so that no other request writes there before this one has ended,
/// whoever waits for it.
struct Writing {
    folder: Arc<Folder>,
    place: Place,
    put: SignedPut,
    number: i64,
    body: Body,
    _turn: Turn,
}

/// Stores a part. What came last under its number counts; a part that is there already is not written again.
pub(crate) async fn put_part<S, E>(
    folder: &Arc<Folder>,
    put: &SignedPut,
    part: &SignedPart,
    stream: S,
) -> Result<Checksum, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let number = part.number;
    check_number(number)?;
    let place = Place::of(folder, &put.key, &part.upload)?;
    place.check_size(number, put.size.limit())?;
    let (turn, stop) = folder.turns().part(&part.upload, number).await;
    let (opened, place, turn) = {
        let (folder, put) = (Arc::clone(folder), put.clone());
        blocking(move || open_part(&folder, &place, number, &put).map(|opened| (opened, place, turn))).await?
    };
    let data = match opened {
        Opened::There(checksum) => return drain(stream, put.size.limit()).await.map(|()| checksum),
        Opened::Empty(data) => data,
    };
    let body = Body::new(data, kind_of(put), place.of_part(number).1);
    let writing = Writing { folder: Arc::clone(folder), place, put: put.clone(), number, body, _turn: turn };
    let written = fill(move || Ok(writing), Writing::append, stream, put.size.limit(), &stop).await?;
    blocking(move || written.finish()).await
}

enum Opened {
    /// The very same part is there.
    There(Checksum),
    /// The file to write it to.
    Empty(File),
}

/// Opens the file for a part, after its older bytes count no more.
fn open_part(folder: &Folder, place: &Place, number: i64, put: &SignedPut) -> Result<Opened, Error> {
    let open = || {
        let older: Vec<Marker> =
            place.markers()?.into_iter().filter(|found| found.number == number).collect();
        if let Some(same) = older.iter().find(|found| found.is(put)) {
            return Ok(Opened::There(same.checksum));
        }
        for found in &older {
            fs::remove_file(place.path.join(found.name()))?;
        }
        if !older.is_empty() {
            sync_folder(&place.path)?;
        }
        let (mut options, alone) = (OpenOptions::new(), place.part_size.is_none());
        let file = options.write(true).create(true).truncate(alone).mode(0o600).open(place.of_part(number).0);
        file.map(Opened::Empty)
    };
    open().map_err(|error| place.fail(folder, "store a part of", error))
}

/// Reads what a client sends that nobody needs: many read the answer only when everything is sent.
async fn drain<S, E>(stream: S, limit: u64) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut stream = std::pin::pin!(stream);
    let mut size = 0;
    while let Some(chunk) = stream.next().await {
        size += chunk.map_err(|error| Error::Interrupted(error.into()))?.len() as u64;
        if size > limit {
            return Err(Error::TooLarge { limit });
        }
    }
    Ok(())
}

impl Writing {
    fn append(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        let written = self.body.append(chunks);
        written.map_err(|error| self.place.fail(&self.folder, "store a part of", error))
    }

    fn finish(self) -> Result<Checksum, Error> {
        let checksum = check(&self.put, &self.body)?;
        if self.body.size == 0 {
            return Err(Error::TooSmall { said: 1, got: 0 });
        }
        let marker = Marker { number: self.number, checksum, size: self.body.size };
        let mark = || {
            self.body.file.sync_data()?;
            let marker = self.place.path.join(marker.name());
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(marker)?;
            sync_folder(&self.place.path)?;
            Ok(checksum)
        };
        mark().map_err(|error| self.place.fail(&self.folder, "store a part of", error))
    }
}

/// Makes the parts the object: durable, whole, and of exactly these parts.
pub(crate) async fn complete(
    folder: &Arc<Folder>,
    key: &str,
    upload: &str,
    etags: Vec<String>,
) -> Result<(), Error> {
    let place = Place::of(folder, key, upload)?;
    let turn = folder.turns().whole(upload).await;
    let folder = Arc::clone(folder);
    blocking(move || {
        let _turn = turn;
        match join(&folder, &place, &etags) {
            // An earlier call did it, and its answer was lost.
            Err(Error::NoUpload { .. }) if folder.open_object(&place.key).is_ok() => remove(&folder, &place),
            other => other,
        }
    })
    .await
}

fn join(folder: &Folder, place: &Place, etags: &[String]) -> Result<(), Error> {
    let fail = |error| place.fail(folder, "complete", error);
    let markers = place.markers().map_err(fail)?;
    let mut named = Vec::with_capacity(etags.len());
    for (number, etag) in (1..).zip(etags) {
        let found = markers.iter().find(|marker| marker.number == number && marker.checksum.hex() == *etag);
        let Some(marker) = found else {
            return Err(Error::InvalidPart(format!(
                "part {number} with the ETag \"{etag}\" is not there: send it again"
            )));
        };
        if let Some(size) = place.part_size
            && size != marker.size
            && number != etags.len() as i64
        {
            return Err(Error::InvalidPart(format!(
                "part {number} has {} bytes: all but the last have {size}",
                marker.size
            )));
        }
        named.push(marker);
    }
    let data = match place.part_size {
        Some(_) => OpenOptions::new().write(true).open(place.path.join(DATA)),
        None => copy_together(place, &named),
    };
    let (data, size) = (data.map_err(fail)?, named.iter().map(|marker| marker.size).sum());
    // What a part that was given up has left behind the end.
    data.set_len(size).and_then(|()| data.sync_all()).map_err(fail)?;
    let from = File::open(&place.path).map_err(fail)?.into();
    folder.publish_from(&from, DATA, &place.key)?;
    remove(folder, place)
}

/// One file of the parts, one after the other. The system copies, or lets both files share the bytes where it can; the
/// parts stay until the object is there, so this may break off anywhere and begin anew.
fn copy_together(place: &Place, parts: &[&Marker]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut data = options.write(true).create(true).truncate(true).mode(0o600).open(place.path.join(DATA))?;
    for part in parts {
        let copied = io::copy(&mut File::open(place.of_part(part.number).0)?, &mut data)?;
        if copied != part.size {
            let wrong = format!("part {} has {copied} bytes instead of {}", part.number, part.size);
            return Err(io::Error::other(wrong));
        }
    }
    Ok(data)
}

/// Gives the upload up.
pub(crate) async fn abort(folder: &Arc<Folder>, key: &str, upload: &str) -> Result<(), Error> {
    let Ok(place) = Place::of(folder, key, upload) else { return Ok(()) };
    let turn = folder.turns().whole(upload).await;
    let folder = Arc::clone(folder);
    blocking(move || {
        let _turn = turn;
        remove(&folder, &place)
    })
    .await
}

fn remove(folder: &Folder, place: &Place) -> Result<(), Error> {
    match fs::remove_dir_all(&place.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| folder.fail("end the upload of", &place.key, error)),
    }
}

fn sync_folder(path: &std::path::Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes uploads that were given up.
pub(crate) fn remove_leftovers(uploads: &std::path::Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(uploads)? {
        let entry = entry?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified())?;
        if now.duration_since(modified).is_ok_and(|age| age > LEFTOVER_AGE) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbered_from_one_without_a_gap() {
        let named = |numbers: &[i64]| {
            let parts: Vec<_> = numbers.iter().map(|number| (*number, format!("\"e{number}\""))).collect();
            in_order(&parts).map_err(|error| error.to_string())
        };
        assert_eq!(named(&[2, 1, 3]).unwrap(), ["e1", "e2", "e3"]);
        for wrong in [&[][..], &[2], &[0, 1], &[1, 3], &[1, 1], &[1, 2, 2], &[-1]] {
            let error = named(wrong).unwrap_err();
            assert!(error.contains("part"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        for checksum in [Checksum::Md5(*b"0123456789abcdef"), Checksum::Sha256([7; 32])] {
            let marker = Marker { number: 12, checksum, size: 77 };
            assert_eq!(Marker::read(&marker.name()), Some(marker));
        }
        for other in ["data", "part-1", "1", "1-2-3", "x-y-z", ""] {
            assert_eq!(Marker::read(other), None, "{other}");
        }
    }

    #[test]
    fn uploads_that_were_given_up_go_and_young_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let upload = folder.path().join("1-1-1");
        fs::create_dir(&upload).unwrap();
        fs::write(upload.join(DATA), "half").unwrap();
        remove_leftovers(folder.path(), SystemTime::now() + LEFTOVER_AGE - Duration::from_mins(1)).unwrap();
        assert!(upload.exists(), "somebody may go on with it");
        remove_leftovers(folder.path(), SystemTime::now() + LEFTOVER_AGE + Duration::from_mins(1)).unwrap();
        assert!(!upload.exists());
    }
}
