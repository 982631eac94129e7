use std::sync::{Arc, atomic::Ordering};

use runyard_domain::{
    RunId, TranscriptionId,
    activity::Outcome,
    element::{self as rules, NewElement, NewImage, Polygon, Results},
};
use runyard_store::{Db, both};
use serde_json::{Value, json};

use super::{
    result::{Again, classify, entity, metadata, transcribe},
    *,
};
use crate::{activity, tests::Stopped, worker_run};

/// A corpus `books` with the types book, page, line.
struct Shelf {
    engine: Engine,
    admin: Actor,
    corpus: CorpusId,
    clock: Arc<Stopped>,
    _folder: tempfile::TempDir,
}

impl Shelf {
    async fn new(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = crate::tests::engine_on(db, clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        let types =
            ["book", "page", "line"].map(|slug| corpus::NewType { slug: slug.into(), ..Default::default() });
        let new = corpus::NewCorpus {
            project: "default".into(),
            name: "books".into(),
            types: types.into(),
            ..corpus::NewCorpus::default()
        };
        let corpus = corpus::create(&engine, &admin, new, None).await.unwrap().id;
        Self { engine, admin, corpus, clock, _folder: folder }
    }

    async fn try_make(&self, elements: Value) -> Result<Made> {
        create(&self.engine, &self.admin, self.corpus, batch(elements), None).await
    }

    async fn make(&self, elements: Value) -> Vec<ElementId> {
        self.try_make(elements).await.unwrap().ids
    }

    async fn names(&self) -> Vec<String> {
        let filter = Filter::within(Within::Corpus(self.corpus));
        let all = list(&self.engine, &self.admin, filter).await.unwrap();
        all.into_iter().map(|one| one.name).collect()
    }

    async fn below(&self, id: ElementId) -> Vec<Element> {
        list(&self.engine, &self.admin, Filter::within(Within::Below(id, Depth::All))).await.unwrap()
    }

    /// A worker run over these elements.
    async fn worker_run(&self, elements: &[ElementId]) -> WorkerRunId {
        let selection =
            runyard_domain::worker_run::Selection { elements: elements.to_vec(), ..Default::default() };
        let new = worker_run::NewWorkerRun {
            corpus: Some(self.corpus.to_string()),
            worker: "reader".into(),
            selection: Some(selection),
            ..Default::default()
        };
        worker_run::create(&self.engine, &self.admin, new).await.unwrap().id
    }

    async fn start(&self, run: WorkerRunId, element: ElementId) {
        activity::start(&self.engine, &self.admin, run, element, "w".into(), None).await.unwrap();
    }
}

fn batch(elements: Value) -> Batch {
    let elements: Vec<NewElement> = serde_json::from_value(elements).unwrap();
    Batch { elements, ..Batch::default() }
}

fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.to_string(),
        other => other.to_string(),
    }
}

fn id(n: u8) -> ElementId {
    ElementId::new(runyard_domain::Millis(i64::from(n)), [n; 10])
}

fn results(value: Value) -> Results {
    serde_json::from_value(value).unwrap()
}

fn square(at: i64) -> Polygon {
    Polygon(vec![[at, at], [at + 10, at], [at + 10, at + 10], [at, at + 10]])
}

fn text(polygon: Polygon, text: &str) -> transcribe::PlacedText {
    transcribe::PlacedText {
        polygon,
        text: text.into(),
        confidence: Some(0.5),
        orientation: rules::Orientation::HorizontalLr,
        element_confidence: None,
    }
}

both! {
    async fn a_tree_is_made_in_one_request_and_its_ids_sort_as_it_was_written(db) {
        let shelf = Shelf::new(db).await;
        let ids = shelf.make(json!([
            {"type": "book", "name": "b"},
            {"type": "page", "name": "p 1", "parents": ["b"], "image": {"url": "file:///1.png", "width": 50, "height": 90}},
            {"type": "page", "name": "p 2", "parents": ["b"]},
            {"type": "line", "name": "l", "parents": ["p 1"], "polygon": [[0, 0], [50, 0], [50, 9]],
             "results": {"transcriptions": [{"text": "hello"}], "classifications": [{"class": "c", "confidence": 1}]}},
        ])).await;
        assert!(ids.is_sorted());
        assert_eq!(shelf.names().await, ["b", "p 1", "p 2", "l"]);
        let line = get(&shelf.engine, &shelf.admin, ids[3]).await.unwrap();
        let page = get(&shelf.engine, &shelf.admin, ids[1]).await.unwrap();
        assert_eq!(line.image_id, page.image_id, "a polygon is on the parent's image");
        assert!(line.image_id.is_some() && !line.top_level);
        let found = result::get(&shelf.engine, &shelf.admin, ids[3]).await.unwrap();
        assert_eq!((found.transcriptions[0].text.as_str(), found.classifications[0].1.as_str()), ("hello", "c"));
        let more = shelf.make(json!([{"type": "line", "name": "m", "parents": [ids[2]]}])).await;
        assert!(more[0] > ids[3]);
        let with = With { images: true, parents: true, has_children: true, classifications: true, metadata: true };
        let details = details(&shelf.engine, &[page.clone(), line.clone()], with).await.unwrap();
        assert_eq!(details.parents[&line.id], [page.id]);
        assert_eq!(details.having_children, [page.id].into());
        assert_eq!(details.images[&page.image_id.unwrap()].size(), Some((50, 90)));
        assert_eq!(details.classifications[&line.id].len(), 1);
    }

    async fn one_bad_element_is_named_and_nothing_is_written(db) {
        let shelf = Shelf::new(db).await;
        let ids = shelf.make(json!([{"type": "book", "name": "twin"}, {"type": "book", "name": "twin"}])).await;
        let ghost = id(9);
        for (bad, said) in [
            (json!({"type": "page", "name": ""}), "elements.1.name: is empty: a name has 1 to 250 characters".to_owned()),
            (json!({"type": "scroll", "name": "x"}),
             "elements.1.type: there is no type `scroll` in this corpus: it has book, line, page".to_owned()),
            (json!({"type": "page", "name": "x", "parents": [ghost]}),
             format!("elements.1.parents.0: there is no element `{ghost}` in this corpus, nor earlier in this request")),
            (json!({"type": "page", "name": "x", "parents": ["later"]}),
             "elements.1.parents.0: there is no element called `later` in this corpus, nor earlier".to_owned()),
            (json!({"type": "page", "name": "x", "parents": ["twin"]}),
             "elements.1.parents.0: several elements are called `twin`: give the id of the one that is meant".to_owned()),
            (json!({"type": "page", "name": "x", "polygon": [[1, 1], [2, 2]]}),
             "elements.1.polygon: has 2 different points: a polygon has at least 3".to_owned()),
            (json!({"type": "page", "name": "x", "image": {"id": ghost}}),
             format!("elements.1.image.id: there is no image `{ghost}` in this project: give its `url`")),
            (json!({"type": "page", "name": "x", "results": {"children": [{"type": "scroll", "name": "y"}]}}),
             "elements.1.results.children.0.type: there is no type `scroll`".to_owned()),
        ] {
            let good = json!({"type": "page", "name": "good"});
            let after = json!({"type": "page", "name": "later"});
            let message = words(shelf.try_make(json!([good, bad, after])).await);
            assert!(message.starts_with(&said), "{message}");
        }
        assert_eq!(shelf.names().await, ["twin", "twin"]);
        let message = words(shelf.try_make(json!([])).await);
        assert_eq!(message, "elements: has 0 elements: send 1 to 10000 at a time");
        let nobody = CorpusId::new(runyard_domain::Millis(1), [1; 10]);
        let none = batch(json!([{"type": "page", "name": "x"}]));
        let message = words(create(&shelf.engine, &shelf.admin, nobody, none, None).await);
        assert_eq!(message, format!("there is no corpus `{nobody}`"));
        assert_eq!(ids.len(), 2);
    }

    async fn a_polygon_is_held_against_the_size_of_an_image_that_is_known(db) {
        let shelf = Shelf::new(db).await;
        let ids = shelf.make(json!([{"type": "page", "name": "p", "image": {"url": "file:///1.png", "width": 50, "height": 90}}])).await;
        let outside = json!([[0, 0], [51, 0], [50, 9]]);
        let line = json!({"type": "line", "name": "l", "parents": [ids[0]], "polygon": outside});
        let said = "polygon: has the point [51, 0]: the image has 50 x 90 pixels";
        assert_eq!(words(shelf.try_make(json!([line])).await), format!("elements.0.{said}"));
        let again = json!({"type": "page", "name": "q", "image": {"url": "file:///1.png"},
                           "results": {"children": [{"type": "line", "name": "l", "polygon": outside}]}});
        assert_eq!(words(shelf.try_make(json!([again])).await), format!("elements.0.results.children.0.{said}"));
        let patch_to = Patch { polygon: Some(Some(serde_json::from_value(outside.clone()).unwrap())), ..Patch::default() };
        assert_eq!(words(patch(&shelf.engine, &shelf.admin, ids[0], patch_to).await), said);
        let found = results(json!({"children": [{"type": "line", "name": "l", "polygon": outside}]}));
        let refused = result::add(&shelf.engine, &shelf.admin, ids[0], None, false, found).await;
        assert_eq!(words(refused), format!("results.children.0.{said}"));
        let texts = vec![text(serde_json::from_value(outside).unwrap(), "t")];
        let refused = transcribe::transcribe_children(&shelf.engine, &shelf.admin, ids[0], None, "line".into(), texts);
        assert_eq!(words(refused.await), format!("transcriptions.0.{said}"));
        assert_eq!(shelf.names().await, ["p"]);
    }

    async fn ids_of_the_caller_make_an_import_repeatable(db) {
        let shelf = Shelf::new(db).await;
        let all = json!([
            {"id": id(1), "type": "book", "name": "b"},
            {"id": id(2), "type": "page", "name": "p", "parents": ["b"], "payload": {"n": 1},
             "image": {"url": "file:///1.png"}, "results": {"metadata": [{"type": "text", "name": "n", "value": "v"}]}},
        ]);
        assert_eq!(shelf.try_make(all.clone()).await.unwrap(), Made { ids: vec![id(1), id(2)], created: 2 });
        assert_eq!(shelf.try_make(all.clone()).await.unwrap(), Made { ids: vec![id(1), id(2)], created: 0 });
        assert_eq!(metadata::list(&shelf.engine, &shelf.admin, id(2), false).await.unwrap().len(), 1);
        let mut more = all.clone();
        more.as_array_mut().unwrap().push(json!({"id": id(3), "type": "page", "name": "q", "parents": [id(1)]}));
        assert_eq!(shelf.try_make(more).await.unwrap().created, 1, "what was missing");
        let mut other = all.clone();
        other[1]["payload"] = json!({"n": 2});
        other[1]["parents"] = json!([]);
        let message = words(shelf.try_make(other).await);
        let said = format!("elements.1.id: there is an element `{}` already, and it differs in parents, payload", id(2));
        assert!(message.starts_with(&said), "{message}");
        let twice = json!([{"id": id(7), "type": "book", "name": "x"}, {"type": "book", "name": "y"}, {"id": id(7), "type": "book", "name": "x"}]);
        let message = words(shelf.try_make(twice).await);
        let said = format!("elements.2.id: `{}` is the id of element 0 of this request too: ids are given once", id(7));
        assert_eq!(message, said);
        assert_eq!(shelf.names().await, ["b", "p", "q"]);
    }

    async fn an_idempotency_key_makes_elements_once_without_ids(db) {
        let shelf = Shelf::new(db).await;
        let all = || batch(json!([{"type": "book", "name": "b"}, {"id": id(1), "type": "page", "name": "p"}, {"type": "page", "name": "q"}]));
        let make = async |batch| create(&shelf.engine, &shelf.admin, shelf.corpus, batch, Some("k".into())).await;
        let first = make(all()).await.unwrap();
        shelf.clock.0.fetch_add(5_000, Ordering::Relaxed);
        let again = make(all()).await.unwrap();
        assert_eq!((first.created, again.created), (3, 0));
        assert_eq!(first.ids, again.ids);
        assert_eq!(shelf.names().await.len(), 3);
        let message = words(make(batch(json!([{"type": "book", "name": "other"}]))).await);
        assert!(message.contains("the Idempotency-Key `k` was used for another request"), "{message}");
    }

    async fn types_are_made_when_that_is_asked_for(db) {
        let shelf = Shelf::new(db).await;
        let new = Batch { create_types: true, ..batch(json!([{"type": "scroll", "name": "s",
            "results": {"children": [{"type": "column", "name": "c"}]}}])) };
        create(&shelf.engine, &shelf.admin, shelf.corpus, new, None).await.unwrap();
        let known = corpus::types(&shelf.engine, &shelf.admin, shelf.corpus).await.unwrap();
        assert_eq!(known.iter().map(|one| one.slug.as_str()).collect::<Vec<_>>(), ["book", "column", "line", "page", "scroll"]);
        let again = corpus::NewType { slug: "page".into(), ..Default::default() };
        let message = words(corpus::add_type(&shelf.engine, &shelf.admin, shelf.corpus, again).await);
        assert_eq!(message, "there is a type `page` in this corpus already");
        let used = corpus::delete_type(&shelf.engine, &shelf.admin, shelf.corpus, "scroll".into()).await;
        assert!(words(used).contains("there are elements of the type `scroll`: delete them first"));
        corpus::delete_type(&shelf.engine, &shelf.admin, shelf.corpus, "page".into()).await.unwrap();
    }

    async fn children_come_back_in_request_order_and_are_made_for_the_element_under_work(db) {
        let shelf = Shelf::new(db).await;
        let ids = shelf.make(json!([{"type": "page", "name": "p", "image": {"url": "file:///1.png"}}])).await;
        let run = shelf.worker_run(&ids).await;
        shelf.start(run, ids[0]).await;
        let lines = json!([{"type": "line", "name": "2", "polygon": [[0, 0], [5, 0], [5, 5]]}, {"type": "line", "name": "1"}]);
        let new = Batch { worker_run: Some(run), ..batch(lines) };
        let made = children(&shelf.engine, &shelf.admin, ids[0], new).await.unwrap();
        let below = shelf.below(ids[0]).await;
        assert_eq!(below.iter().map(|one| one.id).collect::<Vec<_>>(), made.ids);
        assert!(below.iter().all(|one| one.root_element == Some(ids[0]) && one.worker_run_id == Some(run)));
        assert!(below[0].image_id.is_some() && below[1].image_id.is_none());
        let nobody = children(&shelf.engine, &shelf.admin, id(5), batch(json!([{"type": "line", "name": "x"}]))).await;
        assert_eq!(words(nobody), format!("there is no element `{}`", id(5)));
    }

    async fn what_a_worker_wrote_piece_by_piece_goes_with_its_next_attempt(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let ids = shelf.make(json!([{"type": "page", "name": "p"}, {"type": "line", "name": "old", "parents": ["p"]}])).await;
        let (page, line) = (ids[0], ids[1]);
        let run = shelf.worker_run(&[page]).await;
        let class = classify::create_class(engine, admin, shelf.corpus, "c".into()).await.unwrap().id;
        let person = entity::create_type(engine, admin, shelf.corpus, "person".into(), None).await.unwrap().id;
        for attempt in 1..=2 {
            shelf.start(run, page).await;
            assert_eq!(shelf.names().await, ["p", "old"], "attempt {attempt} begins with nothing");
            let rows = |id| transcribe::NewTranscription {
                element_id: id, text: "Ann".into(), confidence: None, orientation: rules::Orientation::default(),
            };
            let texts = transcribe::transcribe(engine, admin, Some(run), vec![rows(page), rows(line)]).await.unwrap();
            let places = vec![entity::NewPlace {
                entity: entity::Which::New(person, None), offset: 0, length: 3, confidence: Some(1.0),
            }];
            entity::place(engine, admin, texts[1].id, Some(run), places).await.unwrap();
            let made = Batch { worker_run: Some(run), ..batch(json!([{"type": "line", "name": "new"}])) };
            let new = children(engine, admin, page, made).await.unwrap().ids[0];
            let said = vec![classify::NewClassification {
                class_id: class, confidence: 0.5, high_confidence: true, state: runyard_domain::element::ClassificationState::default(),
            }];
            for element in [page, line, new] {
                classify::classify(engine, admin, element, Some(run), said.clone(), Again::IsLeftOut).await.unwrap();
            }
            let twice = classify::classify(engine, admin, page, Some(run), said, Again::IsLeftOut).await;
            assert!(words(twice).contains("element, worker run and class are together once"));
            let fact = metadata::NewMetadata {
                given: rules::Metadata { of_type: rules::MetadataType::Text, name: "n".into(), value: "v".into() },
                entity_id: None,
            };
            metadata::add(engine, admin, line, Some(run), vec![fact]).await.unwrap();
            assert_eq!(shelf.names().await, ["p", "old", "new"]);
            activity::finish(engine, admin, run, page, Outcome::Error, None).await.unwrap();
        }
        shelf.start(run, page).await;
        for element in [page, line] {
            let found = result::get(engine, admin, element).await.unwrap();
            assert!(found.classifications.is_empty() && found.transcriptions.is_empty() && found.metadata.is_empty());
        }
        let all = entity::Filter { corpus_id: shelf.corpus, name_ilike: None, below: None, offset: 0, limit: 9 };
        assert_eq!(entity::list(engine, admin, all).await.unwrap().1, 0);
    }

    async fn texts_at_places_go_to_the_children_that_are_there(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let ids = shelf.make(json!([
            {"type": "page", "name": "p", "image": {"url": "file:///1.png"}},
            {"type": "line", "name": "known", "parents": ["p"], "polygon": square(0)},
            {"type": "book", "name": "no line", "parents": ["p"], "polygon": square(20)},
        ])).await;
        let turned = Polygon(vec![[10, 10], [10, 0], [0, 0], [0, 10], [10, 10]]);
        let texts = vec![text(turned, "one"), text(square(20), "two"), text(square(20), "three")];
        let made = transcribe::transcribe_children(engine, admin, ids[0], None, "line".into(), texts).await.unwrap();
        assert_eq!(made.iter().map(|one| one.created).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(made[0].transcription.element_id, ids[1]);
        assert_eq!(made[1].transcription.element_id, made[2].transcription.element_id);
        assert_eq!(shelf.names().await, ["p", "known", "no line", "2"]);
        let filter = transcribe::Filter {
            element_id: ids[0], depth: Depth::All, element_type: Some("line".into()), made_by: None, offset: 1, limit: 9,
        };
        let (listed, count) = transcribe::list(engine, admin, filter).await.unwrap();
        assert_eq!((listed.len(), count), (2, 3));
        let texts = vec![text(square(0), "fine"), text(Polygon(vec![[0, 0]]), "")];
        let message = words(transcribe::transcribe_children(engine, admin, ids[0], None, "line".into(), texts).await);
        assert!(message.contains("transcriptions.1.polygon: has 1 different points"), "{message}");
        assert!(message.contains("transcriptions.1.text: has 0 characters"), "{message}");
        let texts = vec![text(square(0), "fine")];
        let message = words(transcribe::transcribe_children(engine, admin, ids[0], None, "scroll".into(), texts).await);
        assert_eq!(message, "element_type: there is no type `scroll` in this corpus: it has book, line, page");
    }

    async fn a_bad_result_among_good_ones_is_named_and_nothing_is_written(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let page = shelf.make(json!([{"type": "page", "name": "p"}])).await[0];
        let row = |element_id, text: &str| transcribe::NewTranscription {
            element_id, text: text.into(), confidence: None, orientation: rules::Orientation::default(),
        };
        let texts = vec![row(page, "a"), row(id(4), "b")];
        let message = words(transcribe::transcribe(engine, admin, None, texts).await);
        assert_eq!(message, format!("transcriptions.1.element_id: there is no element `{}`", id(4)));
        let texts = transcribe::transcribe(engine, admin, None, vec![row(page, "Ann")]).await.unwrap();
        let person = entity::create_type(engine, admin, shelf.corpus, "person".into(), Some("ff8800".into())).await.unwrap();
        let place = |offset, length| entity::NewPlace {
            entity: entity::Which::New(person.id, None), offset, length, confidence: None,
        };
        let message = words(entity::place(engine, admin, texts[0].id, None, vec![place(0, 3), place(1, 3)]).await);
        assert_eq!(message, "entities.1.length: reaches to character 4, but the text has 3");
        let nobody = TranscriptionId(id(3).0);
        let message = words(entity::place(engine, admin, nobody, None, vec![place(0, 3)]).await);
        assert_eq!(message, format!("there is no transcription `{nobody}`"));
        let fact = |value: &str| metadata::NewMetadata {
            given: rules::Metadata { of_type: rules::MetadataType::Numeric, name: "n".into(), value: value.into() },
            entity_id: None,
        };
        let message = words(metadata::add(engine, admin, page, None, vec![fact("1.5"), fact("many")]).await);
        assert_eq!(message, "metadata.1.value: is `many`: numeric metadata is a number");
        let said = classify::NewClassification {
            class_id: runyard_domain::ClassId(id(6).0), confidence: 0.5, high_confidence: false, state: runyard_domain::element::ClassificationState::default(),
        };
        let message = words(classify::classify(engine, admin, page, None, vec![said], Again::Replaces).await);
        assert_eq!(message, format!("classifications.0.class_id: there is no class `{}` in this corpus", id(6)));
        let found = result::get(engine, admin, page).await.unwrap();
        assert_eq!((found.transcriptions.len(), found.entities.len(), found.metadata.len()), (1, 0, 0));
        let message = words(entity::create_type(engine, admin, shelf.corpus, "person".into(), Some("red".into())).await);
        assert!(message.contains("color: is six hexadecimal digits"), "{message}");
    }

    async fn nothing_is_above_itself(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let ids = shelf.make(json!([{"type": "book", "name": "b"}, {"type": "page", "name": "p", "parents": ["b"]},
                                    {"type": "line", "name": "l", "parents": ["p"]}, {"type": "line", "name": "m"}])).await;
        for (child, parent) in [(ids[0], ids[2]), (ids[0], ids[0])] {
            let message = words(add_parent(engine, admin, child, parent).await);
            assert!(message.contains(&format!("element {child} is above element {parent}")), "{message}");
        }
        add_parent(engine, admin, ids[3], ids[0]).await.unwrap();
        add_parent(engine, admin, ids[3], ids[0]).await.unwrap();
        let message = words(add_children(engine, admin, ids[2], vec![ids[3], ids[1], id(8)]).await);
        assert!(message.starts_with("children.1: element"), "{message}");
        assert!(message.contains(&format!("children.2: there is no element `{}` in the corpus", id(8))), "{message}");
        add_children(engine, admin, ids[2], vec![ids[3]]).await.unwrap();
        assert_eq!(shelf.below(ids[2]).await.len(), 1);
        remove_parent(engine, admin, ids[3], ids[2]).await.unwrap();
        let message = words(remove_parent(engine, admin, ids[3], ids[2]).await);
        assert_eq!(message, format!("there is no parent of this element `{}`", ids[2]));
        assert_eq!(delete(engine, admin, ids[0]).await.unwrap(), 4);
        assert!(shelf.names().await.is_empty());
    }

    async fn a_patch_changes_only_what_is_given(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let page = shelf.make(json!([{"type": "page", "name": "p", "confidence": 0.5, "payload": {"a": 1},
                                      "image": {"url": "file:///1.png"}, "polygon": square(0)}])).await[0];
        let changed = patch(engine, admin, page, Patch { name: Some("q".into()), rotation_angle: Some(90), ..Patch::default() }).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.rotation_angle, changed.confidence), ("q", 90, Some(0.5)));
        let taken = Patch { confidence: Some(None), payload: Some(None), polygon: Some(None), image: Some(None), ..Patch::default() };
        let changed = patch(engine, admin, page, taken).await.unwrap();
        assert_eq!((changed.confidence, changed.payload, changed.polygon, changed.image_id), (None, None, None, None));
        let bad = Patch { of_type: Some("scroll".into()), image: Some(Some(ImageId(id(9).0))), ..Patch::default() };
        let message = words(patch(engine, admin, page, bad).await);
        assert!(message.contains("image: there is no image") && message.contains("type: there is no type `scroll`"), "{message}");
        let message = words(patch(engine, admin, page, Patch { rotation_angle: Some(360), ..Patch::default() }).await);
        assert_eq!(message, "rotation_angle: is 360: a rotation is from 0 to 359 degrees");
    }

    async fn tokens_reach_their_project_and_those_of_runs_write_for_their_worker_run(db) {
        let shelf = Shelf::new(db).await;
        let engine = &shelf.engine;
        let page = shelf.make(json!([{"type": "page", "name": "p"}])).await;
        let run = shelf.worker_run(&page).await;
        let other = shelf.worker_run(&page).await;
        let own = corpus::get(engine, &shelf.admin, shelf.corpus).await.unwrap().project_id;
        let foreign = runyard_domain::ProjectId::new(runyard_domain::Millis(1), [1; 10]);
        let actor = |scope| Actor { token_id: None, name: "t".into(), scope };
        for stranger in [Scope::Project(foreign), Scope::Run(foreign, RunId(run.0))] {
            let stranger = actor(stranger);
            assert_eq!(words(get(engine, &stranger, page[0]).await), format!("there is no element `{}`", page[0]));
            let none = create(engine, &stranger, shelf.corpus, batch(json!([{"type": "page", "name": "x"}])), None).await;
            assert_eq!(words(none), format!("there is no corpus `{}`", shelf.corpus));
            assert!(corpus::list(engine, &stranger, corpus::Filter { limit: 9, ..Default::default() }).await.unwrap().is_empty());
        }
        let worker = actor(Scope::Run(own, RunId(run.0)));
        assert_eq!(get(engine, &worker, page[0]).await.unwrap().name, "p");
        let line = || batch(json!([{"type": "line", "name": "l"}]));
        let message = words(children(engine, &worker, page[0], line()).await);
        assert!(message.contains("the token of a run writes for its own worker run"), "{message}");
        let message = words(children(engine, &worker, page[0], Batch { worker_run: Some(other), ..line() }).await);
        assert!(message.contains(&format!("cannot write for worker run {other}")), "{message}");
        children(engine, &worker, page[0], Batch { worker_run: Some(run), ..line() }).await.unwrap();
        let nobody = WorkerRunId(id(9).0);
        let message = words(children(engine, &shelf.admin, page[0], Batch { worker_run: Some(nobody), ..line() }).await);
        assert_eq!(message, format!("worker_run_id: there is no worker run `{nobody}` in this project"));
        for refused in [
            words(delete(engine, &worker, page[0]).await),
            words(corpus::delete(engine, &worker, shelf.corpus).await),
            words(corpus::patch(engine, &worker, shelf.corpus, Some("x".into()), None).await),
        ] {
            assert!(refused.contains("the token of a run cannot"), "{refused}");
        }
    }

    async fn a_deleted_corpus_takes_everything_with_it(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let pages: Vec<Value> = (0..2_500).map(|n| json!({"type": "page", "name": format!("p {n}"),
            "image": {"url": format!("file:///{n}.png")},
            "results": {"transcriptions": [{"text": "Ann", "entities": [{"type": "person", "offset": 0, "length": 3}]}]}})).collect();
        let ids = shelf.make(Value::Array(pages)).await;
        shelf.worker_run(&ids[..5]).await;
        corpus::delete(engine, admin, shelf.corpus).await.unwrap();
        let message = words(corpus::get(engine, admin, shelf.corpus).await);
        assert_eq!(message, format!("there is no corpus `{}`", shelf.corpus));
        for table in ["corpora", "element_types", "elements", "images", "transcriptions", "transcription_entities",
                      "entities", "entity_types", "worker_runs", "activities", "garbage"] {
            let rows = engine.db.read(move |tx| runyard_store::testing::count(tx, table)).await.unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }

    async fn images_are_named_by_their_addresses(db) {
        let shelf = Shelf::new(db).await;
        let (engine, admin) = (&shelf.engine, &shelf.admin);
        let new = |url: &str, width| NewImage { url: Some(url.into()), width, height: width, ..NewImage::default() };
        let put = async |images| crate::image::put(engine, admin, None, images).await;
        let first = put(vec![new("file:///b", None), new("file:///a", Some(3)), new("file:///b", None)]).await.unwrap();
        assert_eq!(first.iter().map(|one| one.url.as_str()).collect::<Vec<_>>(), ["file:///b", "file:///a", "file:///b"]);
        assert_eq!(first[0].id, first[2].id);
        let sized = put(vec![new("file:///b", Some(8))]).await.unwrap();
        assert_eq!((sized[0].id, sized[0].size()), (first[0].id, Some((8, 8))));
        let message = words(put(vec![new("file:///b", None), new("nowhere", None), NewImage::default()]).await);
        assert!(message.contains("images.1.url: is `nowhere`: write a whole address"), "{message}");
        assert!(message.contains("images.2: names no image"), "{message}");
    }
}
