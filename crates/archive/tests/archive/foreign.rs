//! Archives of others: read as what they are, and no harm from any of them.

use std::{
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use md5::Digest as _;
use proptest::prelude::*;
use runyard_archive::{
    Limits,
    model::{Expected, extract_model, inspect},
};
use tar::EntryType as T;
use tempfile::TempDir;

use crate::support::{
    HostileEntry, each_refused, everything, extracted, folder, hex, hostile, inspected, names, packed,
    summary, zstd_decode, zstd_encode,
};

/// A PAX header as Python writes it, and the member.
fn pax(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: T, content: &[u8], target: &str) {
    let mut records: Vec<(&str, &[u8])> = vec![("mtime", b"1700000000.1234567")];
    if !name.is_ascii() {
        records.push(("path", name.as_bytes()));
    }
    tar.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(if kind == T::Directory { 0o755 } else { 0o644 });
    header.set_size(content.len() as u64);
    header.set_mtime(1_700_000_000);
    if !target.is_empty() {
        header.set_link_name(target).unwrap();
    }
    tar.append_data(&mut header, name.replace('é', "?"), content).unwrap();
}

/// As Arkindex does it: files that are padded to 10 KiB, and a frame for each KiB.
fn arkindex(members: &[(&str, T, &[u8], &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, content, target) in members {
        pax(&mut tar, name, *kind, content, target);
    }
    let mut tar = tar.into_inner().unwrap();
    tar.resize(tar.len().next_multiple_of(10_240), 0);
    tar.chunks(1024).flat_map(|chunk| zstd::bulk::compress(chunk, 3).unwrap()).collect()
}

fn content_md5(archive: &[u8]) -> Option<String> {
    let scratch = TempDir::new().unwrap();
    inspect(archive, &Limits::default(), Some(scratch.path())).unwrap().content_md5
}

#[test]
fn the_archive_of_arkindex_has_the_content_md5_of_arkindex() {
    let weights: Vec<u8> = (0..8).flat_map(|_| 0..=255).collect();
    // In the order in which some disk lists them.
    let members: &[(&str, T, &[u8], &str)] = &[
        ("weights", T::Directory, b"", ""),
        ("a.txt", T::Regular, b"A\n", ""),
        ("empty.bin", T::Regular, b"", ""),
        ("é.txt", T::Regular, b"accent\n", ""),
        ("B.txt", T::Regular, b"cap B\n", ""),
        ("a", T::Directory, b"", ""),
        (".hidden", T::Regular, b"dot\n", ""),
        ("weights/model.bin", T::Regular, &weights, ""),
        ("a/b.txt", T::Regular, b"AB\n", ""),
    ];
    let archive = arkindex(members);
    let scratch = TempDir::new().unwrap();
    let seen = inspect(&archive[..], &Limits::default(), Some(scratch.path())).unwrap();
    assert_eq!(seen.content_md5.as_deref(), Some("2c050bce33bc2b14088d67d03ee03d0a"));
    assert_eq!(seen.archive_md5, hex(&md5::Md5::digest(&archive)));
    assert_eq!((seen.summary.size, seen.summary.files), (2070, 7));
    assert_eq!(inspected(&archive).unwrap().content_md5, None, "it cannot be known in that order");

    // The same tree is the same model, whoever has packed it.
    let there = scratch.path().join("there");
    extracted(&archive, &there).unwrap();
    let (ours, bytes) = packed(&there);
    assert_eq!(ours.summary, seen.summary);
    assert_eq!(inspected(&bytes).unwrap().content_md5, seen.content_md5, "ours are in the right order");
}

#[test]
fn contents_that_collide_for_arkindex_are_different_trees() {
    let collide = |a: &str, b: &str| {
        let here = folder(&[("a", a), ("b", b)]);
        inspected(&packed(here.path()).1).unwrap()
    };
    let (one, other) = (collide("xy", "z"), collide("x", "yz"));
    assert_eq!(one.content_md5.as_deref(), Some("d16fb36f0911f878998c136191af705e"));
    assert_eq!(one.content_md5, other.content_md5);
    assert_ne!(one.summary.tree_digest, other.summary.tree_digest);
}

#[test]
fn links_to_files_are_hashed_where_they_stand_as_arkindex_does() {
    let md5 = |text: &str| Some(hex(&md5::Md5::digest(text)));
    let members: &[(&str, T, &[u8], &str)] = &[
        ("d", T::Directory, b"", ""),
        ("d/f", T::Regular, b"F", ""),
        ("b", T::Regular, b"B", ""),
        ("a", T::Symlink, b"", "d/f"),
        ("c", T::Symlink, b"", "via/f"),
        ("via", T::Symlink, b"", "d"),
        ("broken", T::Symlink, b"", "nowhere"),
        ("h", T::Link, b"", "b"),
    ];
    let archive = arkindex(members);
    assert_eq!(content_md5(&archive), md5("FBFFB"), "a b c d/f h");
    assert_eq!(inspected(&archive).unwrap().content_md5, None);
    let seen = inspected(&archive).unwrap().summary;
    assert_eq!((seen.size, seen.files), (3, 3), "a hard link is a file like any other");
    let there = TempDir::new().unwrap();
    assert_eq!(extracted(&archive, &there.path().join("x")).unwrap().summary, seen);
    assert_eq!(summary(&there.path().join("x")), seen);
    // Nothing in it: what Arkindex says of an empty folder.
    assert_eq!(content_md5(&arkindex(&[])), md5(""));
}

#[test]
fn only_what_must_wait_for_its_turn_is_kept_in_the_scratch_folder() {
    let large = "0".repeat(33 << 20);
    let nowhere = Path::new("/nowhere");
    let seen = |archive: &[u8]| inspect(archive, &Limits::default(), Some(nowhere));
    let here = folder(&[("large", &large), ("z", "z")]);
    let md5 = Some(hex(&md5::Md5::digest(large.clone() + "z")));
    assert_eq!(seen(&packed(here.path()).1).unwrap().content_md5, md5);

    let foreign = arkindex(&[("z", T::Regular, b"z", ""), ("large", T::Regular, large.as_bytes(), "")]);
    let error = seen(&foreign).unwrap_err().to_string();
    assert!(error.contains("cannot write `/nowhere`"), "{error}");
    assert_eq!(content_md5(&foreign), md5);

    // A link to a file brings its content once more.
    symlink("z", here.path().join("link")).unwrap();
    let error = seen(&packed(here.path()).1).unwrap_err().to_string();
    assert!(error.contains("cannot write `/nowhere`"), "{error}");
    let twice = Some(hex(&md5::Md5::digest(large + "zz")));
    assert_eq!(content_md5(&packed(here.path()).1), twice);
}

#[test]
fn an_archive_that_is_not_in_the_order_that_it_promises_has_no_content_md5() {
    let promise = b"27 comment=runyard: sorted\n";
    let ours = zstd_decode(&packed(folder(&[("a", "1")]).path()).1);
    assert_eq!(&ours[512..512 + promise.len()], promise, "this is how ours begin");
    let others = zstd_decode(&hostile(&[("b", T::Regular, "B"), ("a", T::Regular, "A")]));
    let lie = zstd_encode(&[&ours[..1024], &others[..]].concat());
    assert_eq!(content_md5(&lie), None);
    assert_eq!(content_md5(&zstd_encode(&others)), Some(hex(&md5::Md5::digest("AB"))));
}

#[test]
fn an_archive_that_names_no_folders_is_the_same_tree() {
    let sparse = hostile(&[("d/e/f", T::Regular, "x")]);
    let here = folder(&[("d/e/f", "x")]);
    fs::set_permissions(here.path().join("d/e/f"), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(inspected(&sparse).unwrap().summary, summary(here.path()));
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let check = |entries: &[HostileEntry], word: &str| {
        let archive = hostile(entries);
        let error = inspected(&archive).unwrap_err().to_string();
        assert!(error.contains(word), "{entries:?}: {error}");

        let base = TempDir::new().unwrap();
        fs::write(base.path().join("victim"), "untouched").unwrap();
        assert_eq!(extracted(&archive, &base.path().join("in")).unwrap_err().to_string(), error);
        assert_eq!(fs::read_to_string(base.path().join("victim")).unwrap(), "untouched");
        assert_eq!(names(base.path()), ["victim"], "{entries:?}");
    };
    each_refused(check);
    let long: &'static str = Box::leak("n".repeat(90).into_boxed_str());
    check(&[(long, T::Symlink, "")], "leads out");
}

#[test]
fn names_that_no_disk_takes_are_refused() {
    let name = |name: &[u8]| {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_pax_extensions([("path", name)]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        tar.append_data(&mut header, "short", io::empty()).unwrap();
        inspected(&zstd_encode(&tar.into_inner().unwrap())).unwrap_err().to_string()
    };
    assert!(name(&[b'n'; 256]).contains("is too long"));
    assert!(name("n/".repeat(3_000).as_bytes()).contains("is too long"));
    assert!(name(b"a\0b").contains("is not a path inside"));
    assert!(name(b"\xff").contains("is not UTF-8"));
}

#[test]
fn an_archive_that_grows_beyond_the_limits_is_refused() {
    let zeros = vec![0; 4 << 20];
    let archive = arkindex(&[("zeros", T::Regular, &zeros, ""), ("h", T::Link, b"", "zeros")]);
    for (max_bytes, fits) in [(8 << 20, true), ((8 << 20) - 1, false), ((4 << 20) - 1, false)] {
        let limits = Limits { max_bytes, ..Limits::default() };
        let there = TempDir::new().unwrap();
        let outcomes = [
            inspect(&archive[..], &limits, None).map(|seen| seen.summary),
            extract_model(&archive[..], &there.path().join("x"), &limits, &Expected::default())
                .map(|seen| seen.summary),
        ];
        for outcome in outcomes {
            match outcome {
                Ok(seen) => assert!(fits && seen.size == 8 << 20),
                Err(error) => assert!(!fits && error.to_string().contains("expands to more than"), "{error}"),
            }
        }
        assert_eq!(names(there.path()).is_empty(), !fits);
    }
    let deep = hostile(&[("a/b/c/d/e/f", T::Regular, "x")]);
    for (max_entries, fits) in [(6, true), (5, false)] {
        let seen = inspect(&deep[..], &Limits { max_entries, ..Limits::default() }, None);
        assert_eq!(seen.is_ok(), fits, "{seen:?}");
    }
}

#[test]
fn an_archive_that_was_cut_or_has_something_behind_it_is_damaged() {
    let here = TempDir::new().unwrap();
    let noise: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2..].to_vec()).collect();
    fs::write(here.path().join("a"), &noise).unwrap();
    fs::write(here.path().join("b"), "b").unwrap();
    let (_, bytes) = packed(here.path());
    let damaged = |bytes: &[u8]| {
        let there = TempDir::new().unwrap();
        let error = extracted(bytes, &there.path().join("x")).unwrap_err().to_string();
        assert_eq!(names(there.path()), [""; 0]);
        assert_eq!(inspected(bytes).unwrap_err().to_string(), error);
        assert!(error.contains("the archive cannot be read"), "{error}");
        error
    };
    for cut in [0, 3, 1_000, 1 << 20, bytes.len() / 2, bytes.len() - 1] {
        damaged(&bytes[..cut]);
    }
    damaged(b"this is no archive");
    damaged(&[&bytes[..], b"garbage"].concat());
    // A whole frame more, and frames less: zstd finds nothing wrong with either.
    let more = damaged(&[&bytes[..], &zstd_encode(b"hidden")].concat());
    assert!(more.contains("something follows its end"), "{more}");
    let small = packed(folder(&[("a", "1"), ("b", "2")]).path()).1;
    let tar = zstd_decode(&small);
    for end in [1024, 2048] {
        // Cut between members: without the blocks that end a tar, `b` would be missed by nobody.
        assert!(damaged(&zstd_encode(&tar[..end])).contains("unexpected end of file"));
    }
    assert!(inspected(&[small, zstd_encode(&[0; 5_000])].concat()).is_ok(), "padding is fine");
}

#[test]
fn what_cannot_be_read_to_the_end_says_why() {
    let broken = |bytes: Vec<u8>| io::Cursor::new(bytes).chain(Broken);
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection was reset"))
        }
    }
    let bytes = packed(folder(&[("a", "1")]).path()).1;
    for bytes in [bytes[..20].to_vec(), bytes] {
        let error = inspect(broken(bytes), &Limits::default(), None).unwrap_err().to_string();
        assert!(error.contains("the connection was reset"), "{error}");
    }
}

#[test]
fn a_model_that_is_not_what_was_expected_is_not_extracted() {
    let (packed, bytes) = packed(folder(&[("a", "1")]).path());
    let there = TempDir::new().unwrap();
    let (new, empty) = (there.path().join("new"), there.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    let id = fs::metadata(&empty).unwrap().ino();
    let right = Expected {
        archive_sha256: Some(packed.archive_sha256.clone()),
        tree_digest: Some(packed.summary.tree_digest.clone()),
    };
    let wrong = "0".repeat(64);
    let cases = [
        (Expected { archive_sha256: Some(wrong.clone()), ..right.clone() }, "its SHA-256 is"),
        (Expected { tree_digest: Some(wrong.clone()), ..right.clone() }, "its tree digest is"),
    ];
    for (expected, words) in cases {
        for folder in [&new, &empty] {
            let error =
                extract_model(&bytes[..], folder, &Limits::default(), &expected).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(&format!("{wrong} was expected")), "{error}");
        }
        assert_eq!((names(there.path()), names(&empty)), (vec!["empty".to_owned()], vec![]));
    }
    for folder in [&new, &empty] {
        extract_model(&bytes[..], folder, &Limits::default(), &right).unwrap();
        assert_eq!(names(folder), ["a"]);
    }
    assert_eq!(fs::metadata(&empty).unwrap().ino(), id, "a folder that is there stays the same folder");
    let error = extracted(&bytes, &new).unwrap_err().to_string();
    assert!(error.contains("new` is not empty: extract into a new folder"), "{error}");
    let error = extracted(&bytes, &new.join("a")).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("Not a directory"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_is_the_same_to_who_inspects_and_who_extracts(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..6), cut in any::<prop::sample::Index>(), whole in any::<bool>(),
    ) {
        // Damage the tar, not its compression, so that the damage reaches the headers.
        let mut tar = zstd_decode(&packed(everything().path()).1);
        for (at, flip) in flips {
            let at = at.index(tar.len());
            tar[at] ^= flip;
        }
        if !whole {
            tar.truncate(1 + cut.index(tar.len()));
        }
        let archive = zstd_encode(&tar);
        let there = TempDir::new().unwrap();
        let target = there.path().join("x");
        match (inspected(&archive), extracted(&archive, &target)) {
            (Ok(seen), Ok(out)) => {
                prop_assert_eq!(&seen.summary, &out.summary);
                prop_assert_eq!(names(there.path()), ["x"]);
                if seen.summary.files > 0 {
                    prop_assert_eq!(seen.summary, summary(&target));
                }
            }
            (seen, out) => {
                prop_assert_eq!(seen.map(drop).map_err(|e| e.to_string()), out.map(drop).map_err(|e| e.to_string()));
                prop_assert_eq!(names(there.path()), [""; 0]);
            }
        }
    }
}
