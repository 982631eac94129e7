//! Corpora and elements, request by request as the packages send them.

use serde_json::{Value, json};

use super::{books::Books, text};

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn a_corpus_has_types_and_workers_add_some() {
    let books = Books::new(0).await;
    let new = json!({"slug": "word", "display_name": "Word", "folder": false, "corpus": books.corpus});
    let made = books.site.ok("CreateElementType", "", new.clone()).await;
    assert_eq!((&made["slug"], &made["folder"]), (&json!("word"), &json!(false)));
    let corpus = books.site.ok("RetrieveCorpus", &books.corpus, None).await;
    let slugs: Vec<String> =
        corpus["types"].as_array().unwrap().iter().map(|one| text(&one["slug"])).collect();
    assert_eq!(slugs, ["book", "line", "page", "word"]);
    // Newer workers look for it when they are told so.
    let again = books.site.refused("CreateElementType", "", new, 400).await;
    assert!(text(&again["name"][0]).contains("there is a type `word`"), "{again}");
    let nowhere = json!({"slug": "word", "corpus": "x"});
    assert!(books.site.refused("CreateElementType", "", nowhere, 400).await["corpus"].is_array());
    books.site.refused("RetrieveCorpus", NOBODY, None, 404).await;
}

#[tokio::test]
async fn an_element_is_shown_with_all_that_workers_read() {
    let books = Books::new(1).await;
    let page = books.site.ok("RetrieveElement", &books.pages[0], None).await;
    assert_eq!((&page["type"], &page["name"]), (&json!("page"), &json!("page 1")));
    assert_eq!(page["corpus"], json!({"id": books.corpus, "name": "books", "public": false}));
    let zone = &page["zone"];
    assert_eq!(zone["polygon"], json!([[0, 0], [100, 0], [100, 200], [0, 200]]));
    assert_eq!(zone["url"], "https://host/iiif/2/1.jpg/full/full/0/default.jpg");
    assert_eq!((&zone["image"]["width"], &zone["image"]["s3_url"]), (&json!(100), &Value::Null));
    assert_eq!(zone["image"]["server"]["max_width"], Value::Null);
    assert_eq!((&page["rotation_angle"], &page["mirrored"]), (&json!(0), &json!(false)));
    assert_eq!((&page["classifications"], &page["payload"]), (&json!([]), &json!({"number": 1})));
    let book = books.site.ok("RetrieveElement", &books.book, None).await;
    assert_eq!((&book["zone"], &book["has_children"]), (&Value::Null, &json!(true)));
    books.site.refused("RetrieveElement", NOBODY, None, 404).await;
    books.site.refused("RetrieveElement", "page-1", None, 404).await;
}

#[tokio::test]
async fn elements_are_made_alone_in_bulk_and_changed() {
    let books = Books::new(1).await;
    let run = books.worker_run(json!({})).await;
    let page = &books.pages[0];
    let new = json!({"type": "line", "name": "top", "image": null, "corpus": books.corpus, "parent": page,
        "polygon": [[0, 0], [10.4, 0], [10, 5]], "worker_run_id": run, "confidence": 0.5});
    let made = books.site.ok("CreateElement", "", new.clone()).await;
    assert_eq!(made["zone"]["url"], "https://host/iiif/2/1.jpg/0,0,10,5/full/0/default.jpg");
    assert_eq!((&made["worker_run"]["id"], &made["confidence"]), (&json!(run), &json!(0.5)));
    assert_eq!(made["worker_run"]["summary"], "Worker Reader @ 1");
    let line = |name: &str| json!({"type": "line", "name": name, "polygon": [[1, 1], [2, 2], [2, 1]]});
    let bulk = json!({"worker_run_id": run, "elements": [line("z"), line("a"), line("m")]});
    let ids = books.site.ok("CreateElements", page, bulk).await;
    let mut names = Vec::new();
    for id in ids.as_array().unwrap() {
        names.push(text(&books.site.ok("RetrieveElement", &text(&id["id"]), None).await["name"]));
    }
    assert_eq!(names, ["z", "a", "m"], "ids come in the order of the request");
    assert_eq!(books.names("ListElementChildren", page).await, ["top", "z", "a", "m"]);
    let id = text(&made["id"]);
    let patch = json!({"name": "bottom", "confidence": null, "polygon": [[0, 0], [5, 0], [5, 5]], "rotation_angle": 90,
        "mirrored": true, "type": "page"});
    let changed = books.site.ok("PartialUpdateElement", &id, patch).await;
    assert_eq!(
        (&changed["name"], &changed["confidence"], &changed["type"]),
        (&json!("bottom"), &Value::Null, &json!("page"))
    );
    assert_eq!((&changed["rotation_angle"], &changed["mirrored"]), (&json!(90), &json!(true)));
    let mut wrong = new;
    wrong["polygon"] = json!([[0, 0], [1000, 0], [1, 1]]);
    let refused = books.site.refused("CreateElement", "", wrong.clone(), 400).await;
    assert!(refused["polygon"].is_array(), "{refused}");
    wrong["type"] = json!("word");
    assert!(books.site.refused("CreateElement", "", wrong.clone(), 400).await["type"].is_array());
    wrong["parent"] = json!(NOBODY);
    wrong["polygon"] = Value::Null;
    wrong["type"] = json!("line");
    let refused = books.site.refused("CreateElement", "", wrong, 400).await;
    assert!(refused.as_object().unwrap().keys().all(|key| key.starts_with("parent")), "{refused}");
    let bulk = json!({"worker_run_id": run, "elements": [line("ok"), {"type": "line", "name": ""}]});
    let refused = books.site.refused("CreateElements", page, bulk, 400).await;
    assert!(refused["elements.1.name"].is_array(), "{refused}");
    assert_eq!(books.names("ListElementChildren", page).await.len(), 4, "nothing of a wrong bulk is written");
    let foreign = json!({"worker_run_id": NOBODY, "elements": [line("ok")]});
    assert!(books.site.refused("CreateElements", page, foreign, 400).await["worker_run_id"].is_array());
}

#[tokio::test]
async fn elements_are_linked_but_never_in_a_circle() {
    let books = Books::new(2).await;
    let [one, two] = [&books.pages[0], &books.pages[1]];
    let linked = books.site.ok("CreateElementParent", &format!("{two} {one}"), None).await;
    assert_eq!(linked, json!({"parent": one, "child": two}));
    assert_eq!(books.names("ListElementParents", two).await, ["a book", "page 1"]);
    assert_eq!(
        books.names("ListElementParents", &format!("{two}?recursive=True&type=book")).await,
        ["a book"]
    );
    let circle = books.site.refused("CreateElementParent", &format!("{one} {two}"), None, 400).await;
    assert!(text(&circle["detail"]).contains("cannot be below it too"), "{circle}");
    let children = json!({"children": [two]});
    assert_eq!(books.site.ok("CreateElementChildren", one, children.clone()).await, children);
    let wrong = books.site.refused("CreateElementChildren", one, json!({"children": [two, "x"]}), 400).await;
    assert!(wrong["children.1"].is_array(), "{wrong}");
    assert!(books.site.refused("CreateElementChildren", one, json!({"children": [NOBODY]}), 400).await["children.0"].is_array());
}

#[tokio::test]
async fn lists_are_filtered_as_workers_ask() {
    let books = Books::new(3).await;
    let run = books.worker_run(json!({})).await;
    let line = json!({"worker_run_id": run, "elements": [{"type": "line", "name": "100%_a"}]});
    let line = text(&books.site.ok("CreateElements", &books.pages[0], line).await[0]["id"]);
    let new = json!({"text": "hello", "worker_run_id": run});
    books.site.ok("CreateTranscription", &line, new).await;
    let corpus = |query: &str| format!("{}?{query}", books.corpus);
    let cases = [
        ("folder=True", vec!["a book"]),
        ("folder=False&type=line", vec!["100%_a"]),
        ("folder=True&type=page", vec![]),
        ("top_level=True", vec!["a book"]),
        ("name=0%25_A", vec!["100%_a"]),
        ("name=page%20_", vec![]),
        ("type=page", vec!["page 1", "page 2", "page 3"]),
        ("worker_run=False", vec!["a book", "page 1", "page 2", "page 3"]),
        (&format!("worker_run={run}"), vec!["100%_a"]),
        (&format!("worker_version={run}"), vec!["100%_a"]),
        (&format!("transcription_worker_run={run}"), vec!["100%_a"]),
        ("transcription_worker_version=False", vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(books.names("ListElements", &corpus(query)).await, expected, "{query}");
    }
    assert_eq!(
        books.names("ListElementChildren", &format!("{}?recursive=True&type=line", books.book)).await,
        ["100%_a"]
    );
    let bare =
        books.site.ok("ListElements", &corpus("type=page&with_corpus=False&with_zone=false"), None).await;
    let first = &bare["results"][0];
    assert_eq!(
        (&first["corpus"], &first["zone"], &first["has_children"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&first["classifications"], &first["metadata"]), (&Value::Null, &Value::Null));
    let all = "type=page&with_has_children=True&with_classes=True&with_metadata=True";
    let all = books.site.ok("ListElements", &corpus(all), None).await;
    assert_eq!(
        (&all["results"][0]["has_children"], &all["results"][1]["has_children"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&all["results"][0]["classifications"], &all["results"][0]["metadata"]),
        (&json!([]), &json!([]))
    );
    for wrong in ["folder=maybe", "worker_run=x", "cursor=x", "page_size=x"] {
        books.site.refused("ListElements", &corpus(wrong), None, 400).await;
    }
}

#[tokio::test]
async fn a_list_of_elements_goes_on_by_its_cursor_and_is_counted_once() {
    let books = Books::new(5).await;
    let first = books.site.ok("ListElements", &format!("{}?type=page&page_size=2", books.corpus), None).await;
    assert_eq!(first["count"], 5);
    let next = text(&first["next"]);
    let query = next.split_once('?').unwrap().1;
    assert!(query.starts_with("type=page&page_size=2&cursor="), "{next}");
    let second = books.site.ok("ListElements", &format!("{}?{query}", books.corpus), None).await;
    assert_eq!((second.get("count"), &second["results"][0]["name"]), (None, &json!("page 3")));
    let below = books.site.ok("ListElementChildren", &format!("{}?page_size=4", books.book), None).await;
    assert_eq!(below["count"], 5);
    let query = text(&below["next"]).split_once('?').unwrap().1.to_owned();
    assert_eq!(books.names("ListElementChildren", &format!("{}?{query}", books.book)).await, ["page 5"]);
}

#[tokio::test]
async fn an_image_is_named_by_its_server_and_nothing_is_fetched() {
    let books = Books::new(1).await;
    let url = "https://nowhere.invalid/iiif/new.jpg";
    let made = books.site.ok("CreateIIIFURL", "", json!({"url": format!("{url}/info.json")})).await;
    assert_eq!(
        (&made["url"], &made["width"], &made["status"]),
        (&json!(url), &Value::Null, &json!("unchecked"))
    );
    let again = books.site.ok("CreateIIIFURL", "", json!({"url": url})).await;
    assert_eq!(again["id"], made["id"]);
    let changed = books.site.ok("PartialUpdateElement", &books.pages[0], json!({"image": made["id"]})).await;
    assert_eq!(changed["zone"]["image"]["id"], made["id"]);
    for wrong in ["file:///etc/passwd", "x", "http://a b"] {
        assert!(
            books.site.refused("CreateIIIFURL", "", json!({"url": wrong}), 400).await["url"].is_array(),
            "{wrong}"
        );
    }
}
