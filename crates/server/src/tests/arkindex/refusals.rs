//! Bad input: whatever comes is refused in JSON of Django's form, in words that name the fix, and nothing is half made.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Archive, HELLO, Site, WORLD, text};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn tokens_of_people_tasks_and_everybody_are_read() {
    let site = Site::start().await;
    let secret = site.server.admin.clone();
    for scheme in ["Token", "Ponos", "Bearer", "token"] {
        let reply = site.call_as(&format!("{scheme} {secret}"), "ListModels", "", None).await;
        assert_eq!(reply.status, 200, "{scheme}");
    }
    for (authorization, words) in [
        ("", "Authorization: Token TOKEN"),
        ("Ponos ", "no token was sent"),
        ("Basic dTpw", "cannot be read"),
        ("Token wrong", "invalid"),
    ] {
        let reply = site.call_as(authorization, "ListModels", "", None).await;
        assert_eq!(reply.status, 401);
        assert!(text(&reply.json()["detail"]).contains(words), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_task_token_publishes_in_its_project_and_deletes_only_what_it_began() {
    let site = Site::start().await;
    let run = site.server.submit("trainer").await;
    let token = json!({"name": "task", "scope": "run", "run_id": run});
    let token = text(&site.server.post("/api/v2/tokens", token).await["secret"]);
    let ponos = format!("Ponos {token}");
    let model = site.model("digits").await;
    let begun = site.call_as(&ponos, "CreateModelVersion", &model, json!({"tag": "v1"})).await.json();
    site.put(&begun["s3_put_url"], HELLO.bytes()).await;
    let id = text(&begun["id"]);
    let done = site.call_as(&ponos, "PartialUpdateModelVersion", &id, HELLO.available()).await;
    assert_eq!(done.json()["state"], "available");
    let native = site.server.get(&format!("/api/v2/model_versions/{id}")).await;
    assert_eq!(native["run_id"], json!(run));
    // The same content again, by the whole protocol.
    let again = site.call_as(&ponos, "CreateModelVersion", &model, json!({"tag": "v2"})).await.json();
    site.put(&again["s3_put_url"], HELLO.bytes()).await;
    let pending = text(&again["id"]);
    let conflict = site.call_as(&ponos, "PartialUpdateModelVersion", &pending, HELLO.available()).await;
    assert_eq!(conflict.json(), json!({"id": [id]}));
    assert_eq!(site.call_as(&ponos, "DestroyModelVersion", &pending, None).await.status, 204);
    let updated = json!({"tag": "v2", "configuration": {}});
    assert_eq!(site.call_as(&ponos, "UpdateModelVersion", &id, updated).await.json()["tag"], "v2");
    let refused = site.call_as(&ponos, "DestroyModelVersion", &id, None).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    // Another project's is not there.
    site.server.post("/api/v2/projects", json!({"name": "other"})).await;
    let foreign = json!({"name": "foreign", "scope": "project", "project_id": "other"});
    let foreign = text(&site.server.post("/api/v2/tokens", foreign).await["secret"]);
    let foreign = format!("Token {foreign}");
    for (operation, id) in [
        ("RetrieveModelVersion", &id),
        ("DestroyModelVersion", &id),
        ("RetrieveModel", &model),
        ("ListModelVersions", &model),
        ("RetrieveWorkerRun", &run),
        ("RetrieveTask", &run),
    ] {
        assert_eq!(site.call_as(&foreign, operation, id, None).await.status, 404, "{operation}");
    }
    assert_eq!(site.call_as(&foreign, "ListModels", "", None).await.json()["count"], 0);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let site = Site::start().await;
    for operation in [
        "RetrieveWorkerRun",
        "RetrieveWorkerRunConfiguration",
        "RetrieveTask",
        "RetrieveSecret",
        "RetrieveModel",
        "ListModelVersions",
        "RetrieveModelVersion",
        "DestroyModelVersion",
    ] {
        for id in [NOBODY, "no-id"] {
            let refused = site.refused(operation, id, None, 404).await;
            assert!(text(&refused["detail"]).contains(id), "{operation}: {refused}");
        }
    }
    for (operation, body) in [
        ("CreateModelVersion", json!({})),
        ("UpdateModelVersion", json!({})),
        ("PartialUpdateModelVersion", json!({})),
        ("ValidateModelVersion", HELLO.said()),
    ] {
        site.refused(operation, NOBODY, body, 404).await;
    }
    let run = json!({"name": "r", "spec": {"command": ["true"]}, "config": {"model_version": "nobody@v1"}});
    let run = text(&site.server.post("/api/v2/runs", run).await["id"]);
    for operation in ["RetrieveWorkerRun", "RetrieveWorkerRunConfiguration"] {
        let refused = site.refused(operation, &run, None, 400).await;
        assert!(refused["config.model_version"][0].as_str().unwrap().contains("nobody"), "{refused}");
    }
}

#[tokio::test]
async fn every_other_path_and_method_speaks_the_same_way() {
    let site = Site::start().await;
    for (method, path, body, status) in [
        ("GET", "/api/v1/element/x/", None, 404),
        ("GET", "/api/v1/models", None, 404),
        ("GET", "/api/v1", None, 404),
        ("PUT", "/api/v1/models/", None, 405),
        ("POST", "/api/v1/models/", Some(Value::String("{".to_owned())), 400),
        ("POST", "/api/v1/models/", Some(Value::String(" ".repeat(3 << 20))), 413),
        ("GET", "/api/v1/models/?page=x", None, 400),
    ] {
        let reply = site.server.call(method, path, body).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path}: {}", reply.text());
        assert_eq!(reply.headers["content-type"], "application/json");
        assert!(reply.json().as_object().is_some_and(|body| body.len() == 1), "{}", reply.text());
    }
    let form = Request::post("/api/v1/models/")
        .header("authorization", format!("Token {}", site.server.admin))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("name=x"));
    assert_eq!(site.server.send(form.unwrap()).await.status, 415);
    // No token: nobody is told what there is.
    let anonymous = Request::get("/api/v1/no/such/").body(Body::empty()).unwrap();
    assert_eq!(site.server.send(anonymous).await.status, 401);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let site = Site::start().await;
    let (model, other) = (site.model("digits").await, site.model("letters").await);
    let foreign = site.published(&other, &HELLO, json!({})).await;
    let pending = site.ok("CreateModelVersion", &model, json!({})).await;
    for (body, field) in [
        (json!({"tag": "a@b"}), "tag"),
        (json!({"tag": 7}), "tag"),
        (json!({"configuration": []}), "configuration"),
        (json!({"parent": "no-id"}), "parent"),
        (json!({"parent": NOBODY}), "parent"),
        (json!({"parent": foreign["id"]}), "parent"),
        (json!({"parent": pending["id"]}), "parent"),
        (json!({"size": -1}), "size"),
        (json!({"archive_hash": "x"}), "archive_hash"),
    ] {
        let refused = site.refused("CreateModelVersion", &model, body.clone(), 400).await;
        assert!(refused[field].is_array(), "{body}: {refused}");
        let refused = site.refused("UpdateModelVersion", &text(&pending["id"]), body.clone(), 400).await;
        assert!(refused[field].is_array(), "{body}: {refused}");
    }
    assert_eq!(site.ok("ListModelVersions", &model, None).await["count"], 1);
    let taken = site.refused("CreateModel", "", json!({"name": "digits"}), 400).await;
    assert_eq!(taken["id"], json!(model));
    assert!(site.refused("CreateModel", "", json!({}), 400).await["name"].is_array());
    assert!(site.refused("CreateModel", "", json!({"name": "a/b"}), 400).await["name"].is_array());
}

#[tokio::test]
async fn a_tag_that_exists_is_refused_in_the_words_that_newer_workers_look_for() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    site.published(&model, &HELLO, json!({"tag": "v1"})).await;
    let other = site.published(&model, &WORLD, json!({"tag": "v2"})).await;
    let words = json!({"non_field_errors": ["A version for this model with this tag already exists."]});
    assert_eq!(site.refused("CreateModelVersion", &model, json!({"tag": "v1"}), 400).await, words);
    let id = text(&other["id"]);
    for operation in ["UpdateModelVersion", "PartialUpdateModelVersion"] {
        assert_eq!(site.refused(operation, &id, json!({"tag": "v1"}), 400).await, words);
    }
    assert_eq!(site.ok("RetrieveModelVersion", &id, None).await["tag"], "v2");
}

#[tokio::test]
async fn an_archive_is_what_was_said_or_it_is_refused_by_the_field() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    for operation in ["PartialUpdateModelVersion", "ValidateModelVersion"] {
        let begun = site.ok("CreateModelVersion", &model, json!({})).await;
        let id = text(&begun["id"]);
        let said = |change: &dyn Fn(&mut Value)| {
            let mut said = if operation == "ValidateModelVersion" { HELLO.said() } else { HELLO.available() };
            change(&mut said);
            said
        };
        let refused = site.refused(operation, &id, said(&|_| {}), 400).await;
        assert_eq!(refused, json!({"size": ["Archive has not been uploaded"]}));
        site.put(&begun["s3_put_url"], HELLO.bytes()).await;
        let refused = site.refused(operation, &id, said(&|said| said["size"] = json!(347)), 400).await;
        assert_eq!(refused, json!({"size": ["Uploaded file size is 346 bytes, expected 347 bytes"]}));
        for (field, missing) in [("size", "size"), ("archive_hash", "archive_hash")] {
            let body = said(&|said| drop(said.as_object_mut().unwrap().remove(missing)));
            assert!(site.refused(operation, &id, body, 400).await[field].is_array());
        }
        assert!(site.ok("RetrieveModelVersion", &id, None).await["state"] != "available");
        site.ok("DestroyModelVersion", &id, None).await;
    }
    for field in ["archive_hash", "hash"] {
        let begun = site.ok("CreateModelVersion", &model, json!({})).await;
        let id = text(&begun["id"]);
        site.put(&begun["s3_put_url"], HELLO.bytes()).await;
        let mut wrong = HELLO.available();
        wrong[field] = json!("0".repeat(32));
        let refused = site.refused("PartialUpdateModelVersion", &id, wrong, 400).await;
        assert!(refused[field].is_array() && refused.as_object().unwrap().len() == 1, "{refused}");
        assert!(site.ok("RetrieveModelVersion", &id, None).await["state"] != "available");
    }
    assert!(
        site.refused("PartialUpdateModelVersion", NOBODY, json!({"state": "lost"}), 400).await["state"]
            .is_array()
    );
}

#[tokio::test]
async fn what_is_no_archive_never_becomes_available() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let begun = site.ok("CreateModelVersion", &model, json!({})).await;
    let id = text(&begun["id"]);
    assert_eq!(site.put(&begun["s3_put_url"], b"foo".to_vec()).await.status, 200);
    let body = json!({"state": "available", "size": 3, "archive_hash": "acbd18db4cc2f85cedef654fccc4a4d8"});
    let refused = site.refused("PartialUpdateModelVersion", &id, body.clone(), 400).await;
    assert!(refused.get("id").is_none(), "{refused}");
    assert!(site.ok("RetrieveModelVersion", &id, None).await["state"] != "available");
    assert!(site.refused("PartialUpdateModelVersion", &id, body, 400).await.get("id").is_none());
}

#[tokio::test]
async fn an_available_version_is_not_changed_by_its_old_address_or_other_values() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let begun = site.ok("CreateModelVersion", &model, json!({})).await;
    let id = text(&begun["id"]);
    site.put(&begun["s3_put_url"], HELLO.bytes()).await;
    site.ok("PartialUpdateModelVersion", &id, HELLO.available()).await;
    site.put(&begun["s3_put_url"], WORLD.bytes()).await;
    let shown = site.ok("RetrieveModelVersion", &id, None).await;
    let read =
        site.server.call("GET", &shown["s3_url"].as_str().unwrap()["http://ark.test:81".len()..], None).await;
    assert_eq!(read.body, HELLO.bytes());
    let refused = site.refused("PartialUpdateModelVersion", &id, WORLD.available(), 400).await;
    assert!(refused.get("id").is_none(), "its own id would make a worker delete it: {refused}");
    let refused = site.refused("ValidateModelVersion", &id, WORLD.said(), 400).await;
    assert!(refused.get("id").is_none(), "{refused}");
}

#[tokio::test]
async fn an_upload_in_parts_is_refused_by_the_field() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let begun = site.ok("CreateModelVersion", &model, json!({"size": 346, "archive_hash": HELLO.md5})).await;
    let object = |kind: &str, id: &Value| json!({"object_type": kind, "object_id": id});
    for (body, field) in [
        (object("artifact", &begun["id"]), "object_type"),
        (object("model_version", &json!("no-id")), "object_id"),
        (json!({"object_id": begun["id"]}), "object_type"),
    ] {
        assert!(site.refused("CreateMultipartUpload", "", body, 400).await[field].is_array());
    }
    site.refused("CreateMultipartUpload", "", object("model_version", &json!(NOBODY)), 404).await;
    let upload = site.ok("CreateMultipartUpload", "", object("model_version", &begun["id"])).await;
    let named = |more: Value| {
        let mut body = object("model_version", &begun["id"]);
        body["upload_id"] = upload["upload_id"].clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, field) in [
        (named(json!({"part_number": 0, "md5_hash": "x"})), "part_number"),
        (named(json!({"part_number": 1, "md5_hash": "x"})), "md5_hash"),
        (named(json!({"part_number": 1, "upload_id": "another"})), "upload_id"),
    ] {
        let refused = site.refused("CreateMultipartUploadPart", "", body, 400).await;
        assert!(refused[field].is_array(), "{refused}");
    }
    for (body, field) in [
        (named(json!({"parts": []})), "parts"),
        (named(json!({"parts": [{"part_number": 1, "etag": "\"0\""}]})), "parts"),
        (named(json!({"parts": [{"part_number": 1, "etag": "\"0\""}], "upload_id": "another"})), "upload_id"),
    ] {
        let refused = site.refused("CompleteMultipartUpload", "", body, 400).await;
        assert!(refused[field].is_array(), "{refused}");
    }
    let version = site.ok("RetrieveModelVersion", &text(&begun["id"]), None).await;
    assert_eq!(version["state"], "created");
}

#[tokio::test]
async fn parts_that_are_not_what_was_said_are_refused_at_the_end() {
    let site = Site::start().await;
    let model = site.model("digits").await;
    let wrong = Archive { md5: WORLD.md5, ..HELLO };
    for (size, archive_hash) in [(345, wrong.md5), (346, wrong.md5)] {
        let begun =
            site.ok("CreateModelVersion", &model, json!({"size": size, "archive_hash": archive_hash})).await;
        let (_, refused) = site.sent_in_parts(&text(&begun["id"]), &HELLO, 346).await;
        let field = if size == 345 { "size" } else { "archive_hash" };
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.json()[field].is_array(), "{}", refused.text());
        assert!(site.ok("RetrieveModelVersion", &text(&begun["id"]), None).await["state"] != "available");
    }
}
