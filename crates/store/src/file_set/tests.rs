use super::{
    file::{File, Part},
    *,
};
use crate::{both, db::Db, run::SortField, testing};

fn run_id(n: u8) -> RunId {
    RunId::new(Millis(n.into()), [n; 10])
}

fn set_id(n: u8) -> FileSetId {
    FileSetId::new(Millis(n.into()), [n; 10])
}

/// Checkpoint number `n` of run 1: created at `n`, at step `10 n`.
fn checkpoint(n: u8) -> FileSet {
    FileSet {
        id: set_id(n),
        kind: Kind::Checkpoint,
        run_id: run_id(1),
        project_id: testing::project(1).id,
        job_id: JobId::new(Millis(1), [1; 10]),
        epoch: 1,
        source_key: format!("job:{n}"),
        name: None,
        of_type: None,
        global_step: Some(10 * i64::from(n)),
        path: Some("output/checkpoints/1".into()),
        status: Status::Incomplete,
        status_updated_at: Millis(n.into()),
        reason: None,
        created_at: Millis(n.into()),
        size: 0,
        files: 0,
        key_prefix: format!("runs/1/checkpoints/{n}/"),
    }
}

fn artifact(n: u8) -> FileSet {
    FileSet {
        kind: Kind::Artifact,
        name: Some("model".into()),
        of_type: Some("weights".into()),
        global_step: None,
        ..checkpoint(n)
    }
}

fn small(path: &str, size: i64) -> File {
    File {
        path: path.into(),
        size,
        sha256: "a".repeat(64),
        md5: Some("b".repeat(32)),
        parts: Vec::new(),
        upload: None,
        mode: Some(0o755),
    }
}

both! {
    async fn a_folder_of_a_set_is_read_page_by_page(db) {
        let paths = ["a", "a-b", "a/1", "a/2", "a/b/3", "a0", "b/4"];
        let files: Vec<File> = paths.iter().map(|path| small(path, 1)).collect();
        db.write(move |tx| file::insert(tx, set_id(1), &files)).await.unwrap();
        let below = db
            .read(|tx| {
                let mut page = |folder: &str, after: Option<&str>, limit| {
                    let files = file::page_below(tx, set_id(1), folder, after, limit)?;
                    Ok::<_, Error>(files.into_iter().map(|file| file.path).collect::<Vec<_>>())
                };
                Ok::<_, Error>([page("a/", None, 2)?, page("a/", Some("a/2"), 9)?, page("c/", None, 9)?])
            })
            .await
            .unwrap();
        assert_eq!(below[0], ["a/1", "a/2"]);
        assert_eq!(below[1], ["a/b/3"]);
        assert!(below[2].is_empty());
    }
}

async fn fill(db: &Db, sets: Vec<FileSet>) {
    db.write(move |tx| sets.iter().try_for_each(|set| insert(tx, set))).await.unwrap();
}

async fn listed(db: &Db, filter: Filter) -> Vec<FileSetId> {
    let sets = db.read(move |tx| list(tx, &filter)).await.unwrap();
    sets.into_iter().map(|set| set.id).collect()
}

async fn add(db: &Db, files: Vec<File>) {
    db.write(move |tx| file::insert(tx, set_id(1), &files)).await.unwrap();
}

async fn page(db: &Db, after: Option<&'static str>, limit: i64) -> Vec<File> {
    db.read(move |tx| file::page(tx, set_id(1), after, limit)).await.unwrap()
}

both! {
    async fn a_set_reads_back_as_it_was_written_and_saved(db) {
        let mut whole = FileSet { reason: Some("the folder vanished".into()), ..artifact(2) };
        fill(&db, vec![checkpoint(1), whole.clone()]).await;
        assert_eq!(db.read(|tx| get(tx, set_id(1))).await.unwrap(), Some(checkpoint(1)));
        assert_eq!(db.read(|tx| get(tx, set_id(2))).await.unwrap(), Some(whole.clone()));
        assert_eq!(db.read(|tx| get(tx, set_id(3))).await.unwrap(), None::<FileSet>);
        whole = FileSet {
            status: Status::Complete, status_updated_at: Millis(9), reason: None, size: 7, files: 2, ..whole
        };
        let saved = whole.clone();
        db.write(move |tx| save(tx, &saved)).await.unwrap();
        assert_eq!(db.read(|tx| get(tx, set_id(2))).await.unwrap(), Some(whole));
    }

    async fn one_source_makes_one_set_of_a_kind(db) {
        let other_kind = FileSet { id: set_id(2), source_key: "job:1".into(), ..artifact(2) };
        fill(&db, vec![checkpoint(1), other_kind]).await;
        let found = db.read(|tx| by_source(tx, run_id(1), Kind::Checkpoint, "job:1")).await.unwrap();
        assert_eq!(found.map(|set| set.id), Some(set_id(1)));
        let other_run = db.read(|tx| by_source(tx, run_id(2), Kind::Checkpoint, "job:1")).await.unwrap();
        assert_eq!(other_run, None);
        let again = db.write(|tx| insert(tx, &FileSet { id: set_id(3), ..checkpoint(1) })).await;
        assert!(again.unwrap_err().is_unique_violation());
    }

    async fn lists_filter_sort_and_page(db) {
        let complete = FileSet { status: Status::Complete, ..checkpoint(3) };
        let deleted = FileSet { status: Status::Deleted, ..checkpoint(4) };
        let elsewhere = FileSet { run_id: run_id(2), project_id: testing::project(2).id, ..checkpoint(5) };
        fill(&db, vec![checkpoint(1), checkpoint(2), complete, deleted, elsewhere, artifact(6)]).await;
        let of = || Filter::of(Kind::Checkpoint);
        let ids = |ns: &[u8]| ns.iter().map(|&n| set_id(n)).collect::<Vec<_>>();
        assert_eq!(listed(&db, of()).await, ids(&[5, 3, 2, 1]));
        assert_eq!(listed(&db, Filter { run_ids: vec![run_id(1)], ..of() }).await, ids(&[3, 2, 1]));
        assert_eq!(listed(&db, Filter { project_ids: vec![testing::project(2).id], ..of() }).await, ids(&[5]));
        assert_eq!(listed(&db, Filter { statuses: vec![Status::Complete], ..of() }).await, ids(&[3]));
        assert_eq!(listed(&db, Filter { global_steps: vec![10, 20], ..of() }).await, ids(&[2, 1]));
        assert_eq!(listed(&db, Filter { created_after: Some(Millis(1)), created_before: Some(Millis(5)), ..of() }).await, ids(&[3, 2]));
        assert_eq!(listed(&db, Filter { id_after: Some(set_id(3)), limit: 1, ..of() }).await, ids(&[2]));
        let ascending = Sort { field: SortField::Id, descending: false };
        assert_eq!(listed(&db, Filter { sort: ascending, id_after: Some(set_id(2)), ..of() }).await, ids(&[3, 5]));
        assert_eq!(listed(&db, Filter { limit: 2, offset: 1, ..of() }).await, ids(&[3, 2]));
        let artifacts = Filter { names: vec!["model".into()], types: vec!["weights".into()], ..Filter::of(Kind::Artifact) };
        assert_eq!(listed(&db, artifacts).await, ids(&[6]));
    }

    async fn loose_files_are_known_by_run_and_path_until_their_run_is_deleted(db) {
        let known = |db: Db| async move {
            db.read(|tx| {
                let mut found = Vec::new();
                crate::object::loose(tx, |run, path, size| {
                    found.push((run, path.to_owned(), size));
                    Ok::<_, Error>(())
                })?;
                Ok::<_, Error>(found)
            }).await.unwrap()
        };
        for (run, path, size) in [(1, "b", 1), (1, "a/c", 2), (2, "a", 3), (1, "b", 4)] {
            db.write(move |tx| note_loose(tx, run_id(run), path, size)).await.unwrap();
        }
        let all = [(run_id(1), "a/c".to_owned(), 2), (run_id(1), "b".to_owned(), 4), (run_id(2), "a".to_owned(), 3)];
        assert_eq!(known(db.clone()).await, all);
        assert!(db.write(|tx| delete_run(tx, run_id(1))).await.unwrap());
        assert!(!db.write(|tx| delete_run(tx, run_id(1))).await.unwrap());
        assert_eq!(known(db.clone()).await, all[2..]);
    }

    async fn retention_sees_the_complete_checkpoints_of_its_run_newest_first(db) {
        let done = |n| FileSet { status: Status::Complete, ..checkpoint(n) };
        let elsewhere = FileSet { run_id: run_id(2), ..done(4) };
        let kind = FileSet { status: Status::Complete, ..artifact(5) };
        fill(&db, vec![done(1), checkpoint(2), done(3), elsewhere, kind]).await;
        let seen = db.read(|tx| complete_checkpoints(tx, run_id(1))).await.unwrap();
        assert_eq!(seen.iter().map(|set| set.id).collect::<Vec<_>>(), [set_id(3), set_id(1)]);
    }

    async fn what_a_superseded_job_was_uploading_is_found(db) {
        let given_up = FileSet { reason: Some("vanished".into()), ..checkpoint(2) };
        let newer = FileSet { epoch: 2, ..checkpoint(3) };
        let done = FileSet { status: Status::Complete, ..checkpoint(4) };
        fill(&db, vec![checkpoint(1), given_up, newer, done]).await;
        let open = db.read(|tx| open_until(tx, run_id(1), 1)).await.unwrap();
        assert_eq!(open.iter().map(|set| set.id).collect::<Vec<_>>(), [set_id(1)]);
        let none = db.read(|tx| deserted(tx, Millis(100), 10)).await.unwrap();
        assert_eq!(none, [], "a run that is not there has nothing to go on with");
    }

    async fn files_come_back_by_path_in_pages(db) {
        fill(&db, vec![checkpoint(1)]).await;
        let parts = vec![Part { sha256: Some("c".repeat(64)), etag: Some("\"e\"".into()), md5: None }, Part { md5: Some("d".repeat(32)), ..Part::default() }];
        let large = File { md5: None, parts, upload: Some("u".into()), ..small("large.bin", 70 << 20) };
        let many: Vec<File> = (0..450).map(|n| small(&format!("shards/{n:04}"), n)).collect();
        add(&db, [vec![large.clone()], many.clone()].concat()).await;
        assert_eq!(page(&db, None, 2).await, [large.clone(), many[0].clone()]);
        assert_eq!(page(&db, Some("shards/0448"), 10).await, many[449..]);
        let found = db.read(|tx| file::by_paths(tx, set_id(1), &["large.bin", "shards/0007", "nothing"])).await;
        assert_eq!(found.unwrap().len(), 2);
        assert_eq!(db.read(|tx| file::in_parts(tx, set_id(1))).await.unwrap(), [large]);
        let total = db.read(|tx| {
            let mut total = (0, 0);
            file::sizes(tx, set_id(1), |_, size| total = (total.0 + 1, total.1 + size))?;
            Ok::<_, Error>(total)
        });
        assert_eq!(total.await.unwrap(), (451, (70 << 20) + 449 * 450 / 2));
        db.write(|tx| file::delete(tx, set_id(1))).await.unwrap();
        assert_eq!(page(&db, None, 10).await, []);
    }

    async fn a_path_that_is_a_folder_already_is_told(db) {
        fill(&db, vec![checkpoint(1)]).await;
        add(&db, vec![small("a/b/c", 1), small("ab", 1), small("x", 1)]).await;
        let asked = ["a", "a/b", "a/b/c", "ab", "x", "b", "a/"];
        let found = db.read(move |tx| file::folders_among(tx, set_id(1), &asked)).await.unwrap();
        assert_eq!(found, ["a", "a/b"]);
    }

    async fn of_two_uploads_of_a_file_the_first_counts(db) {
        fill(&db, vec![checkpoint(1)]).await;
        add(&db, vec![small("x", 1)]).await;
        let set = |instead: Option<&'static str>, upload: &'static str| {
            db.write(move |tx| file::set_upload(tx, set_id(1), "x", instead, upload))
        };
        assert!(set(None, "one").await.unwrap());
        assert!(!set(None, "two").await.unwrap());
        assert!(set(Some("one"), "three").await.unwrap());
        let uploads = db.read(|tx| file::uploads_of_run(tx, run_id(1))).await.unwrap();
        assert_eq!(uploads, [("runs/1/checkpoints/1/x".to_owned(), "three".to_owned())]);
        let told = File { parts: vec![Part { etag: Some("e".into()), ..Part::default() }], ..small("x", 1) };
        db.write({ let told = told.clone(); move |tx| file::set_parts(tx, set_id(1), &told) }).await.unwrap();
        assert_eq!(page(&db, None, 1).await[0].parts, told.parts);
    }

    async fn a_run_goes_with_all_of_its_sets_and_no_others(db) {
        let elsewhere = FileSet { run_id: run_id(2), ..checkpoint(2) };
        fill(&db, vec![checkpoint(1), elsewhere]).await;
        add(&db, vec![small("x", 1)]).await;
        assert!(db.write(|tx| delete_run(tx, run_id(1))).await.unwrap());
        assert!(!db.write(|tx| delete_run(tx, run_id(1))).await.unwrap());
        assert_eq!(page(&db, None, 1).await, []);
        assert_eq!(listed(&db, Filter::of(Kind::Checkpoint)).await, [set_id(2)]);
    }

    async fn late_garbage_waits_for_its_time(db) {
        use crate::source::{Garbage, discard_objects, discard_upload, garbage};
        db.write(|tx| {
            discard_objects(tx, "runs/1/", Millis(5), Some(Millis(50)))?;
            discard_upload(tx, "runs/1/a b", "u-1", Millis(5))
        }).await.unwrap();
        let due = |now| db.read(move |tx| garbage(tx, Millis(now), 10));
        let row = |kind: &str, key: &str| Garbage { kind: kind.into(), key: key.into() };
        assert_eq!(due(4).await.unwrap(), []);
        let first = [row("objects", "runs/1/"), row("upload", "u-1 runs/1/a b")];
        assert_eq!(due(49).await.unwrap(), first);
        assert_eq!(due(50).await.unwrap()[2], row("late_objects", "runs/1/"));
    }
}
