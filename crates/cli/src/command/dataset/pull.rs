//! `runyard dataset pull`: downloads the archive beside its place, checks its digest, extracts it, and only then gives the folder
//! its name.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use runyard_archive::{Limits, extract};
use runyard_wire::dataset::Dataset;

use crate::{
    context::Context,
    failure::Failure,
    output::{self, Format},
    pull::bar,
    source,
};

pub(super) async fn run(
    context: &Context,
    dataset: &Dataset,
    folder: Option<PathBuf>,
) -> Result<(), Failure> {
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    let folder = folder.map_or_else(|| own_folder(dataset), Ok)?;
    free(&folder)?;
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", folder.display()));
    let folder = std::path::absolute(&folder).map_err(failed)?;
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(failed)?;
    // Gone with this command, however it ends.
    let beside = tempfile::Builder::new().prefix(".runyard-dataset-").tempdir_in(parent).map_err(failed)?;
    let archive = beside.path().join("archive.tar.zst");
    let size = dataset.archive.as_ref().map_or(0, |archive| archive.size);
    let bar = bar(context, size.cast_unsigned());
    let moved = |bytes| bar.inc(bytes);
    let pulled = tokio::select! {
        pulled = context.client.pull_dataset(&dataset.id, &archive, &moved) => pulled.map_err(Failure::from),
        _ = tokio::signal::ctrl_c() => Err(Failure::new("stopped; nothing was written").code(130)),
    };
    bar.finish_and_clear();
    let pulled = pulled?;
    let content = beside.path().join("content");
    let (packed, unpacked) = (archive, content.clone());
    let extracted = tokio::task::spawn_blocking(move || {
        let file = File::open(&packed).map_err(|error| error.to_string())?;
        extract(file, &unpacked, &Limits::default()).map_err(|error| error.to_string())
    });
    let extracted = extracted.await.unwrap_or_else(|error| Err(error.to_string()));
    let extracted =
        extracted.map_err(|why| Failure::new(format!("the archive cannot be extracted: {why}")))?;
    // An empty folder gives way to a rename.
    fs::rename(&content, &folder).map_err(failed)?;
    match context.out.format {
        Format::Table => output::note(format!(
            "{}: {} files, {} in {}",
            pulled.name,
            extracted.files,
            source::bytes(extracted.bytes.cast_signed()),
            folder.display()
        )),
        Format::Quiet => output::line(folder.display())?,
        Format::Json | Format::Csv => output::json(&pulled)?,
    }
    Ok(())
}

/// The folder must be missing or empty.
fn free(folder: &Path) -> Result<(), Failure> {
    let taken = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Failure::usage(format!("cannot use {}: {error}", folder.display()))),
    };
    if taken {
        return Err(Failure::usage(format!("{} is not empty", folder.display())).hint("name a new folder"));
    }
    Ok(())
}

/// The server's words as a folder on this machine.
fn own_folder(dataset: &Dataset) -> Result<PathBuf, Failure> {
    let name = dataset.name.as_str();
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if plain {
        return Ok(PathBuf::from(name));
    }
    Err(Failure::new(format!("`{name}` cannot name a folder")).hint("name a folder to pull into"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_pulled_into_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(folder.path()).is_ok() && free(&folder.path().join("new")).is_ok());
        fs::write(folder.path().join("x"), "").unwrap();
        assert!(free(folder.path()).unwrap_err().to_string().contains("is not empty"));
    }
}
