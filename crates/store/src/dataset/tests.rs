use runyard_domain::{
    dataset::{Share, split},
    id::Series,
    worker_run::{Query, Selection},
};

use super::*;
use crate::{
    Db,
    activity::tests::{corpus, element, shelves},
    both, cache_file,
};

fn id(n: u8) -> DatasetId {
    DatasetId::new(Millis(5), [n; 10])
}

fn dataset(n: u8) -> Dataset {
    Dataset {
        id: id(n),
        corpus_id: corpus(),
        name: format!("dataset {n}"),
        description: "of the tests".into(),
        state: State::Open,
        error: None,
        seed: None,
        task_id: None,
        archive: None,
        created_at: Millis(5),
        updated_at: Millis(5),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn begin(db: &Db, n: u8) {
    db.write(move |tx| insert(tx, &dataset(n), &names(&["train", "dev", "test"]))).await.unwrap();
}

async fn fill(db: &Db, set: &'static str, elements: Vec<u32>) -> i64 {
    let elements: Vec<ElementId> = elements.into_iter().map(element).collect();
    db.write(move |tx| {
        let selection = Selection { elements: elements.clone(), ..Selection::default() };
        add(tx, id(1), set, SelectFrom { corpus: corpus(), selection: &selection })
    })
    .await
    .unwrap()
}

async fn sizes(db: &Db) -> Vec<(String, i64)> {
    let sets = db.read(|tx| sets(tx, id(1))).await.unwrap();
    sets.into_iter().map(|set| (set.name, set.elements)).collect()
}

both! {
    async fn elements_come_and_go_and_the_sets_know_how_many_they_are(db) {
        shelves(&db, 10).await;
        begin(&db, 1).await;
        assert_eq!(fill(&db, "train", vec![1, 2, 3, 77]).await, 3);
        assert_eq!(fill(&db, "train", vec![3, 4]).await, 1);
        assert_eq!(fill(&db, "dev", vec![4, 5]).await, 2);
        assert_eq!(sizes(&db).await, [("train".into(), 4), ("dev".into(), 2), ("test".into(), 0)]);
        let gone = db.write(|tx| remove(tx, id(1), Some("train"), Some(&[element(4), element(9)]))).await.unwrap();
        assert_eq!((gone, sizes(&db).await[0].1), (1, 3));
        db.write(|tx| forget_elements(tx, &[element(4), element(1)])).await.unwrap();
        assert_eq!(sizes(&db).await, [("train".into(), 2), ("dev".into(), 1), ("test".into(), 0)]);
        let first = db.read(|tx| members(tx, id(1), None, None, 2)).await.unwrap();
        assert_eq!(first.iter().map(|one| (&*one.set, one.element_id)).collect::<Vec<_>>(), [("dev", element(5)), ("train", element(2))]);
        let rest = db.read(|tx| members(tx, id(1), None, Some(("train", element(2))), 9)).await.unwrap();
        assert_eq!(rest.iter().map(|one| one.element_id).collect::<Vec<_>>(), [element(3)]);
        db.write(|tx| set_sets(tx, id(1), &names(&["dev", "extra"]))).await.unwrap();
        assert_eq!(sizes(&db).await, [("dev".into(), 1), ("extra".into(), 0)]);
        assert!(db.write(|tx| delete(tx, id(1))).await.unwrap());
        assert_eq!(sizes(&db).await, []);
        assert!(!db.write(|tx| delete(tx, id(1))).await.unwrap());
    }

    async fn a_split_is_written_as_it_was_chosen(db) {
        shelves(&db, 10).await;
        begin(&db, 1).await;
        fill(&db, "train", (0..10).collect()).await;
        fill(&db, "dev", vec![0, 1]).await;
        let strata = db.write(|tx| strata(tx, id(1), Some(Stratify::Type))).await.unwrap();
        assert_eq!(strata.len(), 12);
        let shares = [("a", 0.5), ("b", 0.5)].map(|(set, share)| Share { set: set.into(), share });
        let chosen = split(strata, &shares, 1);
        let per_type = |of: u32| (0..10).filter(|n| n % 2 == of).map(|n| chosen[&element(n)]).sum::<usize>();
        assert!((2..=3).contains(&per_type(0)) && (2..=3).contains(&per_type(1)), "{chosen:?}");
        let written = chosen.clone();
        db.write(move |tx| place(tx, id(1), &names(&["a", "b"]), &written)).await.unwrap();
        assert_eq!(sizes(&db).await, [("a".into(), 5), ("b".into(), 5)]);
        let all = db.read(|tx| members(tx, id(1), Some("b"), None, 100)).await.unwrap();
        assert!(all.iter().all(|one| chosen[&one.element_id] == 1));
        let whole = Selection { query: Some(Query::default()), ..Selection::default() };
        let again = db.write(move |tx| add(tx, id(1), "a", SelectFrom { corpus: corpus(), selection: &whole }));
        assert_eq!(again.await.unwrap(), 5);
    }

    async fn one_server_builds_and_another_goes_on_when_it_is_silent(db) {
        shelves(&db, 1).await;
        begin(&db, 1).await;
        assert_eq!(db.write(|tx| build::take(tx, "one", Millis(0), Millis(10))).await.unwrap(), None);
        db.write(|tx| {
            let dataset = Dataset { state: State::Building, task_id: Some("t".into()), ..dataset(1) };
            save(tx, &dataset)
        })
        .await
        .unwrap();
        let taken = db.write(|tx| build::take(tx, "one", Millis(0), Millis(10))).await.unwrap();
        assert_eq!(taken.map(|dataset| dataset.id), Some(id(1)));
        assert_eq!(db.write(|tx| build::take(tx, "two", Millis(10), Millis(20))).await.unwrap(), None);
        assert!(db.write(|tx| build::renew(tx, id(1), "t", "one", Millis(30))).await.unwrap());
        assert!(!db.write(|tx| build::renew(tx, id(1), "t", "two", Millis(99))).await.unwrap());
        assert!(db.write(|tx| build::take(tx, "two", Millis(31), Millis(40))).await.unwrap().is_some());
        assert_eq!(db.write(|tx| build::held(tx, id(1), "t", "one")).await.unwrap(), None, "it was taken over");
        assert!(db.write(|tx| build::held(tx, id(1), "t", "two")).await.unwrap().is_some());
        assert_eq!(db.write(|tx| build::held(tx, id(1), "other", "two")).await.unwrap(), None);
        assert_eq!(db.write(|tx| build::let_go_all(tx, "two")).await.unwrap(), 1);
        assert!(db.write(|tx| build::take(tx, "one", Millis(0), Millis(10))).await.unwrap().is_some());
    }

    async fn a_name_is_taken_once_and_datasets_are_found_by_name_build_and_state(db) {
        shelves(&db, 1).await;
        begin(&db, 1).await;
        let again = Dataset { name: "dataset 1".into(), ..dataset(2) };
        assert!(!db.write(move |tx| insert(tx, &again, &[])).await.unwrap());
        begin(&db, 2).await;
        let complete = Dataset {
            state: State::Complete,
            seed: Some(-7),
            task_id: Some("t".into()),
            archive: Some(Archive { key: "k".into(), size: 3, sha256: "s".into(), files: 1 }),
            ..dataset(2)
        };
        let written = complete.clone();
        db.write(move |tx| save(tx, &written)).await.unwrap();
        assert_eq!(db.read(|tx| by_task(tx, "t")).await.unwrap(), Some(complete.clone()));
        assert_eq!(db.read(|tx| by_name(tx, corpus(), "dataset 2")).await.unwrap(), Some(complete));
        let open = Filter { states: vec![State::Open], corpus_ids: vec![corpus()], limit: 9, ..Filter::default() };
        let found = db.read(move |tx| list(tx, &open)).await.unwrap();
        assert_eq!(found.iter().map(|dataset| dataset.id).collect::<Vec<_>>(), [id(1)]);
        let project = crate::testing::project(1).id;
        let mine = Filter { project_id: Some(project), id_after: Some(id(1)), limit: 9, ..Filter::default() };
        assert_eq!(db.read(move |tx| list(tx, &mine)).await.unwrap().len(), 1);
        let sets = db.read(|tx| sets_of(tx, &[id(1), id(2)])).await.unwrap();
        assert_eq!(sets[&id(1)].len(), 3);
    }

    async fn a_file_has_every_member_once_per_set_and_every_element_once(db) {
        shelves(&db, 4).await;
        begin(&db, 1).await;
        fill(&db, "train", vec![0, 1, 2]).await;
        fill(&db, "dev", vec![2, 3]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite");
        let page = db
            .read(|tx| {
                let members = members(tx, id(1), None, None, 100)?;
                cache_file::read(tx, members)
            })
            .await
            .unwrap();
        let ids = Series::after(id(9).0);
        let mut file = cache_file::CacheFile::create(&path, &dataset(1), &names(&["train", "dev"]), ids).unwrap();
        file.write(&page).unwrap();
        file.finish().unwrap();
        let file = rusqlite::Connection::open(&path).unwrap();
        let one = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("SELECT version FROM version"), 3);
        assert_eq!(one("SELECT count(*) FROM elements WHERE initial = 1 AND length(id) = 32"), 4);
        assert_eq!(one("SELECT count(*) FROM dataset_elements"), 5);
        assert_eq!(one("SELECT count(*) FROM elements WHERE parent_id IS NOT NULL"), 2);
        let sets: String = file.query_row("SELECT sets FROM datasets", [], |row| row.get(0)).unwrap();
        assert_eq!(sets, r#"["train","dev"]"#);
    }
}
