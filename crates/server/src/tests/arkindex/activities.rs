//! Worker runs and activities, request by request as the packages send them.

use serde_json::{Value, json};

use super::{HELLO, books::Books, text};

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn a_worker_run_says_its_configuration_its_corpus_and_its_model() {
    let books = Books::new(1).await;
    let model = books.site.model("digits").await;
    let version = books.site.published(&model, &HELLO, json!({"configuration": {"b": 3}})).await;
    let run = books
        .worker_run(json!({
            "worker_configuration": {"a": 1, "b": 1, "c": 1}, "configuration": {"c": 4, "parents": [NOBODY]},
            "user_configuration": {"b": {"title": "B", "default": 2}, "c": {"default": 2}}, "secrets": ["key.json"],
            "model_version_id": version["id"]}))
        .await;
    let shown = books.site.ok("RetrieveWorkerRun", &run, None).await;
    assert_eq!((&shown["summary"], &shown["parents"]), (&json!("Worker Reader @ 1"), &json!([NOBODY])));
    let process = &shown["process"];
    assert_eq!((&process["id"], &process["corpus"]), (&json!(run), &json!(books.corpus)));
    assert_eq!((&process["mode"], &process["activity_state"]), (&json!("workers"), &json!("ready")));
    assert_eq!(process["skip_elements_json"], false);
    let brought = &shown["worker_version"]["configuration"];
    assert_eq!((&brought["configuration"]["a"], &brought["secrets"]), (&json!(1), &json!(["key.json"])));
    assert_eq!(brought["user_configuration"]["b"]["default"], 2);
    assert_eq!(
        (&shown["configuration"]["configuration"]["c"], &shown["model_version"]["id"]),
        (&json!(4), &version["id"])
    );
    let merged = books.site.ok("RetrieveWorkerRunConfiguration", &run, None).await;
    let value = |key: &str| {
        let items = merged["configuration"].as_array().unwrap();
        items.iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("no {key} in {merged}")).clone()
    };
    assert_eq!(
        (&value("a")["value"], &value("b")["value"], &value("c")["value"]),
        (&json!(1), &json!(3), &json!(4))
    );
    assert_eq!(
        (&value("key.json")["secret"], &value("key.json")["value"]),
        (&json!(true), &json!("key.json"))
    );
    assert_eq!(books.site.ok("RetrieveWorkerVersion", &run, None).await["worker"]["slug"], "reader");
    let task = books.site.ok("RetrieveTask", &run, None).await;
    assert_eq!((&task["parents"], &task["state"]), (&json!([NOBODY]), &json!("running")));
    books.site.refused("RetrieveWorkerRun", NOBODY, None, 404).await;
    let gone = books.worker_run(json!({"model_version_id": NOBODY})).await;
    assert!(books.site.refused("RetrieveWorkerRun", &gone, None, 400).await["model_version_id"].is_array());
}

#[tokio::test]
async fn an_activity_goes_from_queued_to_started_to_its_end_and_nowhere_else() {
    let books = Books::new(2).await;
    let run = books.worker_run(json!({})).await;
    let [one, two] = [&books.pages[0], &books.pages[1]];
    assert_eq!(books.say(&run, one, "processed").await, 409, "it was not started");
    assert_eq!(books.say(&run, one, "started").await, 204);
    assert_eq!(books.say(&run, one, "started").await, 409, "a rival has it");
    assert_eq!(books.say(&run, one, "processed").await, 204);
    assert_eq!(books.say(&run, one, "processed").await, 204, "an answer was lost");
    assert_eq!(books.say(&run, one, "started").await, 409, "it is done");
    assert_eq!(books.say(&run, one, "error").await, 409);
    assert_eq!(books.say(&run, two, "started").await, 204);
    assert_eq!(books.say(&run, two, "error").await, 204);
    assert_eq!(books.say(&run, two, "error").await, 204);
    assert_eq!(books.say(&run, two, "started").await, 204, "what failed is done again");
    let held = books.site.call(
        "UpdateWorkerActivity",
        &run,
        json!({"element_id": two, "process_id": run, "state": "started"}),
    );
    let held = held.await.json();
    assert!(text(&held["state"][0]).contains("arkindex: admin"), "{held}");
    let counts = books.site.server.get(&format!("/api/v2/worker_runs/{run}")).await["counts"].clone();
    assert_eq!((&counts["started"], &counts["processed"]), (&json!(1), &json!(1)));
    let held = books.site.server.get(&format!("/api/v2/worker_runs/{run}/activities?state=started")).await;
    let lease = held[0]["lease_until"].as_i64().unwrap() - held[0]["updated_at"].as_i64().unwrap();
    assert_eq!(lease, 3_600_000, "an hour, when the operator says nothing");
    // What was wrong about the request is said by its field.
    for (body, field) in [
        (json!({"element_id": "x", "process_id": run, "state": "started"}), "element_id"),
        (json!({"element_id": one, "process_id": NOBODY, "state": "started"}), "process_id"),
        (json!({"element_id": one, "process_id": run, "state": "done"}), "state"),
        (json!({"element_id": one, "process_id": run, "state": "queued"}), "state"),
    ] {
        let refused = books.site.refused("UpdateWorkerActivity", &run, body, 400).await;
        assert!(refused[field].is_array(), "{refused}");
    }
    assert_eq!(books.say(&run, &books.book, "started").await, 404, "it is none of this worker run");
    assert_eq!(books.say(NOBODY, one, "started").await, 404);
}

#[tokio::test]
async fn a_new_attempt_begins_with_nothing_of_the_one_before() {
    let books = Books::new(1).await;
    let run = books.worker_run(json!({})).await;
    let page = &books.pages[0];
    let kind = text(
        &books.site.ok("CreateEntityType", "", json!({"name": "person", "corpus": books.corpus})).await["id"],
    );
    for outcome in ["error", "processed"] {
        assert_eq!(books.say(&run, page, "started").await, 204);
        let lines = json!({"worker_run_id": run, "elements": [{"type": "line", "name": "l", "polygon": [[0, 0], [9, 0], [9, 9]]}]});
        let line = text(&books.site.ok("CreateElements", page, lines).await[0]["id"]);
        books.site.ok("CreateTranscription", &line, json!({"text": "hello", "worker_run_id": run})).await;
        let note = json!({"type": "text", "name": "n", "value": "v", "worker_run_id": run});
        books.site.ok("CreateMetaData", page, note).await;
        let entity = json!({"name": "Ada", "type_id": kind, "corpus": books.corpus, "worker_run_id": run});
        books.site.ok("CreateEntity", "", entity).await;
        assert_eq!(books.say(&run, page, outcome).await, 204);
    }
    assert_eq!(books.names("ListElementChildren", page).await, ["l"]);
    assert_eq!(books.site.ok("ListElementMetaData", page, None).await.as_array().unwrap().len(), 1);
    assert_eq!(
        books.site.ok("ListTranscriptions", &format!("{page}?recursive=True"), None).await["count"],
        1
    );
    assert_eq!(books.site.ok("ListCorpusEntities", &books.corpus, None).await["count"], 1);
}

#[tokio::test]
async fn elements_of_a_process_are_listed_and_counted() {
    let books = Books::new(3).await;
    let run = books.worker_run(json!({"mode": "export"})).await;
    let first = "page_size=2&with_count=true&with_image=False";
    let first = books.site.ok("ListProcessElements", &format!("{run}?{first}"), None).await;
    assert_eq!((&first["count"], &first["results"][0]["id"]), (&json!(3), &json!(books.pages[0])));
    assert_eq!(first["results"][0]["image_url"], Value::Null);
    let query =
        text(&first["next"]).split_once('?').unwrap().1.replace("with_image=False", "with_image=True");
    let second = books.site.ok("ListProcessElements", &format!("{run}?{query}"), None).await;
    assert_eq!((second.get("count"), &second["next"]), (None, &Value::Null));
    assert_eq!(second["results"][0]["image_url"], "https://host/iiif/2/3.jpg");
    assert_eq!(books.site.ok("ListProcessSets", &run, None).await["count"], 0);
    books.site.refused("ListProcessElements", NOBODY, None, 404).await;
}

#[tokio::test]
async fn elements_are_handed_out_to_whoever_has_the_token_of_a_run() {
    let books = Books::new(2).await;
    let run = json!({"name": "read", "kind": "worker", "spec": {"command": ["true"],
        "worker": {"corpus": "books", "selection": {"query": {"type": "page"}}}}});
    let run = text(&books.site.server.post("/api/v2/runs", run).await["id"]);
    let shown = books.site.ok("RetrieveWorkerRun", &run, None).await;
    assert_eq!(
        (&shown["process"]["corpus"], &shown["process"]["activity_state"]),
        (&json!(books.corpus), &json!("ready"))
    );
    let anybody = books.site.refused("StartWorkerActivity", "", None, 403).await;
    assert!(text(&anybody["detail"]).contains("belongs to no worker run"), "{anybody}");
    let token = json!({"name": "job", "scope": "run", "run_id": run});
    let token = text(&books.site.server.post("/api/v2/tokens", token).await["secret"]);
    let ponos = format!("Ponos {token}");
    let mut seen = Vec::new();
    for _page in 0..2 {
        let started = books.site.call_as(&ponos, "StartWorkerActivity", "", None).await;
        assert_eq!(started.status, 200, "{}", started.text());
        let id = text(&started.json()["id"]);
        let body = json!({"element_id": id, "process_id": run, "state": "processed"});
        assert_eq!(books.site.call_as(&ponos, "UpdateWorkerActivity", &run, body).await.status, 204);
        seen.push(id);
    }
    assert_eq!(seen, books.pages);
    assert_eq!(books.site.call_as(&ponos, "StartWorkerActivity", "", None).await.status, 404);
    let foreign = books.worker_run(json!({})).await;
    let body = json!({"element_id": books.pages[0], "process_id": foreign, "state": "started"});
    assert_eq!(books.site.call_as(&ponos, "UpdateWorkerActivity", &foreign, body).await.status, 403);
}
