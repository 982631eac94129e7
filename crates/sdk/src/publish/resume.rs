//! What tells a publish from others when nobody said: the same request for files that the disk calls unchanged. Opens no file.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// A key for the files at `path` and what is `asked` for. A file that was touched, replaced or renamed changes it.
pub(super) fn key(path: &Path, asked: &str) -> io::Result<String> {
    let root = path.canonicalize()?;
    let mut digest = Sha256::new();
    field(&mut digest, asked.as_bytes());
    field(&mut digest, root.as_os_str().as_bytes());
    let mut todo = vec![root];
    while let Some(at) = todo.pop() {
        let found = fs::symlink_metadata(&at)?;
        field(&mut digest, at.as_os_str().as_bytes());
        stamp(&mut digest, &found);
        if found.is_dir() {
            let mut inside =
                fs::read_dir(&at)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            inside.sort();
            todo.append(&mut inside);
        }
    }
    Ok(format!("files:{}", hex(digest)))
}

/// The time of the last change of anything (`ctime`) cannot be set by a program, unlike that of the content.
fn stamp(digest: &mut Sha256, found: &Metadata) {
    for number in [found.dev(), found.ino(), found.size(), u64::from(found.mode())] {
        digest.update(number.to_le_bytes());
    }
    for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
        digest.update(number.to_le_bytes());
    }
}

fn field(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

fn hex(digest: Sha256) -> String {
    use std::fmt::Write as _;
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_while_nothing_changes_and_is_another_after_any_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/weights");
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&file, "one").unwrap();
        let key = |asked: &str| key(folder.path(), asked).unwrap();
        let first = key("a");
        assert!(first.len() <= 200);
        assert_eq!(key("a"), first);
        assert_ne!(key("b"), first);
        // Another content of the same length and time, as when a backup is copied over it.
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "two").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let second = key("a");
        assert_ne!(second, first);
        fs::rename(&file, folder.path().join("deep/other")).unwrap();
        assert_ne!(key("a"), second);
    }
}
