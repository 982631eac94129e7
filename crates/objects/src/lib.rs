//! Bytes in a folder or an object store.
//!
//! Keys are `/`-separated relative names ([`check_key`]). A write is durable and whole, or not visible at all.
//! Nothing here knows whose bytes they are or who may read them: a signed address is the only right it gives out.

use std::{ops::Range, path::PathBuf, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures::{Stream, stream::BoxStream};
use reqwest::header::HeaderMap;
pub use runyard_domain::ChecksumKind;
use runyard_domain::Millis;

mod checksum;
mod error;
mod folder;
mod key;
mod location;
mod multipart;
mod read;
mod s3;
mod sign;
mod sums;
mod turns;
mod write;

pub use checksum::Checksum;
pub use error::Error;
use folder::Folder;
pub use key::check_key;
pub use location::{Credentials, FolderSigning, Location};
use s3::S3;
pub use sign::{SignedGet, SignedPart, SignedPut, SignedRequest, Size, attachment};
pub use sums::{Summed, combine_crc64, md5};

/// The bytes of an object, in order.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// Most parts that an upload may have.
pub const PARTS_MAX: i64 = 10_000;
/// Smallest part, unless it is the last one: 5 MiB.
pub const PART_MIN: u64 = 5 << 20;
/// Largest object that goes in one piece, and largest part: 5 GiB.
pub const PUT_MAX: u64 = 5 << 30;
/// Longest that a signed address may live, in seconds: a week.
pub const EXPIRES_MAX_S: i64 = 7 * 24 * 3600;

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The object's key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Hex SHA-256 of the bytes.
    pub sha256: String,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was stored.
    pub modified: SystemTime,
}

/// A request that whoever has it may make, until it expires, without an account of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Where to. With a folder, a path of this server: the host is not signed, so a client that reaches the server
    /// by another name may put that in its place.
    pub url: String,
    /// `GET` or `PUT`.
    pub method: &'static str,
    /// Headers that must be sent with exactly these values.
    pub headers: Vec<(String, String)>,
    /// Refused from then on.
    pub expires_at: Millis,
}

/// What the answer to a signed GET says of the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetAs {
    /// Name to save them under.
    pub name: Option<String>,
    /// Their content type.
    pub content_type: Option<String>,
}

/// A store of objects. Clones share it.
#[derive(Debug, Clone)]
pub struct Objects {
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Folder(Arc<Folder>, Option<FolderSigning>),
    S3(Arc<S3>),
}

impl Objects {
    /// Objects as files below `path`, which is made when it is missing. What writers left half done is removed
    /// once nobody can be writing it any more. Signs no addresses.
    pub fn open_folder(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self { backend: Backend::Folder(Arc::new(Folder::open(path.into())?), None) })
    }

    /// Objects at the location. Of an S3 store nothing is asked yet: [`Objects::check`] does.
    pub fn open(location: &Location) -> Result<Self, Error> {
        let backend = match location {
            Location::Folder { path, signing } => {
                Backend::Folder(Arc::new(Folder::open(path.clone())?), Some(signing.clone()))
            }
            Location::S3 { bucket, prefix, endpoint, region, credentials, path_style } => Backend::S3(
                Arc::new(S3::open(bucket, prefix, endpoint.as_deref(), region, credentials, *path_style)?),
            ),
        };
        Ok(Self { backend })
    }

    /// The bucket, and what all keys in it begin with; `None`: these are files of this machine.
    pub fn bucket(&self) -> Option<(&str, &str)> {
        match &self.backend {
            Backend::Folder(..) => None,
            Backend::S3(s3) => Some(s3.place()),
        }
    }

    /// Asks the store whether it is there and lets us in, so that a wrong name or account is found at the start.
    pub async fn check(&self) -> Result<(), Error> {
        match &self.backend {
            Backend::Folder(..) => Ok(()),
            Backend::S3(s3) => s3.check().await,
        }
    }

    /// Stores what the stream brings under `key`, in place of what was there. When this answers `Ok` the bytes
    /// are durable; when it fails, or is dropped, `key` is as it was.
    pub async fn put_stream<S, E>(&self, key: &str, stream: S, limit: u64) -> Result<Put, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => {
                write::stage(folder, stream, limit).await?.publish(|_| key.to_owned()).await
            }
            Backend::S3(s3) => s3.put(key, stream, limit).await,
        }
    }

    /// Stores a file of this machine under `key`: copied while it is hashed, durable when this answers. `None`: it changed
    /// meanwhile or could not be read, or the objects are not in a folder; then nothing is stored.
    pub async fn put_file(&self, key: &str, file: std::fs::File) -> Result<Option<Put>, Error> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => {
                let (folder, key) = (Arc::clone(folder), key.to_owned());
                blocking(move || write::copy(folder, &file, key)).await
            }
            Backend::S3(_) => Ok(None),
        }
    }

    /// Like [`Objects::put_stream`], under the name that the content gives: `{prefix}{hex SHA-256}{suffix}`, such
    /// as `sources/2c26...e7ae.tar.zst` with the prefix `sources/`.
    pub async fn put_stream_hashed<S, E>(
        &self,
        prefix: &str,
        suffix: &str,
        stream: S,
        limit: u64,
    ) -> Result<Put, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = |digest: &str| format!("{prefix}{digest}{suffix}");
        check_key(&name(&"0".repeat(64)))?;
        match &self.backend {
            Backend::Folder(folder, _) => write::stage(folder, stream, limit).await?.publish(name).await,
            Backend::S3(s3) => s3.put_hashed(name, stream, limit).await,
        }
    }

    /// The object's size and its bytes. They stay the same when the object is replaced or deleted meanwhile.
    pub async fn get_stream(&self, key: &str) -> Result<(u64, ByteStream), Error> {
        self.get_range(key, 0..u64::MAX).await
    }

    /// The size of the whole object, and the part of `range` that exists (nothing past its end).
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<(u64, ByteStream), Error> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => read::open(folder, key, range).await,
            Backend::S3(s3) => s3.get(key, range).await,
        }
    }

    /// The object's size; `None` when there is no such object.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.get_range(key, 0..0).await {
            Ok((size, _)) => Ok(Some(size)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the object; answers the bytes freed: 0 when there was none. May be repeated.
    pub async fn delete(&self, key: &str) -> Result<u64, Error> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => {
                let (folder, key) = (Arc::clone(folder), key.to_owned());
                blocking(move || folder.delete(&key)).await
            }
            Backend::S3(s3) => s3.delete(key).await,
        }
    }

    /// Gives the object another key, in place of what was there: what is read meanwhile is whole under either key. May
    /// be repeated: when `from` is gone and `to` is there, it was done.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        check_key(from)?;
        check_key(to)?;
        match &self.backend {
            Backend::Folder(folder, _) => {
                let (folder, from, to) = (Arc::clone(folder), from.to_owned(), to.to_owned());
                blocking(move || folder.rename(&from, &to)).await
            }
            Backend::S3(s3) => s3.rename(from, to).await,
        }
    }

    /// Stores the bytes of an object under a second key as well, in place of what was there; the two know nothing of each
    /// other from then on. Nothing is written twice where the store can avoid it.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        check_key(from)?;
        check_key(to)?;
        match &self.backend {
            Backend::Folder(folder, _) => {
                let (folder, from, to) = (Arc::clone(folder), from.to_owned(), to.to_owned());
                blocking(move || folder.copy(&from, &to)).await
            }
            Backend::S3(s3) => s3.copy_object(from, to).await,
        }
    }

    /// All objects below `prefix` (`sources`, `jobs/42`; empty: all), sorted by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
        if !prefix.is_empty() {
            check_key(&prefix)?;
        }
        match &self.backend {
            Backend::Folder(folder, _) => {
                let folder = Arc::clone(folder);
                blocking(move || folder.list(&prefix)).await
            }
            Backend::S3(s3) => s3.list(&prefix).await,
        }
    }

    /// A signed GET of the object, ranges included.
    pub fn presign_get(&self, key: &str, expires_in_s: i64, get: &GetAs) -> Result<Signed, Error> {
        check_key(key)?;
        let request = SignedRequest::Get(SignedGet { key: key.to_owned(), get: get.clone() });
        self.presign(&request, expires_in_s)
    }

    /// Which digest senders are to bind: the one that this store checks at the least cost.
    pub fn checksum(&self) -> ChecksumKind {
        match &self.backend {
            Backend::Folder(..) => ChecksumKind::Sha256,
            // Not every S3 store knows another one.
            Backend::S3(_) => ChecksumKind::Md5,
        }
    }

    /// A signed PUT of exactly these many bytes with this digest, at most [`PUT_MAX`].
    pub fn presign_put(
        &self,
        key: &str,
        size: u64,
        checksum: Checksum,
        expires_in_s: i64,
    ) -> Result<Signed, Error> {
        let (size, checksum) = (Size::Exactly(size), Some(checksum));
        self.presign_bytes(SignedPut { key: key.to_owned(), size, checksum, part: None }, expires_in_s)
    }

    /// A signed PUT of whatever comes, for senders that say nothing of it before. Up to `max_size` bytes in a folder;
    /// S3 stores have no such limit, so look at the size of what has come.
    pub fn presign_put_any(&self, key: &str, max_size: u64, expires_in_s: i64) -> Result<Signed, Error> {
        let size = Size::AtMost(max_size.min(PUT_MAX));
        self.presign_bytes(SignedPut { key: key.to_owned(), size, checksum: None, part: None }, expires_in_s)
    }

    fn presign_bytes(&self, put: SignedPut, expires_in_s: i64) -> Result<Signed, Error> {
        check_key(&put.key)?;
        self.presign(&SignedRequest::Put(put), expires_in_s)
    }

    /// Begins an upload in parts of `part_size` bytes ([`PART_MIN`] to [`PUT_MAX`]; only the last part may be
    /// smaller); answers its name. Uploads that nothing was added to for a week may vanish.
    pub async fn begin_multipart(&self, key: &str, part_size: u64) -> Result<String, Error> {
        check_key(key)?;
        multipart::check_part_size(part_size)?;
        match &self.backend {
            Backend::Folder(folder, _) => multipart::begin(folder, part_size).await,
            Backend::S3(s3) => s3.begin_multipart(key).await,
        }
    }

    /// Begins an upload whose parts have any size from 1 byte to [`PUT_MAX`], for senders that choose it themselves. An
    /// S3 store may still refuse to complete one with small parts before the last. Completed and given up like others.
    pub async fn begin_loose_multipart(&self, key: &str) -> Result<String, Error> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => multipart::begin(folder, multipart::LOOSE).await,
            Backend::S3(s3) => s3.begin_multipart(key).await,
        }
    }

    /// A signed PUT of part `number` of a loose upload, of any bytes, or of those with this MD5.
    pub fn presign_loose_part(
        &self,
        key: &str,
        upload: &str,
        number: i64,
        md5: Option<[u8; 16]>,
        expires_in_s: i64,
    ) -> Result<Signed, Error> {
        multipart::check_number(number)?;
        let (size, checksum) = (Size::AtMost(PUT_MAX), md5.map(Checksum::Md5));
        let part = Some(SignedPart { upload: upload.to_owned(), number });
        self.presign_bytes(SignedPut { key: key.to_owned(), size, checksum, part }, expires_in_s)
    }

    /// A signed PUT of part `number` (from 1 to [`PARTS_MAX`]): exactly these many bytes with this digest. Answered with
    /// an `ETag`, which [`Objects::complete_multipart`] wants. A part may be sent again; what came last counts.
    pub fn presign_part(
        &self,
        key: &str,
        upload: &str,
        number: i64,
        size: u64,
        checksum: Checksum,
        expires_in_s: i64,
    ) -> Result<Signed, Error> {
        multipart::check_number(number)?;
        let (size, checksum) = (Size::Exactly(size), Some(checksum));
        let part = Some(SignedPart { upload: upload.to_owned(), number });
        self.presign_bytes(SignedPut { key: key.to_owned(), size, checksum, part }, expires_in_s)
    }

    /// Makes the parts, by number and `ETag`, the object `key`: durable when this answers. May be repeated: once
    /// the upload is gone and the object is there, it has been completed.
    pub async fn complete_multipart(
        &self,
        key: &str,
        upload: &str,
        parts: &[(i64, String)],
    ) -> Result<(), Error> {
        check_key(key)?;
        let parts = multipart::in_order(parts)?;
        match &self.backend {
            Backend::Folder(folder, _) => multipart::complete(folder, key, upload, parts).await,
            Backend::S3(s3) => s3.complete_multipart(key, upload, &parts).await,
        }
    }

    /// Gives the upload up and frees its parts. May be repeated.
    pub async fn abort_multipart(&self, key: &str, upload: &str) -> Result<(), Error> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder, _) => multipart::abort(folder, key, upload).await,
            Backend::S3(s3) => s3.abort_multipart(key, upload).await,
        }
    }

    fn presign(&self, request: &SignedRequest, expires_in_s: i64) -> Result<Signed, Error> {
        let expires_in_s = expires_in_s.clamp(0, EXPIRES_MAX_S);
        if let SignedRequest::Put(put) = request
            && put.size.limit() > PUT_MAX
        {
            return Err(Error::TooLarge { limit: PUT_MAX });
        }
        match &self.backend {
            Backend::Folder(folder, Some(signing)) => {
                multipart::check_signed(folder, request)?;
                sign::address(signing, request, now().plus(expires_in_s * 1000))
            }
            Backend::Folder(_, None) => Err(Error::NoSigning),
            Backend::S3(s3) => s3.presign(request, expires_in_s),
        }
    }

    /// What a request to an address of [`Objects`] in a folder may do: `Denied` when it was not signed here exactly
    /// so, or has expired. `path_and_query` is as it was sent; `headers` are the request's.
    pub fn verify_signed(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &HeaderMap,
    ) -> Result<SignedRequest, Error> {
        match &self.backend {
            Backend::Folder(_, Some(signing)) => {
                sign::verify(&signing.key, method, path_and_query, headers, now())
            }
            _ => Err(Error::Denied("this server serves no objects by signed addresses".to_owned())),
        }
    }

    /// Does a signed PUT: stores the bytes if they are those that were signed, else nothing. Answers the `ETag`,
    /// quotes included.
    pub async fn put_signed<S, E>(&self, put: &SignedPut, stream: S) -> Result<String, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Backend::Folder(folder, _) = &self.backend else {
            return Err(Error::Denied("this server serves no objects by signed addresses".to_owned()));
        };
        let checksum = match &put.part {
            None => write::put_whole(folder, put, stream).await?,
            Some(part) => multipart::put_part(folder, put, part, stream).await?,
        };
        Ok(format!("\"{}\"", checksum.hex()))
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Runs what waits for the disk on a thread of its own; it goes on to its end when the caller is dropped.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
