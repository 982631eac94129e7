//! Folders and archives to test with, those that no one of ours would make among them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use runyard_archive::{
    Limits,
    extract::Error as ReadError,
    model::{
        Checksum, Expected, Inspected, ModelLimits, Packed, PartOptions, Summary, digest, extract_model,
        inspect, pack, survey,
    },
};
use tar::EntryType as T;
use tempfile::TempDir;

pub(crate) fn zstd_decode(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

pub(crate) fn zstd_encode(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Name, kind, and content or target.
pub(crate) type HostileEntry = (&'static str, T, &'static str);

/// An archive with entries exactly as given, names unchecked.
pub(crate) fn hostile(entries: &[HostileEntry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, kind, content_or_target) in entries {
        let is_file = *kind == T::Regular;
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_size(if is_file { content_or_target.len() as u64 } else { 0 });
        if !is_file && !content_or_target.is_empty() {
            header.set_link_name_literal(content_or_target.as_bytes()).unwrap();
        }
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        if is_file {
            tar.extend_from_slice(content_or_target.as_bytes());
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
    }
    tar.resize(tar.len() + 1024, 0);
    zstd_encode(&tar)
}

/// What everybody refuses, and a word of the refusal.
pub(crate) fn each_refused(mut check: impl FnMut(&[HostileEntry], &str)) {
    let cases: &[(&[HostileEntry], &str)] = &[
        (&[("/etc/x", T::Regular, "x")], "not a path inside"),
        (&[("../x", T::Regular, "x")], "not a path inside"),
        (&[("a/../../x", T::Regular, "x")], "not a path inside"),
        (&[("..", T::Directory, "")], "not a path inside"),
        (&[("l", T::Symlink, "/etc")], "leads out"),
        (&[("l", T::Symlink, "../victim")], "leads out"),
        (&[("a/up", T::Symlink, ".."), ("l", T::Symlink, "a/up/../victim")], "leads out"),
        (&[("l", T::Symlink, ".."), ("l/victim", T::Regular, "x")], "refused: "),
        (&[("l", T::Symlink, "d"), ("l/x", T::Regular, "x")], "twice"),
        (&[("l", T::Symlink, "a"), ("l", T::Symlink, "b")], "twice"),
        (&[("x", T::Regular, "1"), ("x", T::Regular, "2")], "twice"),
        (&[("x", T::Regular, "1"), ("x/y", T::Regular, "2")], "twice"),
        (&[("h", T::Link, "../victim")], "not a path inside"),
        (&[("h", T::Link, "missing")], "leads out"),
        (&[("l", T::Symlink, "../victim"), ("h", T::Link, "l")], "leads out"),
        (&[("null", T::Char, "")], "a device"),
        (&[("disk", T::Block, "")], "a device"),
        (&[("pipe", T::Fifo, "")], "a named pipe"),
        (&[("odd", T::new(b'Z'), "")], "unknown kind"),
        (&[("", T::Regular, "x")], "not a path inside"),
    ];
    for (entries, word) in cases {
        check(entries, word);
    }
}

pub(crate) const PARTS: PartOptions = PartOptions { part_size: 1 << 20, checksum: Checksum::Sha256 };

pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

pub(crate) fn packed(path: &Path) -> (Packed, Vec<u8>) {
    let mut bytes = Vec::new();
    let survey = survey(path, &ModelLimits::default()).unwrap();
    let packed = pack(&survey, PARTS, |part| {
        bytes.extend_from_slice(&part.bytes);
        Ok(())
    });
    (packed.unwrap(), bytes)
}

pub(crate) fn summary(path: &Path) -> Summary {
    digest(&survey(path, &ModelLimits::default()).unwrap()).unwrap()
}

pub(crate) fn tree_digest(path: &Path) -> String {
    summary(path).tree_digest
}

pub(crate) fn inspected(bytes: &[u8]) -> Result<Inspected, ReadError> {
    inspect(bytes, &Limits::default(), None)
}

pub(crate) fn extracted(bytes: &[u8], to: &Path) -> Result<Packed, ReadError> {
    extract_model(bytes, to, &Limits::default(), &Expected::default())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|child| child.unwrap().file_name().into_string().unwrap()).collect()
}

/// A bit of everything, and a name that does not fit in a header.
pub(crate) fn everything() -> TempDir {
    let long = format!("deep/{}/end", "n".repeat(150));
    let here = folder(&[
        ("a/b.txt", "AB\n"),
        ("a.txt", "A\n"),
        (".hidden", "dot\n"),
        ("é.txt", "accent\n"),
        (&long, "x"),
    ]);
    fs::write(here.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(here.path().join("run.sh"), Permissions::from_mode(0o750)).unwrap();
    fs::create_dir_all(here.path().join("empty/folder")).unwrap();
    fs::write(here.path().join("empty.bin"), "").unwrap();
    symlink("./a//b.txt", here.path().join("link")).unwrap();
    symlink("../a", here.path().join("a/self")).unwrap();
    symlink("nowhere/".repeat(30), here.path().join("broken")).unwrap();
    here
}
