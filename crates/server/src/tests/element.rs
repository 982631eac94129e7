//! Corpora, images, elements and results over HTTP.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Reply, Server};

async fn corpus(server: &Server) -> String {
    let new = json!({"name": "books", "types": [{"slug": "book", "folder": true}, {"slug": "page"}, {"slug": "line"}]});
    server.post("/api/v2/corpora", new).await["id"].as_str().unwrap().to_owned()
}

/// Posts elements as lines.
async fn lines(server: &Server, query: &str, body: String) -> Reply {
    let request = Request::post(format!("/api/v2/elements?{query}"))
        .header("authorization", format!("Bearer {}", server.admin))
        .header("content-type", "application/x-ndjson")
        .body(Body::from(body));
    server.send(request.unwrap()).await
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

fn ids(made: &Value) -> Vec<String> {
    made["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn elements_are_posted_listed_changed_and_deleted() {
    let server = Server::start().await;
    let corpus = corpus(&server).await;
    let post = json!({"elements": [
        {"type": "book", "name": "b"},
        {"type": "page", "name": "p 1", "parents": ["b"], "image": {"url": "file:///1.png", "width": 50, "height": 90},
         "payload": {"n": 1}},
        {"type": "page", "name": "p 2", "parents": ["b"], "polygon": [[0, 0], [5, 0], [5, 5.4]]}]});
    let made = server.post(&format!("/api/v2/elements?corpus_id={corpus}"), post).await;
    assert_eq!(made["created"], 3);
    let ids = ids(&made);
    let all =
        server.get(&format!("/api/v2/elements?corpus_id={corpus}&type=page&with=parents,has_children")).await;
    assert_eq!(names(&all), ["p 1", "p 2"]);
    assert_eq!((&all[0]["parents"], &all[0]["has_children"]), (&json!([ids[0]]), &json!(false)));
    assert_eq!(all[0]["image"]["url"], "file:///1.png");
    assert_eq!(all[1]["polygon"], json!([[0, 0], [5, 0], [5, 5]]));
    let next = format!("/api/v2/elements?corpus_id={corpus}&id_after={}&limit=1", ids[0]);
    assert_eq!(names(&server.get(&next).await), ["p 1"]);
    let below = server
        .get(&format!("/api/v2/elements/{}/children?name_ilike=%25 2", ids[0]).replace(' ', "%20"))
        .await;
    assert_eq!(names(&below), ["p 2"]);
    let above = server.get(&format!("/api/v2/elements/{}/parents?recursive=true", ids[2])).await;
    assert_eq!(names(&above), ["b"]);
    let path = format!("/api/v2/elements/{}", ids[1]);
    let changed = server.call("PATCH", &path, json!({"name": "first", "payload": null})).await.data();
    assert_eq!((&changed["name"], changed.get("payload")), (&json!("first"), None));
    assert_eq!(changed["image"]["width"], 50);
    let linked = server
        .call("POST", &format!("/api/v2/elements/{}/children", ids[1]), json!({"children": [ids[2]]}))
        .await;
    assert_eq!(linked.status, 204, "{}", linked.text());
    let gone = server.call("DELETE", &format!("/api/v2/elements/{}/parents/{}", ids[2], ids[1]), None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        server.call("DELETE", &format!("/api/v2/elements/{}", ids[0]), None).await.data(),
        json!({"deleted": 3})
    );
    server.call("GET", &path, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn lines_are_all_written_or_none_and_may_be_repeated() {
    let server = Server::start().await;
    let corpus = corpus(&server).await;
    let id = "0190aaaa-0000-7000-8000-000000000001";
    let line =
        |n: usize| json!({"type": "page", "name": format!("p {n}"), "parents": [id]}).to_string() + "\n";
    let body = json!({"id": id, "type": "book", "name": "b"}).to_string()
        + "\n"
        + &(0..3_000).map(line).collect::<String>();
    let query = format!("corpus_id={corpus}");
    let bad = lines(&server, &query, body.clone() + "{\"type\": \"page\"}\n")
        .await
        .invalid(&["elements.3001.name"]);
    assert!(bad.errors.unwrap()["elements.3001.name"][0].contains("required"));
    let twice = body.clone() + &json!({"id": id, "type": "book", "name": "c"}).to_string();
    let twice = lines(&server, &query, twice).await.invalid(&["elements.3001.id"]);
    assert!(
        twice.errors.unwrap()["elements.3001.id"][0].contains("is the id of element 0 of this request too")
    );
    assert_eq!(server.get(&format!("/api/v2/elements?corpus_id={corpus}")).await, json!([]));
    assert_eq!(lines(&server, &query, body.clone()).await.data()["created"], 3001);
    let other = json!({"id": id, "type": "book", "name": "other"}).to_string();
    let other = lines(&server, &query, other).await.invalid(&["elements.0.id"]);
    assert!(other.errors.unwrap()["elements.0.id"][0].contains("it differs in name"));
    let again = json!({"id": id, "type": "book", "name": "b"}).to_string();
    assert_eq!(lines(&server, &query, again).await.data()["created"], 0);
    let many = (0..10_001).map(line).collect::<String>();
    let many = lines(&server, &query, many).await.invalid(&["elements"]);
    assert!(many.errors.unwrap()["elements"][0].contains("more than 10000 lines"));
    let large = lines(&server, &query, " ".repeat((16 << 20) + 1)).await.refused(413, "too_large");
    assert!(large.error.contains("16 MiB"), "{}", large.error);
}

#[tokio::test]
async fn what_is_wrong_with_elements_is_said_with_its_place() {
    let server = Server::start().await;
    let corpus = corpus(&server).await;
    let path = format!("/api/v2/elements?corpus_id={corpus}");
    let call = async |elements: Value| server.call("POST", &path, json!({"elements": elements})).await;
    let good = json!({"type": "page", "name": "good"});
    for (bad, field, said) in [
        (
            json!({"type": "page", "name": "x", "polygon": [[1, 2, 3]]}),
            "polygon.0",
            "has 3 coordinates: a point is [x, y]",
        ),
        (json!({"type": "page", "name": "x", "polygon": [[1, 1], [2, 2]]}), "polygon", "at least 3"),
        (json!({"type": "page", "name": "x", "polygon": "all"}), "polygon", "array"),
        (
            json!({"type": "page", "name": "x", "polygon": [[-1, 1], [2, 2], [3, 4]]}),
            "polygon",
            "coordinates are 0 or more",
        ),
        (
            json!({"type": "scroll", "name": "x"}),
            "type",
            "there is no type `scroll` in this corpus: it has book, line, page",
        ),
        (json!({"type": "page", "name": "x", "confidence": 2}), "confidence", "a confidence is from 0 to 1"),
        (json!({"type": "page", "name": "x", "id": "7"}), "id", "`7` is not an element id"),
        (
            json!({"type": "page", "name": "x", "parents": ["nobody"]}),
            "parents.0",
            "there is no element called `nobody`",
        ),
        (
            json!({"type": "page", "name": "x", "image": {"url": "1.png"}}),
            "image.url",
            "write a whole address",
        ),
        (
            json!({"type": "page", "name": "x", "results": {"transcriptions": [{"text": "t", "orientation": "up"}]}}),
            "results.transcriptions.0.orientation",
            "horizontal",
        ),
        (json!({"type": "page", "name": "x", "colour": "red"}), "colour", "not"),
    ] {
        let field = format!("elements.1.{field}");
        let error = call(json!([good, bad])).await.invalid(&[&field]);
        assert!(error.errors.as_ref().unwrap()[&field][0].contains(said), "{:?}", error.errors);
    }
    assert_eq!(server.get(&path).await, json!([]), "nothing was written");
    call(json!([])).await.invalid(&["elements"]);
    let mime = Request::post(&path).header("authorization", format!("Bearer {}", server.admin));
    let mime = server.send(mime.header("content-type", "text/csv").body(Body::from("a")).unwrap()).await;
    assert!(mime.refused(415, "unsupported_media_type").error.contains("application/x-ndjson"));
    server
        .call("POST", "/api/v2/elements?corpus_id=x", json!({"elements": [good]}))
        .await
        .invalid(&["corpus_id"]);
    server.call("POST", "/api/v2/elements", json!({"elements": [good]})).await.invalid(&["corpus_id"]);
    server.call("GET", &format!("{path}&with=all"), None).await.invalid(&["with.0"]);
    let nobody = "0190aaaa-0000-7000-8000-000000000009";
    let run =
        server.call("POST", &format!("{path}&worker_run_id={nobody}"), json!({"elements": [good]})).await;
    let run = run.invalid(&["worker_run_id"]);
    assert!(run.errors.unwrap()["worker_run_id"][0].contains("there is no worker run"));
    let none = server
        .call("POST", &format!("/api/v2/elements?corpus_id={nobody}"), json!({"elements": [good]}))
        .await;
    assert!(none.refused(404, "not_found").error.contains("there is no corpus"));
    for (method, path) in
        [("GET", ""), ("DELETE", ""), ("GET", "/children"), ("GET", "/parents"), ("GET", "/results")]
    {
        let path = format!("/api/v2/elements/{nobody}{path}");
        let error = server.call(method, &path, None).await.refused(404, "not_found");
        assert_eq!(error.error, format!("there is no element `{nobody}`"));
    }
}

#[tokio::test]
async fn results_are_added_and_read() {
    let server = Server::start().await;
    let corpus = corpus(&server).await;
    let made = server
        .post(
            &format!("/api/v2/elements?corpus_id={corpus}"),
            json!({"elements": [{"type": "page", "name": "p"}]}),
        )
        .await;
    let path = format!("/api/v2/elements/{}/results", ids(&made)[0]);
    let results = json!({
        "classifications": [{"class": "letter", "confidence": 0.5}],
        "transcriptions": [{"text": "Ann in Rome", "entities": [{"type": "place", "offset": 7, "length": 4}]}],
        "metadata": [{"type": "date", "name": "d", "value": "1800"}],
        "children": [{"type": "line", "name": "l"}]});
    let added = server.call("POST", &path, json!({"results": results})).await;
    assert_eq!(added.status, 204, "{}", added.text());
    let found = server.get(&path).await;
    assert_eq!(found["classifications"][0]["class"], "letter");
    assert_eq!(found["classifications"][0]["state"], "pending");
    assert_eq!(found["transcriptions"][0]["entities"][0]["name"], "Rome");
    assert_eq!(found["metadata"][0]["type"], "date");
    for (of, name) in [("classes", "letter"), ("entity_types", "place"), ("entities", "Rome")] {
        assert_eq!(names(&server.get(&format!("/api/v2/corpora/{corpus}/{of}")).await), [name]);
    }
    let listed =
        server.get(&format!("/api/v2/elements?corpus_id={corpus}&with=classifications,metadata")).await;
    assert_eq!((names(&listed), &listed[0]["metadata"][0]["value"]), (vec!["p", "l"], &json!("1800")));
    let bad = json!({"results": {"metadata": [{"type": "date", "name": "d", "value": "1"}, {"type": "date", "name": "d", "value": ""}]}});
    server.call("POST", &path, bad).await.invalid(&["results.metadata.1.value"]);
    server.call("POST", &path, json!({"replace": true, "results": {}})).await.invalid(&["replace"]);
    assert_eq!(server.get(&path).await, found);
}

#[tokio::test]
async fn corpora_and_images_over_http() {
    let server = Server::start().await;
    let id = corpus(&server).await;
    let path = format!("/api/v2/corpora/{id}");
    assert_eq!(server.get(&path).await["name"], "books");
    let taken =
        server.call("POST", "/api/v2/corpora", json!({"name": "books"})).await.refused(409, "already_exists");
    assert!(taken.error.contains("there is a corpus `books`"), "{}", taken.error);
    server
        .call("POST", "/api/v2/corpora", json!({"name": "", "project_id": "default"}))
        .await
        .invalid(&["name"]);
    server
        .call("POST", "/api/v2/corpora", json!({"name": "x", "project_id": "nowhere"}))
        .await
        .refused(404, "not_found");
    assert_eq!(server.call("PATCH", &path, json!({"name": "tomes"})).await.data()["name"], "tomes");
    assert_eq!(names(&server.get("/api/v2/corpora?name=tomes").await), ["tomes"]);
    let added = server.post(&format!("{path}/types"), json!({"slug": "word"})).await;
    assert_eq!(added["display_name"], "word");
    server
        .call("POST", &format!("{path}/types"), json!({"slug": "word"}))
        .await
        .refused(409, "already_exists");
    assert_eq!(server.call("DELETE", &format!("{path}/types/word"), None).await.status, 204);
    server.call("DELETE", &format!("{path}/types/word"), None).await.refused(404, "not_found");
    assert_eq!(server.get(&format!("{path}/types")).await.as_array().unwrap().len(), 3);
    let class = server.post(&format!("{path}/classes"), json!({"name": "c"})).await;
    server
        .call("POST", &format!("{path}/classes"), json!({"name": "c"}))
        .await
        .refused(409, "already_exists");
    assert_eq!(server.get(&format!("{path}/classes")).await, json!([class]));
    let images =
        json!({"images": [{"url": "file:///1.png"}, {"url": "file:///2.png", "width": 3, "height": 4}]});
    let images = server.post("/api/v2/images", images).await;
    assert_eq!(server.get(&format!("/api/v2/images/{}", images[1]["id"].as_str().unwrap())).await, images[1]);
    assert_eq!(server.get("/api/v2/images?url=file:///2.png").await, json!([images[1]]));
    let bad = json!({"images": [{"url": "file:///1.png", "width": 3}]});
    server.call("POST", "/api/v2/images", bad).await.invalid(&["images.0.height"]);
    assert_eq!(server.call("DELETE", &path, None).await.status, 204);
    server.call("GET", &path, None).await.refused(404, "not_found");
}
