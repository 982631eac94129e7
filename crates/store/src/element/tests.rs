use runyard_domain::{
    ElementTypeId, Millis, ProjectId,
    element::Results,
    id::{Series, uuid_v7},
};
use serde_json::json;

use super::{
    link,
    list::{Depth, count, list},
    result::{Target, Writing, class, clear, entity, metadata, transcription, write},
    *,
};
use crate::{Db, Dialect, both, corpus, corpus::Corpus, image, image::Image, project, testing};

fn corpus_id(n: u8) -> CorpusId {
    CorpusId::new(Millis(n.into()), [n; 10])
}

fn element_id(n: u16) -> ElementId {
    let [a, b] = n.to_be_bytes();
    ElementId::new(Millis(1_000), [0, 0, a, b, 0, 0, 0, 0, 0, 0])
}

fn run_id(n: u8) -> WorkerRunId {
    WorkerRunId::new(Millis(n.into()), [n; 10])
}

fn element(n: u16, of_type: &str, name: &str) -> Element {
    Element {
        id: element_id(n),
        corpus_id: corpus_id(1),
        of_type: of_type.into(),
        name: name.into(),
        payload: None,
        image_id: None,
        polygon: None,
        rotation_angle: 0,
        mirrored: false,
        confidence: None,
        worker_run_id: None,
        root_element: None,
        top_level: true,
        created_at: Millis(5),
    }
}

/// A project with the corpus 1.
fn prepare(tx: &mut Tx) -> Result<(), Error> {
    project::insert(tx, &testing::project(1))?;
    corpus::insert(tx, &of_project(1, "books")).map(drop)
}

fn of_project(n: u8, name: &str) -> Corpus {
    Corpus {
        id: corpus_id(n),
        project_id: project_id(),
        name: name.into(),
        description: String::new(),
        created_at: Millis(1),
    }
}

fn project_id() -> ProjectId {
    testing::project(1).id
}

/// A book with the pages 1 to 3 (the second first), page 2 with the lines 21 and 22; line 22 is also on page 3.
async fn book(db: &Db) {
    db.write(|tx| {
        prepare(tx)?;
        let mut all = vec![element(0, "book", "book")];
        all.extend([1, 2, 3].map(|n| element(n, "page", &format!("page {n}"))));
        all.extend([21, 22].map(|n| element(n, "line", &format!("line {n}"))));
        insert_all(tx, &all)?;
        let links = [(0, 2), (0, 1), (0, 3), (2, 21), (2, 22), (3, 22)];
        link::add_all(tx, &links.map(|(parent, child)| (element_id(parent), element_id(child))), true)
    })
    .await
    .unwrap();
}

async fn names(db: &Db, filter: Filter) -> Vec<String> {
    let (listed, counted) =
        db.read(move |tx| Ok::<_, Error>((list(tx, &filter)?, count(tx, &filter)?))).await.unwrap();
    assert!(counted >= listed.len() as i64);
    listed.into_iter().map(|one| one.name).collect()
}

fn all() -> Filter {
    Filter::within(Within::Corpus(corpus_id(1)))
}

fn below(n: u16, depth: Depth) -> Filter {
    Filter::within(Within::Below(element_id(n), depth))
}

fn results(value: serde_json::Value) -> Results {
    serde_json::from_value(value).unwrap()
}

async fn found(db: &Db, element: ElementId, run: Option<WorkerRunId>, start: u8, value: serde_json::Value) {
    db.write(move |tx| {
        let ids = Series::after(uuid_v7(Millis(2_000), [start; 10]));
        let mut writing = Writing { worker_run: run, ids, now: Millis(9) };
        let target = Target::from(&get(tx, element)?.unwrap());
        write(tx, &mut writing, target, &results(value.clone()))
    })
    .await
    .unwrap();
}

/// How many results of each kind an element has: classes, texts, entities, metadata, and how many are below it.
async fn counts(db: &Db, id: ElementId) -> (usize, usize, usize, usize, i64) {
    db.read(move |tx| {
        let texts = transcription::of_elements(tx, &[id])?;
        let texts: Vec<_> = texts.iter().map(|one| one.id).collect();
        Ok::<_, Error>((
            class::of_elements(tx, &[id])?.len(),
            texts.len(),
            entity::of_transcriptions(tx, &texts, None)?.len(),
            metadata::of_elements(tx, &[id])?.len(),
            count(tx, &Filter::within(Within::Below(id, Depth::All)))?,
        ))
    })
    .await
    .unwrap()
}

/// Rows of a table.
async fn rows(db: &Db, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    db.read(move |tx| tx.query_one(&sql, &[])?.get(0)).await.unwrap()
}

fn page() -> serde_json::Value {
    json!({
        "classifications": [{"class": "letter", "confidence": 0.9}],
        "transcriptions": [{"text": "Rome, Rome", "entities": [
            {"type": "place", "offset": 0, "length": 4}, {"type": "place", "offset": 6, "length": 4}]}],
        "metadata": [{"type": "text", "name": "n", "value": "v"}],
        "children": [{"type": "line", "name": "made", "results": {
            "classifications": [{"class": "ink", "confidence": 1.0}],
            "transcriptions": [{"text": "Rome", "entities": [{"type": "place", "offset": 0, "length": 4}]}],
            "children": [{"type": "word", "name": "deeper"}]}}]
    })
}

both! {
    async fn an_element_reads_back_as_it_was_written(db) {
        let full = Element {
            payload: json!({"a": [1, {"b": null}]}).as_object().cloned(),
            image_id: Some(runyard_domain::ImageId::new(Millis(1), [1; 10])),
            polygon: Some(Polygon(vec![[0, 0], [5, 0], [5, 7]])),
            rotation_angle: 90,
            mirrored: true,
            confidence: Some(0.25),
            worker_run_id: Some(run_id(1)),
            root_element: Some(element_id(7)),
            ..element(1, "page", "é")
        };
        let wanted = full.clone();
        let read = db
            .write(move |tx| {
                prepare(tx)?;
                insert_all(tx, std::slice::from_ref(&full))?;
                get(tx, full.id)
            })
            .await
            .unwrap();
        assert_eq!(read, Some(wanted));
    }

    async fn lists_are_narrowed_and_paged(db) {
        book(&db).await;
        assert_eq!(names(&db, Filter { limit: 2, ..all() }).await, ["book", "page 1"]);
        let after = Filter { limit: 2, id_after: Some(element_id(1)), ..all() };
        assert_eq!(names(&db, after).await, ["page 2", "page 3"]);
        assert_eq!(names(&db, Filter { types: vec!["line".into()], ..all() }).await, ["line 21", "line 22"]);
        assert_eq!(names(&db, Filter { not_types: vec!["line".into(), "page".into()], ..all() }).await, ["book"]);
        assert_eq!(names(&db, Filter { name_ilikes: vec!["%E 2%".into()], ..all() }).await, ["page 2", "line 21", "line 22"]);
        assert_eq!(names(&db, Filter { names: vec!["page 3".into()], ..all() }).await, ["page 3"]);
        assert_eq!(names(&db, Filter { top_level: Some(true), ..all() }).await, ["book"]);
        assert_eq!(names(&db, Filter { top_level: Some(false), offset: 4, ..all() }).await, ["line 22"]);
        assert_eq!(names(&db, Filter { made_by: Some(MadeBy::People), limit: 1, ..all() }).await, ["book"]);
        let run = MadeBy::WorkerRuns(vec![run_id(1)]);
        assert!(names(&db, Filter { made_by: Some(run), ..all() }).await.is_empty());
    }

    async fn children_come_in_their_order_and_everything_below_by_id(db) {
        book(&db).await;
        assert_eq!(names(&db, below(0, Depth::One)).await, ["page 2", "page 1", "page 3"]);
        let after = Filter { id_after: Some(element_id(2)), limit: 1, ..below(0, Depth::One) };
        assert_eq!(names(&db, after).await, ["page 1"]);
        let lines = Filter { types: vec!["line".into()], ..below(0, Depth::All) };
        assert_eq!(names(&db, lines).await, ["line 21", "line 22"]);
        assert_eq!(names(&db, Filter::within(Within::Above(element_id(22), Depth::One))).await, ["page 2", "page 3"]);
        assert_eq!(
            names(&db, Filter::within(Within::Above(element_id(22), Depth::All))).await,
            ["book", "page 2", "page 3"]
        );
        let above = db.read(|tx| link::ancestors(tx, element_id(21))).await.unwrap();
        assert_eq!(above, [element_id(0), element_id(2)].into());
    }

    async fn a_child_is_deleted_with_its_last_parent(db) {
        book(&db).await;
        let gone = db
            .write(|tx| {
                let all = delete::with_descendants(tx, &[element_id(2)])?;
                delete::delete_all(tx, &all)?;
                Ok::<_, Error>(all)
            })
            .await
            .unwrap();
        assert_eq!(gone, [element_id(21), element_id(2)], "the lowest first");
        assert_eq!(names(&db, all()).await, ["book", "page 1", "page 3", "line 22"]);
        let gone = db.write(|tx| delete::delete_all(tx, &[element_id(3)])).await.unwrap();
        assert_eq!(gone, 1);
        assert_eq!(names(&db, Filter { top_level: Some(true), ..all() }).await, ["book", "line 22"]);
        let all_of_it = db.write(|tx| delete::delete_some(tx, corpus_id(1), 100)).await.unwrap();
        assert_eq!((all_of_it, rows(&db, "element_parents").await), (3, 0));
    }

    async fn a_link_that_is_taken_away_makes_top_level_again(db) {
        book(&db).await;
        let removed = db
            .write(|tx| {
                let links = [(2, 22), (3, 22), (3, 22)].map(|(p, c)| (element_id(p), element_id(c)));
                links.into_iter().map(|one| link::remove(tx, one)).collect::<Result<Vec<_>, _>>()
            })
            .await
            .unwrap();
        assert_eq!(removed, [true, true, false]);
        assert_eq!(names(&db, Filter { top_level: Some(true), ..all() }).await, ["book", "line 22"]);
    }

    async fn results_of_an_attempt_are_replaced_and_those_of_others_stay(db) {
        book(&db).await;
        let (one, line) = (element_id(1), element_id(21));
        found(&db, one, Some(run_id(1)), 1, page()).await;
        found(&db, one, Some(run_id(2)), 2, json!({"classifications": [{"class": "letter", "confidence": 0.1}]})).await;
        found(&db, one, None, 3, json!({"metadata": [{"type": "date", "name": "d", "value": "1800"}],
                                        "children": [{"type": "line", "name": "by hand"}]})).await;
        found(&db, line, Some(run_id(1)), 4, page()).await;
        assert_eq!(counts(&db, one).await, (2, 1, 2, 2, 3));
        assert_eq!(rows(&db, "entities").await, 4, "one `Rome` of each element");
        db.write(move |tx| clear(tx, run_id(1), one)).await.unwrap();
        assert_eq!(counts(&db, one).await, (1, 0, 0, 1, 1), "what others wrote");
        assert_eq!(counts(&db, line).await, (1, 1, 2, 1, 2), "what it wrote about others");
        db.write(move |tx| clear(tx, run_id(1), line)).await.unwrap();
        for (table, left) in [("transcriptions", 0), ("transcription_entities", 0), ("entities", 0),
                              ("classifications", 1), ("metadata", 1), ("elements", 7), ("entity_types", 1)] {
            assert_eq!(rows(&db, table).await, left, "{table}");
        }
        found(&db, one, Some(run_id(1)), 5, page()).await;
        db.write(move |tx| clear(tx, run_id(1), one)).await.unwrap();
        db.write(move |tx| clear(tx, run_id(1), one)).await.unwrap();
        assert_eq!(counts(&db, one).await, (1, 0, 0, 1, 1), "again and again");
    }

    async fn what_a_worker_run_made_says_so(db) {
        book(&db).await;
        found(&db, element_id(1), Some(run_id(1)), 1, page()).await;
        let (made, above) = db
            .read(|tx| {
                let run = MadeBy::WorkerRuns(vec![run_id(1)]);
                let made = list(tx, &Filter { made_by: Some(run), ..all() })?;
                let above = link::parents(tx, &made.iter().map(|one| one.id).collect::<Vec<_>>())?;
                Ok::<_, Error>((made, above))
            })
            .await
            .unwrap();
        assert_eq!(made.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["made", "deeper"]);
        assert!(made.iter().all(|one| one.root_element == Some(element_id(1)) && !one.top_level));
        assert_eq!(above[&made[0].id], [element_id(1)]);
        assert_eq!(above[&made[1].id], [made[0].id]);
        let transcribed = Filter {
            transcribed_by: Some(MadeBy::WorkerRuns(vec![run_id(1)])),
            ..all()
        };
        assert_eq!(names(&db, transcribed).await, ["page 1", "made"]);
    }

    async fn an_element_has_a_class_once_from_each(db) {
        book(&db).await;
        let one = element_id(1);
        for (n, confidence) in [(1, 0.5), (2, 0.75)] {
            for run in [None, Some(run_id(1)), Some(run_id(2))] {
                let start = n * 10 + run.map_or(0, |run| run.time().0 as u8);
                found(&db, one, run, start, json!({"classifications": [{"class": "c", "confidence": confidence}]})).await;
            }
        }
        let stored = db.read(move |tx| class::of_elements(tx, &[one])).await.unwrap();
        assert_eq!(stored.len(), 3);
        assert!(stored.iter().all(|(one, class)| (one.confidence - 0.75).abs() < 1e-9 && class == "c"));
        let again = stored[0].0.clone();
        let written = db
            .write(move |tx| {
                let id = runyard_domain::ClassificationId::new(Millis(77), [7; 10]);
                class::insert_all(tx, &[class::Classification { id, ..again.clone() }], class::Again::IsLeftOut)
            })
            .await
            .unwrap();
        assert_eq!(written, 0);
    }

    async fn texts_are_listed_of_an_element_and_of_what_is_below(db) {
        book(&db).await;
        found(&db, element_id(2), None, 1, json!({"transcriptions": [{"text": "page"}]})).await;
        found(&db, element_id(21), Some(run_id(1)), 2, json!({"transcriptions": [{"text": "line"}]})).await;
        let texts = async |depth, element_type: Option<&str>, made_by: Option<MadeBy>| {
            let element_type = element_type.map(str::to_owned);
            let filter = transcription::Filter {
                element_id: element_id(2), depth, element_type, made_by, offset: 0, limit: 10,
            };
            let (listed, counted) = db
                .read(move |tx| Ok::<_, Error>((transcription::list(tx, &filter)?, transcription::count(tx, &filter)?)))
                .await
                .unwrap();
            assert_eq!(listed.len() as i64, counted);
            listed.into_iter().map(|one| one.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(Depth::One, None, None).await, ["page"]);
        assert_eq!(texts(Depth::All, None, None).await, ["page", "line"]);
        assert_eq!(texts(Depth::All, Some("line"), None).await, ["line"]);
        assert_eq!(texts(Depth::All, None, Some(MadeBy::People)).await, ["page"]);
        let run = MadeBy::WorkerRuns(vec![run_id(1)]);
        assert_eq!(texts(Depth::All, None, Some(run)).await, ["line"]);
    }

    async fn entities_are_found_by_name_and_place(db) {
        book(&db).await;
        found(&db, element_id(21), None, 1, page()).await;
        let names = async |name: Option<&str>, below: Option<u16>| {
            let filter = entity::Filter {
                corpus_id: corpus_id(1), name_ilike: name.map(str::to_owned), below: below.map(element_id),
                offset: 0, limit: 10,
            };
            let (listed, counted) = db
                .read(move |tx| Ok::<_, Error>((entity::list(tx, &filter)?, entity::count(tx, &filter)?)))
                .await
                .unwrap();
            assert_eq!(listed.len() as i64, counted);
            listed.len()
        };
        assert_eq!(names(None, None).await, 2, "of the element, and of its child");
        assert_eq!(names(Some("r%"), Some(2)).await, 2);
        assert_eq!(names(Some("x%"), None).await, 0);
        assert_eq!(names(None, Some(1)).await, 0);
    }

    async fn an_image_is_there_once_and_goes_with_its_last_element(db) {
        let made = |n: u8, width| Image {
            id: runyard_domain::ImageId::new(Millis(n.into()), [n; 10]),
            project_id: project_id(),
            url: "file:///a.png".into(),
            width,
            height: width,
            s3_url: None,
            max_width: None,
            max_height: None,
            created_at: Millis(1),
        };
        let found = db
            .write(move |tx| {
                prepare(tx)?;
                image::put_all(tx, &[made(1, None)])?;
                image::put_all(tx, &[made(2, Some(8))])?;
                image::put_all(tx, &[made(3, Some(9))])?;
                let found = image::by_urls(tx, project_id(), &["file:///a.png".into(), "x".into()])?;
                let image_id = Some(found["file:///a.png"].id);
                let on = [1, 2].map(|n| Element { image_id, ..element(n, "page", "p") });
                insert_all(tx, &on)?;
                Ok::<_, Error>(found)
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        let image = &found["file:///a.png"];
        assert_eq!((image.id, image.size()), (made(1, None).id, Some((8, 8))), "a size that was not known is written");
        for (n, left) in [(1, 1), (2, 0)] {
            db.write(move |tx| delete::delete_all(tx, &[element_id(n)])).await.unwrap();
            assert_eq!(rows(&db, "images").await, left);
        }
    }

    async fn a_hidden_corpus_is_not_found_and_its_name_is_free(db) {
        db.write(prepare).await.unwrap();
        assert!(!db.write(|tx| corpus::insert(tx, &of_project(2, "books"))).await.unwrap());
        assert!(db.write(|tx| corpus::hide(tx, corpus_id(1), Millis(3))).await.unwrap());
        assert!(!db.write(|tx| corpus::hide(tx, corpus_id(1), Millis(4))).await.unwrap());
        assert!(db.write(|tx| corpus::insert(tx, &of_project(2, "books"))).await.unwrap());
        let (old, named, hidden) = db
            .read(|tx| {
                Ok::<_, Error>((
                    corpus::get(tx, corpus_id(1))?,
                    corpus::by_name(tx, project_id(), "books")?,
                    corpus::hidden(tx)?,
                ))
            })
            .await
            .unwrap();
        assert_eq!((old, named.unwrap().id, hidden), (None, corpus_id(2), vec![corpus_id(1)]));
        db.write(|tx| corpus::delete(tx, corpus_id(1))).await.unwrap();
        assert_eq!(rows(&db, "corpora").await, 1);
    }

    async fn types_are_listed_by_slug_and_made_once(db) {
        let of = |n: u8, slug: &str| corpus::ElementType {
            id: ElementTypeId::new(Millis(n.into()), [n; 10]),
            corpus_id: corpus_id(1),
            slug: slug.into(),
            display_name: slug.to_uppercase(),
            folder: n == 1,
        };
        let made = db
            .write(move |tx| {
                prepare(tx)?;
                let all = [of(1, "page"), of(2, "line"), of(3, "page")];
                all.iter().map(|one| corpus::insert_type(tx, one)).collect::<Result<Vec<_>, _>>()
            })
            .await
            .unwrap();
        assert_eq!(made, [true, true, false]);
        let listed = db.read(|tx| corpus::types(tx, corpus_id(1))).await.unwrap();
        assert_eq!(listed, [of(2, "line"), of(1, "page")]);
    }

    async fn lists_walk_an_index(db) {
        book(&db).await;
        if db.dialect() == Dialect::Postgres {
            // It scans what is as small as this.
            return;
        }
        for (filter, index) in [
            (all(), "elements_corpus"),
            (Filter { types: vec!["page".into()], ..all() }, "elements_type"),
            (Filter { names: vec!["page 1".into()], ..all() }, "elements_name"),
            (Filter { top_level: Some(true), ..all() }, "elements_top"),
            (below(0, Depth::One), "element_parents_children"),
        ] {
            let filter = Filter { id_after: Some(element_id(1)), ..filter };
            let plan = db
                .read(move |tx| {
                    let (sql, values) = list::query(tx.dialect(), &filter);
                    let rows = tx.query(&format!("EXPLAIN QUERY PLAN {sql}"), &values)?;
                    rows.iter().map(|row| row.get::<String>(3)).collect::<Result<Vec<_>, _>>()
                })
                .await
                .unwrap()
                .join("\n");
            assert!(plan.contains(&format!("{index} ")) && !plan.contains("SCAN"), "{index}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{index}: {plan}");
        }
    }
}
