//! Uploads in parts to a folder: each part is written to its place in one file below `.multipart/UPLOAD/`, so that
//! completing is a rename and no byte is written twice. A part counts once its marker is there, and its marker is
//! made after its bytes are durable. Only one process at a time has the folder.

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
use md5::Md5;

use crate::{
    Error, PART_MIN, PARTS_MAX, PUT_MAX, SignedPart, SignedPut, SignedRequest, blocking,
    folder::Folder,
    hex,
    key::MULTIPART,
    sign::from_hex,
    turns::Turn,
    write::{Body, check, fill, unique_name},
};

/// An upload that nothing was added to for this long was given up.
const LEFTOVER_AGE: Duration = Duration::from_hours(7 * 24);
/// The file that the parts are written to.
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

/// Begins an upload; its name tells the size of its parts.
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
    place.check_size(part.number, put.size)?;
    if place.path.is_dir() { Ok(()) } else { Err(place.gone()) }
}

/// Where an upload is.
struct Place {
    path: PathBuf,
    part_size: u64,
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
            Some(part_size) if plain && check_part_size(part_size).is_ok() => Ok(Self {
                path: folder.path().join(MULTIPART).join(upload),
                part_size,
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
        if size <= self.part_size {
            return Ok(());
        }
        let most = self.part_size;
        Err(Error::InvalidPart(format!("part {number} has {size} bytes: this upload has parts of {most}")))
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
    md5: [u8; 16],
    size: u64,
}

impl Marker {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.number, hex(&self.md5), self.size)
    }

    fn read(name: &str) -> Option<Self> {
        let mut fields = name.split('-');
        let (number, md5, size) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { number: number.parse().ok()?, md5: from_hex(md5)?, size: size.parse().ok()? })
    }
}

/// A part on its way to its place. Holds its turn, so that no other request writes there before this one has ended,
/// whoever waits for it.
struct Writing {
    folder: Arc<Folder>,
    place: Place,
    marker: Marker,
    body: Body<Md5>,
    _turn: Turn,
}

/// Stores a part. What came last under its number counts; a part that is there already is not written again.
pub(crate) async fn put_part<S, E>(
    folder: &Arc<Folder>,
    put: &SignedPut,
    part: &SignedPart,
    stream: S,
) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    check_number(part.number)?;
    let place = Place::of(folder, &put.key, &part.upload)?;
    place.check_size(part.number, put.size)?;
    let marker = Marker { number: part.number, md5: put.md5, size: put.size };
    let (turn, stop) = folder.turns().part(&part.upload, part.number).await;
    let (opened, place, turn, marker) = {
        let folder = Arc::clone(folder);
        blocking(move || open_part(&folder, &place, &marker).map(|opened| (opened, place, turn, marker)))
            .await?
    };
    let Some(data) = opened else {
        return drain(stream, put.size).await;
    };
    let writing = Writing {
        folder: Arc::clone(folder),
        body: Body::new(data, (marker.number as u64 - 1) * place.part_size),
        place,
        marker,
        _turn: turn,
    };
    let written = fill(move || Ok(writing), Writing::append, stream, put.size, &stop).await?;
    blocking(move || written.finish()).await
}

/// Opens the file for a part, after its older bytes count no more; `None`: the very same part is there.
fn open_part(folder: &Folder, place: &Place, marker: &Marker) -> Result<Option<File>, Error> {
    let open = || {
        let older: Vec<Marker> =
            place.markers()?.into_iter().filter(|found| found.number == marker.number).collect();
        if older.contains(marker) {
            return Ok(None);
        }
        for found in &older {
            fs::remove_file(place.path.join(found.name()))?;
        }
        if !older.is_empty() {
            sync_folder(&place.path)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(place.path.join(DATA)).map(Some)
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

    fn finish(self) -> Result<(), Error> {
        check(self.marker.size, &self.marker.md5, &self.body)?;
        let mark = || {
            self.body.file.sync_data()?;
            let marker = self.place.path.join(self.marker.name());
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(marker)?;
            sync_folder(&self.place.path)
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
    let mut size = 0;
    for (number, etag) in (1..).zip(etags) {
        let md5 = from_hex(etag);
        let found = markers.iter().find(|marker| marker.number == number && Some(marker.md5) == md5);
        let Some(marker) = found else {
            return Err(Error::InvalidPart(format!(
                "part {number} with the ETag \"{etag}\" is not there: send it again"
            )));
        };
        if marker.size != place.part_size && number != etags.len() as i64 {
            return Err(Error::InvalidPart(format!(
                "part {number} has {} bytes: all but the last have {}",
                marker.size, place.part_size
            )));
        }
        size += marker.size;
    }
    let data = OpenOptions::new().write(true).open(place.path.join(DATA)).map_err(fail)?;
    // What a part that was given up has left behind the end.
    data.set_len(size).and_then(|()| data.sync_all()).map_err(fail)?;
    let from = File::open(&place.path).map_err(fail)?.into();
    folder.publish_from(&from, DATA, &place.key)?;
    remove(folder, place)
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
        let marker = Marker { number: 12, md5: *b"0123456789abcdef", size: 77 };
        assert_eq!(Marker::read(&marker.name()), Some(marker));
        for other in ["data", "1", "1-2-3", "x-y-z", ""] {
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
