//! The object store's address space and its odd requests; what its real client does is in `tests/pai`.

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::stream;
use hmac::{Hmac, KeyInit, Mac};
use runyard_domain::bucket::check_name;
use runyard_engine::{
    self as engine, Actor,
    oss::{
        channel::sign_get,
        multipart::{self, Upload},
        put::{NewObject, put},
        read::find,
    },
};
use sha1::Sha1;

use super::{Reply, Server};

/// An account of the object store.
struct Account {
    id: String,
    secret: String,
}

impl Server {
    async fn account(&self) -> Account {
        let new = engine::token::NewToken {
            name: "oss".into(),
            scope: "admin".into(),
            access_key: true,
            ..engine::token::NewToken::default()
        };
        let (token, secret) = engine::token::create(&self.engine, &self.actor().await, new).await.unwrap();
        Account { id: token.access_key.unwrap().id, secret }
    }

    async fn actor(&self) -> Actor {
        engine::token::authenticate(&self.engine, &self.admin).await.unwrap()
    }

    /// A request signed as OSS has it; `resource` is what is signed of the address.
    async fn by_oss(
        &self,
        account: &Account,
        (method, uri, resource): (&str, &str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let now = http_now();
        let named =
            |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value);
        let own = headers.iter().filter(|(name, _)| name.starts_with("x-oss-"));
        let own: Vec<String> = own.map(|(name, value)| format!("{name}:{value}\n")).collect();
        let own = own.concat();
        let text =
            format!("{method}\n{}\n{}\n{now}\n{own}{resource}", named("content-md5"), named("content-type"));
        let mut mac = <Hmac<Sha1>>::new_from_slice(account.secret.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("date", now)
            .header("authorization", format!("OSS {}:{signature}", account.id));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(body.into()).unwrap()).await
    }
}

fn http_now() -> String {
    let now = jiff::Timestamp::now();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap()
}

impl Reply {
    /// A refusal with this word in its XML.
    #[track_caller]
    fn oss(&self, status: u16, code: &str) -> String {
        let text = self.text();
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert!(text.contains(&format!("<Code>{code}</Code>")), "{text}");
        assert_eq!(self.headers["content-type"], "application/xml");
        let id = self.headers["x-oss-request-id"].to_str().unwrap();
        assert!(text.contains(&format!("<RequestId>{id}</RequestId>")), "{text}");
        text
    }
}

#[tokio::test]
async fn no_bucket_is_in_the_way_of_an_address_of_ours() {
    let server = Server::start().await;
    let ours = server.call("GET", "/api/v2/openapi.json", None).await.json();
    let others =
        ["/objects/x", "/oss-objects/x", "/api/v1/x", "/auth/client/v2/chariot/login", "/worker-process/1"];
    let paths: Vec<String> = ours["paths"].as_object().unwrap().keys().cloned().collect();
    for path in paths.iter().map(String::as_str).chain(others) {
        let first = path.trim_start_matches('/').split('/').next().unwrap();
        assert!(check_name(first).is_err(), "a bucket could be called `{first}`, and {path} is ours");
    }
    // Who is not signed as OSS has it asks us, whatever the path.
    for path in ["/data/key", "/data/"] {
        let refused = server.call("GET", path, None).await.refused(404, "not_found");
        assert!(refused.error.contains("there is nothing at"), "{}", refused.error);
    }
}

#[tokio::test]
async fn a_key_may_look_like_any_address() {
    let server = Server::start().await;
    let account = server.account().await;
    for (uri, resource, key) in [
        ("/data/pai%2Fcode%2Fmain.py", "/data/pai/code/main.py", "pai/code/main.py"),
        ("/data/api/v2/runs", "/data/api/v2/runs", "api/v2/runs"),
        ("/data/a%252Fb", "/data/a%2Fb", "a%2Fb"),
    ] {
        let stored = server.by_oss(&account, ("PUT", uri, resource), &[], "text").await;
        assert_eq!(stored.status, 200, "{}", stored.text());
        assert!(find(&server.engine, &server.actor().await, "data", key).await.is_ok(), "{key}");
    }
    let bad = server.by_oss(&account, ("GET", "/data/%ff", "/data/\u{fffd}"), &[], "").await;
    // The SDK signs the decoded key, so that what is no text has no right signature.
    bad.oss(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_body_is_taken_in_chunks_and_refused_when_it_says_that_it_is_too_large() {
    let server = Server::start().await;
    let account = server.account().await;
    let chunks = ["one ", "", "two"].map(|text| Ok::<_, std::io::Error>(Bytes::from(text)));
    let body = Body::from_stream(stream::iter(chunks));
    let stored = server.by_oss(&account, ("PUT", "/data/k", "/data/k"), &[], body).await;
    assert_eq!((stored.status.as_u16(), &stored.headers["etag"]), (200, &etag("one two")));
    let large = [("content-length", "5368709121")];
    let refused = server.by_oss(&account, ("PUT", "/data/k", "/data/k"), &large, "").await;
    let said = refused.oss(400, "EntityTooLarge");
    assert!(said.contains("more in parts"), "{said}");
    let broken = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(stream::iter(broken));
    let refused = server.by_oss(&account, ("PUT", "/data/k", "/data/k"), &[], body).await;
    refused.oss(503, "ServiceUnavailable");
    let kept = server.by_oss(&account, ("GET", "/data/k", "/data/k"), &[], "").await;
    assert_eq!(kept.text(), "one two");
}

fn etag(text: &str) -> axum::http::HeaderValue {
    use std::fmt::Write as _;
    let md5 = runyard_objects::md5([text]);
    let hex = md5.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02X}");
        hex
    });
    format!("\"{hex}\"").parse().unwrap()
}

#[tokio::test]
async fn bodies_that_are_no_such_document_are_refused() {
    let server = Server::start().await;
    let account = server.account().await;
    server.by_oss(&account, ("PUT", "/data/k", "/data/k"), &[], "text").await;
    for (body, words) in [
        ("", "not one whole element"),
        ("{}", "not one whole element"),
        ("<Delete><Object><Key>k</Key></Object>", "the body"),
        ("<Delete></Delete>", "no key is named"),
        ("<!DOCTYPE d [<!ENTITY e \"k\">]><Delete><Object><Key>&e;</Key></Object></Delete>", "document type"),
        ("<Delete><Object><Key>k</Key><VersionId>1</VersionId></Object></Delete>", "no versions"),
    ] {
        let refused = server.by_oss(&account, ("POST", "/data/?delete", "/data/?delete"), &[], body).await;
        let said = refused.oss(400, "MalformedXML");
        assert!(said.contains(words), "{said}");
    }
    let many: Vec<String> = (0..1001).map(|at| format!("<Object><Key>{at}</Key></Object>")).collect();
    let many = many.concat();
    let many = format!("<Delete>{many}</Delete>");
    server
        .by_oss(&account, ("POST", "/data/?delete", "/data/?delete"), &[], many)
        .await
        .oss(400, "MalformedXML");
    let wrong = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let one = "<Delete><Object><Key>k</Key></Object></Delete>";
    server
        .by_oss(&account, ("POST", "/data/?delete", "/data/?delete"), &wrong, one)
        .await
        .oss(400, "InvalidDigest");
    assert!(find(&server.engine, &server.actor().await, "data", "k").await.is_ok(), "nothing was deleted");
    for body in [
        "<CompleteMultipartUpload/>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
    ] {
        let asked = ("POST", "/data/k?uploadId=u", "/data/k?uploadId=u");
        server.by_oss(&account, asked, &[], body).await.oss(400, "MalformedXML");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_the_words_of_oss() {
    let server = Server::start().await;
    let account = server.account().await;
    server.by_oss(&account, ("PUT", "/data/k", "/data/k"), &[], "text").await;
    for (asked, status, code) in [
        (("PATCH", "/data/k", "/data/k"), 405, "MethodNotAllowed"),
        (("POST", "/data/k", "/data/k"), 405, "MethodNotAllowed"),
        (("PUT", "/", "/"), 405, "MethodNotAllowed"),
        (("PUT", "/data/k?uploadId=u", "/data/k?uploadId=u"), 400, "InvalidArgument"),
        (("PUT", "/data/k?partNumber=1&uploadId=u", "/data/k?partNumber=1&uploadId=u"), 404, "NoSuchUpload"),
        (("GET", "/data/?list-type=3", "/data/"), 400, "InvalidArgument"),
        (("GET", "/data/?encoding-type=rot13", "/data/"), 400, "InvalidArgument"),
        (("GET", "/data/?max-keys=many", "/data/"), 400, "InvalidArgument"),
        (("GET", "/data/?uploads&delimiter=%2F", "/data/?uploads"), 400, "NotImplemented"),
        (("GET", "/data/?prefix=%00", "/data/"), 400, "InvalidArgument"),
        (("GET", "/nothing/?uploads", "/nothing/?uploads"), 404, "NoSuchBucket"),
    ] {
        server.by_oss(&account, asked, &[], "").await.oss(status, code);
    }
    let copy = [("x-oss-copy-source", "nonsense")];
    server.by_oss(&account, ("PUT", "/data/c", "/data/c"), &copy, "").await.oss(400, "InvalidArgument");
    let head = server.by_oss(&account, ("HEAD", "/data/none", "/data/none"), &[], "").await;
    let said = String::from_utf8(STANDARD.decode(head.headers["x-oss-err"].as_bytes()).unwrap()).unwrap();
    assert!(head.status == 404 && said.contains("<Code>NoSuchKey</Code>"), "{said}");
}

#[tokio::test]
async fn an_object_in_parts_is_read_by_one_signed_address() {
    let server = Server::start().await;
    let (engine, actor) = (&server.engine, server.actor().await);
    let new = NewObject { bucket: "data".into(), key: "k".into(), ..NewObject::default() };
    let begun = multipart::begin(engine, &actor, new).await.unwrap();
    let upload = Upload { bucket: "data".into(), key: "k".into(), id: begun.id.to_string() };
    for (number, text) in [(1, "one "), (2, "two")] {
        let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
        multipart::put_part(engine, &actor, &upload, number, None, bytes).await.unwrap();
    }
    let object = multipart::complete(engine, &actor, &upload, None, false).await.unwrap();
    let address = sign_get(engine, &object, 60).await.unwrap();
    let path = address.url.strip_prefix("http://runyard.test").unwrap().to_owned();
    let ask = async |path: &str, range: Option<&str>| {
        let request = Request::builder().uri(path);
        let request = range.iter().fold(request, |request, range| request.header("range", *range));
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let whole = ask(&path, None).await;
    assert_eq!((whole.status.as_u16(), whole.text().as_str()), (200, "one two"));
    assert_eq!(whole.headers["content-type"], "application/octet-stream");
    let some = ask(&path, Some("bytes=2-5")).await;
    assert_eq!((some.status.as_u16(), some.text().as_str()), (206, "e tw"));
    assert_eq!(some.headers["content-range"], "bytes 2-5/7");
    ask(&path, Some("bytes=7-")).await.refused(416, "InvalidRange");
    ask(&path.replace("signature=", "signature=00"), None).await.refused(403, "forbidden");
    ask(&path.replace("expires=", "expires=1"), None).await.refused(403, "forbidden");
    let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from("new"))]);
    let new = NewObject { bucket: "data".into(), key: "k".into(), ..NewObject::default() };
    put(engine, &actor, new, bytes).await.unwrap();
    ask(&path, None).await.refused(404, "not_found");
}
