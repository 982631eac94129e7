//! What only the inside can ask for: any number of threads, the format of a chunk, the last of the limits.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    Checksum, ModelLimits, Packed, PartOptions,
    content::Contents,
    files::digest_on,
    frame::{self, Framer},
    layout::CHUNK,
    pack::pack_on,
    paper::Paper,
    survey,
};
use crate::{Limits, members::Member};

/// Path to content; some of it can be compressed and some cannot.
type Files = Vec<(String, Vec<u8>, bool)>;

fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect()
}

fn files() -> impl Strategy<Value = Files> {
    let chunk = CHUNK as usize;
    // Around the ends of blocks and chunks, and over several chunks.
    let size = prop_oneof![0..1500_usize, chunk - 2000..chunk + 2000, 2 * chunk..3 * chunk];
    let content = (size, any::<u64>(), any::<bool>())
        .prop_map(|(size, seed, random)| if random { noise(size, seed) } else { vec![seed as u8; size] });
    prop::collection::vec((prop::sample::select(vec!["", "d/", "d/e/"]), content, any::<bool>()), 1..7)
        .prop_map(|files| {
            let named = |(n, (folder, content, executable))| (format!("{folder}f{n}"), content, executable);
            files.into_iter().enumerate().map(named).collect()
        })
}

fn write<'a>(files: impl IntoIterator<Item = &'a (String, Vec<u8>, bool)>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content, executable) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(if *executable { 0o700 } else { 0o600 }))
            .unwrap();
    }
    folder
}

fn packed(folder: &Path, threads: usize, part_size: u64) -> (Packed, Vec<u8>, Vec<usize>) {
    let survey = survey(folder, &ModelLimits::default()).unwrap();
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    let packed = pack_on(&survey, threads, PartOptions { part_size, checksum: Checksum::Sha256 }, |part| {
        bytes.extend_from_slice(&part.bytes);
        sizes.push(part.bytes.len());
        assert_eq!(part.number, sizes.len() as i64);
        Ok(())
    });
    let packed = packed.unwrap();
    assert_eq!(digest_on(&survey, threads).unwrap(), packed.summary);
    (packed, bytes, sizes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_content_is_the_same_archive_whoever_packs_it(files in files(), threads in 2..6_usize) {
        let (one, other) = (write(&files), write(files.iter().rev()));
        let (alone, bytes, sizes) = packed(one.path(), 1, 300_000);
        prop_assert_eq!(packed(other.path(), threads, u64::MAX), (alone.clone(), bytes.clone(), vec![bytes.len()]));
        prop_assert_eq!(alone.archive_size, bytes.len() as u64);
        let (last, full) = sizes.split_last().unwrap();
        prop_assert!(full.iter().all(|size| *size == 300_000) && *last <= 300_000);
        // And it is that content.
        let there = TempDir::new().unwrap();
        crate::extract(&bytes[..], there.path(), &Limits::default()).unwrap();
        for (path, content, executable) in &files {
            let path = there.path().join(path);
            prop_assert!(&fs::read(&path).unwrap() == content);
            prop_assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, if *executable { 0o755 } else { 0o644 });
        }
    }
}

#[test]
fn a_chunk_is_compressed_if_that_saves_a_tenth_and_goes_as_it_is_otherwise() {
    let mut framer = Framer::new().unwrap();
    let mut frame = Vec::new();
    let text: Vec<u8> = (0..60_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    framer.compress(&text, &mut frame).unwrap();
    assert!(frame.len() < text.len() / 3);
    assert_eq!(zstd::decode_all(&frame[..]).unwrap(), text);

    for size in [0, 1, 40_000, 128 << 10, (128 << 10) + 1, CHUNK as usize] {
        let random = noise(size, 7);
        framer.compress(&random, &mut frame).unwrap();
        assert!(frame.is_empty() || size == 0, "{size}");
        let mut raw = Vec::new();
        frame::raw(&random, |bytes| {
            raw.extend_from_slice(bytes);
            Ok::<_, io::Error>(())
        })
        .unwrap();
        assert!(raw.len() <= size + 64, "{size}");
        if size > 0 {
            assert_eq!(zstd::decode_all(&raw[..]).unwrap(), random, "{size}");
        }
    }
}

#[test]
fn contents_that_come_in_any_order_are_hashed_in_that_of_their_paths() {
    let scratch = TempDir::new().unwrap();
    let parts: Vec<Vec<u8>> = (0..3).map(|n| noise(64 << 10, n).repeat(320)).collect();
    let md5 = |order: &[usize], ordered, scratch| {
        let mut contents = Contents::new(scratch);
        for part in &parts {
            part.chunks(1 << 20).for_each(|bytes| contents.take(bytes, ordered).unwrap());
            contents.end();
        }
        contents.finish(order, ordered).unwrap()
    };
    let expected = |order: &[usize]| {
        use md5::{Digest, Md5};
        let digest = order.iter().fold(Md5::new(), |digest, n| digest.chain_update(&parts[*n]));
        Some(crate::hex(&digest.finalize()))
    };
    assert_eq!(md5(&[0, 1, 2], true, None), expected(&[0, 1, 2]));
    assert_eq!(md5(&[2, 0, 1, 0], false, Some(scratch.path())), expected(&[2, 0, 1, 0]));
    assert_eq!(md5(&[2, 0, 1], false, None), None);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn names_have_a_limit_together() {
    let limits = Limits::default();
    let mut paper = Paper::new(&limits);
    let target = "t".repeat(4_000);
    let added = (0..40_000)
        .try_for_each(|n| paper.add(Path::new(&format!("l{n}")), &Member::Link(target.clone().into())));
    let error = added.unwrap_err().to_string();
    assert!(error.contains("names are longer than 128.0 MiB together"), "{error}");
}
