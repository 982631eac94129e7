//! What `publish_model_version` of each generation makes of a folder, and what our own API then shows of it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use runyard_tests::{SOON, s3::Store, wait_until};
use serde_json::{Value, json};

use crate::site::{GENERATIONS, Site, publish, step, text};

/// Names whose order by components is another one than their order as texts.
pub(crate) const WEIGHTS: &[(&str, &[u8])] = &[
    (".hidden", b"dot\n"),
    ("B.txt", b"cap B\n"),
    ("a/b.txt", b"AB\n"),
    ("a.txt", b"A\n"),
    ("empty.bin", b""),
    ("weights/model.bin", &[7; 2048]),
    ("é.txt", b"accent\n"),
];
/// MD5 of those contents in that order, as the package has it.
const WEIGHTS_MD5: &str = "70f027d9f9e18c70bbcfdef6d35c4889";

#[test]
fn a_first_publish_makes_a_version_that_we_can_use() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({})));
        let folder = site.folder("first", WEIGHTS);
        let attributes = json!({"tag": "v1", "description": "the first", "configuration": {"classes": 10}});
        let worked = site.work(generation, &run, &json!([publish(&folder, &model, &attributes)])).well(&[
            "Loaded Worker trainer @ 1.0 from API",
            "was successfully created",
            "is now available.",
        ]);
        let versions = site.versions(&model);
        assert_eq!(versions.len(), 1, "{versions:#?}");
        let version = &versions[0];
        assert_eq!(version["id"], worked.versions()[0]["id"]);
        assert_eq!(version["state"], "available", "{version:#}");
        assert_eq!(version["tag"], "v1");
        assert_eq!(version["description"], "the first");
        assert_eq!(version["config"], json!({"classes": 10}));
        assert_eq!(version["content_md5"], WEIGHTS_MD5);
        assert_eq!((version["files"].as_i64(), version["size"].as_i64()), (Some(7), Some(2070)));
        assert_eq!(version["tree_digest"].as_str().map(str::len), Some(64));
        site.pulled(version, WEIGHTS);
    }
}

#[test]
fn the_same_content_again_is_the_version_that_there_is() {
    let Some(site) = Site::start() else { return };
    for generation in ["0.3.7.post1", "0.4.0"] {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({})));
        let folder = site.folder("again", WEIGHTS);
        let attributes = json!({"tag": "v1", "configuration": {"lr": 0.1}});
        let first = site.work(generation, &run, &json!([publish(&folder, &model, &attributes)])).well(&[]);
        let first = text(&first.versions()[0]["id"]);
        let before = site.versions(&model);
        let again = site.work(generation, &run, &json!([publish(&folder, &model, &json!({}))])).well(&[
            "An available model version exists with hash",
            "using it instead of the pending version",
            "Removing the pending model version.",
            &format!("Model version {first} is now available."),
        ]);
        assert!(!again.0.stderr.contains("ERROR"), "{}", again.0.stderr);
        assert_eq!(again.versions()[0]["id"], json!(first));
        assert_eq!(site.versions(&model), before, "nothing is lost, and nothing is left");
        site.pulled(&before[0], WEIGHTS);
    }
}

#[test]
fn a_tag_moves_to_the_version_that_has_the_content() {
    let Some(site) = Site::start() else { return };
    for generation in ["0.3.7.post1", "0.4.0"] {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({})));
        let folder = site.folder("tag", WEIGHTS);
        let attributes = json!({"tag": "v1", "configuration": {"lr": 0.1}});
        site.work(generation, &run, &json!([publish(&folder, &model, &attributes)])).well(&[]);
        let attributes = json!({"tag": "best", "description": "the best", "configuration": {"lr": 0.2}});
        site.work(generation, &run, &json!([publish(&folder, &model, &attributes)])).well(&[
            "Removing the pending model version.",
            "Updating the existing available model version with the given attributes.",
            "was successfully updated",
        ]);
        let versions = site.versions(&model);
        assert_eq!(versions.len(), 1, "{versions:#?}");
        assert_eq!(versions[0]["tag"], "best");
        assert_eq!(versions[0]["description"], "the best");
        assert_eq!(versions[0]["config"], json!({"lr": 0.2}));
    }
}

#[test]
fn the_newest_worker_may_publish_the_same_content_again_too() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let folder = site.folder("again", WEIGHTS);
    let steps = json!([publish(&folder, &model, &json!({"tag": "v1"}))]);
    site.work("0.6.0", &run, &steps).well(&[]);
    let before = site.versions(&model);
    // Its protocol has no word for it: the version that there is stays, and the worker goes on.
    site.work("0.6.0", &run, &steps).well(&[
        "The `v1` tag is already used by another version for this model",
        "archive was successfully uploaded and is now available.",
    ]);
    assert_eq!(site.versions(&model), before);
}

#[test]
fn finetuning_goes_on_from_the_version_that_the_run_names() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let name = format!("digits-{generation}");
        let (model, run) = (site.model(&name), site.worker_run(&json!({})));
        let folder = site.folder("parent", WEIGHTS);
        let attributes = json!({"tag": "v1", "configuration": {"lr": 0.1, "classes": 10}});
        let worked = site.work(generation, &run, &json!([publish(&folder, &model, &attributes)])).well(&[]);
        assert_eq!(worked.configured()["is_finetuning"], false);
        let parent = text(&worked.versions()[0]["id"]);
        let run = site.worker_run(&json!({"model_version": format!("{name}@v1"), "lr": 0.5}));
        let child = site.folder(&format!("child-{generation}"), &[("model.bin", b"better")]);
        let steps = json!([publish(&child, &model, &json!({"tag": "v2", "parent": parent}))]);
        let worked =
            site.work(generation, &run, &steps).well(&["Loaded model version configuration from WorkerRun"]);
        let configured = worked.configured();
        assert_eq!(configured["is_finetuning"], true);
        assert_eq!(configured["model_version_id"], json!(parent));
        assert_eq!(configured["model_details"], json!({"id": model, "name": name}));
        assert_eq!(configured["model_configuration"], json!({"lr": 0.1, "classes": 10}));
        let chosen =
            if generation == "0.6.0" { &configured["config"] } else { &configured["user_configuration"] };
        assert_eq!(chosen["lr"], 0.5, "{configured:#}");
        let versions = site.versions(&model);
        assert_eq!(versions[1]["parent_id"], json!(parent), "{versions:#?}");
        assert_eq!(versions[1]["tag"], "v2");
    }
}

#[test]
fn a_version_may_be_begun_early_and_published_later() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let folder = site.folder("late", WEIGHTS);
    for (generation, create) in [
        ("0.4.0", json!({"model_id": model, "tag": "early"})),
        ("0.6.0", json!({"model_id": model, "tag": "early", "size": 1, "archive_hash": "0".repeat(32)})),
    ] {
        let steps = json!([
            step("create_model_version", &create),
            publish(
                &folder,
                &model,
                &json!({"tag": format!("late-{generation}"), "configuration": {"a": 1}})
            ),
        ]);
        let worked = site.work(generation, &run, &steps).well(&["was successfully updated"]);
        let [begun, published] = &worked.versions()[..] else { panic!("two versions") };
        assert_eq!(begun["id"], published["id"]);
        let versions = site.versions(&model);
        assert_eq!(versions.len(), 1, "{versions:#?}");
        assert_eq!(versions[0]["tag"], json!(format!("late-{generation}")));
        assert_eq!(versions[0]["config"], json!({"a": 1}));
        let gone =
            site.server.call("DELETE", &format!("/api/v2/model_versions/{}", text(&begun["id"]))).send();
        assert_eq!(gone.status, 200, "{}", gone.text);
    }
}

#[test]
fn an_archive_goes_in_as_many_parts_as_the_client_chooses() {
    let Some(site) = Site::start() else { return };
    let (model, run) = (site.model("digits"), site.worker_run(&json!({})));
    let noise = noise(12 << 20);
    let files: &[(&str, &[u8])] = &[("weights.bin", &noise), ("labels.txt", b"0\n")];
    let folder = site.folder("large", files);
    site.work("0.6.0", &run, &json!([publish(&folder, &model, &json!({"tag": "large"}))]))
        .well(&["Uploading the file in 3 parts of 5MiB.", "was successfully uploaded and is now available."]);
    let versions = site.versions(&model);
    assert_eq!((versions.len(), &versions[0]["state"]), (1, &json!("available")), "{versions:#?}");
    site.pulled(&versions[0], files);
}

#[test]
fn links_folders_and_modes_arrive_as_they_were() {
    let Some(site) = Site::start() else { return };
    let folder = site.folder("linked", &[("weights/model.bin", b"weights"), ("run.sh", b"#!/bin/sh\n")]);
    symlink("weights/model.bin", folder.join("latest")).expect("a link");
    symlink("nowhere", folder.join("broken")).expect("a link");
    fs::create_dir(folder.join("empty")).expect("a folder");
    fs::set_permissions(folder.join("run.sh"), Permissions::from_mode(0o755)).expect("a mode");
    for generation in GENERATIONS {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({})));
        // Older workers say the MD5 of the contents, links to files included; the server has to find the same.
        site.work(generation, &run, &json!([publish(&folder, &model, &json!({}))]))
            .well(&["is now available."]);
        let here = site.pull(&site.versions(&model)[0]);
        assert_eq!(fs::read_link(here.join("latest")).expect("a link"), Path::new("weights/model.bin"));
        assert_eq!(fs::read_link(here.join("broken")).expect("a link"), Path::new("nowhere"));
        assert!(here.join("empty").is_dir());
        let mode = fs::metadata(here.join("run.sh")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{mode:o}");
    }
}

#[test]
fn a_bucket_takes_what_a_folder_takes() {
    let store = Store::start();
    let Some(site) = Site::with(store.setup()) else { return };
    let noise = noise(12 << 20);
    let files: &[(&str, &[u8])] = &[("weights.bin", &noise), ("labels.txt", b"0\n")];
    let folder = site.folder("large", files);
    for generation in GENERATIONS {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({})));
        let steps = json!([publish(&folder, &model, &json!({}))]);
        let first = site.work(generation, &run, &steps).well(&["is now available."]);
        site.work(generation, &run, &steps).well(&["is now available."]);
        let versions = site.versions(&model);
        assert_eq!((versions.len(), &versions[0]["id"]), (1, &first.versions()[0]["id"]), "{versions:#?}");
        site.pulled(&versions[0], files);
    }
    wait_until("only the archives are left", SOON, || store.objects().len() == GENERATIONS.len());
}

#[test]
fn a_worker_of_elements_trains_as_well() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let (model, run) = (site.model(&format!("digits-{generation}")), site.worker_run(&json!({"lr": 1})));
        let folder = site.folder("elements", WEIGHTS);
        let steps = json!([publish(&folder, &model, &json!({}))]);
        let worked = site.work_as(generation, &run, &steps, &["--elements"]).well(&["is now available."]);
        let process = &worked.configured()["process"];
        assert_eq!((process["id"].as_str(), process["mode"].as_str()), (Some(run.as_str()), Some("workers")));
        assert_eq!(site.versions(&model).len(), 1);
    }
}

impl Site {
    /// Pulls a version natively, which checks every digest.
    #[track_caller]
    fn pull(&self, version: &Value) -> PathBuf {
        let id = text(&version["id"]);
        let here = self.server.home().join(format!("pulled-{id}"));
        self.server.cli(&["model", "pull", &id, here.to_str().expect("a path")]).ok();
        here
    }

    /// The same, and compares the files with those that were published.
    #[track_caller]
    fn pulled(&self, version: &Value, files: &[(&str, &[u8])]) {
        let here = self.pull(version);
        for (path, bytes) in files {
            assert!(fs::read(here.join(path)).expect("a file") == *bytes, "{path} is another file");
        }
    }
}

/// Bytes that cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}
