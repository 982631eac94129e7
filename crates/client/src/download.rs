//! Downloads the files of checkpoints and artifacts: goes on where a broken download stopped, and checks every byte.
//! A file has its name only once it is whole and right; none is written outside of the folder that was named.

use std::{
    fs::Permissions,
    io::{self, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode, header::RANGE};
use runyard_domain::checkpoint::{Kind, check_path};
use runyard_wire::file::File;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::{Client, Error};

#[cfg(test)]
mod tests;

/// Files that are asked for at once, and that are downloaded at the same time.
const PAGE: i64 = 1_000;
const AT_ONCE: usize = 4;
/// How often a download that does not move is tried again, and how long the first pause is.
const RETRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// What a file is called until it is whole.
const UNFINISHED: &str = ".runyard-part";

/// Which files are downloaded.
pub(crate) enum Files<'a> {
    /// Those of a checkpoint or an artifact, by its id.
    Set(Kind, &'a str),
    /// Those of an input, by job and channel.
    Input(&'a str, &'a str),
}

impl Client {
    /// Downloads all files into `folder`, which is made when it is missing; answers their bytes. What is there already,
    /// and right, is not downloaded again. `moved` hears of every piece: its bytes.
    pub async fn fetch_files(
        &self,
        kind: Kind,
        id: &str,
        folder: &Path,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, Error> {
        self.fetch_all(&Files::Set(kind, id), folder, moved).await
    }

    /// See [`Client::fetch_files`].
    pub(crate) async fn fetch_all(
        &self,
        files: &Files<'_>,
        folder: &Path,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, Error> {
        tokio::fs::create_dir_all(folder).await.map_err(|cause| failed("cannot make", folder, cause))?;
        let (mut total, mut after) = (0, None::<String>);
        loop {
            let page = self.page(files, after.as_deref()).await?;
            let Some(last) = page.last() else { return Ok(total) };
            let next = Some(last.path.clone());
            total += page.iter().map(|file| file.size.cast_unsigned()).sum::<u64>();
            let each =
                page.into_iter().map(|file| self.fetch_one((files, after.as_deref()), file, folder, moved));
            stream::iter(each).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
            after = next;
        }
    }

    /// Files by path, after `after`, with addresses to read them.
    async fn page(&self, files: &Files<'_>, after: Option<&str>) -> Result<Vec<File>, Error> {
        match files {
            Files::Set(kind, id) => self.files(*kind, id, after, Some(PAGE)).await,
            Files::Input(job, channel) => {
                let url = self.http.api(&["jobs", job, "inputs", channel, "files"])?;
                let query = crate::query::Query::default().one("path_after", after).one("limit", Some(PAGE));
                self.http.get(query.on(url)).await
            }
        }
    }

    /// Downloads one file to `to`; `moved` hears of every piece. 403: its address has expired.
    pub async fn fetch_file(
        &self,
        file: &File,
        to: &Path,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if is_there(file, to).await {
            moved(file.size.cast_unsigned());
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(|cause| failed("cannot make", parent, cause))?;
        }
        let mut unfinished = Unfinished::open(file, to).await?;
        moved(unfinished.length);
        let (mut pause, mut round) = (FIRST_PAUSE, 0);
        while unfinished.length < file.size.cast_unsigned() {
            let before = unfinished.length;
            let Err(error) = self.go_on(file, &mut unfinished, moved).await else { break };
            if unfinished.length > before {
                (pause, round) = (FIRST_PAUSE, 0);
            }
            if round == RETRIES || !error.is_transient() {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            round += 1;
        }
        unfinished.finish(file, to).await
    }

    /// One file of the page after `after`.
    async fn fetch_one(
        &self,
        (files, after): (&Files<'_>, Option<&str>),
        mut file: File,
        folder: &Path,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if file.path.is_empty() {
            return Ok(());
        }
        check_path(file.path.strip_suffix('/').unwrap_or(&file.path))
            .map_err(|error| Error::Damaged(format!("the server names a file that {error}")))?;
        let to = folder.join(&file.path);
        if file.path.ends_with('/') {
            let made = tokio::fs::create_dir_all(&to).await;
            return made.map_err(|cause| failed("cannot make", &to, cause));
        }
        let mut asked = 0;
        loop {
            match self.fetch_file(&file, &to, moved).await {
                // A large download outlives the addresses of the files after it.
                Err(error) if error.status() == Some(403) && asked < 100 => {
                    asked += 1;
                    file = self.again(files, after, &file).await?;
                }
                done => return done,
            }
        }
    }

    /// The same file with a new address.
    async fn again(&self, files: &Files<'_>, after: Option<&str>, file: &File) -> Result<File, Error> {
        let found: Vec<File> = match files {
            Files::Set(kind, id) => {
                let url = self.http.api(&[kind.plural(), id, "files"])?;
                self.http.get(crate::query::Query::default().one("path", Some(&file.path)).on(url)).await?
            }
            Files::Input(..) => self.page(files, after).await?,
        };
        let gone = || Error::Damaged(format!("`{}` was deleted while it was downloaded", file.path));
        found.into_iter().find(|again| again.path == file.path).ok_or_else(gone)
    }

    /// Appends what comes to the unfinished file, until its end or an error.
    async fn go_on(
        &self,
        file: &File,
        unfinished: &mut Unfinished,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let Some(address) = &file.url else {
            return Err(Error::Damaged(format!("`{}` cannot be read: not all is uploaded yet", file.path)));
        };
        let mut request = self.http.signed(Method::GET, address)?;
        if unfinished.length > 0 {
            request = request.header(RANGE, format!("bytes={}-", unfinished.length));
        }
        let mut response = self.http.open(request).await?;
        if unfinished.length > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            unfinished.start_over().await?;
        }
        while let Some(chunk) = self.http.chunk(&mut response).await? {
            unfinished.append(&chunk).await?;
            moved(chunk.len() as u64);
            if unfinished.length > file.size.cast_unsigned() {
                unfinished.start_over().await?;
                return Err(Error::Damaged(format!("`{}` is longer than the server says", file.path)));
            }
        }
        if unfinished.length < file.size.cast_unsigned() {
            let cause = "the answer ended early".to_owned();
            return Err(Error::Broken { url: self.http.url().to_owned(), cause });
        }
        Ok(())
    }
}

/// A file that is being downloaded, and the digest of what is there.
struct Unfinished {
    path: PathBuf,
    file: tokio::fs::File,
    length: u64,
    digest: Sha256,
}

impl Unfinished {
    /// Opens what an earlier download left, or a new file.
    async fn open(wanted: &File, to: &Path) -> Result<Self, Error> {
        let mut name = to.as_os_str().to_owned();
        name.push(UNFINISHED);
        let path = PathBuf::from(name);
        let fault = |cause| failed("cannot write", &path, cause);
        let mut options = tokio::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).await.map_err(fault)?;
        let mut digest = Sha256::new();
        let mut length = absorb(&mut file, &mut digest).await.map_err(fault)?;
        if length > wanted.size.cast_unsigned() {
            file.set_len(0).await.map_err(fault)?;
            file.seek(SeekFrom::Start(0)).await.map_err(fault)?;
            (digest, length) = (Sha256::new(), 0);
        }
        Ok(Self { path, file, length, digest })
    }

    async fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.file.write_all(chunk).await.map_err(|cause| failed("cannot write", &self.path, cause))?;
        self.digest.update(chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }

    async fn start_over(&mut self) -> Result<(), Error> {
        let fault = |cause| failed("cannot write", &self.path, cause);
        self.file.flush().await.map_err(fault)?;
        self.file.set_len(0).await.map_err(fault)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(fault)?;
        (self.digest, self.length) = (Sha256::new(), 0);
        Ok(())
    }

    /// Gives the file its name, if it is what was wanted.
    async fn finish(mut self, wanted: &File, to: &Path) -> Result<(), Error> {
        self.file.flush().await.map_err(|cause| failed("cannot write", &self.path, cause))?;
        if !wanted.sha256.is_empty() && hex(self.digest) != wanted.sha256 {
            let _ = tokio::fs::remove_file(&self.path).await;
            return Err(Error::Damaged(format!(
                "`{}` came with other bytes than were uploaded: download it again",
                wanted.path
            )));
        }
        if let Some(mode) = wanted.mode.and_then(|mode| u32::try_from(mode & 0o777).ok()) {
            let set = tokio::fs::set_permissions(&self.path, Permissions::from_mode(mode)).await;
            set.map_err(|cause| failed("cannot set the permissions of", &self.path, cause))?;
        }
        tokio::fs::rename(&self.path, to).await.map_err(|cause| failed("cannot write", to, cause))
    }
}

/// Whether the file is there, and right.
async fn is_there(wanted: &File, path: &Path) -> bool {
    let Ok(mut file) = tokio::fs::File::open(path).await else { return false };
    let mut digest = Sha256::new();
    match file.metadata().await {
        Ok(found) if found.len() == wanted.size.cast_unsigned() => {
            absorb(&mut file, &mut digest).await.is_ok() && hex(digest) == wanted.sha256
        }
        _ => false,
    }
}

/// Reads the file to its end; answers its length.
async fn absorb(file: &mut tokio::fs::File, digest: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(length),
            read => {
                digest.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

fn hex(digest: Sha256) -> String {
    use std::fmt::Write as _;
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn failed(what: &str, path: &Path, cause: io::Error) -> Error {
    Error::Local { what: format!("{what} {}", path.display()), cause }
}
