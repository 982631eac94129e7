//! Signed writes to a folder, whole and in parts: exactly what was signed, or nothing.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use runyard_objects::{
    Checksum, Error, FolderSigning, GetAs, Location, Objects, PART_MIN, PUT_MAX, Signed, SignedPart,
    SignedPut, SignedRequest, Size,
};

use crate::{
    folder::{files, until_files},
    md5, noise, read, sha256, stream_of,
};

/// What no bytes have.
const NOTHING: Checksum = Checksum::Sha256([0; 32]);

fn open(folder: &Path) -> Objects {
    let url = Arc::new("http://here:1".to_owned().into());
    let signing = FolderSigning { key: [3; 32], url };
    Objects::open(&Location::Folder { path: folder.join("objects"), signing }).unwrap()
}

fn store() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    (folder, objects)
}

/// Does what the address allows, as the server's route does.
async fn follow(objects: &Objects, signed: &Signed, bytes: &[u8]) -> Result<String, Error> {
    let headers = signed
        .headers
        .iter()
        .map(|(name, value)| (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap()));
    let target = signed.url.strip_prefix("http://here:1").unwrap();
    match objects.verify_signed(signed.method, target, &headers.collect())? {
        SignedRequest::Put(put) => objects.put_signed(&put, stream_of(bytes)).await,
        SignedRequest::Get(get) => panic!("for reading: {get:?}"),
    }
}

async fn put_part(objects: &Objects, upload: &str, number: i64, bytes: &[u8]) -> Result<String, Error> {
    let signed = objects.presign_part("big", upload, number, bytes.len() as u64, sha256(bytes), 60)?;
    follow(objects, &signed, bytes).await
}

#[tokio::test]
async fn a_signed_put_stores_exactly_what_was_announced() {
    let (folder, objects) = store();
    let bytes = noise(300_000, 1);
    let signed = objects.presign_put("a/b", 300_000, sha256(&bytes), 60).unwrap();
    let etag = follow(&objects, &signed, &bytes).await.unwrap();
    assert_eq!(etag.len(), 66, "a SHA-256 in quotes: {etag}");
    assert!(read(&objects, "a/b").await == bytes);

    let other = noise(300_000, 2);
    assert!(matches!(follow(&objects, &signed, &other).await, Err(Error::WrongDigest { .. })));
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(follow(&objects, &signed, &longer).await, Err(Error::TooLarge { limit: 300_000 })));
    let shorter = follow(&objects, &signed, &bytes[1..]).await;
    assert!(matches!(shorter, Err(Error::TooSmall { said: 300_000, got: 299_999 })));
    assert!(read(&objects, "a/b").await == bytes, "what was there is as it was");
    until_files(folder.path(), 1).await;
}

#[tokio::test]
async fn either_digest_binds_and_the_answer_names_it() {
    let (_folder, objects) = store();
    assert_eq!(objects.checksum(), runyard_domain::ChecksumKind::Sha256);
    for (checksum, title) in [(md5(b"foo"), "MD5"), (sha256(b"foo"), "SHA-256")] {
        let signed = objects.presign_put("a", 3, checksum, 60).unwrap();
        assert_eq!(follow(&objects, &signed, b"foo").await.unwrap(), format!("\"{}\"", checksum.hex()));
        let error = follow(&objects, &signed, b"bar").await.unwrap_err();
        assert!(matches!(&error, Error::WrongDigest { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("the bytes have the {title} ")), "{error}");
    }
}

#[tokio::test]
async fn a_sender_that_says_nothing_before_stores_what_it_sends() {
    let (folder, objects) = store();
    let signed = objects.presign_put_any("staged/a", 100_000, 60).unwrap();
    assert_eq!(signed.headers, [], "any content type, and no header that must be sent");
    for bytes in [noise(70_000, 1), noise(100_000, 2), Vec::new()] {
        let etag = follow(&objects, &signed, &bytes).await.unwrap();
        assert_eq!(etag, format!("\"{}\"", md5(&bytes).hex()), "as an S3 store would answer");
        assert!(read(&objects, "staged/a").await == bytes);
    }
    let error = follow(&objects, &signed, &noise(100_001, 3)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 100_000 }), "{error}");
    assert_eq!(objects.size("staged/a").await.unwrap(), Some(0));
    until_files(folder.path(), 1).await;
}

#[tokio::test]
async fn an_address_that_has_expired_is_refused() {
    let (_folder, objects) = store();
    let signed = objects.presign_put("a", 1, sha256(b"x"), 0).unwrap();
    let error = follow(&objects, &signed, b"x").await.unwrap_err();
    assert!(matches!(&error, Error::Denied(_)), "{error}");
    assert!(error.to_string().contains("expired"), "{error}");
    assert_eq!(objects.size("a").await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_signed() {
    let (folder, objects) = store();
    for key in ["../a", "/a", ".staging/a", ".multipart/a", "a/../../b", ""] {
        assert!(matches!(objects.presign_get(key, 60, &GetAs::default()), Err(Error::InvalidKey { .. })));
        assert!(matches!(objects.presign_put(key, 1, NOTHING, 60), Err(Error::InvalidKey { .. })));
        assert!(matches!(objects.begin_multipart(key, PART_MIN).await, Err(Error::InvalidKey { .. })));
    }
    assert!(matches!(objects.presign_put("a", u64::MAX, NOTHING, 60), Err(Error::TooLarge { .. })));
    assert!(matches!(objects.begin_multipart("a", 1).await, Err(Error::InvalidPart(_))));
    let upload = objects.begin_multipart("a", PART_MIN).await.unwrap();
    for (number, size) in [(0, 1), (10_001, 1), (1, PART_MIN + 1)] {
        let refused = objects.presign_part("a", &upload, number, size, NOTHING, 60);
        assert!(matches!(refused, Err(Error::InvalidPart(_))), "{number} {size}");
    }
    for unknown in ["1-1-1-5242880", "../objects-5242880", "", "x"] {
        let refused = objects.presign_part("a", unknown, 1, 1, NOTHING, 60);
        assert!(matches!(refused, Err(Error::NoUpload { .. })), "{unknown}");
    }
    let unsigned = Objects::open_folder(folder.path().join("plain")).unwrap();
    assert!(matches!(unsigned.presign_put("a", 1, NOTHING, 60), Err(Error::NoSigning)));
}

#[tokio::test]
async fn parts_in_any_order_make_one_object_that_is_visible_only_then() {
    let (folder, objects) = store();
    let size = PART_MIN as usize;
    let bytes = noise(2 * size + 1234, 3);
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let mut parts = Vec::new();
    for number in [3, 1, 2] {
        let at = (number as usize - 1) * size;
        let piece = &bytes[at..(at + size).min(bytes.len())];
        parts.push((number, put_part(&objects, &upload, number, piece).await.unwrap()));
    }
    assert_eq!(objects.size("big").await.unwrap(), None);
    assert_eq!(objects.list("").await.unwrap(), []);
    // A restart in the middle forgets nothing.
    let objects = open(folder.path());
    objects.complete_multipart("big", &upload, &parts).await.unwrap();
    assert!(read(&objects, "big").await == bytes);
    objects.complete_multipart("big", &upload, &parts).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1, "nothing of the upload is left: {:?}", files(folder.path()));
    let late = put_part(&objects, &upload, 1, &bytes[..size]).await;
    assert!(matches!(late, Err(Error::NoUpload { .. })), "{late:?}");
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_older_one() {
    let (_folder, objects) = store();
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let old = put_part(&objects, &upload, 1, &noise(5000, 1)).await.unwrap();
    let new = put_part(&objects, &upload, 1, b"short").await.unwrap();
    assert_eq!(put_part(&objects, &upload, 1, b"short").await.unwrap(), new, "a repeat changes nothing");
    let error = objects.complete_multipart("big", &upload, &[(1, old)]).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidPart(_)), "{error}");
    objects.complete_multipart("big", &upload, &[(1, new)]).await.unwrap();
    assert_eq!(read(&objects, "big").await, b"short", "nothing of the longer part is left behind its end");
}

#[tokio::test]
async fn a_part_that_breaks_off_does_not_count() {
    let (_folder, objects) = store();
    let bytes = noise(2_000_000, 4);
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let whole = put_part(&objects, &upload, 1, &bytes).await.unwrap();
    let put = |digest| SignedPut {
        key: "big".to_owned(),
        size: Size::Exactly(2_000_000),
        checksum: Some(digest),
        part: Some(SignedPart { upload: upload.clone(), number: 1 }),
    };
    // Other bytes were begun in its place: it is there no more.
    let broken = stream_of(&bytes[..1_500_000]).chain(stream::iter([Err(std::io::Error::other("reset"))]));
    let error = objects.put_signed(&put(Checksum::Sha256([1; 32])), broken).await.unwrap_err();
    assert!(matches!(&error, Error::Interrupted(_)), "{error}");
    let error = objects.complete_multipart("big", &upload, &[(1, whole.clone())]).await.unwrap_err();
    assert!(error.to_string().contains("part 1") && error.to_string().contains("send it again"), "{error}");
    assert_eq!(objects.size("big").await.unwrap(), None);
    // With the right bytes all is well again.
    assert_eq!(put_part(&objects, &upload, 1, &bytes).await.unwrap(), whole);
    objects.complete_multipart("big", &upload, &[(1, whole)]).await.unwrap();
    assert!(read(&objects, "big").await == bytes);
}

#[tokio::test]
async fn a_client_that_comes_back_does_not_wait_for_its_own_dead_request() {
    let (_folder, objects) = store();
    let bytes = noise(100_000, 5);
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let part = Some(SignedPart { upload: upload.clone(), number: 1 });
    let put = SignedPut {
        key: "big".to_owned(),
        size: Size::Exactly(100_000),
        checksum: Some(sha256(&bytes)),
        part,
    };
    let stuck = stream_of(&bytes[..70_000]).chain(stream::pending());
    let first = tokio::spawn({
        let (objects, put) = (objects.clone(), put.clone());
        async move { objects.put_signed(&put, stuck).await }
    });
    tokio::task::yield_now().await;
    let etag = put_part(&objects, &upload, 1, &bytes).await.unwrap();
    let given_up = first.await.unwrap();
    assert!(matches!(given_up, Err(Error::Superseded)), "{given_up:?}");
    objects.complete_multipart("big", &upload, &[(1, etag)]).await.unwrap();
    assert!(read(&objects, "big").await == bytes);
}

#[tokio::test]
async fn completing_stops_a_part_that_is_still_coming() {
    let (_folder, objects) = store();
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let etag = put_part(&objects, &upload, 1, b"first").await.unwrap();
    let part = Some(SignedPart { upload: upload.clone(), number: 2 });
    let put = SignedPut { key: "big".to_owned(), size: Size::Exactly(9), checksum: Some(NOTHING), part };
    let endless =
        stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"sec"))]).chain(stream::pending());
    let mut second = Box::pin(objects.put_signed(&put, endless));
    assert!(second.as_mut().now_or_never().is_none());
    let parts = [(1, etag)];
    let complete = objects.complete_multipart("big", &upload, &parts);
    let (stopped, completed) = futures::future::join(second, complete).await;
    assert!(stopped.is_err());
    completed.unwrap();
    assert_eq!(read(&objects, "big").await, b"first");
}

#[tokio::test]
async fn parts_that_do_not_make_an_object_are_named() {
    let (_folder, objects) = store();
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let one = put_part(&objects, &upload, 1, b"too short").await.unwrap();
    let two = put_part(&objects, &upload, 2, b"end").await.unwrap();
    for (parts, named) in [
        (vec![], "at least one part"),
        (vec![(2, two.clone())], "part 1 of 1"),
        (vec![(1, one.clone()), (1, one.clone())], "part 2 of 2"),
        (vec![(1, two.clone())], "part 1 with the ETag"),
        (vec![(1, "../../x".to_owned())], "part 1 with the ETag"),
        (vec![(1, one.clone()), (2, two.clone())], "all but the last"),
    ] {
        let error = objects.complete_multipart("big", &upload, &parts).await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    assert_eq!(objects.size("big").await.unwrap(), None);
    objects.complete_multipart("big", &upload, &[(1, one)]).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let (folder, objects) = store();
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let etag = put_part(&objects, &upload, 1, b"some").await.unwrap();
    for _ in 0..2 {
        objects.abort_multipart("big", &upload).await.unwrap();
    }
    assert_eq!(files(folder.path()).len(), 0);
    let error = objects.complete_multipart("big", &upload, &[(1, etag)]).await.unwrap_err();
    assert!(matches!(&error, Error::NoUpload { .. }), "{error}");
    for odd in ["..", "../../objects", "", "a/b"] {
        objects.abort_multipart("big", odd).await.unwrap();
    }
    assert!(folder.path().join("objects").is_dir());
}

async fn put_loose(
    objects: &Objects,
    upload: &str,
    number: i64,
    bytes: &[u8],
    digest: Option<Checksum>,
) -> Result<String, Error> {
    let digest = digest.map(|digest| match digest {
        Checksum::Md5(digest) => digest,
        Checksum::Sha256(_) => panic!("a loose part has an MD5"),
    });
    let signed = objects.presign_loose_part("loose", upload, number, digest, 60)?;
    follow(objects, &signed, bytes).await
}

#[tokio::test]
async fn parts_of_any_size_make_one_object() {
    let (folder, objects) = store();
    let upload = objects.begin_loose_multipart("loose").await.unwrap();
    let pieces = [noise(1, 1), noise(200_000, 2), noise(7, 3)];
    let mut parts = Vec::new();
    for (number, piece) in [(3, &pieces[2]), (1, &pieces[0]), (2, &pieces[1])] {
        let digest = (number == 2).then(|| md5(piece));
        let etag = put_loose(&objects, &upload, number, piece, digest).await.unwrap();
        assert_eq!(etag, format!("\"{}\"", md5(piece).hex()));
        parts.push((number, etag));
    }
    assert_eq!(objects.list("").await.unwrap(), []);
    let objects = open(folder.path());
    objects.complete_multipart("loose", &upload, &parts).await.unwrap();
    assert!(read(&objects, "loose").await == pieces.concat());
    objects.complete_multipart("loose", &upload, &parts).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1, "{:?}", files(folder.path()));
}

#[tokio::test]
async fn a_loose_part_sent_again_replaces_the_older_one_and_a_broken_one_counts_for_nothing() {
    let (folder, objects) = store();
    let upload = objects.begin_loose_multipart("loose").await.unwrap();
    let old = put_loose(&objects, &upload, 1, &noise(5000, 1), None).await.unwrap();
    let new = put_loose(&objects, &upload, 1, b"short", None).await.unwrap();
    let error = objects.complete_multipart("loose", &upload, &[(1, old)]).await.unwrap_err();
    assert!(error.to_string().contains("send it again"), "{error}");
    let wrong = put_loose(&objects, &upload, 1, b"other", Some(md5(b"short"))).await.unwrap_err();
    assert!(matches!(&wrong, Error::WrongDigest { .. }), "{wrong}");
    assert!(objects.complete_multipart("loose", &upload, &[(1, new)]).await.is_err());
    let empty = put_loose(&objects, &upload, 2, b"", None).await.unwrap_err();
    assert!(matches!(&empty, Error::TooSmall { said: 1, got: 0 }), "{empty}");
    let again = put_loose(&objects, &upload, 1, b"again", Some(md5(b"again"))).await.unwrap();
    objects.complete_multipart("loose", &upload, &[(1, again)]).await.unwrap();
    assert_eq!(read(&objects, "loose").await, b"again");
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_loose_upload_that_is_given_up_frees_its_parts() {
    let (folder, objects) = store();
    let upload = objects.begin_loose_multipart("loose").await.unwrap();
    put_loose(&objects, &upload, 1, b"part", None).await.unwrap();
    objects.abort_multipart("loose", &upload).await.unwrap();
    assert_eq!(files(folder.path()).len(), 0);
    let late = put_loose(&objects, &upload, 1, b"part", None).await.unwrap_err();
    assert!(matches!(&late, Error::NoUpload { .. }), "{late}");
    // Parts of a size that was said are none that may have any.
    let strict = objects.begin_multipart("loose", PART_MIN).await.unwrap();
    let refused = objects.presign_loose_part("loose", &strict, 1, None, 60);
    assert!(matches!(refused, Err(Error::InvalidPart(_))), "{refused:?}");
    let most = objects.presign_part("loose", &strict, 1, PUT_MAX, NOTHING, 60);
    assert!(matches!(most, Err(Error::InvalidPart(_))), "{most:?}");
}

#[tokio::test]
async fn an_object_is_renamed_whole_and_a_repeat_changes_nothing() {
    let (folder, objects) = store();
    objects.put_stream("staged/deep/a", stream_of(b"new"), 10).await.unwrap();
    objects.put_stream("final/a", stream_of(b"old"), 10).await.unwrap();
    let old_put = objects.presign_put_any("staged/deep/a", 10, 60).unwrap();
    for _ in 0..2 {
        objects.rename("staged/deep/a", "final/a").await.unwrap();
        assert_eq!(read(&objects, "final/a").await, b"new");
    }
    assert!(!folder.path().join("objects/staged").exists(), "no empty folder stays behind");
    // Who still has the old address changes nothing.
    follow(&objects, &old_put, b"late").await.unwrap();
    assert_eq!(read(&objects, "final/a").await, b"new");
    objects.rename("staged/deep/a", "staged/deep/a").await.unwrap();
    assert_eq!(read(&objects, "staged/deep/a").await, b"late");
    let error = objects.rename("nothing", "nowhere").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(key) if key == "nothing"), "{error}");
    for (from, to) in [("../a", "b"), ("final/a", "../b"), ("final/a", ".staging/b")] {
        let error = objects.rename(from, to).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidKey { .. }), "{error}");
    }
    let error = objects.rename("final/a", "staged").await.unwrap_err();
    assert!(error.to_string().contains("there are objects below this name"), "{error}");
}
