//! Publishing: begun, sent, verified, read; the same again; two at once; deleted and collected.

use runyard_store::both;
use serde_json::json;

use super::*;

both! {
    async fn a_version_is_verified_and_only_then_can_be_read(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("weights/model.bin", b"weights"), ("run.sh", b"#!/bin/sh\n"), ("empty", b"")]);
        let config = json!({"classes": 10}).as_object().cloned().unwrap();
        let new = NewVersion {
            tag: Some("v1".into()), description: "first".into(), config: config.clone(), ..archive.announced()
        };
        let begun = begin(&yard.engine, &yard.admin, "digits", None, new).await.unwrap();
        assert!(!begun.existing && begun.parts.is_empty() && begun.note.is_none());
        assert_eq!((begun.version.state, begun.version.part_size), (State::Created, Some(16 << 20)));
        let id = begun.version.id;
        let parts = yard.send(id, &archive.parts).await;
        let (word, message) = refused(super::super::archive(&yard.engine, &yard.admin, id).await);
        assert!(word == "not_available" && message.contains("not available yet"), "{message}");
        assert_eq!(files(&yard.engine, &yard.admin, id, None, 10).await.unwrap(), []);

        yard.later(1000);
        let done = yard.complete(id, Said { parts, ..archive.said.clone() }).await.unwrap();
        assert!(!done.existing && done.note.is_none());
        let version = yard.version(id).await;
        assert_eq!(done.version, version);
        assert_eq!((version.state, version.tag.as_deref()), (State::Available, Some("v1")));
        assert_eq!((version.size, version.files), (Some(17), Some(3)));
        assert_eq!(version.available_at, Some(Millis(1_700_000_001_000)));
        assert_eq!(version.archive_sha256.as_ref(), Some(&archive.said.archive_sha256));
        assert_eq!(version.tree_digest.as_ref(), Some(&archive.said.tree_digest));
        assert_eq!(version.config, config);
        // MD5 of the contents, ordered by their paths: that of `empty`, `run.sh`, `weights/model.bin`.
        assert_eq!(version.content_md5.as_deref(), Some("fd703c0162ca995497d43a49126e0a60"));
        let names: Vec<(String, String)> = files(&yard.engine, &yard.admin, id, None, 10)
            .await.unwrap().into_iter().map(|file| (file.path, file.kind)).collect();
        let named = |path: &str, kind: &str| (path.to_owned(), kind.to_owned());
        assert_eq!(names, [
            named("empty", "file"), named("run.sh", "executable"),
            named("weights", "folder"), named("weights/model.bin", "file"),
        ]);
        let page = files(&yard.engine, &yard.admin, id, Some("run.sh".into()), 1).await.unwrap();
        assert_eq!(page[0].path, "weights");
        let get = super::super::archive(&yard.engine, &yard.admin, id).await.unwrap();
        assert!(get.url.contains(&version.object_key), "{}", get.url);
        assert_eq!(yard.stored().await, [version.object_key]);
        let listed = list(&yard.engine, &yard.admin, ModelFilter::default()).await.unwrap();
        assert_eq!(listed[0].versions, 1);
    }

    async fn a_second_complete_says_the_same_or_is_refused(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let begun = yard.begin(&model, &archive).await;
        let parts = yard.send(begun.version.id, &archive.parts).await;
        let said = Said { parts, ..archive.said.clone() };
        let first = yard.complete(begun.version.id, said.clone()).await.unwrap();
        let second = yard.complete(begun.version.id, said.clone()).await.unwrap();
        assert_eq!(first.version, second.version);
        for other in [
            Said { archive_sha256: "0".repeat(64), ..said.clone() },
            Said { tree_digest: "0".repeat(64), ..said },
        ] {
            let (word, message) = refused(yard.complete(begun.version.id, other).await);
            assert!(word == "available" && message.contains("does not change any more"), "{message}");
        }
        let (word, _) = refused(parts_of(&yard, begun.version.id, &archive).await);
        assert_eq!(word, "available");
    }

    async fn a_content_that_is_there_is_found_before_anything_is_sent(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let there = yard.published(&model, &archive, None).await;
        let other = yard.published(&model, &Archive::of(&[("b", b"b")]), Some("other")).await;
        let again = |tag: Option<&str>, move_tag| {
            let tree_digest = Some(archive.said.tree_digest.to_uppercase());
            let new = NewVersion { tag: tag.map(str::to_owned), move_tag, tree_digest, ..archive.announced() };
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            async move { begin(&engine, &admin, "digits", None, new).await }
        };
        let found = again(None, false).await.unwrap();
        assert!(found.existing && found.version.id == there.id);
        let tagged = again(Some("v1"), false).await.unwrap();
        assert_eq!((tagged.version.tag.as_deref(), tagged.note), (Some("v1"), None), "it had none");
        let kept = again(Some("v2"), false).await.unwrap();
        assert_eq!(kept.version.tag.as_deref(), Some("v1"));
        assert!(kept.note.unwrap().contains("keeps its tag `v1`: `v2` was not set"));
        let moved = again(Some("v2"), true).await.unwrap();
        assert_eq!((moved.version.tag.as_deref(), moved.note), (Some("v2"), None));
        let (word, message) = refused(again(Some("other"), false).await);
        assert!(word == "tag_exists" && message.contains(&other.id.to_string()), "{message}");
        again(Some("other"), true).await.unwrap();
        assert_eq!(yard.version(other.id).await.tag, None, "it was moved");
        assert_eq!(yard.version(there.id).await.tag.as_deref(), Some("other"));
        assert_eq!(yard.versions(&model).await.len(), 2);
    }

    async fn an_upload_that_stopped_half_way_goes_on_where_it_was(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("weights", &noise(20 << 20))]);
        assert_eq!(archive.parts.len(), 2);
        let new = || NewVersion { source_key: Some("job:1".into()), ..archive.announced() };
        let begin = || begin(&yard.engine, &yard.admin, "digits", None, new());
        let first = begin().await.unwrap();
        let sent = yard.send(first.version.id, &archive.parts[..1]).await;
        parts(&yard.engine, &yard.admin, first.version.id, Vec::new(), sent.clone()).await.unwrap();

        let second = begin().await.unwrap();
        assert_eq!(second.version.id, first.version.id);
        assert_eq!(second.parts, sent, "with its digest, so that the sender can tell");
        let rest = yard.send(second.version.id, &archive.parts[1..]).await;
        let said = Said { parts: [sent, rest].concat(), ..archive.said.clone() };
        let done = yard.complete(second.version.id, said).await.unwrap();
        assert_eq!(done.version.archive_size, Some(archive.said.archive_size));
        assert_eq!(yard.versions(&model).await.len(), 1);
    }

    async fn an_upload_of_other_files_under_the_same_key_begins_anew(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let (first, second) = (Archive::of(&[("a", b"a")]), Archive::of(&[("a", b"changed")]));
        let new = |archive: &Archive| NewVersion { source_key: Some("job:1".into()), ..archive.announced() };
        let begun = begin(&yard.engine, &yard.admin, "digits", None, new(&first)).await.unwrap();
        let sent = yard.send(begun.version.id, &first.parts).await;
        parts(&yard.engine, &yard.admin, begun.version.id, Vec::new(), sent).await.unwrap();
        let again = begin(&yard.engine, &yard.admin, "digits", None, new(&second)).await.unwrap();
        assert_eq!((again.version.id, again.parts.len()), (begun.version.id, 0));
        let done = yard.finish(again.version.id, &second).await.unwrap();
        assert_eq!(done.version.size, Some(7));
        assert_eq!(yard.stored().await, [&*done.version.object_key]);

        let repeated = begin(&yard.engine, &yard.admin, "digits", None, new(&second)).await.unwrap();
        assert!(repeated.existing && repeated.version == done.version);
        let other = NewVersion { tree_digest: Some("0".repeat(64)), ..new(&second) };
        let (word, message) = refused(begin(&yard.engine, &yard.admin, "digits", None, other).await);
        assert!(word == "source_conflict" && message.contains("`job:1`"), "{message}");
    }

    async fn two_publishers_of_one_content_at_once_end_with_one_version(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("weights", &noise(1 << 20)), ("labels", b"0 1 2")]);
        let mut sent = Vec::new();
        for _ in 0..6 {
            let begun = yard.begin(&model, &archive).await;
            let parts = yard.send(begun.version.id, &archive.parts).await;
            sent.push((begun.version.id, Said { parts, ..archive.said.clone() }));
        }
        let racing = sent.iter().cloned().map(|(id, said)| {
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            tokio::spawn(async move { complete(&engine, &admin, id, said).await })
        });
        let racing: Vec<_> = racing.collect();
        let mut fresh = Vec::new();
        let mut found = Vec::new();
        for done in racing {
            match done.await.unwrap().unwrap() {
                Completed::Done(done) if done.existing => found.push(done.version.id),
                Completed::Done(done) => fresh.push(done.version.id),
                Completed::Reading(version) => panic!("{version:?}"),
            }
        }
        assert_eq!(fresh.len(), 1, "one made it");
        assert_eq!(found, vec![fresh[0]; 5], "the others found it");
        let versions = yard.versions(&model).await;
        assert_eq!(versions.len(), 1, "no row is left of the others");
        assert_eq!(yard.stored().await, [versions[0].object_key.clone()], "and no byte");
        for (id, said) in sent {
            let again = yard.complete(id, said).await.unwrap();
            assert_eq!(again.version.id, fresh[0], "whose answer was lost is led there");
            assert_eq!(again.existing, id != fresh[0]);
        }
    }

    async fn a_large_archive_is_read_once_whoever_asks_and_however_often(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("weights", &noise(100_000))]);
        let begun = yard.begin(&model, &archive).await;
        let parts = yard.send(begun.version.id, &archive.parts).await;
        let said = Said { parts, ..archive.said.clone() };
        let ask = || complete(&yard.engine, &yard.admin, begun.version.id, said.clone());
        yard.engine.models.hurry();
        let occupied = yard.engine.models.occupy().await;
        for _ in 0..3 {
            let Completed::Reading(version) = ask().await.unwrap() else { panic!("it takes its time") };
            assert_eq!((version.id, version.state), (begun.version.id, State::Created));
            assert_eq!(yard.engine.models.count(), 1);
        }
        drop(occupied);
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let done = loop {
            assert!(std::time::Instant::now() < deadline, "it was not read within a minute");
            if let Completed::Done(done) = ask().await.unwrap() {
                break done;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        assert!(!done.existing && done.version.state == State::Available);
    }

    async fn a_tag_that_was_taken_meanwhile_is_no_reason_to_lose_the_content(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"a")]);
        let tagged = |archive: &Archive| NewVersion { tag: Some("v1".into()), ..archive.announced() };
        let slow = begin(&yard.engine, &yard.admin, "digits", None, tagged(&archive)).await.unwrap();
        let fast = yard.published(&model, &Archive::of(&[("b", b"b")]), Some("v1")).await;
        let done = yard.finish(slow.version.id, &archive).await.unwrap();
        assert_eq!((done.version.state, done.version.tag), (State::Available, None));
        let note = done.note.unwrap();
        assert!(note.contains("has no tag") && note.contains(&fast.id.to_string()), "{note}");
    }

    async fn a_deleted_version_frees_its_bytes_and_stays_a_parent(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let first = Archive::of(&[("a", &noise(100_000))]);
        let parent = yard.published(&model, &first, Some("v1")).await;
        let second = Archive::of(&[("b", b"b")]);
        let new = NewVersion { parent: Some("v1".into()), ..second.announced() };
        let begun = begin(&yard.engine, &yard.admin, "digits", None, new).await.unwrap();
        let child = yard.finish(begun.version.id, &second).await.unwrap().version;
        assert_eq!(child.parent_id, Some(parent.id));

        let freed = delete_version(&yard.engine, &yard.admin, parent.id).await.unwrap();
        assert_eq!(Some(freed), parent.archive_size);
        assert_eq!(refused(version(&yard.engine, &yard.admin, parent.id).await).0, "not_found");
        assert_eq!(yard.version(child.id).await.parent_id, Some(parent.id), "where it came from is history");
        assert_eq!(yard.stored().await, [child.object_key]);
        let again = yard.published(&model, &first, Some("v1")).await;
        assert_ne!(again.id, parent.id, "tag and content are free again");
        let (id, freed) = delete(&yard.engine, &yard.admin, "digits", None).await.unwrap();
        assert!(id == model.id && freed > 100_000, "{freed}");
        assert_eq!(yard.stored().await, [] as [&str; 0]);
        assert_eq!(yard.versions(&model).await, []);
    }

    async fn what_nobody_completes_is_collected_with_its_bytes(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", &noise(20 << 20))]);
        let begun = yard.begin(&model, &archive).await;
        yard.send(begun.version.id, &archive.parts[..1]).await;
        let kept = yard.published(&model, &Archive::of(&[("b", b"b")]), None).await;
        assert_eq!(yard.stored().await.len(), 2, "an upload and an archive");
        yard.later(23 * 3600 * 1000);
        crate::garbage::sweep(&yard.engine).await.unwrap();
        assert_eq!(yard.versions(&model).await.len(), 2);
        yard.later(2 * 3600 * 1000);
        crate::garbage::sweep(&yard.engine).await.unwrap();
        assert_eq!(yard.versions(&model).await, std::slice::from_ref(&kept));
        assert_eq!(yard.stored().await, [kept.object_key]);
    }

    async fn a_version_knows_what_made_it_after_that_is_gone(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let (run, job) = yard.run().await;
        let archive = Archive::of(&[("a", b"a")]);
        let begun = begin(&yard.engine, &job, "digits", None, archive.announced()).await.unwrap();
        assert_eq!(begun.version.user_id, "job");
        yard.finish(begun.version.id, &archive).await.unwrap();
        let of_run = Filter { run_ids: vec![run.id], ..Filter::default() };
        let made = versions(&yard.engine, &job, of_run.clone()).await.unwrap();
        assert_eq!((made[0].run_id, made[0].source.as_ref()), (Some(run.id), run.spec.source.as_ref()));
        assert!(made[0].job_id.is_some());
        assert_eq!(made[0].run_config, Some(run.config.clone()));
        crate::run::delete(&yard.engine, &yard.admin, run.id).await.unwrap();
        assert_eq!(versions(&yard.engine, &yard.admin, of_run).await.unwrap(), made);
        let digest = run.spec.source.unwrap();
        yard.later(1);
        crate::source::head(&yard.engine, &digest).await.expect("the code that made it is kept");
        delete_version(&yard.engine, &yard.admin, made[0].id).await.unwrap();
        assert_eq!(refused(crate::source::head(&yard.engine, &digest).await).0, "not_found");
    }

    async fn words_on_a_version_change_and_tags_move(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let one = yard.published(&model, &Archive::of(&[("a", b"a")]), Some("best")).await;
        let two = yard.published(&model, &Archive::of(&[("b", b"b")]), None).await;
        let change = |id, patch| {
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            async move { patch_version(&engine, &admin, id, patch).await }
        };
        let tag = |move_tag| Patch { tag: Some("best".into()), move_tag, ..Patch::default() };
        let (word, message) = refused(change(two.id, tag(false)).await);
        assert!(word == "tag_exists" && message.contains(&one.id.to_string()), "{message}");
        assert_eq!(change(one.id, tag(false)).await.unwrap().tag.as_deref(), Some("best"), "its own");
        assert_eq!(change(two.id, tag(true)).await.unwrap().tag.as_deref(), Some("best"));
        assert_eq!(yard.version(one.id).await.tag, None);
        let config = json!({"k": 1}).as_object().cloned();
        let words = Patch { tag: Some(String::new()), description: Some("d".into()), config, ..Patch::default() };
        let changed = change(two.id, words).await.unwrap();
        assert_eq!((changed.tag, changed.description.as_str()), (None, "d"));
        assert_eq!(changed.config["k"], 1);
        assert_eq!(changed.tree_digest, two.tree_digest);
        let renamed = patch(&yard.engine, &yard.admin, "digits", None, Some("numbers".into()), None).await;
        assert_eq!(renamed.unwrap().id, model.id);
        yard.model("digits").await;
        let (word, _) = refused(patch(&yard.engine, &yard.admin, "digits", None, Some("numbers".into()), None).await);
        assert_eq!(word, "exists");
    }
}

async fn parts_of(yard: &Yard, id: ModelVersionId, archive: &Archive) -> Result<Vec<(i64, Signed)>> {
    let asked = archive.parts.iter().map(asked).collect();
    parts(&yard.engine, &yard.admin, id, asked, Vec::new()).await
}
