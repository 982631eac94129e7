//! What is found about elements, request by request as the packages send it.

use serde_json::{Value, json};

use super::{books::Books, text};

#[tokio::test]
async fn texts_are_written_alone_in_bulk_and_on_children() {
    let books = Books::new(2).await;
    let run = books.worker_run(json!({})).await;
    let page = &books.pages[0];
    let new = json!({"text": "hello", "worker_run_id": run, "confidence": 0.5, "orientation": "vertical-rl"});
    let made = books.site.ok("CreateTranscription", page, new).await;
    assert_eq!(
        (&made["text"], &made["orientation"], &made["confidence"]),
        (&json!("hello"), &json!("vertical-rl"), &json!(0.5))
    );
    let bulk = json!({"worker_run_id": run, "transcriptions": [
        {"element_id": books.pages[1], "text": "second", "confidence": 1.0, "orientation": "horizontal-lr"},
        {"element_id": page, "text": "first"}]});
    let bulk = books.site.ok("CreateTranscriptions", "", bulk).await;
    let elements: Vec<&Value> =
        bulk["transcriptions"].as_array().unwrap().iter().map(|one| &one["element_id"]).collect();
    assert_eq!(elements, [&json!(books.pages[1]), &json!(page)]);
    let at = |x: i64, text: &str| json!({"polygon": [[x, 0], [x + 5, 0], [x + 5, 5]], "text": text, "confidence": 0.9});
    let on = json!({"element_type": "line", "worker_run_id": run, "return_elements": true,
        "transcriptions": [at(0, "a"), at(10, "b"), at(0, "c")]});
    let annotations = books.site.ok("CreateElementTranscriptions", page, on.clone()).await;
    let created: Vec<&Value> = annotations.as_array().unwrap().iter().map(|one| &one["created"]).collect();
    assert_eq!(
        created,
        [&json!(true), &json!(true), &json!(false)],
        "a child with the same polygon is used again"
    );
    assert_eq!(annotations[0]["element_id"], annotations[2]["element_id"]);
    assert_ne!(annotations[0]["element_id"], annotations[1]["element_id"]);
    let count = async |query: &str| {
        books.site.ok("ListTranscriptions", &format!("{page}?{query}"), None).await["count"].clone()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("recursive=True").await, 5);
    assert_eq!(count("recursive=True&element_type=line").await, 3);
    assert_eq!(count("recursive=True&worker_run=False").await, 0);
    assert_eq!(count(&format!("recursive=True&worker_version={run}")).await, 5);
    let mut wrong = on;
    wrong["element_type"] = json!("word");
    assert!(
        books.site.refused("CreateElementTranscriptions", page, wrong, 400).await["element_type"].is_array()
    );
    let wrong = json!({"text": "x", "orientation": "upside-down"});
    let refused = books.site.refused("CreateTranscription", page, wrong, 400).await;
    assert!(text(&refused["orientation"][0]).contains("`upside-down` is none of horizontal-lr"), "{refused}");
    let wrong =
        json!({"transcriptions": [{"element_id": page, "text": "x"}, {"element_id": "x", "text": "y"}]});
    assert!(
        books.site.refused("CreateTranscriptions", "", wrong, 400).await["transcriptions.1.element_id"]
            .is_array()
    );
}

#[tokio::test]
async fn classes_and_classifications_are_refused_in_the_words_that_workers_wait_for() {
    let books = Books::new(1).await;
    let run = books.worker_run(json!({})).await;
    let class = books.site.ok("CreateMLClass", &books.corpus, json!({"name": "cat"})).await;
    let again = books.site.refused("CreateMLClass", &books.corpus, json!({"name": "cat"}), 400).await;
    assert!(again["name"].is_array(), "{again}");
    let listed = books.site.ok("ListCorpusMLClasses", &books.corpus, None).await;
    assert_eq!(listed["results"], json!([class]));
    assert_eq!(
        books.site.ok("ListCorpusMLClasses", &format!("{}?search=DO", books.corpus), None).await["results"],
        json!([])
    );
    let page = &books.pages[0];
    let new = json!({"element": page, "ml_class": class["id"], "worker_run_id": run, "confidence": 0.5, "high_confidence": true});
    let made = books.site.ok("CreateClassification", "", new.clone()).await;
    assert_eq!(
        (&made["state"], &made["confidence"], &made["ml_class"]),
        (&json!("pending"), &json!(0.5), &class["id"])
    );
    let twice = books.site.refused("CreateClassification", "", new, 400).await;
    let words = "The fields element, worker_run, ml_class must make a unique set.";
    assert_eq!(twice, json!({"non_field_errors": [words]}));
    // A bulk whose answer was lost comes again.
    let bulk = json!({"parent": page, "worker_run_id": run, "classifications": [
        {"ml_class": class["id"], "confidence": 0.75, "high_confidence": false}]});
    for _twice in 0..2 {
        let made = books.site.ok("CreateClassifications", "", bulk.clone()).await;
        assert_eq!(made["classifications"][0]["ml_class"], class["id"]);
    }
    let shown = books.site.ok("RetrieveElement", page, None).await["classifications"].clone();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["confidence"]), (1, &json!(0.75)));
    assert_eq!(shown[0]["ml_class"], class);
    let wrong = json!({"parent": page, "worker_run_id": run, "classifications": [{"ml_class": page, "confidence": 2}]});
    let refused = books.site.refused("CreateClassifications", "", wrong, 400).await;
    assert!(refused["classifications.0.confidence"].is_array(), "{refused}");
    let wrong = json!({"element": page, "ml_class": page, "worker_run_id": run, "confidence": 0.5});
    assert!(books.site.refused("CreateClassification", "", wrong, 400).await["ml_class"].is_array());
}

#[tokio::test]
async fn entities_are_made_and_placed_by_each_generation() {
    let books = Books::new(1).await;
    let run = books.worker_run(json!({})).await;
    let page = &books.pages[0];
    let kind = books.site.ok("CreateEntityType", "", json!({"name": "person", "corpus": books.corpus})).await;
    books.site.refused("CreateEntityType", "", json!({"name": "person", "corpus": books.corpus}), 400).await;
    assert_eq!(books.site.ok("ListCorpusEntityTypes", &books.corpus, None).await["results"], json!([kind]));
    let new = json!({"name": "Ada", "type_id": kind["id"], "metas": {"born": 1815}, "validated": null, "corpus": books.corpus,
        "worker_run_id": run});
    let ada = books.site.ok("CreateEntity", "", new).await;
    assert_eq!((&ada["metas"], &ada["validated"]), (&json!({"born": 1815}), &json!(false)));
    let written = json!({"text": "Ada met Charles.", "worker_run_id": run});
    let words = text(&books.site.ok("CreateTranscription", page, written).await["id"]);
    let place =
        json!({"entity": ada["id"], "offset": 0, "length": 3, "worker_run_id": run, "confidence": 0.5});
    assert_eq!(books.site.ok("CreateTranscriptionEntity", &words, place).await["entity"], ada["id"]);
    let place = json!({"type_id": kind["id"], "offset": 8, "length": 7, "worker_run_id": run});
    books.site.ok("CreateTranscriptionEntity", &words, place).await;
    for list in ["entities", "transcription_entities"] {
        let mut bulk = json!({"worker_run_id": run});
        bulk[list] =
            json!([{"name": "met", "type_id": kind["id"], "offset": 4, "length": 3, "confidence": 1.0}]);
        let made = books.site.ok("CreateTranscriptionEntities", &words, bulk.clone()).await;
        assert_eq!(made["entities"][0]["transcription_entity_id"], made["transcription_entities"][0]);
        bulk[list][0]["length"] = json!(99);
        let refused = books.site.refused("CreateTranscriptionEntities", &words, bulk, 400).await;
        assert!(
            refused.as_object().unwrap().keys().all(|key| key.starts_with(&format!("{list}.0."))),
            "{refused}"
        );
    }
    let listed = books.site.ok("ListTranscriptionEntities", &format!("{words}?worker_run={run}"), None).await;
    let names: Vec<&Value> =
        listed["results"].as_array().unwrap().iter().map(|one| &one["entity"]["name"]).collect();
    assert_eq!(names, ["Ada", "met", "met", "Charles"]);
    assert_eq!(listed["results"][0]["type"], "person");
    let found =
        books.site.ok("ListCorpusEntities", &format!("{}?name=ada&parent={page}", books.corpus), None).await;
    assert_eq!((&found["count"], &found["results"][0]["id"]), (&json!(1), &ada["id"]));
    let both = json!({"entity": ada["id"], "type_id": kind["id"], "offset": 0, "length": 3});
    assert!(books.site.refused("CreateTranscriptionEntity", &words, both, 400).await["entity"].is_array());
    let wrong = json!({"type_id": page, "offset": 0, "length": 3, "worker_run_id": run});
    assert!(books.site.refused("CreateTranscriptionEntity", &words, wrong, 400).await["type_id"].is_array());
}

#[tokio::test]
async fn metadata_is_written_and_listed_with_that_of_parents() {
    let books = Books::new(1).await;
    let run = books.worker_run(json!({})).await;
    let page = &books.pages[0];
    let new =
        json!({"type": "text", "name": "title", "value": "A book", "entity_id": null, "worker_run_id": run});
    let made = books.site.ok("CreateMetaData", &books.book, new).await;
    assert_eq!(
        (&made["type"], &made["value"], &made["worker_run"]["id"]),
        (&json!("text"), &json!("A book"), &json!(run))
    );
    let bulk = json!({"worker_run_id": run, "metadata_list": [
        {"type": "numeric", "name": "year", "value": 1815, "entity_id": null},
        {"type": "date", "name": "day", "value": "in winter"}]});
    let bulk = books.site.ok("CreateMetaDataBulk", page, bulk).await;
    assert_eq!(
        (&bulk["metadata_list"][0]["value"], &bulk["metadata_list"][1]["name"]),
        (&json!("1815"), &json!("day"))
    );
    let names = async |query: &str| {
        let list = books.site.ok("ListElementMetaData", &format!("{page}?{query}"), None).await;
        list.as_array().unwrap().iter().map(|one| text(&one["name"])).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["year", "day"]);
    assert_eq!(names("load_parents=True").await, ["title", "year", "day"]);
    let wrong = json!({"type": "colour", "name": "c", "value": "red"});
    let refused = books.site.refused("CreateMetaData", page, wrong, 400).await;
    assert!(text(&refused["type"][0]).contains("`colour` is none of text"), "{refused}");
    let wrong = json!({"metadata_list": [{"type": "numeric", "name": "n", "value": "many"}]});
    let refused = books.site.refused("CreateMetaDataBulk", page, wrong, 400).await;
    assert!(refused["metadata_list.0.value"].is_array(), "{refused}");
}

#[tokio::test]
async fn what_is_not_kept_here_is_said() {
    let books = Books::new(1).await;
    let page = &books.pages[0];
    let refused = books.site.refused("CreateEmbedding", page, json!({"value": [0.5]}), 400).await;
    assert!(text(&refused["detail"]).contains("embeddings are not kept here"), "{refused}");
    assert_eq!(books.site.ok("ListEmbeddings", page, None).await["count"], 0);
    let refused = books.site.refused("StartExport", &books.corpus, json!({}), 400).await;
    assert!(text(&refused["detail"]).contains("exports are not made here"), "{refused}");
    assert_eq!(books.site.ok("ListExports", &books.corpus, None).await["results"], json!([]));
    books.site.refused("DownloadExport", page, None, 404).await;
}
