//! Packs a folder of code, or local data for an input, and brings it to the server: sent only if the server has not got the
//! same content already. Nothing is changed on the disk, and the copy is gone when the [`Package`] is dropped.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use runyard_archive::PackOptions;
use runyard_client::Client;
use tempfile::NamedTempFile;

use crate::{Error, error::blocking};

/// Something packed, in a temporary file.
#[derive(Debug)]
pub struct Package {
    file: NamedTempFile,
    /// Hex SHA-256 of the archive: its name on the server.
    pub digest: String,
    /// Bytes of the archive.
    pub bytes: u64,
    /// Regular files in it.
    pub files: u64,
    /// The one file that was packed, where it was no folder.
    only: Option<String>,
}

impl Package {
    /// A folder of code: what its ignore file names stays away.
    ///
    /// # Errors
    /// It is no folder, over the limits, or cannot be read.
    pub async fn of_code(folder: &Path) -> Result<Self, Error> {
        let folder = folder.to_owned();
        blocking(move || pack(&folder, &PackOptions::default())).await?
    }

    /// Data: a file, or a folder with everything in it.
    ///
    /// # Errors
    /// Nothing is there, it is over the limits, or cannot be read.
    pub async fn of_data(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        blocking(move || data(&path)).await?
    }

    /// Whether the server has it already.
    pub async fn is_on(&self, client: &Client) -> Result<bool, Error> {
        Ok(client.has_source(&self.digest).await?)
    }

    /// Sends it; sending it again changes nothing.
    pub async fn send(&self, client: &Client) -> Result<(), Error> {
        let source = client.upload_source(self.file.path()).await?;
        if source.digest == self.digest { Ok(()) } else { Err(Error::Garbled) }
    }

    /// The address of it as an input.
    pub fn uri(&self) -> String {
        match &self.only {
            None => format!("upload://{}", self.digest),
            Some(file) => format!("upload://{}/{file}", self.digest),
        }
    }
}

fn cannot(cause: io::Error) -> Error {
    Error::Local { what: "cannot write a temporary file for what is packed (another folder: TMPDIR)", cause }
}

fn pack(folder: &Path, options: &PackOptions) -> Result<Package, Error> {
    let file = NamedTempFile::new().map_err(cannot)?;
    let mut writer = io::BufWriter::new(file.as_file());
    let packed = runyard_archive::pack(folder, &mut writer, options)?;
    writer.flush().map_err(cannot)?;
    drop(writer);
    Ok(Package { file, digest: packed.digest, bytes: packed.bytes, files: packed.files, only: None })
}

fn data(path: &Path) -> Result<Package, Error> {
    let options = PackOptions { everything: true, ..PackOptions::default() };
    let unreadable = |cause| Error::Input { path: path.to_owned(), cause };
    if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return pack(path, &options);
    }
    let path = path.canonicalize().map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_owned();
    let Some(only) = name.to_str().map(str::to_owned) else {
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "its name is no text in UTF-8: rename it");
        return Err(Error::Input { path, cause });
    };
    let (_folder, alone) = alone(&path)?;
    Ok(Package { only: Some(only), ..pack(&alone, &options)? })
}

/// A folder that has only this file: a second name for it where the disk is the same, else a copy.
fn alone(path: &Path) -> Result<(tempfile::TempDir, PathBuf), Error> {
    let folder = tempfile::tempdir().map_err(cannot)?;
    let inner = folder.path().join("data");
    std::fs::create_dir(&inner).map_err(cannot)?;
    let place = inner.join(path.file_name().unwrap_or_default());
    if std::fs::hard_link(path, &place).is_err() {
        let copied = std::fs::copy(path, &place);
        copied.map_err(|cause| Error::Input { path: path.to_owned(), cause })?;
    }
    Ok((folder, inner))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_an_input_by_its_name_and_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        fs::write(&path, "one two").unwrap();
        fs::write(folder.path().join("other.txt"), "not this one").unwrap();
        let package = data(&path).unwrap();
        assert_eq!(package.uri(), format!("upload://{}/words.txt", package.digest));
        assert_eq!(package.files, 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
    }

    #[test]
    fn data_is_packed_with_everything_and_code_without_what_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".runyardignore", "a.pyc", "b.txt"] {
            fs::write(folder.path().join(name), "b.txt\n").unwrap();
        }
        assert_eq!(data(folder.path()).unwrap().files, 3);
        assert_eq!(pack(folder.path(), &PackOptions::default()).unwrap().files, 1);
    }

    #[test]
    fn an_input_that_does_not_exist_is_named() {
        let error = data(Path::new("/no/such/data")).unwrap_err().to_string();
        assert!(error.contains("cannot read the input `/no/such/data`"), "{error}");
    }
}
