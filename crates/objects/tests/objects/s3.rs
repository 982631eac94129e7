//! Objects in an S3 bucket, against a server that speaks the protocol and checks every signature.

use std::path::PathBuf;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use hyper_util::rt::TokioIo;
use reqwest::StatusCode;
use runyard_objects::{Checksum, Credentials, Error, GetAs, Location, Objects, PART_MIN, Signed};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::{chunks, md5, noise, read, sha256, stream_of};

/// So low that a few megabytes go in parts already.
const LIMIT: u64 = 1 << 30;
const FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

/// An S3 server with the bucket `models`, until it is dropped.
struct Store {
    url: String,
    folder: tempfile::TempDir,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Store {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("me", "s3cret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service.clone()));
            }
        });
        Self { url, folder, accepting }
    }

    fn open(&self, place: &str, secret: &str) -> Objects {
        open(&format!("s3://{place}?endpoint={}", self.url), secret)
    }

    /// What the bucket holds, the server's own notes left out.
    fn files(&self) -> Vec<PathBuf> {
        let all = crate::folder::files(&self.folder.path().join("models"));
        all.into_iter().filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
    }
}

fn open(address: &str, secret: &str) -> Objects {
    let account =
        Credentials { access_key: "me".into(), secret_key: secret.into(), ..Credentials::default() };
    Objects::open(&Location::parse(address, account).unwrap()).unwrap()
}

async fn store() -> (Store, Objects) {
    let store = Store::start().await;
    let objects = store.open("models/team", "s3cret");
    objects.check().await.unwrap();
    (store, objects)
}

/// Does what the address allows, as any client would.
async fn follow(signed: &Signed, bytes: &[u8]) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut request = client.request(signed.method.parse().unwrap(), &signed.url);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    if signed.method == "PUT" {
        // As a stream, so that the length in the header is the one that was signed, and not counted again.
        request = request.body(reqwest::Body::wrap_stream(stream_of(bytes)));
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn what_was_put_is_read_back_below_the_prefix() {
    let (store, objects) = store().await;
    let put = objects.put_stream("runs/1/ü +#%.bin", chunks(&["f", "", "oo"]), 3).await.unwrap();
    assert_eq!((put.size, put.sha256.as_str()), (3, FOO));
    assert!(store.folder.path().join("models/team/runs/1/ü +#%.bin").exists());
    assert_eq!(read(&objects, "runs/1/ü +#%.bin").await, b"foo");
    assert_eq!(objects.size("runs/1/ü +#%.bin").await.unwrap(), Some(3));
    objects.put_stream("runs/1/ü +#%.bin", chunks(&["other"]), LIMIT).await.unwrap();
    assert_eq!(read(&objects, "runs/1/ü +#%.bin").await, b"other");
    let empty = objects.put_stream("empty", chunks(&[]), LIMIT).await.unwrap();
    assert_eq!(empty.size, 0);
    assert_eq!(read(&objects, "empty").await, b"");
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_is_whole() {
    let (store, objects) = store().await;
    // Two pieces and a rest; and a length that ends with a piece.
    for length in [17_000_000, 16 << 20] {
        let bytes = noise(length, 1);
        let put = objects.put_stream("large", stream_of(&bytes), LIMIT).await.unwrap();
        assert_eq!(put.size, length as u64);
        assert!(read(&objects, "large").await == bytes, "the same bytes in the same order");
    }
    assert_eq!(store.files().len(), 1, "{:?}", store.files());
}

#[tokio::test]
async fn an_object_can_be_named_by_what_it_contains() {
    let (store, objects) = store().await;
    let put = objects.put_stream_hashed("sources/", ".tar.zst", chunks(&["foo"]), LIMIT).await.unwrap();
    assert_eq!(put.key, format!("sources/{FOO}.tar.zst"));
    let bytes = noise(9_000_000, 2);
    let large = objects.put_stream_hashed("sources/", "", stream_of(&bytes), LIMIT).await.unwrap();
    assert_eq!(large.key, format!("sources/{}", large.sha256));
    assert!(read(&objects, &large.key).await == bytes);
    let keys: Vec<_> = objects.list("").await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(store.files().len(), 2, "nothing of the upload is left: {:?}", store.files());
}

#[tokio::test]
async fn what_breaks_off_or_is_too_large_is_not_stored() {
    let (store, objects) = store().await;
    objects.put_stream("kept", chunks(&["old"]), LIMIT).await.unwrap();
    for length in [100, 9_000_000] {
        let bytes = noise(length, 3);
        let broken = stream_of(&bytes).chain(stream::iter([Err(std::io::Error::other("reset"))]));
        let error = objects.put_stream("kept", broken, LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), "the bytes stopped coming: reset");
        let error = objects.put_stream("kept", stream_of(&bytes), length as u64 - 1).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
    assert_eq!(read(&objects, "kept").await, b"old");
    assert_eq!(store.files().len(), 1, "{:?}", store.files());
}

#[tokio::test]
async fn a_range_is_cut_at_the_objects_end() {
    let (_store, objects) = store().await;
    objects.put_stream("a", chunks(&["0123456789"]), LIMIT).await.unwrap();
    for (range, expected) in [
        (2..5, "234"),
        (8..99, "89"),
        (0..0, ""),
        (10..12, ""),
        (50..60, ""),
        (0..10, "0123456789"),
        (3..u64::MAX, "3456789"),
    ] {
        let (size, bytes) = objects.get_range("a", range.clone()).await.unwrap();
        let bytes: Vec<Bytes> = bytes.try_collect().await.unwrap();
        assert_eq!((size, bytes.concat()), (10, expected.as_bytes().to_vec()), "{range:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_deleting_frees_once() {
    let (_store, objects) = store().await;
    assert!(
        matches!(objects.get_stream("missing").await.err(), Some(Error::NotFound(key)) if key == "missing")
    );
    assert_eq!(objects.size("missing").await.unwrap(), None);
    assert_eq!(objects.delete("missing").await.unwrap(), 0);
    objects.put_stream("a/b", chunks(&["12345"]), LIMIT).await.unwrap();
    assert_eq!(objects.delete("a/b").await.unwrap(), 5);
    assert_eq!(objects.delete("a/b").await.unwrap(), 0);
}

#[tokio::test]
async fn a_listing_has_what_is_below_the_prefix_in_order() {
    let (store, objects) = store().await;
    let other = store.open("models/other", "s3cret");
    other.put_stream("runs/1/a", chunks(&["not ours"]), LIMIT).await.unwrap();
    for key in ["runs/2/log", "runs/10/log", "runs/1/a b+c", "runs-old/x", "top"] {
        objects.put_stream(key, chunks(&["12"]), LIMIT).await.unwrap();
    }
    let runs = objects.list("runs").await.unwrap();
    let keys: Vec<_> = runs.iter().map(|entry| (entry.key.as_str(), entry.size)).collect();
    assert_eq!(keys, [("runs/1/a b+c", 2), ("runs/10/log", 2), ("runs/2/log", 2)]);
    assert!(runs[0].modified.elapsed().unwrap().as_secs() < 600);
    assert_eq!(objects.list("").await.unwrap().len(), 5);
    assert_eq!(objects.list("nowhere").await.unwrap(), []);
}

#[tokio::test]
async fn keys_that_leave_the_prefix_are_refused_by_every_verb() {
    let (_store, objects) = store().await;
    for key in ["../other/a", "/etc/passwd", "a/../../secret", "", "a//b", ".staging/x"] {
        let put = objects.put_stream(key, chunks(&["x"]), LIMIT).await.unwrap_err();
        let get = objects.get_stream(key).await.err().expect("refused");
        let delete = objects.delete(key).await.unwrap_err();
        let sign = objects.presign_get(key, 60, &GetAs::default()).unwrap_err();
        for error in [put, get, delete, sign] {
            assert!(matches!(error, Error::InvalidKey { .. }), "{key:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_signed_put_binds_size_and_digest() {
    let (_store, objects) = store().await;
    let bytes = noise(200_000, 4);
    let signed = objects.presign_put("runs/a b.bin", 200_000, md5(&bytes), 60).unwrap();
    let answer = follow(&signed, &bytes).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(read(&objects, "runs/a b.bin").await == bytes);

    // Said otherwise than signed: the signature is wrong.
    for (name, value) in [("content-length", "200001"), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")] {
        let mut other = signed.clone();
        other.headers.iter_mut().find(|(own, _)| own == name).unwrap().1 = value.to_owned();
        let longer = noise(200_001, 4);
        let bytes = if name == "content-length" { &longer[..] } else { &bytes[..] };
        assert_eq!(follow(&other, bytes).await.status(), StatusCode::FORBIDDEN, "{name}");
    }
    // Without the digest there is no signature at all.
    let mut without = signed.clone();
    without.headers.retain(|(name, _)| name != "content-md5");
    assert!(follow(&without, &bytes).await.status().is_client_error());
    // Said as signed, but others.
    let answer = follow(&signed, &noise(200_000, 5)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("BadDigest"));
}

#[tokio::test]
async fn a_sha_256_binds_where_the_store_knows_it() {
    let (_store, objects) = store().await;
    assert_eq!(objects.checksum(), runyard_domain::ChecksumKind::Md5, "which every store knows");
    let signed = objects.presign_put("a", 3, sha256(b"foo"), 60).unwrap();
    assert_eq!(follow(&signed, b"foo").await.status(), StatusCode::OK);
    assert_eq!(read(&objects, "a").await, b"foo");
    assert_eq!(follow(&signed, b"bar").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_sender_that_says_nothing_before_stores_what_it_sends() {
    let (_store, objects) = store().await;
    let mut signed = objects.presign_put_any("staged/a", 100, 60).unwrap();
    assert_eq!(signed.headers, []);
    signed.headers.push(("content-type".to_owned(), "application/zstd".to_owned()));
    assert_eq!(follow(&signed, b"foo").await.status(), StatusCode::OK);
    assert_eq!(read(&objects, "staged/a").await, b"foo");
    let other = Signed { url: signed.url.replace("staged/a", "staged/b"), ..signed };
    assert_eq!(follow(&other, b"foo").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn loose_parts_make_one_object() {
    let (_store, objects) = store().await;
    let pieces = [noise(PART_MIN as usize + 3, 8), noise(PART_MIN as usize, 9), noise(5, 10)];
    let upload = objects.begin_loose_multipart("loose").await.unwrap();
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(&pieces) {
        let Checksum::Md5(digest) = md5(piece) else { unreachable!("it is one") };
        let digest = (number == 2).then_some(digest);
        let signed = objects.presign_loose_part("loose", &upload, number, digest, 60).unwrap();
        if let Some((name, _)) = signed.headers.first() {
            assert_eq!((name.as_str(), number), ("content-md5", 2));
            let other = ("content-md5".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA==".to_owned());
            let other = Signed { headers: vec![other], ..signed.clone() };
            assert_eq!(follow(&other, piece).await.status(), StatusCode::FORBIDDEN);
        }
        let answer = follow(&signed, piece).await;
        assert_eq!(answer.status(), StatusCode::OK);
        parts.push((number, answer.headers()["etag"].to_str().unwrap().to_owned()));
    }
    objects.complete_multipart("loose", &upload, &parts).await.unwrap();
    assert!(read(&objects, "loose").await == pieces.concat());
}

#[tokio::test]
async fn an_object_is_renamed_within_the_store_and_a_repeat_changes_nothing() {
    let (store, objects) = store().await;
    objects.put_stream("staged/a b", chunks(&["foo"]), LIMIT).await.unwrap();
    for _ in 0..2 {
        objects.rename("staged/a b", "final/a").await.unwrap();
        assert_eq!(read(&objects, "final/a").await, b"foo");
    }
    assert_eq!(objects.size("staged/a b").await.unwrap(), None);
    let error = objects.rename("nothing", "nowhere").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(_)), "{error}");

    // Large: copied in parts, the last of them shorter. A hole, so that this costs little.
    let large = store.folder.path().join("models/team/large");
    let file = std::fs::File::create(&large).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (150 << 20) - 3).unwrap();
    objects.rename("large", "moved").await.unwrap();
    let (size, end) = objects.get_range("moved", (150 << 20) - 4..u64::MAX).await.unwrap();
    let end: Vec<Bytes> = end.try_collect().await.unwrap();
    assert_eq!((size, end.concat().as_slice()), (150 << 20, &b"\0end"[..]));
    assert!(!large.exists());
    // Nothing was sent through us, and nothing else is left.
    assert_eq!(store.files().len(), 2, "{:?}", store.files());
}

#[tokio::test]
async fn an_altered_or_expired_address_is_refused_by_the_store() {
    let (_store, objects) = store().await;
    objects.put_stream("a", chunks(&["0123"]), LIMIT).await.unwrap();
    objects.put_stream("b", chunks(&["4567"]), LIMIT).await.unwrap();
    let signed = objects.presign_get("a", 60, &GetAs::default()).unwrap();
    for (from, to) in
        [("/team/a?", "/team/b?"), ("Expires=60", "Expires=61"), ("Credential=me", "Credential=you")]
    {
        let altered = Signed { url: signed.url.replace(from, to), ..signed.clone() };
        assert_ne!(altered.url, signed.url);
        assert_eq!(follow(&altered, b"").await.status(), StatusCode::FORBIDDEN, "{to}");
    }
    let as_put = Signed { method: "PUT", ..signed.clone() };
    assert_eq!(follow(&as_put, b"x").await.status(), StatusCode::FORBIDDEN);
    // It lives for a second: asked for until it does not.
    let short = objects.presign_get("a", 0, &GetAs::default()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while follow(&short, b"").await.status() == StatusCode::OK {
        assert!(std::time::Instant::now() < deadline, "it never expires");
    }
    assert_eq!(follow(&short, b"").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_signed_get_says_name_and_type_and_gives_ranges() {
    let (_store, objects) = store().await;
    objects.put_stream("a", chunks(&["0123456789"]), LIMIT).await.unwrap();
    let get = GetAs { name: Some("é model.bin".to_owned()), content_type: Some("text/plain".to_owned()) };
    let mut signed = objects.presign_get("a", 60, &get).unwrap();
    let answer = follow(&signed, b"").await;
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().contains("%C3%A9%20model.bin"));
    assert_eq!(answer.text().await.unwrap(), "0123456789");
    signed.headers.push(("range".to_owned(), "bytes=2-4".to_owned()));
    let answer = follow(&signed, b"").await;
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.text().await.unwrap(), "234");
}

#[tokio::test]
async fn signed_parts_make_one_object() {
    let (store, objects) = store().await;
    let size = PART_MIN as usize;
    let bytes = noise(2 * size + 77, 6);
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(bytes.chunks(size)) {
        let signed =
            objects.presign_part("big", &upload, number, piece.len() as u64, md5(piece), 60).unwrap();
        let other = Signed { url: signed.url.replace("partNumber=", "partNumber=1"), ..signed.clone() };
        assert_eq!(follow(&other, piece).await.status(), StatusCode::FORBIDDEN);
        let answer = follow(&signed, piece).await;
        assert_eq!(answer.status(), StatusCode::OK);
        parts.push((number, answer.headers()["etag"].to_str().unwrap().to_owned()));
    }
    assert_eq!(objects.size("big").await.unwrap(), None);
    objects.complete_multipart("big", &upload, &parts).await.unwrap();
    assert!(read(&objects, "big").await == bytes);
    // The answer was lost: the same call again sees that it is done.
    objects.complete_multipart("big", &upload, &parts).await.unwrap();

    let upload = objects.begin_multipart("gone", PART_MIN).await.unwrap();
    let signed = objects.presign_part("gone", &upload, 1, 1, md5(b"x"), 60).unwrap();
    assert_eq!(follow(&signed, b"x").await.status(), StatusCode::OK);
    objects.abort_multipart("gone", &upload).await.unwrap();
    assert!(objects.complete_multipart("gone", &upload, &[(1, "\"x\"".to_owned())]).await.is_err());
    assert_eq!(store.files().len(), 1, "{:?}", store.files());
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named_with_the_way_out() {
    let store = Store::start().await;
    let error = store.open("modles/team", "s3cret").check().await.unwrap_err();
    assert!(matches!(&error, Error::NoBucket { bucket, .. } if bucket == "modles"), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("create it") && sentence.contains(&store.url), "{sentence}");
}

#[tokio::test]
async fn a_store_that_refuses_says_which_account_to_look_at() {
    let store = Store::start().await;
    let objects = store.open("models", "wrong");
    let verbs = [
        objects.check().await,
        objects.put_stream("a", chunks(&["x"]), LIMIT).await.map(drop),
        objects.get_stream("a").await.map(drop),
        objects.delete("a").await.map(drop),
        objects.begin_multipart("a", PART_MIN).await.map(drop),
    ];
    for result in verbs {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Refused(_)) && !error.is_temporary(), "{error}");
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        assert!(!error.to_string().contains("X-Amz"), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_worth_another_try() {
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let objects = open(&format!("s3://models?endpoint=http://127.0.0.1:{port}"), "s3cret");
    for result in [objects.check().await, objects.get_stream("a").await.map(drop)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(_)) && error.is_temporary(), "{error}");
        assert!(error.to_string().contains("is away") && !error.to_string().contains("X-Amz"), "{error}");
    }
    // Addresses are signed all the same: that needs nobody.
    objects.presign_get("a", 60, &GetAs::default()).unwrap();
}

/// A server that gives these answers, one for each connection.
async fn script(answers: Vec<String>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                read.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn refusal(code: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>a reason</Message></Error>")
}

#[tokio::test]
async fn a_store_that_stumbles_is_asked_again() {
    let stumbles = [answer("503 Slow Down", &refusal("SlowDown")), answer("500 Error", "")];
    let url = script([&stumbles[..], &[answer("200 OK", "foo")]].concat()).await;
    let objects = open(&format!("s3://models?endpoint={url}"), "s3cret");
    assert_eq!(read(&objects, "a").await, b"foo");
    let url = script(vec![stumbles[0].clone(); 3]).await;
    let objects = open(&format!("s3://models?endpoint={url}"), "s3cret");
    let error = objects.get_stream("a").await.err().expect("it gives up");
    assert!(matches!(&error, Error::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("SlowDown a reason"), "{error}");
}

#[tokio::test]
async fn a_success_that_says_that_it_failed_is_a_failure() {
    let url = script(vec![answer("200 OK", &refusal("InternalError")), answer("404 Not Found", "")]).await;
    let objects = open(&format!("s3://models?endpoint={url}"), "s3cret");
    let error = objects.complete_multipart("a", "u", &[(1, "e".to_owned())]).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn an_object_that_breaks_off_is_not_taken_for_whole() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n01234".to_owned();
    let objects = open(&format!("s3://models?endpoint={}", script(vec![cut]).await), "s3cret");
    let (size, bytes) = objects.get_stream("a").await.unwrap();
    assert_eq!(size, 10);
    let read: Result<Vec<Bytes>, Error> = bytes.try_collect().await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
}

#[tokio::test]
async fn another_region_is_named() {
    let said =
        refusal("AuthorizationHeaderMalformed").replace("</Message>", "</Message><Region>eu-west-3</Region>");
    let objects =
        open(&format!("s3://models?endpoint={}", script(vec![answer("400 Bad", &said)]).await), "s3cret");
    let error = objects.check().await.unwrap_err();
    assert!(error.to_string().contains("region=eu-west-3"), "{error}");
}

#[tokio::test]
async fn a_large_put_that_is_dropped_is_given_up() {
    let (store, objects) = store().await;
    let bytes = noise(9 << 20, 7);
    let endless = stream_of(&bytes).chain(stream::pending());
    let mut put = Box::pin(objects.put_stream("never", endless, LIMIT));
    assert!(put.as_mut().now_or_never().is_none());
    let uploads = || crate::folder::files(store.folder.path()).len();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    // Until the first part has arrived.
    while !crate::folder::files(store.folder.path())
        .iter()
        .any(|path| path.metadata().is_ok_and(|file| file.len() == 8 << 20))
    {
        assert!(std::time::Instant::now() < deadline);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(20), put.as_mut()).await;
    }
    drop(put);
    while uploads() != 0 {
        assert!(std::time::Instant::now() < deadline, "{:?}", crate::folder::files(store.folder.path()));
        tokio::task::yield_now().await;
    }
    assert_eq!(objects.size("never").await.unwrap(), None);
}

#[test]
fn whoever_reads_the_bucket_itself_is_told_its_name_and_prefix() {
    let place = |address| open(address, "s3cret").bucket().map(|(name, prefix)| format!("{name} {prefix}"));
    assert_eq!(place("s3://models/team/a?endpoint=http://127.0.0.1:9").as_deref(), Some("models team/a/"));
    assert_eq!(place("s3://models?endpoint=http://127.0.0.1:9").as_deref(), Some("models "));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Objects::open_folder(folder.path()).unwrap().bucket(), None);
}

#[tokio::test]
async fn a_copy_is_an_object_of_its_own() {
    let (store, objects) = store().await;
    objects.put_stream("a/one", chunks(&["first"]), LIMIT).await.unwrap();
    objects.copy("a/one", "b/two").await.unwrap();
    objects.delete("a/one").await.unwrap();
    assert_eq!(read(&objects, "b/two").await, b"first");
    assert_eq!(store.files().len(), 1, "{:?}", store.files());
    let error = objects.copy("a/one", "c").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(key) if key == "a/one"), "{error}");
}
