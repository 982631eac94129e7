//! The image files of an archive: where each one is, and its name there. What cannot be had is left out and counted.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use runyard_domain::DatasetId;
use runyard_store::image::Image;

use crate::{Engine, Error, Result};

/// Folder of the images in an archive.
pub(super) const FOLDER: &str = "files";

/// What the keys of a dataset's objects begin with.
pub(super) fn prefix(id: DatasetId) -> String {
    format!("datasets/{id}/")
}

/// The name of a dataset's archive.
pub(super) fn name(id: DatasetId) -> String {
    format!("{id}.tar.zst")
}

/// Puts the image's file into the folder, as `<image id><extension>`; `false`: it is elsewhere, or gone, or in the data folder,
/// whose files are nobody's images.
pub(super) async fn bring(engine: &Engine, image: &Image, folder: &Path) -> Result<bool> {
    let Some(from) = file(&image.url) else { return Ok(false) };
    let name = from.file_name().map(|name| name.to_string_lossy().into_owned());
    let to = folder.join(format!("{}{}", image.id, extension(name.as_deref().unwrap_or_default())));
    let data = engine.options.server_file.as_deref().and_then(Path::parent).map(Path::to_owned);
    let copied = tokio::task::spawn_blocking(move || copy(&from, data.as_deref(), &to)).await;
    copied.map_err(|error| Error::Internal(format!("copying an image: {error}")))?
}

fn file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = runyard_domain::filter::decode(&path.replace('+', "%2B")).ok()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// `.png` of `page.png`: short and plain, or nothing.
fn extension(name: &str) -> String {
    let found = Path::new(name).extension().and_then(|it| it.to_str()).unwrap_or_default();
    let plain = (1..=8).contains(&found.len()) && found.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!(".{}", found.to_ascii_lowercase()) } else { String::new() }
}

/// Only regular files: a pipe or a device would never end. Links are followed before it is asked where they lead.
fn copy(from: &Path, forbidden: Option<&Path>, to: &Path) -> Result<bool> {
    let Ok(from) = from.canonicalize() else { return Ok(false) };
    let forbidden = forbidden.and_then(|folder| folder.canonicalize().ok());
    if !from.is_file() || forbidden.is_some_and(|folder| from.starts_with(folder)) {
        return Ok(false);
    }
    let Ok(mut source) = File::open(&from) else { return Ok(false) };
    let written = File::create(to).and_then(|mut file| io::copy(&mut source, &mut file));
    written.map(|_| true).map_err(|error| Error::Internal(format!("{}: {error}", to.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_this_machine_can_be_had() {
        assert_eq!(file("file:///data/a%20b+c.png"), Some("/data/a b+c.png".into()));
        assert_eq!(file("file://localhost/a.png"), Some("/a.png".into()));
        for elsewhere in
            ["https://host/a.png", "file://host/a.png", "file://a.png", "a.png", "object://a.png"]
        {
            assert_eq!(file(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn no_file_of_the_data_folder_gets_into_an_archive_not_even_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let (data, to) = (place.path().join("data"), place.path().join("to"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("key"), "secret").unwrap();
        std::fs::write(place.path().join("page"), "pixels").unwrap();
        std::os::unix::fs::symlink(data.join("key"), place.path().join("link")).unwrap();
        for from in
            [data.join("key"), place.path().join("link"), place.path().join("data/../data/key"), data.clone()]
        {
            assert!(!copy(&from, Some(&data), &to).unwrap() && !to.exists(), "{}", from.display());
        }
        assert!(copy(&place.path().join("page"), Some(&data), &to).unwrap());
        assert_eq!(std::fs::read(&to).unwrap(), b"pixels");
    }

    #[test]
    fn an_extension_is_short_and_plain() {
        let names = ["a.PNG", "a", "a.tar.zst", "a.p/g", "a.verylongone", "a.j g", ".hidden"];
        assert_eq!(names.map(extension), [".png", "", ".zst", "", "", "", ""]);
    }
}
