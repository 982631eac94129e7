//! Publishing by each of the three protocols, request by request as the packages send them.

use axum::{body::Body, http::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{super::Reply, Archive, HELLO, RENAMED, Site, WORLD, text};

#[tokio::test]
async fn a_worker_run_is_a_run_with_its_config_and_its_model_version() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let attributes = json!({"tag": "v1", "configuration": {"a": 1, "b": 1}});
    let version = site.published(&model, &HELLO, attributes).await;
    let run = json!({"name": "Train digits", "version": "2.0", "spec": {"command": ["true"]},
        "config": {"model_version": "digits@v1", "b": 2}});
    let run = text(&site.server.post("/api/v2/runs", run).await["id"]);
    let shown = site.ok("RetrieveWorkerRun", &run, None).await;
    assert_eq!(shown["summary"], "Worker Train digits @ 2.0");
    assert_eq!(shown["process"]["id"], json!(run));
    assert_eq!(shown["process"]["mode"], "workers");
    assert_eq!(shown["process"]["corpus"], Value::Null);
    assert_eq!(shown["process"]["skip_elements_json"], false);
    assert_eq!(shown["worker_version"]["worker"]["slug"], "train-digits");
    assert_eq!(shown["configuration"]["configuration"], json!({"model_version": "digits@v1", "b": 2}));
    assert_eq!(shown["model_version"]["id"], version["id"]);
    assert_eq!(shown["model_version"]["model"], json!({"id": model, "name": "digits"}));
    let merged = site.ok("RetrieveWorkerRunConfiguration", &run, None).await;
    let mut values: Vec<(String, Value)> = merged["configuration"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(&item["key"]), item["value"].clone()))
        .collect();
    values.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("a", json!(1)), ("b", json!(2)), ("model_version", json!("digits@v1"))];
    assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value)));
    for operation in ["RetrieveTask", "RetrieveTaskFromAgent"] {
        let task = site.ok(operation, &run, None).await;
        assert_eq!(task["parents"], json!([]));
    }
    // By id, and without any.
    for (named, expected) in [(version["id"].clone(), version["id"].clone()), (json!(7), Value::Null)] {
        let run = json!({"name": "r", "spec": {"command": ["true"]}, "config": {"model_version": named}});
        let run = text(&site.server.post("/api/v2/runs", run).await["id"]);
        let shown = site.ok("RetrieveWorkerRun", &run, None).await;
        assert_eq!(shown["model_version"].get("id").cloned().unwrap_or_default(), expected);
    }
}

#[tokio::test]
async fn a_version_is_begun_sent_and_validated() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    for (operation, archive) in [("PartialUpdateModelVersion", &HELLO), ("ValidateModelVersion", &WORLD)] {
        let attributes = json!({"tag": operation, "description": "d", "configuration": {"a": 1}});
        let begun = site.ok("CreateModelVersion", &model, attributes).await;
        let id = text(&begun["id"]);
        assert_eq!((&begun["state"], &begun["model_id"]), (&json!("created"), &json!(model)));
        assert_eq!((&begun["s3_url"], &begun["hash"]), (&Value::Null, &Value::Null));
        assert_eq!(site.put(&begun["s3_put_url"], archive.bytes()).await.status, 200);
        // Whoever comes back later gets an address too.
        let again = site.ok("RetrieveModelVersion", &id, None).await;
        assert!(again["s3_put_url"].is_string(), "{again}");
        let body = if operation == "ValidateModelVersion" { archive.said() } else { archive.available() };
        let done = site.ok(operation, &id, body.clone()).await;
        assert_eq!((&done["state"], &done["hash"]), (&json!("available"), &json!(archive.content_md5)));
        assert_eq!((&done["archive_hash"], &done["size"]), (&json!(archive.md5), &json!(346)));
        assert_eq!(done["s3_put_url"], Value::Null);
        // A client whose answer was lost says it again.
        let repeated = site.ok(operation, &id, body).await;
        assert_eq!((&repeated["id"], &repeated["state"]), (&done["id"], &json!("available")));
        let read = site.server.call("GET", &Site::path(&repeated["s3_url"]), None).await;
        assert_eq!((read.status.as_u16(), read.body), (200, archive.bytes()));
    }
    let versions = site.ok("ListModelVersions", &model, None).await;
    assert_eq!((&versions["count"], &versions["next"]), (&json!(2), &Value::Null));
    assert_eq!(versions["results"][0]["tag"], "ValidateModelVersion", "the newest comes first");
    let models = site.ok("ListModels", "", None).await;
    assert_eq!((&models["count"], &models["number"]), (&json!(1), &json!(1)));
    assert_eq!(site.ok("RetrieveModel", &model, None).await["name"], "digits");
}

#[tokio::test]
async fn the_same_content_again_ends_as_one_version_and_no_loss() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let first = site.published(&model, &HELLO, json!({"tag": "v1", "configuration": {"a": 1}})).await;
    for operation in ["PartialUpdateModelVersion", "ValidateModelVersion"] {
        let begun =
            site.ok("CreateModelVersion", &model, json!({"tag": operation, "configuration": {}})).await;
        let pending = text(&begun["id"]);
        site.put(&begun["s3_put_url"], HELLO.bytes()).await;
        for _retry in 0..2 {
            let body = if operation == "ValidateModelVersion" { HELLO.said() } else { HELLO.available() };
            let conflict = site.refused(operation, &pending, body, 409).await;
            if operation == "ValidateModelVersion" {
                assert_eq!((&conflict["id"], &conflict["state"]), (&first["id"], &json!("available")));
            } else {
                assert_eq!(conflict, json!({"id": [first["id"]]}));
            }
        }
        site.ok("DestroyModelVersion", &pending, None).await;
        // As the worker does: what was asked for goes to the version that there is.
        let attributes = json!({"tag": operation, "description": "new", "configuration": {}});
        let updated = site.ok("UpdateModelVersion", &text(&first["id"]), attributes).await;
        assert_eq!((&updated["tag"], &updated["description"]), (&json!(operation), &json!("new")));
        assert_eq!(updated["configuration"], json!({}));
        let there = site.ok("RetrieveModelVersion", &text(&first["id"]), None).await;
        assert_eq!((&there["id"], &there["state"]), (&first["id"], &json!("available")));
        assert_eq!(site.ok("ListModelVersions", &model, None).await["count"], 1);
        site.refused("RetrieveModelVersion", &pending, None, 404).await;
    }
}

#[tokio::test]
async fn parts_of_any_size_become_an_archive() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let attributes = json!({"size": 346, "archive_hash": HELLO.md5, "tag": "v1", "configuration": {}});
    let begun = site.ok("CreateModelVersion", &model, attributes).await;
    assert_eq!((&begun["size"], &begun["archive_hash"]), (&json!(346), &json!(HELLO.md5)));
    let completed = site.in_parts(&text(&begun["id"]), &HELLO, 200).await;
    assert_eq!((&completed["id"], &completed["state"]), (&begun["id"], &json!("available")));
    assert_eq!(completed["hash"], json!(HELLO.content_md5));
    // The same content again: one version, and no error.
    let attributes = json!({"size": 346, "archive_hash": HELLO.md5, "tag": "v2", "configuration": {}});
    let again = site.ok("CreateModelVersion", &model, attributes).await;
    let found = site.in_parts(&text(&again["id"]), &HELLO, 346).await;
    assert_eq!(found["id"], begun["id"]);
    assert_eq!(site.ok("ListModelVersions", &model, None).await["count"], 1);
}

#[tokio::test]
async fn other_names_of_the_same_contents_are_another_version_but_for_who_tells_contents_apart_by_their_md5()
{
    let site = Site::start().await;
    let model = site.model("digits").await;
    let first = site.published(&model, &HELLO, json!({})).await;
    // Older workers say the MD5 of the contents, and expect to be told of another version that has it.
    let begun = site.ok("CreateModelVersion", &model, json!({})).await;
    site.put(&begun["s3_put_url"], RENAMED.bytes()).await;
    let pending = text(&begun["id"]);
    let conflict = site.refused("PartialUpdateModelVersion", &pending, RENAMED.available(), 409).await;
    assert_eq!(conflict, json!({"id": [first["id"]]}));
    // The command line does not say it, and newer workers do not: what they published would be lost.
    let mut said = RENAMED.available();
    said.as_object_mut().unwrap().remove("hash");
    let other = site.ok("PartialUpdateModelVersion", &pending, said).await;
    assert_eq!((&other["state"], &other["hash"]), (&json!("available"), &json!(HELLO.content_md5)));
    site.ok("DestroyModelVersion", &pending, None).await;
    let attributes = json!({"size": RENAMED.bytes().len(), "archive_hash": RENAMED.md5});
    let begun = site.ok("CreateModelVersion", &model, attributes).await;
    let completed = site.in_parts(&text(&begun["id"]), &RENAMED, RENAMED.bytes().len()).await;
    assert_eq!(completed["id"], begun["id"]);
    assert_eq!(site.ok("ListModelVersions", &model, None).await["count"], 2);
}

#[tokio::test]
async fn an_upload_that_is_given_up_may_be_begun_again() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let begun = site.ok("CreateModelVersion", &model, json!({"size": 346, "archive_hash": HELLO.md5})).await;
    let object = json!({"object_type": "model_version", "object_id": begun["id"]});
    let upload = site.ok("CreateMultipartUpload", "", object.clone()).await;
    let named = merged(&object, &upload);
    for _repeat in 0..2 {
        site.ok("AbortMultipartUpload", "", named.clone()).await;
    }
    let completed = site.in_parts(&text(&begun["id"]), &HELLO, 100).await;
    assert_eq!(completed["state"], "available");
}

#[tokio::test]
async fn finetuning_keeps_the_parent() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let parent = site.published(&model, &HELLO, json!({})).await;
    let child = site.published(&model, &WORLD, json!({"parent": parent["id"]})).await;
    assert_eq!(child["parent"], parent["id"]);
    // A training that changes nothing finds the version that it began with, and says that again: no version comes from
    // itself, or from its own child.
    for younger in [&parent, &child] {
        let updated = json!({"parent": younger["id"], "configuration": {}});
        let updated = site.ok("UpdateModelVersion", &text(&parent["id"]), updated).await;
        assert_eq!(updated["parent"], Value::Null);
    }
}

#[tokio::test]
async fn pages_have_all_that_every_client_needs() {
    let site = Site::start().await;
    let mut models = Vec::new();
    for number in 0..3 {
        models.push(site.model(&format!("m{number}")).await);
    }
    let list = async |query: &str| {
        let path = format!("/api/v1/models/?{query}");
        let request = Request::get(path)
            .header("host", "ark.test:81")
            .header("x-forwarded-proto", "https")
            .header("authorization", format!("Token {}", site.server.admin));
        let reply = site.server.send(request.body(Body::empty()).unwrap()).await;
        site.judge.check("ListModels", &reply);
        reply.json()
    };
    let page = list("page_size=2&with_count=true").await;
    assert_eq!((&page["count"], &page["number"], &page["previous"]), (&json!(3), &json!(1), &Value::Null));
    assert_eq!(page["next"], "https://ark.test:81/api/v1/models/?page_size=2&with_count=true&page=2");
    let last = list("page_size=2&page=2").await;
    assert_eq!((last["results"].as_array().unwrap().len(), &last["next"]), (1, &Value::Null));
    assert_eq!(last["previous"], "https://ark.test:81/api/v1/models/?page_size=2&page=1");
    let none = list("name=nobody").await;
    assert_eq!((&none["count"], &none["results"]), (&json!(0), &json!([])));
    assert!(text(&list("page=7").await["detail"]).contains("no page 7"));
    for _ in 0..3 {
        site.ok("CreateModelVersion", &models[0], json!({})).await;
    }
    let mut seen = Vec::new();
    let mut path = format!("/api/v1/model/{}/versions/?page_size=2", models[0]);
    loop {
        let reply = site.server.call("GET", &path, None).await;
        site.judge.check("ListModelVersions", &reply);
        let page = reply.json();
        assert_eq!(page["count"], 3);
        seen.extend(page["results"].as_array().unwrap().iter().map(|version| text(&version["id"])));
        let Some(next) = page["next"].as_str() else { break };
        path = next[next.find("/api/").unwrap()..].to_owned();
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    sorted.reverse();
    assert_eq!((seen.len(), &seen), (3, &sorted));
}

impl Site {
    /// Sends an archive in parts of so many bytes, and completes it, twice: an answer may be lost.
    async fn in_parts(&self, version: &str, archive: &Archive, each: usize) -> Value {
        let (body, reply) = self.sent_in_parts(version, archive, each).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let repeated = self.ok("CompleteMultipartUpload", "", body).await;
        assert_eq!(repeated["id"], reply.json()["id"]);
        reply.json()
    }

    /// Sends an archive in parts of so many bytes; answers what the end of it was asked with, and its answer.
    pub(super) async fn sent_in_parts(
        &self,
        version: &str,
        archive: &Archive,
        each: usize,
    ) -> (Value, Reply) {
        let object =
            json!({"object_type": "model_version", "object_id": version, "checksum_algorithm": null});
        let upload = self.ok("CreateMultipartUpload", "", object.clone()).await;
        let object = merged(&object, &upload);
        let mut parts = Vec::new();
        for (index, bytes) in archive.bytes().chunks(each).enumerate() {
            let whole = bytes.len() == archive.bytes().len();
            let sum = whole.then(|| STANDARD.encode(unhex(archive.md5)));
            let part = json!({"part_number": index + 1, "checksum": null, "md5_hash": sum});
            let address = self.ok("CreateMultipartUploadPart", "", merged(&object, &part)).await;
            let request = Request::put(Self::path(&address["url"])).header("content-length", bytes.len());
            let request = match &sum {
                Some(sum) => request.header("content-md5", sum),
                None => request,
            };
            let sent = self.server.send(request.body(Body::from(bytes.to_vec())).unwrap()).await;
            assert_eq!(sent.status, 200, "{}", sent.text());
            parts.push(merged(&part, &json!({"etag": sent.headers["etag"].to_str().unwrap()})));
        }
        let body = merged(&object, &json!({"parts": parts}));
        let reply = self.call("CompleteMultipartUpload", "", body.clone()).await;
        (body, reply)
    }

    pub(super) fn path(address: &Value) -> String {
        text(address).strip_prefix("http://ark.test:81").expect("an address for this client").to_owned()
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut both = one.as_object().unwrap().clone();
    both.extend(other.as_object().unwrap().clone());
    both.into()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
