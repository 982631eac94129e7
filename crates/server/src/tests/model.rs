//! Models over HTTP, the way a publisher and a person use them: bytes go by the signed addresses.

use axum::{body::Body, http::Request};
use runyard_objects::{Checksum, ChecksumKind};
use serde_json::{Value, json};

use super::{Reply, Server};

/// An archive of `a.txt`, which is `hello`; its SHA-256, and its tree digest.
const ARCHIVE: &str = "28b52ffd6400074502007402612e747874003030303036343430303030303035003636363100307573746172202068656c6c6f\
    0c0007c10fdc7943293c470134031768c64cbd18800600a6018e95cbec048a5a444e91";
const SHA256: &str = "5003ebc0223e17ada2bc9ea69a3e1fd82d8b34de88ebcc64382fb6863b812762";
const TREE: &str = "35e69e0d98481da5a0cf3c863c70a180290f2a757d289ae047fdbbe7884aa07c";

fn archive() -> Vec<u8> {
    let digits = ARCHIVE.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn part() -> Value {
    json!({"number": 1, "size": archive().len(), "sha256": SHA256})
}

/// What is said when everything was sent.
fn complete(etag: &str) -> Value {
    let mut sent = part();
    sent["etag"] = json!(etag);
    json!({"parts": [sent], "archive_size": archive().len(), "archive_sha256": SHA256, "tree_digest": TREE})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

impl Server {
    async fn put(&self, put: &Value, bytes: Vec<u8>) -> Reply {
        let url = text(&put["url"]);
        assert!(url.starts_with("/objects/"), "a path of this server, whatever its name: {url}");
        let mut request = Request::builder().method(text(&put["method"])).uri(url);
        for header in put["headers"].as_array().unwrap() {
            request = request.header(text(&header[0]), text(&header[1]));
        }
        self.send(request.body(Body::from(bytes)).unwrap()).await
    }

    async fn begin(&self, model: &str, more: Value) -> Value {
        let mut new = json!({"size": 5, "files": 1});
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post(&format!("/api/v2/models/{model}/versions"), new).await
    }

    /// Sends the archive of a version that was begun, and completes it.
    async fn publish(&self, begun: &Value) -> Value {
        let path = format!("/api/v2/model_versions/{}", text(&begun["version"]["id"]));
        let puts = self.post(&format!("{path}/parts"), json!({"parts": [part()]})).await;
        let sent = self.put(&puts[0]["put"], archive()).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let etag = sent.headers["etag"].to_str().unwrap();
        self.post(&format!("{path}/complete"), complete(etag)).await
    }
}

#[tokio::test]
async fn a_version_is_published_found_read_changed_and_deleted() {
    let server = Server::start().await;
    let model = server.post("/api/v2/models", json!({"name": "digits", "description": "of the tests"})).await;
    let run = server.submit("n").await;
    let begun = server.begin("digits", json!({"tag": "v1", "run_id": run, "config": {"k": [1]}})).await;
    assert_eq!((&begun["existing"], &begun["part_size"]), (&json!(false), &json!(16 << 20)));
    let done = server.publish(&begun).await;
    let version = &done["version"];
    assert_eq!((&version["state"], &version["tag"]), (&json!("available"), &json!("v1")));
    assert_eq!((&version["size"], &version["files"]), (&json!(5), &json!(1)));
    assert_eq!((&version["run_id"], &version["config"]), (&json!(run), &json!({"k": [1]})));
    assert_eq!((&version["model"], &version["model_id"]), (&json!("digits"), &model["id"]));
    assert!(done.get("part_size").is_none(), "nothing is to be sent: {done}");
    let path = format!("/api/v2/model_versions/{}", text(&version["id"]));
    assert_eq!(server.get(&path).await, *version);
    assert_eq!(server.get(&format!("/api/v2/models/{}", text(&model["id"]))).await["versions"], 1);

    for query in [
        format!("run_id={run}"),
        format!("model=digits&tag=v1&state=available&tree_digest={TREE}"),
        "size=5&files=1&project_id=default&limit=1&sort=id:asc".to_owned(),
        format!("model_id={}&content_md5=5d41402abc4b2a76b9719d911017c592", text(&model["id"])),
    ] {
        assert_eq!(server.get(&format!("/api/v2/model_versions?{query}")).await, json!([version]), "{query}");
    }
    for query in ["size=6", "files=2", "tag=v2", "state=created,error", "model=letters", "created_before=5"] {
        assert_eq!(server.get(&format!("/api/v2/model_versions?{query}")).await, json!([]), "{query}");
    }
    let selected = server.get("/api/v2/model_versions?select=id,tag").await;
    assert_eq!(selected, json!([{"id": version["id"], "tag": "v1"}]));

    let files = server.get(&format!("{path}/files")).await;
    assert_eq!(
        (&files[0]["path"], &files[0]["kind"], &files[0]["size"]),
        (&json!("a.txt"), &json!("file"), &json!(5))
    );
    let reply = server.call("GET", &format!("{path}/archive"), None).await;
    assert_eq!(reply.status, 302);
    let request = Request::get(reply.headers["location"].to_str().unwrap()).header("range", "bytes=0-3");
    let start = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((start.status.as_u16(), &start.body[..]), (206, &archive()[..4]));
    assert_eq!(start.headers["content-type"], "application/zstd");

    let again = server.begin("digits", json!({"tree_digest": TREE})).await;
    assert_eq!((&again["existing"], &again["version"]["id"]), (&json!(true), &version["id"]));
    assert!(again.get("part_size").is_none(), "nothing need be sent: {again}");
    let patched = server.call("PATCH", &path, json!({"tag": "", "description": "d"})).await.data();
    assert!(patched.get("tag").is_none() && patched["description"] == "d", "{patched}");
    let renamed = server.call("PATCH", "/api/v2/models/digits", json!({"name": "numbers"})).await.data();
    assert_eq!((&renamed["id"], &renamed["name"]), (&model["id"], &json!("numbers")));

    let deleted = server.call("DELETE", &path, None).await.data();
    assert_eq!((&deleted["id"], &deleted["freed_bytes"]), (&version["id"], &json!(archive().len())));
    server.call("GET", &path, None).await.refused(404, "not_found");
    server.publish(&server.begin("numbers", json!({})).await).await;
    let deleted = server.call("DELETE", "/api/v2/models/numbers", None).await.data();
    assert_eq!((&deleted["id"], &deleted["freed_bytes"]), (&model["id"], &json!(archive().len())));
    assert_eq!(server.get("/api/v2/models").await, json!([]));
}

#[tokio::test]
async fn an_address_binds_its_bytes_and_expires_and_a_new_one_is_had_for_the_asking() {
    let server = Server::start().await;
    server.post("/api/v2/models", json!({"name": "digits"})).await;
    let begun = server.begin("digits", json!({"source_key": "job:1"})).await;
    let id = text(&begun["version"]["id"]).to_owned();
    let path = format!("/api/v2/model_versions/{id}");
    let put = server.post(&format!("{path}/parts"), json!({"parts": [part()]})).await[0]["put"].clone();
    let mut other = archive();
    other[40] ^= 1;
    assert!(server.put(&put, other).await.status.is_client_error(), "other bytes");
    assert!(
        server.put(&put, archive()[..50].to_vec()).await.status.is_client_error(),
        "an upload that stops half way"
    );
    let unsent = server.call("POST", &format!("{path}/complete"), complete("\"x\"")).await;
    unsent.refused(409, "invalid_part");

    let version = runyard_engine::model::version(
        &server.engine,
        &runyard_engine::token::authenticate(&server.engine, &server.admin).await.unwrap(),
        id.parse().unwrap(),
    )
    .await
    .unwrap();
    let checksum = Checksum::from_hex(ChecksumKind::Sha256, SHA256).unwrap();
    let (key, upload) = (&version.object_key, version.upload.as_deref().unwrap());
    let size = archive().len() as u64;
    let old = server.engine.objects.presign_part(key, upload, 1, size, checksum, 0).unwrap();
    let old = json!({"url": old.url.strip_prefix("http://runyard.test").unwrap(), "method": "PUT", "headers": old.headers});
    let expired = server.put(&old, archive()).await;
    let said = expired.refused(403, "forbidden").error;
    assert!(said.contains("expired"), "{said}");

    let again = server.begin("digits", json!({"source_key": "job:1"})).await;
    assert_eq!(again["version"]["id"], json!(id), "the interrupted publish is repeated");
    let done = server.publish(&again).await;
    assert_eq!(done["version"]["state"], "available");
    server.call("POST", &format!("{path}/parts"), json!({"parts": [part()]})).await.refused(409, "available");
}

#[tokio::test]
async fn what_differs_from_what_was_said_is_told_and_the_version_fails() {
    let server = Server::start().await;
    server.post("/api/v2/models", json!({"name": "digits"})).await;
    let begun = server.begin("digits", json!({})).await;
    let path = format!("/api/v2/model_versions/{}", text(&begun["version"]["id"]));
    let put = server.post(&format!("{path}/parts"), json!({"parts": [part()]})).await[0]["put"].clone();
    let etag = server.put(&put, archive()).await.headers["etag"].to_str().unwrap().to_owned();
    let mut said = complete(&etag);
    said["tree_digest"] = json!("0".repeat(64));
    let refused =
        server.call("POST", &format!("{path}/complete"), said.clone()).await.refused(409, "archive_differs");
    assert!(refused.error.contains(&format!("its tree digest is {TREE}, and 000")), "{}", refused.error);
    let failed = server.get(&path).await;
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("error"), &json!(refused.error)));
    server.call("POST", &format!("{path}/complete"), said).await.refused(409, "failed");
    let unread = server.call("GET", &format!("{path}/archive"), None).await.refused(409, "not_available");
    assert!(unread.error.contains("never became available"), "{}", unread.error);
}

#[tokio::test]
async fn names_tags_parents_and_parameters_are_refused_in_words() {
    let server = Server::start().await;
    server.post("/api/v2/models", json!({"name": "digits"})).await;
    server.post("/api/v2/models", json!({"name": "letters"})).await;
    let twice = server.call("POST", "/api/v2/models", json!({"name": "digits"})).await.refused(409, "exists");
    assert!(twice.error.contains("`digits` already"), "{}", twice.error);
    server.call("POST", "/api/v2/models", json!({"name": "a@b", "colour": 1})).await.invalid(&["colour"]);
    server.call("POST", "/api/v2/models", json!({"name": "a@b"})).await.invalid(&["name"]);
    let done = server.publish(&server.begin("digits", json!({"tag": "v1"})).await).await;
    let versions = "/api/v2/models/letters/versions";
    let parent = json!({"size": 5, "files": 1, "parent": done["version"]["id"]});
    let refused = server.call("POST", versions, parent).await.invalid(&["parent"]);
    assert!(refused.errors.unwrap()["parent"][0].contains("is a version of model `digits`"));
    let taken = json!({"size": 5, "files": 1, "tag": "v1"});
    server.call("POST", "/api/v2/models/digits/versions", taken).await.refused(409, "tag_exists");
    let wrong = json!({"size": -1, "files": "one", "run_id": "x", "job_id": "y"});
    server.call("POST", versions, wrong).await.invalid(&["files", "size"]);
    let wrong = json!({"size": 1, "files": 1, "run_id": "x", "job_id": "y"});
    server.call("POST", versions, wrong).await.invalid(&["job_id", "run_id"]);
    server
        .call("POST", "/api/v2/models/nobody/versions", json!({"size": 1, "files": 1}))
        .await
        .refused(404, "not_found");
    let path = format!("/api/v2/model_versions/{}", text(&done["version"]["id"]));
    server
        .call("POST", &format!("{path}/parts"), json!({"parts": [{"number": 1, "size": 1}]}))
        .await
        .invalid(&["parts.0.sha256"]);
    server.call("POST", &format!("{path}/complete"), json!({"parts": []})).await.invalid(&[
        "archive_sha256",
        "archive_size",
        "tree_digest",
    ]);
    server.call("PATCH", &path, json!({"state": "error"})).await.invalid(&["state"]);
    let list = "/api/v2/model_versions?id=x&model_id=x&run_id=x&checkpoint_id=x&parent_id=x&state=maybe&select=colour&sort=size&created_after=z&id_after=x&project_id=nobody";
    let fields = [
        "checkpoint_id",
        "created_after",
        "id",
        "id_after",
        "model_id",
        "parent_id",
        "project_id",
        "run_id",
        "select",
        "sort",
        "state",
    ];
    server.call("GET", list, None).await.invalid(&fields);
    server.call("GET", "/api/v2/models?limit=1001&page=1", None).await.invalid(&["limit", "page"]);
    server.call("GET", "/api/v2/model_versions/x", None).await.refused(404, "not_found");
    let checkpoint = "/api/v2/checkpoints/01890a5d-ac96-774b-bcce-b302099a8057/model";
    server.call("POST", checkpoint, json!({"name": "digits", "version": "1"})).await.invalid(&["version"]);
    server
        .call("POST", checkpoint, json!({"name": "digits", "version": "1.0.0"}))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_token_of_another_project_sees_nothing_of_it() {
    let server = Server::start().await;
    server.post("/api/v2/models", json!({"name": "digits"})).await;
    let done = server.publish(&server.begin("digits", json!({})).await).await;
    let path = format!("/api/v2/model_versions/{}", text(&done["version"]["id"]));
    server.post("/api/v2/projects", json!({"name": "team"})).await;
    let token =
        server.post("/api/v2/tokens", json!({"name": "t", "scope": "project", "project_id": "team"})).await;
    let secret = text(&token["secret"]);
    let (get, delete) = ("GET", "DELETE");
    for (method, path) in [
        (get, path.clone()),
        (get, format!("{path}/archive")),
        (delete, path),
        (get, "/api/v2/models/digits".into()),
    ] {
        server.call_as(secret, method, &path, None).await.refused(404, "not_found");
    }
    for list in ["/api/v2/models", "/api/v2/model_versions"] {
        assert_eq!(server.call_as(secret, "GET", list, None).await.data(), json!([]));
        server.call_as("", "GET", list, None).await.refused(401, "unauthorized");
    }
    let own = server.call_as(secret, "POST", "/api/v2/models", json!({"name": "digits"})).await.data();
    assert_ne!(own["project_id"], done["version"]["project_id"]);
}
