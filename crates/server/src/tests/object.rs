//! Signed addresses of a folder's objects: exactly what was signed, and no token.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use runyard_engine as engine;
use runyard_objects::{Checksum, ChecksumKind, GetAs, PART_MIN, Signed};

use super::{Reply, Server};

/// MD5 of `foo` and of `bar`: what an S3 store would bind; a folder takes it as well.
const FOO: Checksum = Checksum::Md5(0xacbd_18db_4cc2_f85c_edef_654f_ccc4_a4d8_u128.to_be_bytes());
const BAR: Checksum = Checksum::Md5(0x37b5_1d19_4a75_13e4_5b56_f652_4f2d_51f2_u128.to_be_bytes());

impl Server {
    /// A request to a signed address, without a token.
    async fn follow(&self, signed: &Signed, body: &'static str) -> Reply {
        self.send(request(signed).body(Body::from(body)).unwrap()).await
    }
}

fn request(signed: &Signed) -> axum::http::request::Builder {
    let path = signed.url.strip_prefix("http://runyard.test").expect("an address of this server");
    let request = Request::builder().method(signed.method).uri(path);
    signed.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn a_signed_address_needs_no_token_and_answers_with_the_digest() {
    let server = Server::start().await;
    let objects = &server.engine.objects;
    let put = objects.presign_put("runs/1/a b.bin", 3, FOO, 60).unwrap();
    let reply = server.follow(&put, "foo").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.headers["etag"], "\"acbd18db4cc2f85cedef654fccc4a4d8\"");

    let get = GetAs { name: Some("ä.bin".to_owned()), content_type: Some("text/html".to_owned()) };
    let get = objects.presign_get("runs/1/a b.bin", 60, &get).unwrap();
    let reply = server.follow(&get, "").await;
    assert_eq!((reply.status, reply.text().as_str()), (StatusCode::OK, "foo"));
    assert_eq!(reply.headers["content-type"], "text/html");
    assert_eq!(reply.headers["content-length"], "3");
    assert!(reply.headers["content-disposition"].to_str().unwrap().contains("%C3%A4.bin"));
    assert!(reply.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    let head = Signed { method: "HEAD", ..get };
    let reply = server.follow(&head, "").await;
    assert_eq!((reply.status, reply.headers["content-length"].as_bytes()), (StatusCode::OK, &b"3"[..]));
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn ranges_are_answered_as_http_has_it() {
    let server = Server::start().await;
    let objects = &server.engine.objects;
    server.follow(&objects.presign_put("a", 3, FOO, 60).unwrap(), "foo").await;
    let get = objects.presign_get("a", 60, &GetAs::default()).unwrap();
    for (range, status, body, content_range) in [
        ("bytes=0-1", 206, "fo", Some("bytes 0-1/3")),
        ("bytes=1-", 206, "oo", Some("bytes 1-2/3")),
        ("bytes=-1", 206, "o", Some("bytes 2-2/3")),
        ("bytes=-9", 206, "foo", Some("bytes 0-2/3")),
        ("bytes=0-99", 206, "foo", Some("bytes 0-2/3")),
        ("bytes=3-", 416, "", Some("bytes */3")),
        ("bytes=-0", 416, "", Some("bytes */3")),
        ("bytes=0-0,2-2", 200, "foo", None),
        ("nonsense", 200, "foo", None),
    ] {
        let reply = server.send(request(&get).header("range", range).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{range}");
        let answered = reply.headers.get("content-range").map(|value| value.to_str().unwrap());
        assert_eq!(answered, content_range, "{range}");
        if status != 416 {
            assert_eq!(reply.text(), body, "{range}");
        }
    }
}

#[tokio::test]
async fn other_bytes_than_were_signed_are_refused_with_the_reason() {
    let server = Server::start().await;
    let put = server.engine.objects.presign_put("a", 3, FOO, 60).unwrap();
    let refused = server.follow(&put, "bar").await;
    let error = refused.refused(400, "wrong_digest");
    assert!(error.error.contains("37b51d194a7513e45b56f6524f2d51f2"), "{}", error.error);
    // The length is counted, not believed.
    for (body, status, code) in [("fo", 400, "wrong_size"), ("fooo", 413, "too_large")] {
        let mut chunked = put.clone();
        chunked.headers.retain(|(name, _)| name != "content-length");
        server.follow(&chunked, body).await.refused(status, code);
        let mut said = put.clone();
        said.headers.iter_mut().find(|(name, _)| name == "content-length").unwrap().1 =
            body.len().to_string();
        server.follow(&said, body).await.refused(status, code);
    }
    let mut other = put.clone();
    other.headers.retain(|(name, _)| name != "content-md5");
    let error = server.follow(&other, "foo").await.refused(403, "forbidden");
    assert!(error.error.contains("content-md5"), "{}", error.error);
    assert_eq!(server.engine.objects.list("").await.unwrap(), []);
}

#[tokio::test]
async fn altered_and_expired_addresses_are_refused() {
    let server = Server::start().await;
    let objects = &server.engine.objects;
    server.follow(&objects.presign_put("a", 3, FOO, 60).unwrap(), "foo").await;
    let get = objects.presign_get("a", 60, &GetAs::default()).unwrap();
    for (from, to) in [
        ("/objects/a?", "/objects/b?"),
        ("/objects/a?", "/objects/%2e%2e/key?"),
        ("/objects/a?", "/objects/../key?"),
        ("expires=", "expires=1"),
        ("signature=", "signature=A"),
    ] {
        let altered = Signed { url: get.url.replace(from, to), ..get.clone() };
        let error = server.follow(&altered, "").await.refused(403, "forbidden");
        assert!(error.error.contains("ask for a new one"), "{}", error.error);
    }
    let written = Signed { method: "PUT", ..get.clone() };
    server.follow(&written, "foo").await.refused(403, "forbidden");
    let expired = objects.presign_get("a", 0, &GetAs::default()).unwrap();
    let error = server.follow(&expired, "").await.refused(403, "forbidden");
    assert!(error.error.contains("expired"), "{}", error.error);
    // A token is no way around the signature.
    server.call("GET", "/objects/a", None).await.refused(403, "forbidden");
    let missing = objects.presign_get("missing", 60, &GetAs::default()).unwrap();
    server.follow(&missing, "").await.refused(404, "not_found");
    server.call("DELETE", "/objects/a", None).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn parts_are_put_one_by_one() {
    let server = Server::start().await;
    let objects = &server.engine.objects;
    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let part = objects.presign_part("big", &upload, 1, 3, BAR, 60).unwrap();
    server.follow(&part, "foo").await.refused(400, "wrong_digest");
    let reply = server.follow(&part, "bar").await;
    let etag = reply.headers["etag"].to_str().unwrap().to_owned();
    objects.complete_multipart("big", &upload, &[(1, etag)]).await.unwrap();
    server.follow(&part, "bar").await.refused(404, "no_upload");
    let get = objects.presign_get("big", 60, &GetAs::default()).unwrap();
    assert_eq!(server.follow(&get, "").await.text(), "bar");
}

#[tokio::test]
async fn senders_are_told_which_digest_binds_and_it_does() {
    let server = Server::start().await;
    let told = server.get("/api/v2/objects").await;
    assert_eq!(told, serde_json::json!({"checksum": "sha256"}));
    let kind = ChecksumKind::read(told["checksum"].as_str().unwrap()).unwrap();
    let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let checksum = Checksum::from_hex(kind, foo).unwrap();
    let put = server.engine.objects.presign_put("a", 3, checksum, 60).unwrap();
    let error = server.follow(&put, "bar").await.refused(400, "wrong_digest");
    assert!(error.error.contains("SHA-256") && error.error.contains(foo), "{}", error.error);
    let reply = server.follow(&put, "foo").await;
    assert_eq!(
        (reply.status, reply.headers["etag"].to_str().unwrap()),
        (StatusCode::OK, &*format!("\"{foo}\""))
    );
}

#[tokio::test]
async fn a_sender_that_says_nothing_before_is_answered_as_by_an_s3_store() {
    let server = Server::start().await;
    let objects = &server.engine.objects;
    let put = objects.presign_put_any("staged", 5, 60).unwrap();
    let typed = request(&put).header("content-type", "application/zstd").body(Body::from("foo")).unwrap();
    let reply = server.send(typed).await;
    let etag = format!("\"{}\"", FOO.hex());
    assert_eq!((reply.status, reply.headers["etag"].to_str().unwrap()), (StatusCode::OK, &*etag));
    server.follow(&put, "foobar").await.refused(413, "too_large");
    assert_eq!(objects.size("staged").await.unwrap(), Some(3));

    let upload = objects.begin_loose_multipart("loose").await.unwrap();
    let mut parts = Vec::new();
    for (number, md5, body) in [(1, None, "foo"), (2, Some(BAR), "bar")] {
        let digest = md5.map(|sum| if let Checksum::Md5(digest) = sum { digest } else { unreachable!() });
        let put = objects.presign_loose_part("loose", &upload, number, digest, 60).unwrap();
        let reply = server.follow(&put, body).await;
        parts.push((number, reply.headers["etag"].to_str().unwrap().to_owned()));
    }
    objects.complete_multipart("loose", &upload, &parts).await.unwrap();
    objects.rename("loose", "final").await.unwrap();
    let get = objects.presign_get("final", 60, &GetAs::default()).unwrap();
    assert_eq!(server.follow(&get, "").await.text(), "foobar");
}

#[tokio::test]
async fn a_server_restarted_on_its_folder_honours_the_addresses_it_signed() {
    let folder = tempfile::tempdir().unwrap();
    let put = {
        let engine = open(folder.path(), None).await.unwrap();
        engine.objects.presign_put("a", 3, FOO, 60).unwrap()
    };
    let engine = open(folder.path(), None).await.unwrap();
    let path = put.url.strip_prefix("http://runyard.test").unwrap();
    let headers = request(&put).body(()).unwrap().headers().clone();
    engine.objects.verify_signed("PUT", path, &headers).unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let stranger = open(stranger.path(), None).await.unwrap();
    assert!(stranger.objects.verify_signed("PUT", path, &headers).is_err());
}

#[tokio::test]
async fn a_server_starts_while_its_object_store_is_away() {
    // Nobody listens on a port that was just given back.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), Some(&format!("s3://models?endpoint=http://127.0.0.1:{port}"))).await;
    let error: engine::Error = engine.unwrap().objects.size("a").await.unwrap_err().into();
    assert!(matches!(&error, engine::Error::Busy(_)), "what needs files is told to come again: {error}");
}

#[tokio::test]
async fn a_server_does_not_start_on_a_bucket_that_does_not_exist() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let store = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = store.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = store.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = socket.read(&mut head).await.unwrap();
        let body = "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>";
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let error =
        open(folder.path(), Some(&format!("s3://modles?endpoint=http://{address}"))).await.err().unwrap();
    assert!(error.to_string().contains("the bucket `modles` does not exist"), "{error}");
    answering.await.unwrap();
}

async fn open(data: &std::path::Path, objects: Option<&str>) -> engine::Result<engine::Engine> {
    let account = runyard_objects::Credentials {
        access_key: "me".into(),
        secret_key: "s3cret".into(),
        ..runyard_objects::Credentials::default()
    };
    engine::open(engine::OpenOptions {
        data: data.to_owned(),
        database: None,
        objects: objects.map(|text| runyard_objects::Location::parse(text, account).unwrap()),
        runner: "/bin/true".into(),
        cpu_milli: None,
        memory_bytes: None,
        allow_network_filesystem: false,
        max_log_bytes: engine::log::DEFAULT_MAX_BYTES,
        instance_types: Vec::new(),
        containers: None,
        keep: runyard_engine::garbage::gc::Keep::default(),
        url: std::sync::Arc::new("http://runyard.test".to_owned().into()),
    })
    .await
}
