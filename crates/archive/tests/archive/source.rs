//! Packing and extracting as a user of the crate sees it: faithful, deterministic, and deaf to hostile archives.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
    time::{Duration, SystemTime},
};

use crate::support::{each_refused, hostile, zstd_decode, zstd_encode};
use proptest::prelude::*;
use runyard_archive::{Extracted, Limits, PackOptions, Packed, extract, extract::Error, pack};
use tempfile::TempDir;

/// What a folder holds: path to (content, executable), `None` for a folder.
type Tree = BTreeMap<String, Option<(Vec<u8>, bool)>>;

fn write(root: &Path, tree: &Tree, backwards: bool) {
    let mut paths: Vec<_> = tree.iter().collect();
    if backwards {
        paths.reverse();
    }
    for (path, node) in paths {
        let full = root.join(path);
        let Some((content, executable)) = node else {
            fs::create_dir_all(full).unwrap();
            continue;
        };
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, content).unwrap();
        fs::set_permissions(&full, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 }))
            .unwrap();
        if backwards {
            let old = SystemTime::UNIX_EPOCH + Duration::from_secs(12_345);
            fs::File::options().write(true).open(&full).unwrap().set_modified(old).unwrap();
        }
    }
}

fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for child in fs::read_dir(folder).unwrap() {
            let path = child.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let found = fs::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                tree.insert(name, None);
                todo.push(path);
            } else {
                let executable = found.permissions().mode() & 0o111 != 0;
                tree.insert(name, Some((fs::read(&path).unwrap(), executable)));
            }
        }
    }
    tree
}

fn pack_bytes(folder: &Path) -> (Packed, Vec<u8>) {
    let mut bytes = Vec::new();
    let packed = pack(folder, &mut bytes, &PackOptions::default()).unwrap();
    (packed, bytes)
}

fn extract_bytes(bytes: &[u8], folder: &Path) -> Result<Extracted, Error> {
    extract(bytes, folder, &Limits::default())
}

fn pack_error(folder: &Path, options: &PackOptions) -> String {
    pack(folder, std::io::sink(), options).unwrap_err().to_string()
}

/// Trees whose files never stand where another file needs a folder: folders are `d*`, files `f*`.
fn trees() -> impl Strategy<Value = Tree> {
    let folders = prop::collection::vec("d[a-c-]{1,2}", 0..4);
    let file = (folders, "f[a-e. ü]{0,60}[a-z]", prop::collection::vec(any::<u8>(), 0..300), any::<bool>());
    prop::collection::vec(file, 0..12).prop_map(|files| {
        let mut tree = Tree::new();
        for (folders, name, content, executable) in files {
            let mut path = String::new();
            for folder in folders {
                path.push_str(&folder);
                tree.insert(path.clone(), None);
                path.push('/');
            }
            tree.insert(path + &name, Some((content, executable)));
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_comes_out_the_same(tree in trees()) {
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        write(here.path(), &tree, false);
        let (packed, bytes) = pack_bytes(here.path());
        let extracted = extract_bytes(&bytes, there.path()).unwrap();
        prop_assert_eq!(read(there.path()), tree);
        prop_assert_eq!(packed.files, extracted.files);
        prop_assert_eq!(packed.bytes, bytes.len() as u64);
    }

    #[test]
    fn the_same_content_is_the_same_bytes_whatever_the_order_and_times(tree in trees()) {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        write(one.path(), &tree, false);
        write(other.path(), &tree, true);
        prop_assert_eq!(pack_bytes(one.path()), pack_bytes(other.path()));
    }

    #[test]
    fn rubbish_is_refused_and_never_leaves_the_folder(
        tree in trees(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..8), cut in any::<prop::sample::Index>(),
    ) {
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        write(here.path(), &tree, false);
        // Damage the tar, not its compression, so that the damage reaches the headers.
        let mut tar = zstd_decode(&pack_bytes(here.path()).1);
        for (at, flip) in flips {
            let at = at.index(tar.len());
            tar[at] ^= flip;
        }
        tar.truncate(1 + cut.index(tar.len()));
        let target = there.path().join("target");
        let _ = extract_bytes(&zstd_encode(&tar), &target);
        prop_assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
    }
}

#[test]
fn hostile_archives_are_refused_and_touch_nothing_outside() {
    each_refused(|entries, word| {
        let base = TempDir::new().unwrap();
        let victim = base.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let error = extract_bytes(&hostile(entries), &base.path().join("in")).unwrap_err().to_string();
        assert!(error.contains(word), "{entries:?}: {error}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        let names: Vec<_> = fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{entries:?} left {names:?}");
    });
}

#[test]
fn set_uid_bits_are_dropped_and_hard_links_inside_are_kept() {
    let there = TempDir::new().unwrap();
    let archive = hostile(&[("x", tar::EntryType::Regular, "1"), ("d/y", tar::EntryType::Link, "x")]);
    extract_bytes(&archive, there.path()).unwrap();
    assert_eq!(fs::metadata(there.path().join("x")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_to_string(there.path().join("d/y")).unwrap(), "1");
}

#[test]
fn an_archive_that_grows_beyond_the_limits_is_refused() {
    let bomb = zstd_encode(&{
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4 << 20);
        tar.append_data(&mut header, "zeros", &vec![0; 4 << 20][..]).unwrap();
        tar.into_inner().unwrap()
    });
    let there = TempDir::new().unwrap();
    let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
    let error = extract(&bomb[..], there.path(), &limits).unwrap_err().to_string();
    assert!(error.contains("expands to more than 1.0 MiB"), "{error}");

    let deep = hostile(&[("a/b/c/d/e/f", tar::EntryType::Regular, "x")]);
    let limits = Limits { max_entries: 5, ..Limits::default() };
    let there = TempDir::new().unwrap();
    let error = extract(&deep[..], there.path(), &limits).unwrap_err().to_string();
    assert!(error.contains("more than 5"), "{error}");
}

#[test]
fn a_header_cannot_eat_the_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.resize(tar.len() + (8 << 20), b'a');
    let error = extract_bytes(&zstd_encode(&tar), TempDir::new().unwrap().path()).unwrap_err().to_string();
    assert!(error.contains("header is larger than 1.0 MiB"), "{error}");
}

#[test]
fn a_cut_archive_is_damaged_not_shorter() {
    let here = TempDir::new().unwrap();
    fs::write(here.path().join("f"), vec![7; 10_000]).unwrap();
    let bytes = pack_bytes(here.path()).1;
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        let there = TempDir::new().unwrap();
        let error = extract_bytes(&bytes[..cut], there.path()).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "cut at {cut}: {error}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_not_extracted_into() {
    let here = TempDir::new().unwrap();
    let bytes = pack_bytes(here.path()).1;
    fs::write(here.path().join("mine"), "").unwrap();
    let error = extract_bytes(&bytes, here.path()).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
}

#[test]
fn links_inside_are_kept_as_links_and_links_out_are_named() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir(here.path().join("d")).unwrap();
    fs::write(here.path().join("d/f"), "x").unwrap();
    symlink("../d/f", here.path().join("d/l")).unwrap();
    symlink("d", here.path().join("folder")).unwrap();
    let long = "n/".repeat(80) + "end";
    symlink(&long, here.path().join("dangling")).unwrap();
    extract_bytes(&pack_bytes(here.path()).1, there.path()).unwrap();
    assert_eq!(fs::read_to_string(there.path().join("folder/l")).unwrap(), "x");
    assert_eq!(fs::read_link(there.path().join("dangling")).unwrap().as_os_str().as_bytes(), long.as_bytes());

    for target in ["/etc/hosts", "../outside"] {
        symlink(target, here.path().join("out")).unwrap();
        let error = pack_error(here.path(), &PackOptions::default());
        assert!(error.contains("out` leads out of the folder") && error.contains(target), "{error}");
        fs::remove_file(here.path().join("out")).unwrap();
    }
}

#[test]
fn what_no_program_needs_and_what_the_ignore_file_lists_is_left_out() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for path in [
        ".git/config",
        ".venv/bin/python",
        "__pycache__/a.pyc",
        "a.pyc",
        "pkg/__pycache__/b.pyc",
        "data/big.bin",
        "data/keep.bin",
        "notes.txt",
        "pkg/notes.txt",
        "train.py",
        "sub/data/other",
    ] {
        let full = here.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, path).unwrap();
    }
    fs::write(here.path().join(".runyardignore"), "# comment\n/data/*\n!/data/keep.bin\nnotes.txt\n")
        .unwrap();
    extract_bytes(&pack_bytes(here.path()).1, there.path()).unwrap();
    let names: Vec<String> = read(there.path()).into_keys().collect();
    assert_eq!(
        names,
        [".runyardignore", "data", "data/keep.bin", "pkg", "sub", "sub/data", "sub/data/other", "train.py"]
    );
}

#[test]
fn a_folder_over_the_limit_is_told_its_largest_files_and_the_fix() {
    let here = TempDir::new().unwrap();
    fs::write(here.path().join("small"), vec![0; 10]).unwrap();
    fs::write(here.path().join("model.bin"), vec![0; 3000]).unwrap();
    let error = pack_error(here.path(), &PackOptions { max_bytes: 2048, ..PackOptions::default() });
    assert!(error.contains("at most 2.0 KiB") && error.contains("`model.bin` (2.9 KiB)"), "{error}");
    assert!(error.contains(".runyardignore"), "{error}");
    let error = pack_error(here.path(), &PackOptions { max_entries: 1, ..PackOptions::default() });
    assert!(error.contains("more than 1 files"), "{error}");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let here = TempDir::new().unwrap();
    let options = PackOptions::default();
    let missing = here.path().join("missing");
    assert!(pack_error(&missing, &options).contains("missing`: No such file"));
    let file = here.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(pack_error(&file, &options).contains("is not a folder"));
    let _listener = UnixListener::bind(here.path().join("s.sock")).unwrap();
    let error = pack_error(here.path(), &options);
    assert!(error.contains("s.sock` is a socket"), "{error}");
    fs::write(here.path().join(".runyardignore"), "*.sock\n").unwrap();
    assert_eq!(pack_bytes(here.path()).0.files, 2);
    fs::write(here.path().join(".runyardignore"), "a{b\n").unwrap();
    let error = pack_error(here.path(), &options);
    assert!(error.contains(".runyardignore` cannot be used"), "{error}");
}
