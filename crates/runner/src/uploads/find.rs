//! Which files a record means: those below the path, all of them below `$RUNYARD_ML` also when links are followed.
//! Opens nothing but regular files: what is a pipe or a device would never end.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use runyard_domain::checkpoint::{MAX_FILES, check_path};

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Relative to the named folder, with `/`.
    pub(crate) path: String,
    /// Where it is, without links.
    pub(crate) real: PathBuf,
}

/// Something that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Relative to the named folder.
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// What tells whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device and inode.
    pub(super) file: (u64, u64),
    pub(crate) size: u64,
    pub(super) mode: u32,
    pub(super) modified: (i64, i64),
}

/// The files that a record's path means. One file is a set of one.
///
/// # Errors
/// A sentence for the person who wrote the program.
pub(super) fn find(ml: &Path, path: &str) -> Result<Vec<Found>, String> {
    let (ml, real) = place(ml, path)?;
    if real.is_file() {
        let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
        check_path(&name).map_err(|error| error.to_string())?;
        return Ok(vec![Found { path: name, real }]);
    }
    let (files, beyond) = walk(&ml, &real, &[])?;
    match beyond.into_iter().next() {
        Some(one) => Err(format!("`{}`: {}", one.path, one.reason)),
        None if files.is_empty() => Err("there are no files in it".into()),
        None => Ok(files),
    }
}

/// `$RUNYARD_ML` and what a record's path means there, both without links.
///
/// # Errors
/// A sentence for the person who wrote the program.
pub(super) fn place(ml: &Path, path: &str) -> Result<(PathBuf, PathBuf), String> {
    let ml = ml.canonicalize().map_err(|error| format!("`{}` cannot be read: {error}", ml.display()))?;
    let real = ml.join(path).canonicalize().map_err(|error| unreadable(path, &error))?;
    if !real.starts_with(&ml) {
        return Err(format!("`{path}` is not below $RUNYARD_ML: write files there, below `output/`"));
    }
    Ok((ml, real))
}

/// The files below `folder` of `ml`, but nothing that is below one of `except`; and what cannot be sent.
pub(crate) fn rest(ml: &Path, folder: &str, except: &[PathBuf]) -> Result<(Vec<Found>, Vec<Beyond>), String> {
    let ml = ml.canonicalize().map_err(|error| format!("`{}` cannot be read: {error}", ml.display()))?;
    let Ok(real) = ml.join(folder).canonicalize() else { return Ok((Vec::new(), Vec::new())) };
    if !real.starts_with(&ml) {
        return Err(format!("`{folder}` is a link out of $RUNYARD_ML"));
    }
    let except: Vec<PathBuf> = except.iter().filter_map(|path| path.canonicalize().ok()).collect();
    if except.iter().any(|path| real.starts_with(path)) {
        return Ok((Vec::new(), Vec::new()));
    }
    walk(&ml, &real, &except)
}

fn walk(ml: &Path, root: &Path, except: &[PathBuf]) -> Result<(Vec<Found>, Vec<Beyond>), String> {
    let (mut files, mut beyond) = (Vec::new(), Vec::new());
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| unreadable(&shown(root, &folder), &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&shown(root, &folder), &error))?;
            let at = entry.path();
            if except.contains(&at) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| unreadable(&shown(root, &at), &error))?;
            if kind.is_dir() {
                folders.push(at);
                continue;
            }
            match sendable(ml, root, &at, kind.is_symlink()) {
                Ok(found) => files.push(found),
                Err(reason) => beyond.push(Beyond { path: shown(root, &at), reason }),
            }
            if files.len() as i64 > MAX_FILES {
                return Err(format!("it has more than {MAX_FILES} files: pack them into archives"));
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((files, beyond))
}

/// The file at a path that is no folder.
fn sendable(ml: &Path, root: &Path, at: &Path, link: bool) -> Result<Found, String> {
    let relative = at.strip_prefix(root).unwrap_or(at).to_str();
    let path = relative.ok_or("its name is no UTF-8: rename it")?.to_owned();
    check_path(&path).map_err(|error| error.to_string())?;
    let real = if link {
        let real = at.canonicalize().map_err(|error| format!("the link leads nowhere ({error})"))?;
        if !real.starts_with(ml) {
            return Err("it is a link out of $RUNYARD_ML: copy what it leads to".into());
        }
        real
    } else {
        at.to_owned()
    };
    let kind = fs::symlink_metadata(&real).map_err(|error| gone_or(&error))?.file_type();
    if kind.is_dir() {
        return Err("it is a link to a folder: copy the folder".into());
    }
    if !kind.is_file() {
        return Err("it is neither a file nor a folder".into());
    }
    Ok(Found { path, real })
}

/// Opens a file for reading, never through a link, never waiting; with what tells whether it stays the same.
pub(crate) fn open(found: &Found) -> Result<(File, Stamp), String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&found.real)
        .map_err(|error| format!("`{}` {}", found.path, gone_or(&error)))?;
    let stamp = stamp(&file).map_err(|error| format!("`{}` {}", found.path, gone_or(&error)))?;
    Ok((file, stamp))
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    Ok(Stamp {
        file: (found.dev(), found.ino()),
        size: found.len(),
        mode: found.mode(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

/// What is wrong with a file that could not be read.
pub(super) fn gone_or(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "vanished before it was uploaded: leave files alone once they are named".into()
        }
        _ => format!("cannot be read: {error}"),
    }
}

fn unreadable(path: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("`{path}` is not there: name it after writing it, and leave it there")
        }
        _ => format!("`{path}` cannot be read: {error}"),
    }
}

fn shown(root: &Path, at: &Path) -> String {
    let relative = at.strip_prefix(root).unwrap_or(at).display().to_string();
    if relative.is_empty() { ".".into() } else { relative }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Ml(tempfile::TempDir);

    impl Ml {
        fn new(files: &[&str]) -> Self {
            let base = tempfile::TempDir::new().unwrap();
            let ml = Self(base);
            for file in files {
                fs::create_dir_all(ml.at(file).parent().unwrap()).unwrap();
                fs::write(ml.at(file), file).unwrap();
            }
            ml
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("ml")
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root().join(path)
        }

        fn find(&self, path: &str) -> Result<Vec<String>, String> {
            find(&self.root(), path).map(|files| files.into_iter().map(|file| file.path).collect())
        }
    }

    #[test]
    fn a_folder_means_all_files_below_it_and_a_file_means_itself() {
        let ml = Ml::new(&["output/c/1/b", "output/c/1/deep/a", "output/c/2/x"]);
        assert_eq!(ml.find("output/c/1").unwrap(), ["b", "deep/a"]);
        assert_eq!(ml.find(ml.at("output/c/1/").to_str().unwrap()).unwrap(), ["b", "deep/a"]);
        assert_eq!(ml.find("output/c/2/x").unwrap(), ["x"]);
    }

    #[test]
    fn nothing_outside_is_ever_meant() {
        let ml = Ml::new(&["output/c/file"]);
        let secret = ml.0.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        symlink(ml.0.path(), ml.at("output/out")).unwrap();
        symlink(&secret, ml.at("output/c/link")).unwrap();
        for path in ["output/out", "output/out/secret", secret.to_str().unwrap(), "/etc/passwd"] {
            let why = ml.find(path).unwrap_err();
            assert!(why.contains("is not below $RUNYARD_ML"), "{why}");
        }
        assert!(ml.find("output/c").unwrap_err().contains("`link`: it is a link out of $RUNYARD_ML"));
    }

    #[test]
    fn a_link_to_a_file_inside_is_that_file_and_others_are_refused() {
        let ml = Ml::new(&["output/c/1", "usercode/data/x"]);
        symlink("1", ml.at("output/c/latest")).unwrap();
        assert_eq!(ml.find("output/c").unwrap(), ["1", "latest"]);
        symlink("../../usercode/data", ml.at("output/c/data")).unwrap();
        assert!(ml.find("output/c").unwrap_err().contains("a link to a folder"));
        fs::remove_file(ml.at("output/c/data")).unwrap();
        symlink("nonesuch", ml.at("output/c/broken")).unwrap();
        assert!(ml.find("output/c").unwrap_err().contains("`broken`: the link leads nowhere"));
        fs::remove_file(ml.at("output/c/broken")).unwrap();
        nix::unistd::mkfifo(&ml.at("output/c/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(ml.find("output/c").unwrap_err().contains("neither a file nor a folder"));
    }

    #[test]
    fn what_is_not_there_or_empty_is_said() {
        let ml = Ml::new(&["output/c/1"]);
        assert!(ml.find("output/d").unwrap_err().contains("`output/d` is not there"));
        fs::create_dir(ml.at("output/e")).unwrap();
        assert!(ml.find("output/e").unwrap_err().contains("no files"));
        use std::os::unix::ffi::OsStrExt as _;
        fs::write(ml.root().join("output/c").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        assert!(ml.find("output/c").unwrap_err().contains("no UTF-8"));
    }

    #[test]
    fn the_rest_is_what_was_not_named() {
        let ml = Ml::new(&["output/a", "output/m/x", "output/m/y", "output/checkpoints/1/w"]);
        symlink("/etc/passwd", ml.at("output/leak")).unwrap();
        let rest = |except: &[&str]| {
            let except: Vec<PathBuf> = except.iter().map(|path| ml.at(path)).collect();
            let (files, beyond) = rest(&ml.root(), "output", &except).unwrap();
            let paths = |files: Vec<Found>| files.into_iter().map(|file| file.path).collect::<Vec<_>>();
            (paths(files), beyond.into_iter().map(|one| one.path).collect::<Vec<_>>())
        };
        assert_eq!(
            rest(&["output/checkpoints"]),
            (vec!["a".into(), "m/x".into(), "m/y".into()], vec!["leak".to_owned()])
        );
        assert_eq!(rest(&["output/checkpoints", "output/m", "output/nonesuch", "output/leak"]).0, ["a"]);
        assert!(rest(&["output"]).0.is_empty());
    }

    #[test]
    fn a_file_that_changed_has_another_stamp() {
        let ml = Ml::new(&["output/a"]);
        let found = find(&ml.root(), "output/a").unwrap().remove(0);
        let (_, before) = open(&found).unwrap();
        assert_eq!(open(&found).unwrap().1, before);
        fs::write(ml.at("output/a"), "longer than it was").unwrap();
        assert_ne!(open(&found).unwrap().1, before);
        fs::remove_file(ml.at("output/a")).unwrap();
        assert!(open(&found).unwrap_err().contains("`a` vanished"));
    }
}
