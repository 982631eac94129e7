//! Workers over sets of datasets, and workers with a cache: both read what this server built.

use std::{fs, path::Path, process::Command};

use runyard_tests::{SOON, wait_until};
use serde_json::{Value, json};

use crate::site::{Site, Worked, text};

/// One pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63,
    0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60,
    0x82,
];

/// A corpus of three pages with images of this machine, in a dataset that was built.
struct Built {
    site: Site,
    corpus: String,
    pages: Vec<String>,
    dataset: Value,
}

impl Built {
    fn new() -> Option<Self> {
        let site = Site::start()?;
        let folder = site.folder("images", &[("1.png", PNG), ("2.png", PNG), ("3.png", PNG)]);
        let call = |path: &str, body: &Value| site.server.call("POST", path).json(body).send().data(200);
        let types = json!([{"slug": "page"}, {"slug": "line"}]);
        let corpus = text(&call("/api/v2/corpora", &json!({"name": "books", "types": types}))["id"]);
        let page = |number: usize| {
            let url = format!("file://{}/{number}.png", folder.display());
            json!({"type": "page", "name": format!("page {number}"), "image": {"url": url, "width": 10, "height": 10}})
        };
        let elements = json!({"elements": [page(1), page(2), page(3)]});
        let made = call(&format!("/api/v2/elements?corpus_id={corpus}"), &elements);
        let pages: Vec<String> = made["ids"].as_array()?.iter().map(text).collect();
        let dataset =
            call("/api/v2/datasets", &json!({"corpus": corpus, "name": "all", "sets": ["train", "test"]}));
        let path = format!("/api/v2/datasets/{}", text(&dataset["id"]));
        let add = |set: &str, pages: &[String]| {
            call(&format!("{path}/elements"), &json!({"set": set, "selection": {"elements": pages}}));
        };
        add("train", &pages[..2]);
        add("test", &pages[2..]);
        call(&format!("{path}/build"), &json!({}));
        let path = path.trim_start_matches("/api/v2").to_owned();
        wait_until("the archive", SOON, || site.server.get(&path)["state"] == "complete");
        let dataset = site.server.get(&path);
        Some(Self { site, corpus, pages, dataset })
    }

    fn worker_run(&self, more: &Value) -> String {
        let dataset = &self.dataset["id"];
        let sets = json!([{"dataset": dataset, "set": "train"}, {"dataset": dataset, "set": "test"}]);
        let mut new = json!({"mode": "dataset", "selection": {"sets": sets}});
        for (key, value) in more.as_object().expect("an object") {
            new[key] = value.clone();
        }
        self.site.worker_run_over(&self.corpus, &new)
    }

    /// A worker in the folders that Ponos makes for its tasks.
    fn in_ponos(&self, generation: &str, script: &str, run: &str, data: &Path) -> Command {
        fs::create_dir_all(data.join(run)).expect("a folder");
        let mut worker = self.site.command(generation, script);
        worker.env("ARKINDEX_WORKER_RUN_ID", run).env("PONOS_TASK", run).env("PONOS_DATA", data);
        worker
    }
}

#[test]
fn a_dataset_worker_downloads_the_archive_once_and_reads_it() {
    let Some(built) = Built::new() else { return };
    let run = built.worker_run(&json!({}));
    for generation in ["0.3.7.post1", "0.4.0"] {
        let data = built.site.server.home().join(format!("data-{generation}"));
        let worker = &mut built.in_ponos(generation, "dataset_worker.py", &run, &data);
        let worked = Worked::of(worker).well(&["Ran on 2 sets: 2 completed, 0 failed"]);
        assert_eq!(worked.0.stderr.matches("Downloading artifact for").count(), 1, "{}", worked.0.stderr);
        let sets = worked.said("SET ");
        for (set, pages) in sets.iter().zip([&built.pages[..2], &built.pages[2..]]) {
            assert_eq!(
                (&set["version"], &set["listed"]),
                (&json!(3), &json!(pages)),
                "{generation}: {set:#}"
            );
            let members = set["members"].as_array().expect("a list");
            let ids: Vec<String> = members.iter().map(|member| text(&member[0])).collect();
            let plain: Vec<String> = pages.iter().map(|page| page.replace('-', "")).collect();
            assert_eq!((ids, &members[0][1]), (plain, &json!("page")), "{generation}");
            let files = set["files"]
                .as_array()
                .expect("a list")
                .iter()
                .filter(|file| text(file).starts_with("files/"));
            assert_eq!(files.count(), 3, "{set:#}");
        }
    }
}

#[test]
fn the_newest_dataset_worker_is_told_that_there_are_no_exports() {
    let Some(built) = Built::new() else { return };
    let data = built.site.server.home().join("data");
    let run = built.worker_run(&json!({}));
    let worker = &mut built.in_ponos("0.6.0", "dataset_worker.py", &run, &data);
    Worked::of(worker).failed(&["exports are not made here"]);
}

#[test]
fn an_elements_worker_works_through_the_sets_of_a_dataset() {
    let Some(built) = Built::new() else { return };
    let run = built.worker_run(&json!({}));
    for generation in ["0.4.0", "0.6.0"] {
        let worker = &mut built.site.reader(generation, &run, &[], &json!({}));
        let worked = Worked::of(worker).well(&["Ran on 3 elements: 3 completed, 0 failed"]);
        let elements = worked.said("ELEMENT ");
        let ids: Vec<String> = elements.iter().map(|element| text(&element["id"])).collect();
        assert_eq!(ids, built.pages, "{generation}");
        let path = text(&elements[0]["image"]);
        assert!(path.starts_with('/') && Path::new(&path).exists(), "a worker of this machine opens {path}");
    }
}

#[test]
fn an_elements_worker_of_an_export_process_works_through_its_elements() {
    let Some(built) = Built::new() else { return };
    let more = json!({"mode": "export", "selection": {"query": {"type": "page"}}});
    let run = built.site.worker_run_over(&built.corpus, &more);
    for generation in ["0.4.0", "0.6.0"] {
        let worker = &mut built.site.reader(generation, &run, &[], &json!({}));
        Worked::of(worker).well(&["Ran on 3 elements: 3 completed, 0 failed"]);
    }
}

#[test]
fn a_worker_with_a_cache_reads_elements_from_the_archive_and_writes_what_the_server_has() {
    let Some(built) = Built::new() else { return };
    let (server, task) = (&built.site.server, text(&built.dataset["task_id"]));
    // Its parent is the task that built the dataset: what that left is where Ponos would put it.
    let data = server.home().join("data");
    let archive = server.home().join("archive");
    server.cli(&["dataset", "pull", &text(&built.dataset["id"]), archive.to_str().expect("a path")]).ok();
    fs::create_dir_all(data.join(&task)).expect("a folder");
    fs::copy(archive.join("db.sqlite"), data.join(&task).join("db.sqlite")).expect("the database");
    let more = json!({"mode": "workers", "configuration": {"parents": [task]}, "selection": {"elements": built.pages}});
    let run = built.worker_run(&more);
    let worker = &mut built.in_ponos("0.4.0", "cached_worker.py", &run, &data);
    let worked = Worked::of(worker).well(&["Ran on 3 elements: 3 completed, 0 failed"]);
    let elements = worked.said("ELEMENT ");
    assert_eq!(elements.len(), 3);
    for element in &elements {
        assert!(text(&element["image"]).starts_with("file://"), "{element}");
        assert_eq!(element["texts"], json!(["hello"]), "it reads what it wrote from its own file");
        let results = server.get(&format!("/elements/{}/results", text(&element["id"])));
        assert_eq!(results["transcriptions"][0]["id"], element["text"], "the ids are those of the server");
        assert_eq!(server.get(&format!("/elements/{}", text(&element["made"])))["type"], "line");
    }
    assert!(data.join(&run).join("db.sqlite").exists());
    assert_eq!(built.site.counts(&run)["processed"], 3);
}
