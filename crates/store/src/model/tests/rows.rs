//! What is written reads back, what must be unique is, and what belongs together goes together.

use runyard_domain::{FileSetId, JobId, RunId};
use serde_json::json;

use super::{
    super::content::{File, Part, files, forget_parts, insert_files, parts, put_parts},
    *,
};
use crate::source;

/// A version with something in every field.
fn full() -> ModelVersion {
    ModelVersion {
        reason: Some("it differs".into()),
        move_tag: true,
        description: "d".into(),
        config: json!({"k": [1.5]}).as_object().cloned().unwrap(),
        parent_id: Some(version_id(1)),
        run_id: Some(RunId::new(Millis(1), [1; 10])),
        job_id: Some(JobId::new(Millis(1), [1; 10])),
        checkpoint_id: Some(FileSetId::new(Millis(1), [1; 10])),
        source: Some("5".repeat(64)),
        run_config: Some(json!({"lr": 0.1})),
        archive_sha256: Some("a".repeat(64)),
        archive_md5: Some("b".repeat(32)),
        archive_size: Some(5 << 40),
        source_key: Some("job:1".into()),
        upload: Some("u-1".into()),
        part_size: Some(16 << 20),
        available_at: Some(Millis(9)),
        ..version(9, State::Error)
    }
}

fn file(path: &str) -> File {
    File { path: path.into(), kind: "file".into(), size: 1, sha256: "f".repeat(64) }
}

fn part(number: i64, etag: &str) -> Part {
    Part { number, size: 5, sha256: Some("a".repeat(64)), md5: None, etag: etag.into() }
}

async fn write(db: &Db, version: ModelVersion) -> Result<(), Error> {
    db.write(move |tx| version::insert(tx, &version)).await
}

both! {
    async fn a_version_reads_back_as_it_was_written_and_saved(db) {
        fill(&db).await;
        write(&db, full()).await.unwrap();
        assert_eq!(db.read(|tx| version::get(tx, version_id(9))).await.unwrap(), Some(full()));
        assert_eq!(db.read(|tx| version::get(tx, version_id(8))).await.unwrap(), None::<ModelVersion>);
        let changed = ModelVersion {
            state: State::Available, reason: None, tag: Some("other".into()), upload: None, config: Map::new(), ..full()
        };
        let saved = changed.clone();
        db.write(move |tx| version::save(tx, &saved)).await.unwrap();
        assert_eq!(db.read(|tx| version::get(tx, version_id(9))).await.unwrap(), Some(changed));
    }

    async fn tags_and_contents_are_unique_among_what_is_available(db) {
        fill(&db).await;
        let same_tag = |state| ModelVersion { tag: Some("v1".into()), ..version(4, state) };
        assert!(write(&db, same_tag(State::Available)).await.unwrap_err().is_unique_violation());
        write(&db, same_tag(State::Created)).await.expect("it is only asked for");
        let same_tree = |state| ModelVersion { tree_digest: version(1, state).tree_digest, ..version(5, state) };
        assert!(write(&db, same_tree(State::Available)).await.unwrap_err().is_unique_violation());
        write(&db, same_tree(State::Error)).await.expect("it never became available");
        let untagged = |n| ModelVersion { tag: None, ..version(n, State::Available) };
        write(&db, untagged(6)).await.unwrap();
        write(&db, untagged(7)).await.unwrap();
        let other_model = ModelVersion { model_id: model_id(2), ..version(1, State::Available) };
        write(&db, ModelVersion { id: version_id(8), ..other_model }).await.unwrap();
        let key = |n| ModelVersion { source_key: Some("job:1".into()), ..version(n, State::Created) };
        write(&db, key(9)).await.unwrap();
        assert!(write(&db, key(10)).await.unwrap_err().is_unique_violation());
        let found = db.read(|tx| {
            let by_source = version::by_source(tx, model_id(1), "job:1")?;
            let by_tag = version::by_tag(tx, model_id(1), "v1")?;
            let none = version::by_tag(tx, model_id(1), "v2")?;
            let by_tree = version::by_tree(tx, model_id(1), &format!("{:064}", 3))?;
            Ok::<_, Error>([by_source, by_tag, none, by_tree].map(|found| found.map(|found| found.id)))
        });
        assert_eq!(found.await.unwrap(), [Some(version_id(9)), Some(version_id(1)), None, Some(version_id(3))]);
    }

    async fn a_name_is_taken_once_in_a_project_and_renaming_keeps_that(db) {
        fill(&db).await;
        let again = Model { id: model_id(9), ..model(1) };
        assert!(!db.write(move |tx| insert(tx, &again)).await.unwrap());
        let named = db.read(|tx| by_name(tx, testing::project(1).id, "model-1")).await.unwrap();
        assert_eq!(named.map(|model| (model.id, model.versions)), Some((model_id(1), 2)));
        let clash = Model { name: "model-2".into(), ..model(1) };
        assert!(db.write(move |tx| save(tx, &clash)).await.unwrap_err().is_unique_violation());
        let other = Model { name: "renamed".into(), description: "d".into(), ..model(1) };
        let saved = other.clone();
        db.write(move |tx| save(tx, &saved)).await.unwrap();
        assert_eq!(db.read(|tx| get(tx, model_id(1))).await.unwrap(), Some(Model { versions: 2, ..other }));
        let version = db.read(|tx| version::get(tx, version_id(1))).await.unwrap();
        assert_eq!(version.unwrap().model, "renamed");
        assert!(db.write(|tx| lock(tx, model_id(1))).await.unwrap());
        assert!(!db.write(|tx| lock(tx, model_id(9))).await.unwrap());
        assert!(db.read(|tx| exists_in(tx, testing::project(1).id)).await.unwrap());
        assert!(!db.read(|tx| exists_in(tx, testing::project(2).id)).await.unwrap());
    }

    async fn every_filter_leaves_out_what_it_does_not_match(db) {
        fill(&db).await;
        write(&db, full()).await.unwrap();
        type Filter = version::Filter;
        let full = full();
        let only_full = [
            Filter { ids: vec![full.id], ..Filter::default() },
            Filter { tags: vec!["v9".into()], ..Filter::default() },
            Filter { states: vec![State::Error], ..Filter::default() },
            Filter { run_ids: full.run_id.into_iter().collect(), ..Filter::default() },
            Filter { checkpoint_ids: full.checkpoint_id.into_iter().collect(), ..Filter::default() },
            Filter { parent_ids: vec![version_id(1)], ..Filter::default() },
            Filter { tree_digests: full.tree_digest.into_iter().collect(), ..Filter::default() },
            Filter { created_after: Some(Millis(3)), ..Filter::default() },
        ];
        for filter in only_full {
            let shown = format!("{filter:?}");
            let found = db.read(move |tx| version::list(tx, &filter)).await.unwrap();
            assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [version_id(9)], "{shown}");
        }
        let sizes = [
            (Filter { size: Some(7), files: Some(1), ..Filter::default() }, 4),
            (Filter { size: Some(8), ..Filter::default() }, 0),
            (Filter { files: Some(0), ..Filter::default() }, 0),
            (Filter { content_md5s: vec!["c".repeat(32)], ..Filter::default() }, 4),
            (Filter { models: vec!["model-1".into()], project_ids: vec![testing::project(1).id], ..Filter::default() }, 4),
            (Filter { models: vec!["model-2".into()], ..Filter::default() }, 0),
            (Filter { created_before: Some(Millis(3)), ..Filter::default() }, 2),
        ];
        for (filter, count) in sizes {
            let shown = format!("{filter:?}");
            let found = db.read(move |tx| version::list(tx, &filter)).await.unwrap();
            assert_eq!(found.len(), count, "{shown}");
        }
    }

    async fn files_come_back_by_path_and_parts_by_number_the_last_of_each(db) {
        fill(&db).await;
        let many: Vec<File> = (0..450).map(|n| file(&format!("shards/{n:04}"))).collect();
        let written = many.clone();
        db.write(move |tx| {
            insert_files(tx, version_id(1), &written)?;
            insert_files(tx, version_id(2), &[])?;
            put_parts(tx, version_id(1), &[part(2, "b"), part(1, "a")])?;
            put_parts(tx, version_id(1), &[part(2, "c")])
        }).await.unwrap();
        let page = |after: Option<&'static str>, limit| db.read(move |tx| files(tx, version_id(1), after, limit));
        assert_eq!(page(None, 2).await.unwrap(), many[..2]);
        assert_eq!(page(Some("shards/0447"), 10).await.unwrap(), many[448..]);
        let there = || db.read(|tx| parts(tx, version_id(1)));
        assert_eq!(there().await.unwrap(), [part(1, "a"), part(2, "c")]);
        db.write(|tx| forget_parts(tx, version_id(1))).await.unwrap();
        assert_eq!(there().await.unwrap(), []);
        db.write(|tx| version::delete(tx, version_id(1))).await.unwrap();
        assert_eq!(page(None, 10).await.unwrap(), []);
        assert_eq!(db.read(|tx| version::get(tx, version_id(1))).await.unwrap(), None);
    }

    async fn a_model_goes_with_all_of_its_versions_and_no_others(db) {
        fill(&db).await;
        let elsewhere = ModelVersion { model_id: model_id(2), model: "model-2".into(), upload: Some("u".into()), ..version(4, State::Created) };
        write(&db, elsewhere.clone()).await.unwrap();
        let uploading = |model| db.read(move |tx| version::uploading(tx, model));
        assert_eq!(uploading(model_id(2)).await.unwrap(), [elsewhere]);
        assert_eq!(uploading(model_id(1)).await.unwrap(), []);
        db.write(|tx| {
            insert_files(tx, version_id(1), &[file("a")])?;
            insert_files(tx, version_id(4), &[file("b")])?;
            delete(tx, model_id(1))
        }).await.unwrap();
        let left = db.read(|tx| version::list(tx, &version::Filter::default())).await.unwrap();
        assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [version_id(4)]);
        let of = |id| db.read(move |tx| files(tx, id, None, 10));
        assert_eq!((of(version_id(1)).await.unwrap().len(), of(version_id(4)).await.unwrap().len()), (0, 1));
        assert_eq!(db.read(|tx| get(tx, model_id(1))).await.unwrap(), None);
    }

    async fn what_nothing_happened_to_is_found_by_its_state(db) {
        fill(&db).await;
        write(&db, full()).await.unwrap();
        let idle = |state, before| db.read(move |tx| version::idle(tx, state, Millis(before), 10));
        assert_eq!(idle(State::Created, 2).await.unwrap(), []);
        assert_eq!(idle(State::Created, 3).await.unwrap(), [version_id(2)]);
        assert_eq!(idle(State::Error, 10).await.unwrap(), [version_id(9)]);
        assert_eq!(idle(State::Available, 99).await.unwrap(), [], "that stays");
    }

    async fn the_code_that_made_a_version_is_kept_with_it(db) {
        fill(&db).await;
        write(&db, full()).await.unwrap();
        let digest = "5".repeat(64);
        let (stored, wanted) = (digest.clone(), digest.clone());
        db.write(move |tx| source::insert(tx, &stored, 1, Millis(1))).await.unwrap();
        let forget = || db.write(|tx| source::forget_unused(tx, None, Millis(100)));
        assert_eq!(forget().await.unwrap(), [] as [&str; 0]);
        assert_eq!(db.read(|tx| version::sources(tx, model_id(1))).await.unwrap(), [wanted]);
        db.write(|tx| version::delete(tx, version_id(9))).await.unwrap();
        assert_eq!(forget().await.unwrap(), [digest]);
    }
}
