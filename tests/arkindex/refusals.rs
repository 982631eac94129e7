//! What goes wrong, and what a worker then says: each time its log names the reason, and nothing half-made can be used.

use std::{io::Write, net::TcpStream};

use runyard_tests::Server;
use serde_json::{Value, json};

use crate::site::{GENERATIONS, Site, publish, step, text};

const FILES: &[(&str, &[u8])] = &[("model.bin", b"weights")];

#[test]
fn an_unknown_worker_run_ends_every_worker_with_the_reason() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        for unknown in ["00000000-0000-7000-8000-000000000000", "no-id", ""] {
            if unknown.is_empty() && generation == "0.6.0" {
                // It takes that for "no worker run".
                continue;
            }
            let worked = site.work(generation, unknown, &json!([])).failed(&["REFUSED 404", "detail"]);
            assert!(!worked.0.stderr.contains("JSONDecodeError"), "{}", worked.0.stderr);
        }
    }
}

#[test]
fn a_config_that_names_a_version_which_is_not_there_ends_the_worker() {
    let Some(site) = Site::start() else { return };
    let run = site.worker_run(&json!({"model_version": "nobody@v1"}));
    for generation in GENERATIONS {
        site.work(generation, &run, &json!([]))
            .failed(&["REFUSED 400", "there is no model version `nobody@v1`"]);
    }
}

#[test]
fn a_tag_that_exists_ends_older_workers_and_newer_ones_go_on_without_it() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let folder = site.folder("one", FILES);
    site.work("0.4.0", &run, &json!([publish(&folder, &model, &json!({"tag": "v1"}))])).well(&[]);
    let other = site.folder("other", &[("model.bin", b"other weights")]);
    let steps = json!([publish(&other, &model, &json!({"tag": "v1"}))]);
    for generation in ["0.3.7.post1", "0.4.0"] {
        let words = ["REFUSED 400", "A version for this model with this tag already exists."];
        site.work(generation, &run, &steps).failed(&words);
        assert_eq!(site.versions(&model).len(), 1);
    }
    site.work("0.6.0", &run, &steps)
        .well(&["The `v1` tag is already used by another version for this model, publication will be retried without it."]);
    let versions = site.versions(&model);
    assert_eq!((versions.len(), &versions[0]["tag"], &versions[1]["tag"]), (2, &json!("v1"), &Value::Null));
}

#[test]
fn a_parent_of_another_model_is_refused() {
    let Some(site) = Site::start() else { return };
    let (model, other, run) = (site.model("digits"), site.model("letters"), site.worker_run(&json!({})));
    let folder = site.folder("one", FILES);
    let worked = site.work("0.4.0", &run, &json!([publish(&folder, &other, &json!({}))])).well(&[]);
    let parent = text(&worked.versions()[0]["id"]);
    for generation in GENERATIONS {
        let steps = json!([publish(&folder, &model, &json!({"parent": parent}))]);
        site.work(generation, &run, &steps).failed(&[
            "REFUSED 400",
            "parent",
            "is a version of model `letters`",
        ]);
    }
    assert!(site.versions(&model).is_empty());
}

#[test]
fn an_archive_that_is_not_what_was_said_never_becomes_available() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let archive = site.archive();
    for generation in ["0.3.7.post1", "0.4.0"] {
        let size = archive.len();
        for (said, word) in [
            (json!({"size": size + 1, "hash": archive.content_md5, "archive_hash": archive.md5}), "\"size\""),
            (
                json!({"size": size, "hash": archive.content_md5, "archive_hash": "0".repeat(32)}),
                "archive_hash",
            ),
            (json!({"size": size, "hash": "0".repeat(32), "archive_hash": archive.md5}), "\"hash\""),
        ] {
            let steps = json!([
                step("create_model_version", &json!({"model_id": model})),
                step("upload_to_s3", &json!({"archive_path": archive.path})),
                step("validate_model_version", &said),
            ]);
            site.work(generation, &run, &steps).failed(&["REFUSED 400", word, "expected"]);
            assert!(site.available(&model).is_empty(), "{generation}: {word}");
        }
    }
    for create in [
        json!({"model_id": model, "size": archive.len() + 1, "archive_hash": archive.md5}),
        json!({"model_id": model, "size": archive.len(), "archive_hash": "0".repeat(32)}),
    ] {
        let steps = json!([
            step("create_model_version", &create),
            step("upload_to_s3", &json!({"archive_path": archive.path})),
        ]);
        site.work("0.6.0", &run, &steps).failed(&["REFUSED 400", "expected"]);
        assert!(site.available(&model).is_empty());
    }
}

#[test]
fn an_archive_that_was_never_sent_is_not_validated() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let said = json!({"size": 346, "hash": "0".repeat(32), "archive_hash": "0".repeat(32)});
    let steps = json!([
        step("create_model_version", &json!({"model_id": model})),
        step("validate_model_version", &said),
    ]);
    for generation in ["0.3.7.post1", "0.4.0"] {
        site.work(generation, &run, &steps).failed(&["REFUSED 400", "Archive has not been uploaded"]);
    }
    assert!(site.available(&model).is_empty());
}

#[test]
fn an_archive_that_stops_half_way_was_never_sent() {
    let server = Server::start();
    let call = |method: &str, path: &str| server.call(method, &format!("/api/v1{path}"));
    let model = text(&call("POST", "/models/").json(&json!({"name": "digits"})).send().body["id"]);
    let begun = call("POST", &format!("/model/{model}/versions/")).json(&json!({})).send().body;
    let address = text(&begun["s3_put_url"]);
    let host = server.url().trim_start_matches("http://");
    let path = address.strip_prefix(server.url()).expect("an address on the server");
    let mut socket = TcpStream::connect(host).expect("it listens");
    write!(socket, "PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\nhalf")
        .expect("it is sent");
    drop(socket);
    let version = format!("/modelversion/{}/", text(&begun["id"]));
    let said = json!({"state": "available", "size": 1000, "archive_hash": "0".repeat(32)});
    let refused = call("PATCH", &version).json(&said).send();
    assert_eq!((refused.status, &refused.body), (400, &json!({"size": ["Archive has not been uploaded"]})));
    // An address that was changed to live longer is no address.
    let longer = path.replace("expires=", "expires=9");
    let refused = server.call_as("", "PUT", &longer).raw("whole").send();
    assert_eq!(refused.status, 403, "{}", refused.text);
}

/// An archive of the package's own making.
struct Archive {
    path: String,
    size: u64,
    md5: String,
    content_md5: String,
}

impl Archive {
    fn len(&self) -> u64 {
        self.size
    }
}

impl Site {
    #[track_caller]
    fn available(&self, model: &str) -> Vec<Value> {
        let mut versions = self.versions(model);
        versions.retain(|version| version["state"] == "available");
        versions
    }

    fn archive(&self) -> Archive {
        let (folder, path) = (self.folder("archived", FILES), self.server.home().join("archive.tar.zst"));
        let output =
            self.command("0.4.0", "archive.py").arg(folder).arg(&path).output().expect("the program starts");
        let said: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
        Archive {
            path: path.to_str().expect("a path").to_owned(),
            size: said["size"].as_u64().expect("a size"),
            md5: text(&said["archive_hash"]),
            content_md5: text(&said["hash"]),
        }
    }
}
