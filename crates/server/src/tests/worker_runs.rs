//! Worker runs, activities and datasets over HTTP: what a worker asks and is answered, and every refusal's words.

use super::*;

/// A corpus of pages in the project `default`.
struct Pages {
    server: Server,
    corpus: String,
    ids: Vec<String>,
}

impl Pages {
    async fn new(count: usize) -> Self {
        let server = Server::start().await;
        let new = json!({"name": "books", "types": [{"slug": "page"}]});
        let corpus = server.post("/api/v2/corpora", new).await["id"].as_str().unwrap().to_owned();
        let elements: Vec<Value> = (0..count).map(|_| json!({"type": "page", "name": "A page"})).collect();
        let path = format!("/api/v2/elements?corpus_id={corpus}");
        let made = server.post(&path, json!({"elements": elements})).await;
        let ids = made["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
        let pages = ids.collect();
        Self { server, corpus, ids: pages }
    }

    /// A worker run on all pages; its address.
    async fn worker_run(&self) -> String {
        let body = json!({"corpus": self.corpus, "worker": "reader", "selection": {"query": {}}});
        let run = self.server.post("/api/v2/worker_runs", body).await;
        assert_eq!(run["counts"]["queued"], self.ids.len());
        format!("/api/v2/worker_runs/{}", run["id"].as_str().unwrap())
    }

    async fn dataset(&self) -> String {
        let dataset =
            self.server.post("/api/v2/datasets", json!({"corpus": self.corpus, "name": "all"})).await;
        format!("/api/v2/datasets/{}", dataset["id"].as_str().unwrap())
    }
}

fn done(claimed: &Value) -> Value {
    json!({"element_id": claimed["element_id"], "attempt": claimed["attempt"], "state": "processed",
        "results": {"classifications": [{"class": "seven", "confidence": 0.9}]}})
}

#[tokio::test]
async fn a_worker_claims_renews_commits_and_the_bar_knows() {
    let pages = Pages::new(5).await;
    let (server, run) = (&pages.server, pages.worker_run().await);
    let claim = server.post(&format!("{run}/claim"), json!({"holder": "w", "limit": 3})).await;
    assert_eq!((claim["claimed"].as_array().unwrap().len(), &claim["left"]), (3, &json!(2)));
    assert_eq!(claim["claimed"][0]["name"], "A page");
    assert_eq!(server.post(&format!("{run}/renew"), json!({"holder": "w"})).await["count"], 3);
    let items: Vec<Value> = claim["claimed"].as_array().unwrap()[..2].iter().map(done).collect();
    for expected in ["accepted", "repeated"] {
        let answer = server.post(&format!("{run}/commit"), json!({"items": items})).await;
        assert_eq!(answer[0]["outcome"], expected);
    }
    assert_eq!(server.post(&format!("{run}/release"), json!({"holder": "w"})).await["count"], 1);
    let counts = &server.get(&run).await["counts"];
    assert_eq!(*counts, json!({"queued": 3, "started": 0, "processed": 2, "error": 0}));
    let found = server.get(&format!("{run}/activities?state=processed&limit=1")).await;
    assert_eq!((found[0]["attempt"].clone(), found[0]["type"].clone()), (json!(1), json!("page")));
    let next = server.get(&format!("{run}/activities?state=processed&id_after={}", pages.ids[0])).await;
    assert_eq!(next.as_array().unwrap().len(), 1);
    let retried = server.post(&format!("{run}/retry"), json!({"state": "processed"})).await;
    assert_eq!(retried["count"], 2);
    let listed = server.get(&format!("/api/v2/worker_runs?corpus_id={}", pages.corpus)).await;
    assert_eq!(listed[0]["worker"], "reader");
    server.call("DELETE", &run, None).await.data();
    assert!(
        server
            .call("GET", &run, None)
            .await
            .refused(404, "not_found")
            .error
            .contains("there is no worker run")
    );
}

#[tokio::test]
async fn what_a_worker_may_not_say_is_refused_with_the_fix() {
    let pages = Pages::new(2).await;
    let (server, run) = (&pages.server, pages.worker_run().await);
    let claim = async |body: Value| server.call("POST", &format!("{run}/claim"), body).await;
    claim(json!({"holder": "w", "limit": 0})).await.invalid(&["limit"]);
    claim(json!({"holder": "", "limit": 1, "lease_ms": 5})).await.invalid(&["holder", "lease_ms"]);
    claim(json!({"limit": 1})).await.invalid(&["holder"]);
    let claimed = claim(json!({"holder": "w", "limit": 2})).await.data()["claimed"].clone();
    let commit =
        async |items: Value| server.call("POST", &format!("{run}/commit"), json!({"items": items})).await;
    let mut bad = done(&claimed[1]);
    bad["state"] = json!("started");
    let error = commit(json!([done(&claimed[0]), bad])).await.invalid(&["items.1.state"]);
    assert!(
        error.error.contains("`started` is no end of an attempt: it is processed or error"),
        "{}",
        error.error
    );
    let mut foreign = done(&claimed[1]);
    foreign["element_id"] = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    commit(json!([done(&claimed[0]), foreign])).await.invalid(&["items.1.element_id"]);
    let mut unsure = done(&claimed[1]);
    unsure["results"]["classifications"][0]["confidence"] = json!(7);
    commit(json!([done(&claimed[0]), unsure]))
        .await
        .invalid(&["items.1.results.classifications.0.confidence"]);
    commit(json!([{"element_id": "x", "attempt": 1, "state": "processed"}]))
        .await
        .invalid(&["items.0.element_id"]);
    assert_eq!(server.get(&run).await["counts"]["started"], 2, "nothing of a refused batch is written");
    let retry = server.call("POST", &format!("{run}/retry"), json!({"state": "queued"})).await;
    assert!(retry.invalid(&["state"]).error.contains("it is error or processed"));
}

#[tokio::test]
async fn a_jump_of_the_state_is_a_conflict_that_says_what_to_do() {
    let pages = Pages::new(1).await;
    let (server, run) = (&pages.server, pages.worker_run().await);
    let path = format!("{run}/activities/{}", pages.ids[0]);
    let set = async |state: &str| server.call("PUT", &path, json!({"state": state, "holder": "w"})).await;
    let early = set("processed").await.refused(409, "conflict");
    assert_eq!(early.error, "an activity that is queued cannot become processed: start it first");
    assert_eq!(set("started").await.data()["holder"], "w");
    assert!(set("started").await.refused(409, "conflict").error.contains("`w` holds it until"));
    set("processed").await.data();
    set("processed").await.data();
    assert!(set("error").await.refused(409, "conflict").error.contains("is processed cannot become error"));
    assert!(set("queued").await.invalid(&["state"]).error.contains("queued again by release or retry"));
    let other = format!("{run}/activities/01890a5d-ac96-774b-bcce-b302099a8057");
    let missing = server.call("PUT", &other, json!({"state": "started"})).await.refused(404, "not_found");
    assert!(missing.error.contains("there is no element of this worker run"), "{}", missing.error);
}

#[tokio::test]
async fn a_run_of_the_kind_worker_has_its_worker_run_from_the_start_until_it_is_deleted() {
    let pages = Pages::new(3).await;
    let server = &pages.server;
    let body = |worker: Value| json!({"name": "reads", "kind": "worker", "spec": {"command": ["true"], "worker": worker}});
    let new = body(json!({"corpus": "books", "selection": {"query": {"type": "page"}}, "batch": 7}));
    let run = server.post("/api/v2/runs", new).await;
    let id = run["id"].as_str().unwrap();
    let own = server.get(&format!("/api/v2/worker_runs/{id}")).await;
    assert_eq!((own["run_id"].as_str().unwrap(), &own["counts"]["queued"]), (id, &json!(3)));
    assert_eq!(run["spec"]["worker"]["batch"], 7);
    let own = format!("/api/v2/worker_runs/{id}");
    let kept = server.call("DELETE", &own, None).await.refused(409, "conflict");
    assert!(kept.error.contains("is executed by run"), "{}", kept.error);
    let job = server.post("/api/v2/tokens", json!({"name": "job", "scope": "run", "run_id": id})).await;
    let (secret, foreign) =
        (job["secret"].as_str().unwrap_or_else(|| job["token"].as_str().unwrap()), pages.worker_run().await);
    let claim = json!({"holder": "w", "limit": 1});
    server.call_as(secret, "POST", &format!("{own}/claim"), claim.clone()).await.data();
    let refused =
        server.call_as(secret, "POST", &format!("{foreign}/claim"), claim).await.refused(403, "forbidden");
    assert!(refused.error.contains("it cannot touch worker run"), "{}", refused.error);
    server.post(&format!("/api/v2/runs/{id}/stop"), json!({})).await;
    server.call("DELETE", &format!("/api/v2/runs/{id}"), None).await.data();
    server.call("GET", &own, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_worker_section_that_selects_nothing_that_is_there_creates_no_run() {
    let pages = Pages::new(1).await;
    let server = &pages.server;
    let submit = async |kind: &str, worker: Value| {
        let spec = json!({"command": ["true"], "worker": worker});
        server.call("POST", "/api/v2/runs", json!({"name": "r", "kind": kind, "spec": spec})).await
    };
    submit("worker", Value::Null).await.invalid(&["spec.worker"]);
    let whole = json!({"corpus": "books", "selection": {"query": {}}});
    submit("training", whole).await.invalid(&["kind"]);
    let nothing = submit("worker", json!({"corpus": "books", "selection": {}})).await;
    assert!(nothing.invalid(&["spec.worker.selection"]).error.contains("selects nothing"));
    let nowhere = submit("worker", json!({"corpus": "films", "selection": {"query": {}}})).await;
    assert!(nowhere.invalid(&["spec.worker.corpus"]).error.contains("there is no corpus `films`"));
    let missing = "01890a5d-ac96-774b-bcce-b302099a8057";
    let elements =
        submit("worker", json!({"corpus": "books", "selection": {"elements": [pages.ids[0], missing]}}))
            .await;
    elements.invalid(&["spec.worker.selection.elements.1"]);
    let dataset = pages.dataset().await;
    let id = dataset.rsplit('/').next().unwrap();
    let sets = json!({"corpus": "books", "selection": {"sets": [{"dataset": id, "set": "valid"}]}});
    let set = submit("worker", sets).await.invalid(&["spec.worker.selection.sets.0.set"]);
    assert!(set.error.contains("dataset `all` has no set `valid`: it has train, dev, test"), "{}", set.error);
    assert_eq!(server.get("/api/v2/runs").await, json!([]));
    assert_eq!(server.get("/api/v2/worker_runs").await, json!([]));
}

#[tokio::test]
async fn a_dataset_is_split_built_and_its_archive_downloaded() {
    let pages = Pages::new(10).await;
    let (server, dataset) = (&pages.server, pages.dataset().await);
    let split = json!({"shares": {"train": 0.8, "dev": 0.2}, "seed": 3, "selection": {"query": {}}});
    let whole = server.post(&format!("{dataset}/split"), split).await;
    assert_eq!(whole["sets"], json!([{"name": "dev", "elements": 2}, {"name": "train", "elements": 8}]));
    let dev = server.get(&format!("{dataset}/elements?set=dev&limit=1")).await;
    let last = dev[0]["element_id"].as_str().unwrap();
    let next = server.get(&format!("{dataset}/elements?set=dev&id_after={last}")).await;
    assert_eq!(next.as_array().unwrap().len(), 1);
    let early = server.call("GET", &format!("{dataset}/archive"), None).await.refused(409, "incomplete");
    assert!(early.error.contains("is open, it has no archive yet: build it first"), "{}", early.error);
    assert_eq!(server.call("POST", &format!("{dataset}/build"), None).await.data()["state"], "building");
    let twice = server.call("POST", &format!("{dataset}/build"), None).await.refused(409, "conflict");
    assert!(twice.error.contains("it is building; wait until it is complete"), "{}", twice.error);
    let late = json!({"set": "dev", "selection": {"query": {}}});
    server.call("POST", &format!("{dataset}/elements"), late.clone()).await.refused(409, "conflict");
    engine::dataset::build::next(&server.engine).await.unwrap();
    let complete = server.get(&dataset).await;
    assert_eq!(complete["state"], "complete");
    let moved = server.call("GET", &format!("{dataset}/archive"), None).await;
    assert_eq!(moved.status, StatusCode::FOUND);
    let address = moved.headers["location"].to_str().unwrap().to_owned();
    let bytes = server.send(Request::get(address).body(Body::empty()).unwrap()).await;
    assert_eq!(
        (bytes.status, bytes.body.len()),
        (StatusCode::OK, complete["archive"]["size"].as_u64().unwrap() as usize)
    );
    let closed = server.call("POST", &format!("{dataset}/elements"), late).await.refused(409, "conflict");
    assert!(closed.error.contains("it is complete; open it again"), "{}", closed.error);
    server.call("PATCH", &dataset, json!({"state": "complete"})).await.invalid(&["state"]);
    assert_eq!(server.call("PATCH", &dataset, json!({"state": "open"})).await.data()["state"], "open");
    server.call("DELETE", &dataset, None).await.data();
    server.call("GET", &dataset, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_a_dataset_has_not_is_named() {
    let pages = Pages::new(2).await;
    let (server, dataset) = (&pages.server, pages.dataset().await);
    let add = json!({"set": "valid", "selection": {"query": {}}});
    let refused = server.call("POST", &format!("{dataset}/elements"), add).await.invalid(&["set"]);
    assert!(refused.error.contains("has no set `valid`: it has train, dev, test"), "{}", refused.error);
    server.call("GET", &format!("{dataset}/elements?set=valid"), None).await.invalid(&["set"]);
    server
        .call("POST", &format!("{dataset}/split"), json!({"shares": {"a": 0.5}}))
        .await
        .invalid(&["shares"]);
    let strata = json!({"shares": {"a": 1.0}, "stratify": "color"});
    server.call("POST", &format!("{dataset}/split"), strata).await.invalid(&["stratify"]);
    let again = json!({"corpus": pages.corpus, "name": "all"});
    server.call("POST", "/api/v2/datasets", again).await.refused(409, "already_exists");
    let empty = server.call("POST", &format!("{dataset}/build"), None).await.refused(409, "conflict");
    assert!(empty.error.contains("it has no elements; add some first"), "{}", empty.error);
}
