//! Brings a folder of code to the server: packed, and sent only if the server has not got the same content already.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use runyard_archive::PackOptions;
use runyard_client::Client;

use crate::{failure::Failure, output};

/// A packed folder in a temporary file.
struct PackedFile {
    file: tempfile::NamedTempFile,
    digest: String,
    bytes: u64,
    files: u64,
}

/// Whether the folder can be a source at all: said before anything is packed or sent.
pub(crate) fn check(folder: &Path) -> Result<(), Failure> {
    let wrong = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is no folder".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::usage(format!("cannot use --source {}: {wrong}", folder.display()))
        .hint("name the folder that holds the program"))
}

/// Answers the digest under which the server has the folder now.
pub(crate) async fn bring(client: &Client, folder: &Path, tell: bool) -> Result<String, Failure> {
    let folder = folder.to_owned();
    let packed = tokio::task::spawn_blocking(move || pack(folder))
        .await
        .map_err(|error| Failure::new(format!("packing the source ended unexpectedly: {error}")))??;
    let has = client.has_source(&packed.digest).await?;
    if tell {
        let verb = if has { "unchanged on the server" } else { "uploading" };
        let files = if packed.files == 1 { "file" } else { "files" };
        output::note(format!("source: {} {files}, {}, {verb}", packed.files, bytes(packed.bytes as i64)));
    }
    if !has {
        let source = client.upload_source(packed.file.path()).await?;
        if source.digest != packed.digest {
            return Err(Failure::new(
                "the source changed on its way to the server: its digest is another one there",
            )
            .hint("try again"));
        }
    }
    Ok(packed.digest)
}

fn pack(folder: PathBuf) -> Result<PackedFile, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(format!("cannot write a temporary file for the packed source: {error}"))
            .hint("free some space, or name another folder with TMPDIR")
    };
    let file = tempfile::NamedTempFile::new().map_err(cannot)?;
    let mut writer = std::io::BufWriter::new(file.as_file());
    let packed =
        runyard_archive::pack(&folder, &mut writer, &PackOptions::default()).map_err(Failure::new)?;
    writer.flush().map_err(cannot)?;
    drop(writer);
    Ok(PackedFile { file, digest: packed.digest, bytes: packed.bytes, files: packed.files })
}

/// A number of bytes for a person: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(count: i64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_units_of_1024() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_source_that_is_no_folder_is_named() {
        let error = check(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("--source /no/such/folder") && error.contains("hint: "), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(check(file.path()).unwrap_err().to_string().contains("it is no folder"));
    }
}
