//! What is refused, and that it is said well.

use runyard_domain::checkpoint::{MAX_FILE_BYTES, MAX_FILES};

use super::*;

#[tokio::test]
async fn every_wrong_file_is_named_by_its_path() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    let named = |path: &str| NewFile { path: path.into(), ..new(HELLO) };
    let mut no_etag = large();
    no_etag.parts[1].etag = Some("not an etag".into());
    let mut unbound = large();
    unbound.parts[2] = NewPart { md5: unbound.parts[2].sha256.take(), ..unbound.parts[2].clone() };
    let wrong = [
        named("../x"),
        named("/etc/passwd"),
        named("a/../../b"),
        named(""),
        NewFile { size: -1, ..named("a") },
        NewFile { size: MAX_FILE_BYTES + 1, ..named("b") },
        NewFile { path: "c".into(), ..unbound },
        NewFile { md5: Some("5d41".into()), ..named("d") },
        NewFile { sha256: "g".repeat(64), ..named("e") },
        NewFile { sha256: String::new(), ..named("g") },
        NewFile { parts: large().parts, ..named("f") },
        NewFile { parts: Vec::new(), ..large() },
        no_etag,
        named("a"),
    ];
    let Error::Invalid { fields } = yard.announce(&actor, &set, &wrong).await.unwrap_err() else {
        panic!("the fields are wrong")
    };
    let at: Vec<&str> = fields.0.keys().map(String::as_str).collect();
    let expected = [
        "files.0.path",
        "files.1.path",
        "files.10.parts",
        "files.11.parts",
        "files.12.parts.1.etag",
        "files.12.path",
        "files.13.path",
        "files.2.path",
        "files.3.path",
        "files.4.size",
        "files.5.size",
        "files.6.parts.2.md5",
        "files.6.parts.2.sha256",
        "files.7.md5",
        "files.8.sha256",
        "files.9.sha256",
    ];
    assert_eq!(at, expected);
    assert_eq!(yard.listed(&actor).await[0].files, 0, "all or none");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_uploaded_is_told() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    // A sender may say more than the store wants, and may say less the next time.
    yard.announce(&actor, &set, &[NewFile { md5: Some("a".repeat(32)), ..new(HELLO) }]).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO)]).await.unwrap();
    for changed in [
        NewFile { size: 6, ..new(HELLO) },
        NewFile { md5: Some("b".repeat(32)), ..new(HELLO) },
        NewFile { sha256: "b".repeat(64), ..new(HELLO) },
    ] {
        let (word, message) = code(yard.announce(&actor, &set, &[changed]).await);
        assert_eq!(word, "file_changed");
        assert!(message.contains("`hello.txt`") && message.contains("abandon"), "{message}");
    }
}

#[tokio::test]
async fn no_path_is_a_file_and_a_folder_in_one_request_or_in_two() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let named = |path: &str| NewFile { path: path.into(), ..new(HELLO) };
    for (first, second) in [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")] {
        let set = yard.checkpoint(&actor, &run, first.len() as i64 * 10 + second.len() as i64).await.unwrap();
        let both = [named(first), named(second)];
        let (word, message) = code(yard.announce(&actor, &set, &both).await);
        assert!(word == "invalid" && message.contains("a file and a folder"), "{message}");
        yard.announce(&actor, &set, &both[..1]).await.unwrap();
        let (word, message) = code(yard.announce(&actor, &set, &both[1..]).await);
        assert!(word == "invalid" && message.contains("a file and a folder"), "{message}");
    }
}

#[tokio::test]
async fn a_set_has_a_limit_of_files_and_a_request_too() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    let many: Vec<NewFile> =
        (0..1001).map(|n| NewFile { path: format!("shard-{n}"), ..new(HELLO) }).collect();
    assert_eq!(code(yard.announce(&actor, &set, &many).await).0, "invalid");
    assert_eq!(code(yard.announce(&actor, &set, &[]).await).0, "invalid");
    let full = FileSet { files: MAX_FILES - 1, ..set.clone() };
    yard.engine.db.write(move |tx| store::file_set::save(tx, &full)).await.unwrap();
    let (word, message) = code(yard.announce(&actor, &set, &many[..2]).await);
    assert!(word == "too_large" && message.contains("100000 files"), "{message}");
    yard.announce(&actor, &set, &many[..1]).await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_without_files_is_not_complete_and_an_unknown_file_is_named() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    let (word, message) = code(yard.complete(&actor, &set).await);
    assert!(word == "incomplete" && message.contains("no files"), "{message}");
    let named = vec![SentFile { path: "nothing".into(), ..SentFile::default() }];
    let (word, message) = code(complete(&yard.engine, &actor, set.kind, set.id, named).await);
    assert!(word == "invalid" && message.contains("files.0.path"), "{message}");
}

#[tokio::test]
async fn an_object_of_another_size_is_not_what_was_announced() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO)]).await.unwrap();
    let object = key(&set, HELLO.0);
    yard.engine.objects.put_stream(&object, bytes(b"hell"), 10).await.unwrap();
    let (word, message) = code(yard.complete(&actor, &set).await);
    assert!(word == "incomplete" && message.contains("(4 of 5 bytes)"), "{message}");
    let uploads = yard.announce(&actor, &set, &[new(HELLO)]).await.unwrap();
    assert!(uploads[0].put.is_some(), "it is sent again");
    yard.send(&set, HELLO).await;
    yard.complete(&actor, &set).await.unwrap();
}

#[tokio::test]
async fn a_job_that_was_superseded_changes_nothing_any_more() {
    let yard = Yard::new().await;
    let (run, job, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO)]).await.unwrap();
    let newer = yard.restart(&run).await;
    let by_old = NewFileSet { job: Some(job.id), ..new_checkpoint(run.id, 2) };
    assert_eq!(code(create(&yard.engine, &actor, by_old).await).0, "stale_epoch");
    assert_eq!(code(yard.announce(&actor, &set, &[new(WORLD)]).await).0, "stale_epoch");
    assert_eq!(code(yard.complete(&actor, &set).await).0, "stale_epoch");
    assert_eq!(code(abandon(&yard.engine, &actor, set.kind, set.id, "x".into()).await).0, "stale_epoch");
    let by_new = NewFileSet { job: Some(newer.id), ..new_checkpoint(run.id, 2) };
    let begun = create(&yard.engine, &actor, by_new).await.unwrap();
    let listed = yard.listed(&actor).await;
    assert_eq!((listed[0].id, listed[0].epoch, listed[0].reason.clone()), (begun.id, 2, None));
    assert!(listed[1].reason.as_deref().is_some_and(|reason| reason.contains("newer job")));
}

#[tokio::test]
async fn a_foreign_run_can_be_read_by_id_within_its_project_and_never_changed() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let (_, _, neighbour) = yard.run(None).await;
    let set = yard.saved(&actor, &run, 1).await;
    get(&yard.engine, &neighbour, set.kind, set.id).await.unwrap();
    file(&yard.engine, &neighbour, set.kind, set.id, HELLO.0.into()).await.unwrap();
    assert_eq!(yard.listed(&neighbour).await, [], "lists show a job its own run");
    assert_eq!(code(yard.checkpoint(&neighbour, &run, 2).await).0, "forbidden");
    assert_eq!(code(yard.announce(&neighbour, &set, &[new(WORLD)]).await).0, "forbidden");
    assert_eq!(code(delete(&yard.engine, &neighbour, set.kind, set.id).await).0, "forbidden");

    let elsewhere = yard.engine.id(runyard_domain::ProjectId::new);
    for scope in [Scope::Project(elsewhere), Scope::Run(elsewhere, yard.engine.id(RunId::new))] {
        let stranger = Actor { scope, ..actor.clone() };
        assert_eq!(code(get(&yard.engine, &stranger, set.kind, set.id).await).0, "not_found");
        assert_eq!(yard.listed(&stranger).await, []);
    }
    let stranger = Actor { scope: Scope::Project(elsewhere), ..actor.clone() };
    let (word, message) = code(delete(&yard.engine, &stranger, set.kind, set.id).await);
    assert!(word == "not_found" && message.contains("checkpoint"), "{message}");
}

#[tokio::test]
async fn a_source_makes_one_thing_and_texts_have_limits() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    yard.checkpoint(&actor, &run, 1).await.unwrap();
    let other = NewFileSet { global_step: Some(2), ..new_checkpoint(run.id, 1) };
    assert_eq!(code(create(&yard.engine, &actor, other).await).0, "source_conflict");
    let wrong = NewFileSet {
        source_key: Some(String::new()),
        name: Some("x".repeat(201)),
        path: Some("a\nb".into()),
        ..new_checkpoint(run.id, 1)
    };
    let Error::Invalid { fields } = create(&yard.engine, &actor, wrong).await.unwrap_err() else {
        panic!("the fields are wrong")
    };
    assert_eq!(fields.0.keys().collect::<Vec<_>>(), ["name", "path", "source_key"]);
    let nameless = NewFileSet { source_key: None, ..new_checkpoint(run.id, 1) };
    let one = create(&yard.engine, &actor, nameless.clone()).await.unwrap();
    let two = create(&yard.engine, &actor, nameless).await.unwrap();
    assert_ne!(one.id, two.id, "without a source, each is new");
    let nowhere = new_checkpoint(yard.engine.id(RunId::new), 1);
    assert_eq!(code(create(&yard.engine, &yard.admin, nowhere).await).0, "not_found");
}
