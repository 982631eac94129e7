//! Objects in a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use runyard_objects::{Checksum, Error, Objects};

use crate::{NO_LIMIT, chunks, noise, read, sha256};

const FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

fn store() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open_folder(folder.path().join("objects")).unwrap();
    (folder, objects)
}

/// Every file below `folder`, writes under way included.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn a_file_of_this_machine_is_stored_as_it_is_or_not_at_all() {
    let (folder, objects) = store();
    let path = folder.path().join("weights");
    for bytes in [Vec::new(), b"foo".to_vec(), noise(3 << 20, 1)] {
        fs::write(&path, &bytes).unwrap();
        let put = objects.put_file("runs/1/weights", fs::File::open(&path).unwrap()).await.unwrap().unwrap();
        assert_eq!((put.size, put.sha256), (bytes.len() as u64, sha256(&bytes).hex()));
        assert_eq!(read(&objects, "runs/1/weights").await, bytes);
    }
    let unreadable = fs::OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(objects.put_file("runs/1/other", unreadable).await.unwrap(), None);
    assert_eq!(objects.size("runs/1/other").await.unwrap(), None);
    let growing = fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (stop, mut file) = (stop.clone(), growing.try_clone().unwrap());
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                io::Write::write_all(&mut file, b"more").unwrap();
            }
        }
    });
    let changed = objects.put_file("runs/1/other", growing).await.unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(changed, None, "it was written to while it was read");
    assert_eq!(files(&folder.path().join("objects")).len(), 1, "nothing is left of what was not stored");
}

#[tokio::test]
async fn what_was_put_is_read_back_with_its_size_and_digest() {
    let (_folder, objects) = store();
    let put = objects.put_stream("runs/1/model.bin", chunks(&["f", "", "oo"]), 3).await.unwrap();
    assert_eq!((put.key.as_str(), put.size, put.sha256.as_str()), ("runs/1/model.bin", 3, FOO));
    assert_eq!(objects.size("runs/1/model.bin").await.unwrap(), Some(3));
    assert_eq!(read(&objects, "runs/1/model.bin").await, b"foo");
}

#[tokio::test]
async fn a_large_object_survives_in_all_its_pieces() {
    let (_folder, objects) = store();
    let pieces: Vec<Bytes> = (0..70_u8).map(|i| Bytes::from(vec![i; 70_001])).collect();
    let expected = pieces.concat();
    let bytes = stream::iter(pieces).map(Ok::<_, io::Error>);
    let put = objects.put_stream("large", bytes, NO_LIMIT).await.unwrap();
    assert_eq!(put.size, expected.len() as u64);
    assert!(read(&objects, "large").await == expected, "the same bytes in the same order");
}

#[tokio::test]
async fn an_object_can_be_named_by_what_it_contains() {
    let (_folder, objects) = store();
    for _ in 0..2 {
        let put =
            objects.put_stream_hashed("sources/", ".tar.zst", chunks(&["foo"]), NO_LIMIT).await.unwrap();
        assert_eq!(put.key, format!("sources/{FOO}.tar.zst"));
    }
    let listed = objects.list("sources").await.unwrap();
    assert_eq!(listed.len(), 1, "the same content twice is one object: {listed:?}");
    assert_eq!(read(&objects, &listed[0].key).await, b"foo");
}

#[tokio::test]
async fn putting_again_replaces_and_a_reader_keeps_what_it_opened() {
    let (folder, objects) = store();
    objects.put_stream("a", chunks(&["one"]), NO_LIMIT).await.unwrap();
    let (_, opened) = objects.get_stream("a").await.unwrap();
    objects.put_stream("a", chunks(&["two!"]), NO_LIMIT).await.unwrap();
    assert_eq!(read(&objects, "a").await, b"two!");
    let old: Vec<Bytes> = opened.try_collect().await.unwrap();
    assert_eq!(old.concat(), b"one");
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn objects_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open_folder(folder.path()).unwrap();
    objects.put_stream("a/b", chunks(&["x"]), NO_LIMIT).await.unwrap();
    let objects = Objects::open_folder(folder.path()).unwrap();
    assert_eq!(read(&objects, "a/b").await, b"x");
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing_and_the_old_object() {
    let (folder, objects) = store();
    objects.put_stream("kept", chunks(&["old"]), NO_LIMIT).await.unwrap();
    let broken = chunks(&["new"]).chain(stream::iter([Err(io::Error::other("connection reset"))]));
    let error = objects.put_stream("kept", broken, NO_LIMIT).await.unwrap_err();
    assert_eq!(error.to_string(), "the bytes stopped coming: connection reset");
    assert_eq!(read(&objects, "kept").await, b"old");
    until_files(folder.path(), 1).await;
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing() {
    let (folder, objects) = store();
    let endless = chunks(&["begun"]).chain(stream::pending());
    let mut put = Box::pin(objects.put_stream("never", endless, NO_LIMIT));
    assert!(put.as_mut().now_or_never().is_none());
    until_files(folder.path(), 1).await;
    drop(put);
    until_files(folder.path(), 0).await;
    assert_eq!(objects.size("never").await.unwrap(), None);
}

/// The disk's own thread may still be busy removing when the answer is there already.
pub(crate) async fn until_files(folder: &Path, count: usize) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while files(folder).len() != count {
        assert!(std::time::Instant::now() < deadline, "left behind: {:?}", files(folder));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn more_than_the_limit_is_refused_and_not_stored() {
    let (folder, objects) = store();
    let error = objects.put_stream("a", chunks(&["1234", "5"]), 4).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 4 }), "{error}");
    until_files(folder.path(), 0).await;
    objects.put_stream("a", chunks(&["1234"]), 4).await.unwrap();
}

#[tokio::test]
async fn a_range_is_cut_at_the_objects_end() {
    let (_folder, objects) = store();
    objects.put_stream("a", chunks(&["0123456789"]), NO_LIMIT).await.unwrap();
    for (range, expected) in
        [(2..5, "234"), (8..99, "89"), (0..0, ""), (10..12, ""), (50..60, ""), (0..10, "0123456789")]
    {
        let (size, bytes) = objects.get_range("a", range.clone()).await.unwrap();
        let bytes: Vec<Bytes> = bytes.try_collect().await.unwrap();
        assert_eq!((size, bytes.concat()), (10, expected.as_bytes().to_vec()), "{range:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_folder, objects) = store();
    objects.put_stream("a/b", chunks(&["x"]), NO_LIMIT).await.unwrap();
    for key in ["missing", "a", "a/c", "a/b/c"] {
        let error = objects.get_stream(key).await.err().expect("there is no such object");
        assert_eq!(error.to_string(), format!("there is no object `{key}`"));
        assert_eq!(objects.size(key).await.unwrap(), None);
        assert_eq!(objects.delete(key).await.unwrap(), 0);
    }
    assert_eq!(objects.list("nowhere").await.unwrap(), []);
}

#[tokio::test]
async fn deleting_frees_the_bytes_once_and_the_empty_folders() {
    let (folder, objects) = store();
    objects.put_stream("a/b/c", chunks(&["12345"]), NO_LIMIT).await.unwrap();
    objects.put_stream("a/d", chunks(&["1"]), NO_LIMIT).await.unwrap();
    assert_eq!(objects.delete("a/b/c").await.unwrap(), 5);
    assert_eq!(objects.delete("a/b/c").await.unwrap(), 0);
    assert!(!folder.path().join("objects/a/b").exists());
    assert_eq!(objects.delete("a/d").await.unwrap(), 1);
    assert!(!folder.path().join("objects/a").exists());
    objects.put_stream("a/b/c", chunks(&["again"]), NO_LIMIT).await.unwrap();
}

#[tokio::test]
async fn writers_and_deleters_of_one_folder_do_not_disturb_each_other() {
    let (_folder, objects) = store();
    let work = (0..40).map(|i| {
        let objects = objects.clone();
        tokio::spawn(async move {
            let key = format!("shared/deep/{i}");
            objects.put_stream(&key, chunks(&["x"]), NO_LIMIT).await.unwrap();
            assert_eq!(objects.delete(&key).await.unwrap(), 1);
        })
    });
    for done in futures::future::join_all(work).await {
        done.unwrap();
    }
    assert_eq!(objects.list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_listing_has_what_is_below_the_prefix_in_order() {
    let (_folder, objects) = store();
    for key in ["runs/2/log", "runs/10/log", "runs/1/a", "runs-old/x", "top"] {
        objects.put_stream(key, chunks(&["12"]), NO_LIMIT).await.unwrap();
    }
    let keys = |listed: Vec<runyard_objects::Listed>| {
        listed.into_iter().map(|entry| (entry.key, entry.size)).collect::<Vec<_>>()
    };
    let runs = keys(objects.list("runs/").await.unwrap());
    assert_eq!(runs, [("runs/1/a".into(), 2), ("runs/10/log".into(), 2), ("runs/2/log".into(), 2)]);
    assert_eq!(objects.list("").await.unwrap().len(), 5, "writes under way and other folders are not listed");
}

#[tokio::test]
async fn an_object_is_never_a_folder_and_a_folder_never_an_object() {
    let (folder, objects) = store();
    objects.put_stream("a/b", chunks(&["x"]), NO_LIMIT).await.unwrap();
    for key in ["a", "a/b/c"] {
        let error = objects.put_stream(key, chunks(&["y"]), NO_LIMIT).await.unwrap_err();
        assert!(matches!(error, Error::InvalidKey { .. }), "{key}: {error}");
    }
    until_files(folder.path(), 1).await;
}

#[tokio::test]
async fn keys_that_leave_the_root_are_refused_by_every_verb() {
    let (folder, objects) = store();
    fs::write(folder.path().join("secret"), "s").unwrap();
    for key in ["../secret", "/etc/passwd", "a/../../secret", "", "a//b"] {
        let put = objects.put_stream(key, chunks(&["x"]), NO_LIMIT).await.unwrap_err();
        let get = objects.get_stream(key).await.err().expect("refused");
        let size = objects.size(key).await.unwrap_err();
        let delete = objects.delete(key).await.unwrap_err();
        for error in [put, get, size, delete] {
            assert!(matches!(error, Error::InvalidKey { .. }), "{key:?}: {error}");
        }
    }
    let hashed = objects.put_stream_hashed("../", "", chunks(&["x"]), NO_LIMIT).await.unwrap_err();
    assert!(matches!(hashed, Error::InvalidKey { .. }), "{hashed}");
    assert!(matches!(objects.list("../").await.unwrap_err(), Error::InvalidKey { .. }));
}

#[tokio::test]
async fn a_symbolic_link_cannot_lead_out_of_the_root() {
    let (folder, objects) = store();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    let root = folder.path().join("objects");
    std::os::unix::fs::symlink(&outside, root.join("door")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), root.join("window")).unwrap();

    for key in ["door/secret", "window"] {
        let error = objects.get_stream(key).await.err().expect("not followed");
        assert!(matches!(error, Error::NotFound(_)), "{error}");
        assert_eq!(objects.size(key).await.unwrap(), None);
    }
    assert!(objects.put_stream("door/new", chunks(&["x"]), NO_LIMIT).await.is_err());
    assert_eq!(objects.list("").await.unwrap(), []);
    assert_eq!(objects.list("door").await.unwrap(), []);
    assert_eq!(objects.delete("door/secret").await.unwrap(), 0);
    objects.put_stream("window", chunks(&["in"]), NO_LIMIT).await.unwrap();
    assert_eq!(read(&objects, "window").await, b"in", "the link itself was replaced");
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "s");
    assert_eq!(files(&outside).len(), 1);
}

#[tokio::test]
async fn an_object_is_readable_only_by_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, objects) = store();
    objects.put_stream("a/b", chunks(&["x"]), NO_LIMIT).await.unwrap();
    for name in ["objects", "objects/a", "objects/a/b"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn a_copy_is_an_object_of_its_own() {
    let (folder, objects) = store();
    objects.put_stream("a/one", chunks(&["first"]), NO_LIMIT).await.unwrap();
    for _ in 0..2 {
        objects.copy("a/one", "b/two").await.unwrap();
        assert_eq!(read(&objects, "b/two").await, b"first");
    }
    objects.copy("a/one", "a/one").await.unwrap();
    objects.put_stream("a/one", chunks(&["second"]), NO_LIMIT).await.unwrap();
    assert_eq!(read(&objects, "b/two").await, b"first");
    assert_eq!(objects.delete("a/one").await.unwrap(), 6);
    assert_eq!(read(&objects, "b/two").await, b"first");
    assert_eq!(files(folder.path()).len(), 1, "nothing of the copying is left");
    let error = objects.copy("a/one", "c").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(key) if key == "a/one"), "{error}");
    for (from, to) in [("../a", "b"), ("b/two", "../b")] {
        let error = objects.copy(from, to).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidKey { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_stored_with_its_sums_has_those_of_its_bytes() {
    let (_folder, objects) = store();
    let summed = objects.put_stream_summed("k", chunks(&["f", "", "oo"]), NO_LIMIT).await.unwrap();
    assert_eq!((summed.put.size, summed.put.sha256.as_str()), (3, FOO));
    assert_eq!(Checksum::Md5(summed.md5).hex(), "acbd18db4cc2f85cedef654fccc4a4d8");
    let digits = objects.put_stream_summed("k", chunks(&["1234", "56789"]), NO_LIMIT).await.unwrap();
    assert_eq!(digits.crc64, 0x995d_c9bb_df19_39fa);
    let error = objects.put_stream_summed("k", chunks(&["toolong"]), 3).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 3 }), "{error}");
    assert_eq!(read(&objects, "k").await, b"123456789");
}
