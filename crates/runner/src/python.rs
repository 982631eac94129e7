//! The Python package of the repository, inside of this binary: placed once per machine and version, so that every job can
//! `import runyard` without installing anything. Never writes into a folder that programs may be reading.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../python/runyard/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "__init__.py",
    "activities.py",
    "context.py",
    "dataset_worker.py",
    "elements_worker.py",
    "exceptions.py",
    "interfaces.py",
    "job.py",
    "local.py",
    "package.py",
    "processor.py",
    "records.py",
    "s3.py",
    "server.py",
    "unpack.py",
    "values.py",
    "worker.py",
];

/// The folder for `PYTHONPATH`, below `cache`.
pub(crate) fn place(cache: &Path) -> io::Result<PathBuf> {
    let place = cache.join(format!("python-{}", version()));
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(cache)?;
    let partial = cache.join(format!(".python-{}-{}", version(), std::process::id()));
    let placed = write(&partial).and_then(|()| fs::rename(&partial, &place));
    if placed.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    match placed {
        // Another runner was quicker.
        Err(_) if place.is_dir() => Ok(place),
        placed => placed.map(|()| place),
    }
}

fn write(partial: &Path) -> io::Result<()> {
    let package = partial.join("runyard");
    fs::create_dir_all(&package)?;
    for (name, text) in FILES {
        let mut file = File::create(package.join(name))?;
        file.write_all(text.as_bytes())?;
        // Once it has its name nobody looks at the content again, not even after a power loss.
        file.sync_all()?;
    }
    Ok(())
}

/// Other files have another name.
fn version() -> String {
    let mut digest = Sha256::new();
    for (name, text) in FILES {
        digest.update(format!("{name}\0{}\0", text.len()));
        digest.update(text);
    }
    digest.finalize()[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_file_of_the_package_is_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/runyard");
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<String> = names.filter(|name| name != "__pycache__").collect();
        found.sort();
        assert_eq!(found, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_placed_once_and_can_be_imported() {
        let cache = tempfile::TempDir::new().unwrap();
        let place_it = || place(&cache.path().join("cache")).unwrap();
        let placed = place_it();
        let before = fs::metadata(placed.join("runyard/__init__.py")).unwrap().modified().unwrap();
        assert_eq!(place_it(), placed);
        assert_eq!(fs::metadata(placed.join("runyard/__init__.py")).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(cache.path().join("cache")).unwrap().count(), 1);
        let script = "import runyard; print(runyard.config())";
        let said = Command::new("python3").args(["-c", script]).env("PYTHONPATH", placed).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "{}\n", "{said:?}");
    }
}
