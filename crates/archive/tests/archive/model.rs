//! Models as archives, as a user of the crate sees them: one digest for one content, verified on the way back.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use runyard_archive::{
    Limits,
    model::{
        Checksum, Error, Kind, ModelLimits, Part, PartOptions, StreamFile, digest, inspect, pack,
        pack_streams, survey,
    },
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{PARTS, everything, extracted, folder, hex, names, packed, summary, tree_digest};

#[test]
fn what_is_packed_is_what_is_inspected_extracted_and_packed_again() {
    let (here, there) = (everything(), TempDir::new().unwrap());
    let (packed_here, bytes) = packed(here.path());
    assert_eq!(packed_here.summary, summary(here.path()));
    assert_eq!(packed_here.archive_sha256, hex(&Sha256::digest(&bytes)));
    assert_eq!(packed_here.archive_size, bytes.len() as u64);

    let seen = inspect(&bytes[..], &Limits::default(), Some(there.path())).unwrap();
    assert_eq!(seen.summary, packed_here.summary);
    assert_eq!(
        (&seen.archive_sha256, seen.archive_size),
        (&packed_here.archive_sha256, packed_here.archive_size)
    );

    let target = there.path().join("new/model");
    assert_eq!(extracted(&bytes, &target).unwrap(), packed_here);
    assert_eq!(packed(&target), (packed_here.clone(), bytes));
    assert_eq!(fs::read_link(target.join("link")).unwrap().as_os_str().as_bytes(), b"./a//b.txt");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o700, 0o700);
    assert_eq!(names(&there.path().join("new")), ["model"], "nothing is left beside it");
    let paths: Vec<&str> = packed_here.summary.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths[..5], [".hidden", "a", "a/b.txt", "a/self", "a.txt"], "depth first");
}

#[test]
fn the_tree_digest_is_what_its_description_says() {
    let here = folder(&[("d/f", "hello\n")]);
    fs::set_permissions(here.path().join("d/f"), Permissions::from_mode(0o744)).unwrap();
    symlink("d/f", here.path().join("l")).unwrap();
    let content = hex(&Sha256::digest("hello\n"));
    let target = hex(&Sha256::digest("d/f"));
    let list = format!("runyard-tree 1\nfolder 0 - 1 d\nexecutable 6 {content} 3 d/f\nlink 0 {target} 1 l\n");
    let seen = summary(here.path());
    assert_eq!(seen.tree_digest, hex(&Sha256::digest(list)));
    assert_eq!((seen.size, seen.files), (6, 1));
    assert_eq!(seen.entries[1].kind, Kind::Executable);
}

#[test]
fn the_tree_digest_covers_paths_modes_contents_and_targets_and_nothing_else() {
    let make = || {
        let here = folder(&[("a", "xy"), ("b", "z"), ("d/c", "")]);
        symlink("a", here.path().join("l")).unwrap();
        here
    };
    let before = tree_digest(make().path());
    let changes: [Change; 9] = [
        ("content", |here| fs::write(here.join("a"), "xz").unwrap()),
        ("bytes that move to the neighbour", |here| {
            fs::write(here.join("a"), "x").unwrap();
            fs::write(here.join("b"), "yz").unwrap();
        }),
        ("name", |here| fs::rename(here.join("b"), here.join("c")).unwrap()),
        ("place", |here| fs::rename(here.join("b"), here.join("d/b")).unwrap()),
        ("executable", |here| fs::set_permissions(here.join("a"), Permissions::from_mode(0o755)).unwrap()),
        ("empty file", |here| fs::write(here.join("e"), "").unwrap()),
        ("empty folder", |here| fs::create_dir(here.join("e")).unwrap()),
        ("target", |here| {
            fs::remove_file(here.join("l")).unwrap();
            symlink("b", here.join("l")).unwrap();
        }),
        ("link that becomes a file", |here| {
            fs::remove_file(here.join("l")).unwrap();
            fs::write(here.join("l"), "xy").unwrap();
        }),
    ];
    for (what, change) in changes {
        let here = make();
        change(here.path());
        assert_ne!(tree_digest(here.path()), before, "{what}");
    }
    let here = make();
    File::options()
        .write(true)
        .open(here.path().join("a"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    fs::set_permissions(here.path().join("b"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(tree_digest(here.path()), before, "times and other modes");
    assert_eq!(packed(here.path()).1, packed(make().path()).1);
}

#[test]
fn a_single_file_is_a_model_by_its_name() {
    let here = folder(&[("weights.bin", "123"), ("other", "")]);
    let path = here.path().join("weights.bin");
    let (of_file, bytes) = packed(&path);
    let alone = folder(&[("weights.bin", "123")]);
    assert_eq!((of_file, bytes), packed(alone.path()));
    let here = survey(Path::new("Cargo.toml"), &ModelLimits::default()).unwrap();
    assert_eq!(digest(&here).unwrap().entries[0].path, "Cargo.toml");
}

#[test]
fn parts_have_the_digest_that_was_asked_for() {
    let here = folder(&[("f", &"text ".repeat(100_000))]);
    let survey = survey(here.path(), &ModelLimits::default()).unwrap();
    let digests = |checksum| {
        let mut parts: Vec<Part> = Vec::new();
        pack(&survey, PartOptions { part_size: 100, checksum }, |part| {
            parts.push(part);
            Ok(())
        })
        .unwrap();
        parts
    };
    for part in digests(Checksum::Sha256) {
        assert_eq!(part.checksum, hex(&Sha256::digest(&part.bytes)));
    }
    for part in digests(Checksum::Md5) {
        assert_eq!(part.checksum, hex(&md5::Md5::digest(&part.bytes)));
    }
}

#[test]
fn streams_make_the_same_archive_as_files() {
    let here =
        folder(&[("a/b.txt", "AB\n"), ("a.txt", "A\n"), ("a/c/d", ""), ("z", &"0123456789".repeat(300_000))]);
    fs::set_permissions(here.path().join("z"), Permissions::from_mode(0o755)).unwrap();
    let files: Vec<StreamFile> = ["z", "a.txt", "a/c/d", "a/b.txt"]
        .map(|path| {
            let size = fs::metadata(here.path().join(path)).unwrap().len();
            StreamFile { path: path.into(), executable: path == "z", size }
        })
        .into();
    let mut bytes = Vec::new();
    let streamed = pack_streams(
        &files,
        |file| File::open(here.path().join(&file.path)),
        PARTS,
        |part| {
            bytes.extend_from_slice(&part.bytes);
            Ok(())
        },
    );
    assert_eq!((streamed.unwrap(), bytes), packed(here.path()));
}

#[test]
fn streams_that_are_not_what_was_said_are_named() {
    type Open = fn(&StreamFile) -> io::Result<&'static [u8]>;
    let three: Open = |_| Ok(b"xxx");
    let refused: Open = |_| Err(io::ErrorKind::PermissionDenied.into());
    let cases: &[(&[&str], u64, Open, &str)] = &[
        (&["../x"], 3, three, "`../x` cannot be packed: its path must be relative"),
        (&["/x"], 3, three, "must be relative"),
        (&["a/./x"], 3, three, "must be relative"),
        (&["a//x"], 3, three, "must be relative"),
        (&["x/"], 3, three, "must be relative"),
        (&[""], 3, three, "must be relative"),
        (&["x", "x"], 3, three, "`x` cannot be packed: it is named twice"),
        (&["a/b/x", "a"], 3, three, "`a/b/x` cannot be packed: a file stands where it needs a folder"),
        (&[], 3, three, "no file was named"),
        (&["f"], 4, three, "`f` cannot be packed: it is shorter than was said"),
        (&["f"], 2, three, "`f` cannot be packed: it is longer than was said"),
        (&["f"], u64::MAX, three, "too large"),
        (&["f", "g"], u64::MAX / 2 + 1, three, "too large"),
        (&["f"], 3, refused, "cannot read `f`: permission denied"),
    ];
    for (paths, size, open, words) in cases {
        let file = |path: &&str| StreamFile { path: (*path).to_owned(), executable: false, size: *size };
        let files: Vec<StreamFile> = paths.iter().map(file).collect();
        let error = pack_streams(&files, open, PARTS, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains(words), "{paths:?}: {error}");
    }
}

#[test]
fn what_cannot_be_a_model_is_named_with_the_reason() {
    let refused = |path: &Path, limits: &ModelLimits| survey(path, limits).unwrap_err().to_string();
    let any = ModelLimits::default();
    let here = folder(&[("big", "12345"), ("small", "1")]);

    let error = refused(&here.path().join("missing"), &any);
    assert!(error.contains("missing` does not exist: name the folder"), "{error}");
    let error = refused(&here.path().join("big/inside"), &any);
    assert!(error.contains("cannot read `") && error.contains("Not a directory"), "{error}");

    let empty = TempDir::new().unwrap();
    assert!(refused(empty.path(), &any).contains("holds no file"));
    fs::create_dir(empty.path().join("folder")).unwrap();
    symlink("folder", empty.path().join("link")).unwrap();
    assert!(
        refused(empty.path(), &any).contains("what is empty is no model"),
        "folders and links are no files"
    );

    let error = refused(here.path(), &ModelLimits { max_bytes: 5, ..any.clone() });
    assert!(
        error.contains(
            "holds 6 bytes, and a model holds at most 5 bytes; the largest files are `big` (5 bytes)"
        ),
        "{error}"
    );
    let error = refused(here.path(), &ModelLimits { max_entries: 1, ..any.clone() });
    assert!(error.contains("more than 1 files and folders"), "{error}");

    for target in ["/etc/hosts", "../outside"] {
        let link = here.path().join("out");
        symlink(target, &link).unwrap();
        let error = refused(here.path(), &any);
        assert!(error.contains("out` leads out of the model") && error.contains(target), "{error}");
        fs::remove_file(link).unwrap();
    }
    let socket = here.path().join("s.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(refused(here.path(), &any).contains("s.sock` is a socket"));
    assert!(refused(&socket, &any).contains("s.sock` is a socket"));
    fs::remove_file(socket).unwrap();

    fs::write(here.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert!(refused(here.path(), &any).contains("is not UTF-8: rename it"));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn a_file_that_may_not_be_read_is_named_before_anything_is_sent() {
    let here = folder(&[("mine", "1"), ("secret", "2")]);
    fs::set_permissions(here.path().join("secret"), Permissions::from_mode(0o0)).unwrap();
    // Root reads everything but what the kernel only takes.
    let unreadable = [here.path().join("secret"), PathBuf::from("/sys/bus/cpu/drivers_probe")]
        .into_iter()
        .find(|path| File::open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
    let Some(path) = unreadable else {
        eprintln!("left out: root reads every file here");
        return;
    };
    let folder = if path.starts_with(here.path()) { here.path() } else { &path };
    let error = survey(folder, &ModelLimits::default()).unwrap_err().to_string();
    assert!(error.contains(&format!("cannot read `{}`: Permission denied", path.display())), "{error}");
}

/// What somebody does to a folder.
type Change = (&'static str, fn(&Path));

/// Packs and digests after `change` was done to the surveyed folder.
fn changed(files: &[(&str, &str)], change: impl Fn(&Path)) -> Vec<String> {
    let here = folder(files);
    let seen = survey(here.path(), &ModelLimits::default()).unwrap();
    change(here.path());
    vec![pack(&seen, PARTS, |_| Ok(())).unwrap_err().to_string(), digest(&seen).unwrap_err().to_string()]
}

fn touch(path: &Path) {
    let later = SystemTime::now() + Duration::from_secs(7);
    File::options().append(true).open(path).unwrap().set_modified(later).unwrap();
}

#[test]
fn a_file_that_changed_after_the_survey_is_named() {
    let changes: [Change; 6] = [
        ("grew", |here| fs::write(here.join("f"), "longer").unwrap()),
        ("shrank", |here| fs::write(here.join("f"), "").unwrap()),
        ("was written", |here| touch(&here.join("f"))),
        ("vanished", |here| fs::remove_file(here.join("f")).unwrap()),
        ("was replaced", |here| {
            fs::write(here.join("g"), "123").unwrap();
            fs::rename(here.join("g"), here.join("f")).unwrap();
        }),
        ("became executable", |here| {
            fs::set_permissions(here.join("f"), Permissions::from_mode(0o755)).unwrap();
        }),
    ];
    for (what, change) in changes {
        for error in changed(&[("e", "1"), ("f", "123")], change) {
            assert!(error.contains("/f` changed while it was read: publish again"), "{what}: {error}");
        }
    }
}

#[test]
fn a_file_that_changes_while_others_are_sent_is_named() {
    let here = folder(&[("z", "last")]);
    // Too much for all that is in memory at a time.
    File::create(here.path().join("a")).unwrap().set_len(200 << 20).unwrap();
    for name in ["z", "a"] {
        let seen = survey(here.path(), &ModelLimits::default()).unwrap();
        let parts = PartOptions { part_size: 256, ..PARTS };
        let error = pack(&seen, parts, |part| {
            if part.number == 1 {
                touch(&here.path().join(name));
            }
            Ok(())
        })
        .unwrap_err();
        assert!(matches!(&error, Error::Changed(path) if path.ends_with(name)), "{name}: {error}");
    }
}

#[test]
fn who_takes_the_parts_may_refuse_them() {
    let here = folder(&[("f", "1")]);
    File::create(here.path().join("a")).unwrap().set_len(200 << 20).unwrap();
    let seen = survey(here.path(), &ModelLimits::default()).unwrap();
    let mut taken = 0;
    let error = pack(&seen, PartOptions { part_size: 100, ..PARTS }, |part| {
        taken = part.number;
        if part.number < 3 { Ok(()) } else { Err(io::Error::other("the address has expired")) }
    })
    .unwrap_err();
    assert_eq!((error.to_string().as_str(), taken), ("cannot send the archive: the address has expired", 3));
}
