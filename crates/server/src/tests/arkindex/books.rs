//! A corpus that Arkindex's workers work on, made by our own API.

use serde_json::{Value, json};

use super::{Site, text};

/// A corpus of a book with pages, and a worker run over the pages.
pub(super) struct Books {
    pub(super) site: Site,
    pub(super) corpus: String,
    pub(super) book: String,
    pub(super) pages: Vec<String>,
}

impl Books {
    pub(super) async fn new(pages: usize) -> Self {
        let site = Site::start().await;
        let types = json!([{"slug": "book", "display_name": "Book", "folder": true}, {"slug": "page"}, {"slug": "line"}]);
        let new = json!({"name": "books", "types": types});
        let corpus = text(&site.server.post("/api/v2/corpora", new).await["id"]);
        let mut elements = vec![json!({"type": "book", "name": "a book"})];
        elements.extend((1..=pages).map(|number| {
            json!({"type": "page", "name": format!("page {number}"), "parents": ["a book"], "payload": {"number": number},
                "image": {"url": format!("https://host/iiif/2/{number}.jpg"), "width": 100, "height": 200}})
        }));
        let made = format!("/api/v2/elements?corpus_id={corpus}");
        let made = site.server.post(&made, json!({"elements": elements})).await;
        let mut ids: Vec<String> = made["ids"].as_array().unwrap().iter().map(text).collect();
        let book = ids.remove(0);
        Self { site, corpus, book, pages: ids }
    }

    /// A worker run over all pages, with more said of it.
    pub(super) async fn worker_run(&self, more: Value) -> String {
        let mut new = json!({"corpus": self.corpus, "worker": "Reader", "summary": "Worker Reader @ 1",
            "selection": {"query": {"type": "page"}}});
        for (key, value) in more.as_object().unwrap() {
            new[key] = value.clone();
        }
        text(&self.site.server.post("/api/v2/worker_runs", new).await["id"])
    }

    /// What is said of an element of a worker run; answers the status.
    pub(super) async fn say(&self, run: &str, element: &str, state: &str) -> u16 {
        let body = json!({"element_id": element, "process_id": run, "state": state});
        self.site.call("UpdateWorkerActivity", run, body).await.status.as_u16()
    }

    /// Names of a page of elements.
    pub(super) async fn names(&self, operation: &str, what: &str) -> Vec<String> {
        let page = self.site.ok(operation, what, None).await;
        page["results"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect()
    }
}
