//! The image files of an archive: where each one is, and its name there. What cannot be had is left out and counted.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use futures::StreamExt;
use runyard_domain::DatasetId;
use runyard_store::image::Image;
use tokio::io::AsyncWriteExt;

use crate::{Engine, Error, Result};

/// Folder of the images in an archive.
pub(super) const FOLDER: &str = "files";
/// What the address of an object of this server's store begins with.
const OBJECT: &str = "object://";

/// What the keys of a dataset's objects begin with.
pub(super) fn prefix(id: DatasetId) -> String {
    format!("datasets/{id}/")
}

/// The name of a dataset's archive.
pub(super) fn name(id: DatasetId) -> String {
    format!("{id}.tar.zst")
}

/// Where an image that can be had is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// An object.
    Object(String),
}

/// Puts the image's file into the folder, as `<image id><extension>`; `false`: it is elsewhere, or gone.
pub(super) async fn bring(engine: &Engine, image: &Image, folder: &Path) -> Result<bool> {
    let Some(place) = place(&image.url) else { return Ok(false) };
    let name = match &place {
        Place::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        Place::Object(key) => key.rsplit('/').next().map(str::to_owned),
    };
    let to = folder.join(format!("{}{}", image.id, extension(name.as_deref().unwrap_or_default())));
    match place {
        Place::File(from) => {
            let copied = tokio::task::spawn_blocking(move || copy(&from, &to)).await;
            copied.map_err(|error| Error::Internal(format!("copying an image: {error}")))?
        }
        Place::Object(key) => fetch(engine, &key, &to).await,
    }
}

fn place(url: &str) -> Option<Place> {
    if let Some(key) = url.strip_prefix(OBJECT) {
        return Some(Place::Object(key.to_owned()));
    }
    let path = url.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = runyard_domain::filter::decode(&path.replace('+', "%2B")).ok()?;
    path.starts_with('/').then(|| Place::File(PathBuf::from(path)))
}

/// `.png` of `page.png`: short and plain, or nothing.
fn extension(name: &str) -> String {
    let found = Path::new(name).extension().and_then(|it| it.to_str()).unwrap_or_default();
    let plain = (1..=8).contains(&found.len()) && found.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!(".{}", found.to_ascii_lowercase()) } else { String::new() }
}

/// Only regular files: a pipe or a device would never end.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let regular = std::fs::metadata(from).is_ok_and(|found| found.is_file());
    let Some(mut source) = regular.then(|| File::open(from).ok()).flatten() else { return Ok(false) };
    let written = File::create(to).and_then(|mut file| io::copy(&mut source, &mut file));
    written.map(|_| true).map_err(|error| Error::Internal(format!("{}: {error}", to.display())))
}

async fn fetch(engine: &Engine, key: &str, to: &Path) -> Result<bool> {
    let mut bytes = match engine.objects.get_stream(key).await {
        Ok((_, bytes)) => bytes,
        Err(runyard_objects::Error::NotFound(_) | runyard_objects::Error::InvalidKey { .. }) => {
            return Ok(false);
        }
        Err(other) => return Err(other.into()),
    };
    let failed = |error: io::Error| Error::Internal(format!("{}: {error}", to.display()));
    let mut file = tokio::fs::File::create(to).await.map_err(failed)?;
    while let Some(piece) = bytes.next().await {
        file.write_all(&piece?).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_and_objects_can_be_had() {
        assert_eq!(place("file:///data/a%20b+c.png"), Some(Place::File("/data/a b+c.png".into())));
        assert_eq!(place("file://localhost/a.png"), Some(Place::File("/a.png".into())));
        assert_eq!(place("object://images/1.png"), Some(Place::Object("images/1.png".into())));
        for elsewhere in ["https://host/a.png", "file://host/a.png", "file://a.png", "a.png"] {
            assert_eq!(place(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn an_extension_is_short_and_plain() {
        let names = ["a.PNG", "a", "a.tar.zst", "a.p/g", "a.verylongone", "a.j g", ".hidden"];
        assert_eq!(names.map(extension), [".png", "", ".zst", "", "", "", ""]);
    }
}
