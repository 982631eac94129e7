//! Datasets and artifacts, request by request as the packages send them.

use axum::{body::Body, http::Request};
use runyard_engine as engine;
use serde_json::{Value, json};

use super::{books::Books, text};

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

impl Books {
    /// A dataset with the first page in the set `train`, and all others in `test`.
    async fn dataset(&self) -> String {
        let new = json!({"name": "all", "description": "of books", "set_names": ["train", "test"], "unique_elements": true});
        let made = self.site.ok("CreateDataset", &self.corpus, new).await;
        let id = text(&made["id"]);
        for (index, page) in self.pages.iter().enumerate() {
            let set = if index == 0 { "train" } else { "test" };
            let added =
                self.site.ok("CreateDatasetElement", &id, json!({"set": set, "element_id": page})).await;
            assert_eq!(added["set"], set);
        }
        id
    }

    /// Reads an address that was answered.
    async fn read(&self, address: &str) -> super::super::Reply {
        let path = address.strip_prefix("http://ark.test:81").expect("an address for this client");
        self.site.server.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_dataset_is_made_filled_and_listed_by_workers() {
    let books = Books::new(4).await;
    let id = books.dataset().await;
    let shown = books.site.ok("RetrieveDataset", &id, None).await;
    assert_eq!((&shown["sets"], &shown["state"]), (&json!(["train", "test"]), &json!("open")));
    assert_eq!((&shown["set_elements"]["test"], &shown["corpus_id"]), (&json!(3), &json!(books.corpus)));
    let page = books
        .site
        .ok("ListDatasetElements", &format!("{id}?set=test&with_count=true&page_size=2"), None)
        .await;
    assert_eq!((&page["count"], &page["results"][0]["set"]), (&json!(3), &json!("test")));
    assert_eq!(page["results"][0]["element"]["zone"]["image"]["width"], 100);
    let query = text(&page["next"]).split_once('?').unwrap().1.to_owned();
    let page = books.site.ok("ListDatasetElements", &format!("{id}?{query}"), None).await;
    assert_eq!((page["results"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    assert_eq!(books.site.ok("RetrieveDatasetSet", &format!("{id} train"), None).await["name"], "train");
    books.site.refused("RetrieveDatasetSet", &format!("{id} dev"), None, 404).await;
    let out = format!("{id} {}?set=test", books.pages[1]);
    books.site.ok("DestroyDatasetElement", &out, None).await;
    books.site.refused("DestroyDatasetElement", &out, None, 404).await;
    assert_eq!(books.site.ok("RetrieveDataset", &id, None).await["set_elements"]["test"], 2);
    let wrong = json!({"set": "dev", "element_id": books.pages[1]});
    assert!(books.site.refused("CreateDatasetElement", &id, wrong, 400).await["set"].is_array());
    let wrong = json!({"set": "test", "element_id": NOBODY});
    assert!(books.site.refused("CreateDatasetElement", &id, wrong, 400).await["element_id"].is_array());
    let again = json!({"name": "all", "description": "", "set_names": ["x"]});
    assert!(books.site.refused("CreateDataset", &books.corpus, again, 400).await["name"].is_array());
    let wrong = json!({"name": "other", "set_names": ["a:b"]});
    assert!(books.site.refused("CreateDataset", &books.corpus, wrong, 400).await["set_names.0"].is_array());
    assert!(
        books.site.refused("ListDatasetElements", &format!("{id}?set=dev"), None, 400).await["set"]
            .is_array()
    );
}

#[tokio::test]
async fn a_dataset_is_built_and_its_archive_is_an_artifact_of_the_task_that_built_it() {
    let books = Books::new(2).await;
    let id = books.dataset().await;
    let early = books.site.refused("PartialUpdateDataset", &id, json!({"state": "complete"}), 400).await;
    assert!(text(&early["state"][0]).contains("its archive is made here"), "{early}");
    let building = books.site.ok("PartialUpdateDataset", &id, json!({"state": "building"})).await;
    assert_eq!(building["state"], "building");
    let task = text(&building["task_id"]);
    assert_eq!(
        books.site.ok("ListArtifacts", &task, None).await,
        json!([]),
        "nothing is there before it is complete"
    );
    engine::dataset::build::next(&books.site.server.engine).await.unwrap();
    let done = books.site.ok("PartialUpdateDataset", &id, json!({"state": "complete"})).await;
    assert_eq!((&done["state"], &done["task_id"]), (&json!("complete"), &json!(task)));
    let path = format!("{id}.tar.zst");
    let artifacts = books.site.ok("ListArtifacts", &task, None).await;
    assert_eq!(
        (&artifacts[0]["path"], &artifacts[0]["content_type"]),
        (&json!(path), &json!("application/zstd"))
    );
    let found = books.site.call("DownloadArtifact", &format!("{task} {path}"), None).await;
    assert_eq!(found.status, 302, "{}", found.text());
    let archive = books.read(found.headers["location"].to_str().unwrap()).await;
    assert_eq!(
        (archive.status.as_u16(), &archive.headers["content-type"]),
        (200, &"application/zstd".parse().unwrap())
    );
    assert_eq!(json!(archive.body.len()), artifacts[0]["size"]);
    books.site.refused("DownloadArtifact", &format!("{task} other.tar.zst"), None, 404).await;
    books.site.refused("ListArtifacts", NOBODY, None, 404).await;
    // A worker run over its sets goes on from the task that built it.
    let selection = json!({"sets": [{"dataset": id, "set": "train"}, {"dataset": id, "set": "test"}]});
    let run = books.worker_run(json!({"mode": "dataset", "selection": selection})).await;
    let sets = books.site.ok("ListProcessSets", &format!("{run}?page_size=1"), None).await;
    assert_eq!((&sets["count"], &sets["number"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&sets["results"][0]["set_name"], &sets["results"][0]["dataset"]["state"]),
        (&json!("train"), &json!("complete"))
    );
    assert_eq!(
        books.site.ok("ListProcessSets", &format!("{run}?page_size=1&page=2"), None).await["results"][0]["set_name"],
        "test"
    );
    assert_eq!(books.site.ok("RetrieveTask", &run, None).await["parents"], json!([task]));
    let open = books.site.ok("PartialUpdateDataset", &id, json!({"state": "open", "name": "every"})).await;
    assert_eq!((&open["state"], &open["name"]), (&json!("open"), &json!("every")));
    let wrong = books.site.refused("PartialUpdateDataset", &id, json!({"state": "closed"}), 400).await;
    assert!(wrong["state"].is_array(), "{wrong}");
}

#[tokio::test]
async fn a_worker_uploads_artifacts_of_its_task() {
    let books = Books::new(1).await;
    let run = json!({"name": "read", "spec": {"command": ["true"]}});
    let run = text(&books.site.server.post("/api/v2/runs", run).await["id"]);
    let new = json!({"path": "sub/report.txt", "content_type": "text/plain", "size": 5});
    let made = books.site.ok("CreateArtifact", &run, new).await;
    let put = made["s3_put_url"].clone();
    assert_eq!(
        books.site.put(&put, b"hello, world".to_vec()).await.status,
        413,
        "it is larger than was said"
    );
    assert_eq!(books.site.put(&put, b"hello".to_vec()).await.status, 200);
    let listed = books.site.ok("ListArtifacts", &run, None).await;
    assert_eq!((&listed[0]["path"], &listed[0]["size"]), (&json!("sub/report.txt"), &json!(5)));
    let found = books.site.call("DownloadArtifact", &format!("{run} sub%2Freport.txt"), None).await;
    assert_eq!(found.status, 302, "{}", found.text());
    assert_eq!(books.read(found.headers["location"].to_str().unwrap()).await.body, b"hello");
    books.site.refused("DownloadArtifact", &format!("{run} other.txt"), None, 404).await;
    for wrong in ["../x", "/x", ""] {
        let wrong = json!({"path": wrong, "size": 5});
        assert!(books.site.refused("CreateArtifact", &run, wrong, 400).await["path"].is_array());
    }
}
