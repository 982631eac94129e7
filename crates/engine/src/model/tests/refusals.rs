//! What is refused: in which words, and that nothing is half written.

use runyard_store::both;

use super::*;

both! {
    async fn a_tag_that_exists_is_refused_before_anything_is_sent(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let there = yard.published(&model, &Archive::of(&[("a", b"a")]), Some("v1")).await;
        let new = Archive::of(&[("b", b"b")]).announced();
        let tagged = NewVersion { tag: Some("v1".into()), ..new.clone() };
        let (word, message) = refused(begin(&yard.engine, &yard.admin, "digits", None, tagged.clone()).await);
        assert_eq!(word, "tag_exists");
        let expected = format!("version {} of model `digits` has the tag `v1` already: choose another tag", there.id);
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!(yard.versions(&model).await.len(), 1, "nothing was begun");
        let moved = NewVersion { move_tag: true, ..tagged };
        let begun = begin(&yard.engine, &yard.admin, "digits", None, moved).await.unwrap();
        assert_eq!(yard.version(there.id).await.tag.as_deref(), Some("v1"), "until the new one is available");
        yard.finish(begun.version.id, &Archive::of(&[("b", b"b")])).await.unwrap();
        assert_eq!(yard.version(there.id).await.tag, None);
        yard.model("other").await;
        let elsewhere = NewVersion { tag: Some("v1".into()), ..new };
        begin(&yard.engine, &yard.admin, "other", None, elsewhere).await.expect("tags are of one model");
    }

    async fn a_parent_is_an_available_version_of_the_same_model(db) {
        let yard = Yard::on(db).await;
        let (model, other) = (yard.model("digits").await, yard.model("letters").await);
        let archive = Archive::of(&[("a", b"a")]);
        let foreign = yard.published(&other, &archive, Some("v1")).await;
        let pending = yard.begin(&model, &archive).await.version;
        let with = |parent: String| {
            let new = NewVersion { parent: Some(parent), ..archive.announced() };
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            async move { fields(begin(&engine, &admin, "digits", None, new).await) }
        };
        for (parent, words) in [
            (foreign.id.to_string(), "is a version of model `letters`: a parent is an available version of model `digits`"),
            (pending.id.to_string(), "is `created`: a parent is an available version"),
            ("v1".to_owned(), "there is no version `v1`: a parent is"),
        ] {
            let said = with(parent).await;
            assert_eq!(said.keys().collect::<Vec<_>>(), ["parent"]);
            assert!(said["parent"][0].contains(words), "{said:?}");
        }
        assert_eq!(yard.versions(&model).await.len(), 1);
    }

    async fn an_archive_of_another_size_or_hash_fails_and_leaves_nothing(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let zeros = "0".repeat(64);
        let sha = format!("its SHA-256 is {}, and {zeros} was said", archive.said.archive_sha256);
        let tree = format!("its tree digest is {}, and {zeros} was said", archive.said.tree_digest);
        for (wrong, words) in [
            (Said { archive_sha256: zeros.clone(), ..archive.said.clone() }, sha),
            (Said { tree_digest: zeros, ..archive.said.clone() }, tree),
        ] {
            let new = NewVersion { source_key: Some("job:1".into()), ..archive.announced() };
            let begun = begin(&yard.engine, &yard.admin, "digits", None, new.clone()).await.unwrap();
            let parts = yard.send(begun.version.id, &archive.parts).await;
            let said = Said { parts, ..wrong };
            let (word, message) = refused(yard.complete(begun.version.id, said.clone()).await);
            assert!(word == "archive_differs" && message.contains(&words), "{message}");
            let failed = yard.version(begun.version.id).await;
            assert_eq!((failed.state, failed.reason.as_ref()), (State::Error, Some(&message)));
            assert_eq!(yard.stored().await, [] as [&str; 0]);
            let (word, message) = refused(yard.complete(begun.version.id, said).await);
            assert!(word == "failed" && message.contains("begin a new one"), "{message}");
            let (word, _) = refused(patch_version(&yard.engine, &yard.admin, failed.id, Patch::default()).await);
            assert_eq!(word, "failed");
            let again = begin(&yard.engine, &yard.admin, "digits", None, new).await.unwrap();
            assert_ne!(again.version.id, failed.id, "the same publish may begin anew");
            delete_version(&yard.engine, &yard.admin, again.version.id).await.unwrap();
        }
        assert_eq!(yard.versions(&model).await.len(), 2);
        yard.later(8 * 24 * 3600 * 1000);
        crate::garbage::sweep(&yard.engine).await.unwrap();
        assert_eq!(yard.versions(&model).await, [], "they have said why long enough");
    }

    async fn what_is_no_archive_fails_and_says_why(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let grown = Archive::of(&[("a", &vec![0; 100_000])]);
        let small = Archive { size: 10, ..grown.clone() };
        let begun = yard.begin(&model, &small).await;
        let (word, message) = refused(yard.finish(begun.version.id, &small).await);
        assert!(word == "archive_differs" && message.contains("expands to more than 10 bytes"), "{message}");

        let rubbish = Bytes::from_static(b"this is no archive");
        let mut wrong = grown.clone();
        let checksum = crate::idempotent::hex(&<sha2::Sha256 as sha2::Digest>::digest(&rubbish));
        wrong.parts = vec![archive::Part { number: 1, bytes: rubbish.clone(), checksum: checksum.clone() }];
        (wrong.said.archive_sha256, wrong.said.archive_size) = (checksum, rubbish.len() as i64);
        let begun = yard.begin(&model, &wrong).await;
        let (word, message) = refused(yard.finish(begun.version.id, &wrong).await);
        assert!(word == "archive_differs" && message.contains("the archive cannot be read"), "{message}");
        assert_eq!(yard.stored().await, [] as [&str; 0]);
    }

    async fn parts_that_never_arrived_or_are_gone_are_told(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let begun = yard.begin(&model, &archive).await;
        let id = begun.version.id;
        let claimed = Said { parts: archive.parts.iter().map(arrived).collect(), ..archive.said.clone() };
        let (word, message) = refused(yard.complete(id, claimed.clone()).await);
        assert!(word == "no_upload" && message.contains("begin it again"), "nothing was ever sent: {message}");
        let asked: Vec<NewPart> = archive.parts.iter().map(asked).collect();
        parts(&yard.engine, &yard.admin, id, asked.clone(), Vec::new()).await.unwrap();
        let (word, _) = refused(yard.complete(id, claimed).await);
        assert_eq!(word, "invalid_part", "an address is no part");
        assert_eq!(yard.version(id).await.state, State::Created, "it can be gone on with");

        let sent = yard.send(id, &archive.parts).await;
        parts(&yard.engine, &yard.admin, id, Vec::new(), sent.clone()).await.unwrap();
        let there = yard.version(id).await;
        yard.engine.objects.abort_multipart(&there.object_key, &there.upload.unwrap()).await.unwrap();
        let (word, message) = refused(yard.complete(id, Said { parts: sent, ..archive.said.clone() }).await);
        assert!(word == "no_upload" && message.contains("gone from the object store"), "{message}");
        let done = yard.finish(id, &archive).await.unwrap();
        assert_eq!(done.version.state, State::Available, "sent once more");
    }

    async fn every_wrong_field_is_named_at_once(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let wrong = NewVersion {
            tag: Some("a@b".into()),
            config: serde_json::json!({"x": "x".repeat(300_000)}).as_object().cloned().unwrap(),
            size: -1,
            files: 0,
            tree_digest: Some("xyz".into()),
            source_key: Some(String::new()),
            ..NewVersion::default()
        };
        let said = fields(begin(&yard.engine, &yard.admin, "digits", None, wrong).await);
        let named: Vec<&String> = said.keys().collect();
        assert_eq!(named, ["config", "files", "size", "source_key", "tag", "tree_digest"]);
        assert!(said["files"][0].contains("publish what has files"), "an empty folder is no model");

        let archive = Archive::of(&[("a", b"a")]);
        let begun = begin(&yard.engine, &yard.admin, "digits", None, archive.announced()).await.unwrap();
        let ask = |parts_asked: Vec<NewPart>, sent| {
            let (engine, admin, id) = (yard.engine.clone(), yard.admin.clone(), begun.version.id);
            async move { parts(&engine, &admin, id, parts_asked, sent).await }
        };
        let part = |number, size| NewPart { number, size, sha256: Some("0".repeat(64)), md5: None };
        let none = NewPart { sha256: None, md5: Some("0".repeat(32)), ..part(1, 1) };
        let unsent = Part { number: 0, size: 0, sha256: Some("x".into()), md5: None, etag: String::new() };
        let said = fields(ask(vec![part(0, 1), none], vec![unsent]).await);
        let named: Vec<&String> = said.keys().collect();
        assert_eq!(
            named,
            ["parts.0.number", "parts.1.sha256", "sent.0.etag", "sent.0.number", "sent.0.sha256", "sent.0.size"]
        );
        assert!(said["parts.1.sha256"][0].contains("SHA-256 of the part as 64"), "{said:?}");
        let said = fields(ask(vec![part(1, (16 << 20) + 1)], Vec::new()).await);
        assert!(said["parts.0.size"][0].contains("from 1 to 16777216 bytes"), "{said:?}");
        let said = fields(ask(vec![part(1, 1); 101], Vec::new()).await);
        assert!(said["parts"][0].contains("at most 100"), "{said:?}");

        let sent = archive.parts.iter().map(arrived).collect::<Vec<_>>();
        let gap = Part { number: 3, ..sent[0].clone() };
        let wrong = Said { parts: vec![sent[0].clone(), gap], archive_sha256: "x".into(), ..archive.said.clone() };
        let said = fields(yard.complete(begun.version.id, wrong).await);
        assert_eq!(said.keys().collect::<Vec<_>>(), ["archive_sha256", "archive_size", "parts"]);
        let said = fields(yard.complete(begun.version.id, Said { parts: Vec::new(), archive_size: 0, ..archive.said.clone() }).await);
        assert!(said["parts"][0].contains("1 to 10000"), "{said:?}");
    }

    async fn a_model_is_made_once_in_a_project_and_a_repeat_with_its_key_answers_it(db) {
        let yard = Yard::on(db).await;
        let make = |name: &str, key: Option<&str>| {
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            let (name, key) = (name.to_owned(), key.map(str::to_owned));
            async move { create(&engine, &admin, None, name, None, "d".into(), key).await }
        };
        let first = make("digits", Some("k")).await.unwrap();
        assert_eq!(make("digits", Some("k")).await.unwrap(), first);
        let (word, message) = refused(make("digits", None).await);
        assert!(word == "exists" && message.contains("has a model `digits` already: publish to it"), "{message}");
        assert!(fields(make("a/b", None).await).contains_key("name"));
        let nowhere = create(&yard.engine, &yard.admin, None, "x".into(), Some("nobody".into()), String::new(), None).await;
        assert!(fields(nowhere)["project_id"][0].contains("nobody"));
        let many = (0..8).map(|_| tokio::spawn(make("letters", None)));
        let made = futures::future::join_all(many).await.into_iter().filter(|made| made.as_ref().unwrap().is_ok());
        assert_eq!(made.count(), 1);
        let (word, message) = refused(crate::project::delete(&yard.engine, &yard.admin, "default").await);
        assert_eq!((word, message.contains("always there")), ("conflict", true));
        let team = crate::project::create(&yard.engine, &yard.admin, "team".into(), String::new(), None).await.unwrap();
        create(&yard.engine, &yard.admin, None, "digits".into(), Some("team".into()), String::new(), None).await.unwrap();
        let (_, message) = refused(crate::project::delete(&yard.engine, &yard.admin, "team").await);
        assert!(message.contains("project `team` still has models: delete them first"), "{message}");
        delete(&yard.engine, &yard.admin, "digits", Some("team")).await.unwrap();
        assert_eq!(crate::project::delete(&yard.engine, &yard.admin, "team").await.unwrap(), team.id);
    }

    async fn a_token_reaches_its_project_and_a_job_deletes_nothing(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let there = yard.published(&model, &archive, Some("v1")).await;
        let (run, job) = yard.run().await;
        let team = crate::project::create(&yard.engine, &yard.admin, "team".into(), String::new(), None).await.unwrap();
        let stranger = Actor { scope: Scope::Project(team.id), ..yard.admin.clone() };
        for actor in [&stranger, &Actor { scope: Scope::Run(team.id, run.id), ..yard.admin.clone() }] {
            let (word, _) = refused(version(&yard.engine, actor, there.id).await);
            assert_eq!(word, "not_found");
            assert_eq!(refused(delete_version(&yard.engine, actor, there.id).await).0, "not_found");
            assert_eq!(versions(&yard.engine, actor, Filter::default()).await.unwrap(), []);
            assert_eq!(list(&yard.engine, actor, ModelFilter::default()).await.unwrap(), []);
            assert_eq!(refused(get(&yard.engine, actor, &model.id.to_string(), None).await).0, "not_found");
            assert_eq!(refused(get(&yard.engine, actor, "digits", Some("default")).await).0, "not_found");
        }
        assert_eq!(version(&yard.engine, &job, there.id).await.unwrap().id, there.id);
        let (word, message) = refused(delete_version(&yard.engine, &job, there.id).await);
        assert!(word == "forbidden" && message.contains("token of a run cannot delete"), "{message}");
        assert_eq!(refused(delete(&yard.engine, &job, "digits", None).await).0, "forbidden");
        assert_eq!(refused(patch(&yard.engine, &job, "digits", None, None, None).await).0, "forbidden");
        let own = begin(&yard.engine, &job, "digits", None, Archive::of(&[("b", b"b")]).announced()).await.unwrap();
        delete_version(&yard.engine, &job, own.version.id).await.expect("its own, which nobody can use yet");
        let foreign = begin(&yard.engine, &yard.admin, "digits", None, archive.announced()).await.unwrap();
        assert_eq!(refused(delete_version(&yard.engine, &job, foreign.version.id).await).0, "forbidden");
        let other = NewVersion { run: Some(yard.engine.id(RunId::new)), ..archive.announced() };
        assert_eq!(refused(begin(&yard.engine, &job, "digits", None, other.clone()).await).0, "forbidden");
        let said = fields(begin(&yard.engine, &yard.admin, "digits", None, other).await);
        assert!(said["run_id"][0].contains("there is no run"), "{said:?}");
        let stale = NewVersion { job: Some(yard.engine.id(runyard_domain::JobId::new)), ..archive.announced() };
        let said = fields(begin(&yard.engine, &job, "digits", None, stale.clone()).await);
        assert!(said["job_id"][0].contains("has no job"), "{said:?}");
        let said = fields(begin(&yard.engine, &yard.admin, "digits", None, stale).await);
        assert!(said["job_id"][0].contains("name that too, as `run_id`"), "{said:?}");
    }
}
