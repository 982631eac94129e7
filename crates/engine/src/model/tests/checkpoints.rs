//! Versions that the server makes of checkpoints.

use runyard_domain::{FileSetId, checkpoint::Kind};
use runyard_store::both;
use serde_json::{Value, json};

use super::{
    super::checkpoint::{NewCheckpointModel, create as make},
    *,
};
use crate::file_set;

impl Yard {
    /// A complete checkpoint of a run with these files.
    async fn checkpoint(&self, job: &Actor, files: &[(&str, &[u8])]) -> FileSetId {
        let Scope::Run(_, run) = job.scope else { panic!("it is a job") };
        self.later(1);
        let new = file_set::NewFileSet {
            kind: Kind::Checkpoint,
            run,
            job: None,
            global_step: Some(1),
            name: None,
            of_type: None,
            source_key: None,
            path: None,
        };
        let set = file_set::create(&self.engine, job, new).await.unwrap();
        let sha256 = |bytes: &[u8]| crate::idempotent::hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes));
        for (path, bytes) in files {
            let file = file_set::NewFile {
                path: (*path).into(),
                size: bytes.len() as i64,
                md5: None,
                sha256: sha256(bytes),
                parts: Vec::new(),
                mode: None,
            };
            file_set::upload(&self.engine, job, Kind::Checkpoint, set.id, vec![file]).await.unwrap();
            let checksum = Checksum::from_hex(ChecksumKind::Sha256, &sha256(bytes));
            let key = format!("{}{path}", set.key_prefix);
            let put = SignedPut { key, size: Size::Exactly(bytes.len() as u64), checksum, part: None };
            self.engine.objects.put_signed(&put, whole(bytes.to_vec().into())).await.unwrap();
        }
        file_set::complete(&self.engine, job, Kind::Checkpoint, set.id, Vec::new()).await.unwrap();
        set.id
    }

    async fn make(&self, checkpoint: FileSetId, version: &str) -> Result<ModelVersion> {
        let new = NewCheckpointModel {
            name: "digits".into(),
            version: version.into(),
            summary: "the best".into(),
            project: None,
        };
        make(&self.engine, &self.admin, checkpoint, new).await
    }

    async fn names(&self, version: &ModelVersion) -> Vec<String> {
        let files = files(&self.engine, &self.admin, version.id, None, 100).await.unwrap();
        files.into_iter().map(|file| file.path).collect()
    }
}

fn catalog(suffixes: Value) -> Vec<u8> {
    json!({"artifact_type": "pytorch", "class_labels": {"one": 1}, "copy_key_suffixes": suffixes})
        .to_string()
        .into()
}

both! {
    async fn a_checkpoint_becomes_a_version_and_a_repeat_answers_it(db) {
        let yard = Yard::on(db).await;
        let (run, job) = yard.run().await;
        let weights = noise(6 << 20);
        let files: [(&str, &[u8]); 2] = [("deep/weights.bin", &weights), ("labels.txt", b"0 1")];
        let checkpoint = yard.checkpoint(&job, &files).await;
        let made = yard.make(checkpoint, "1.0.0").await.unwrap();
        assert_eq!((made.state, made.tag.as_deref()), (State::Available, Some("1.0.0")));
        assert_eq!((made.model.as_str(), made.description.as_str()), ("digits", "the best"));
        assert_eq!((made.checkpoint_id, made.run_id), (Some(checkpoint), Some(run.id)));
        assert_eq!((made.run_config.as_ref(), made.source.as_ref()), (Some(&run.config), run.spec.source.as_ref()));
        assert!(made.config.is_empty(), "there is no catalog file");
        assert_eq!((made.size, made.files), (Some((6 << 20) + 3), Some(2)));
        let packed = Archive::of(&files).said;
        assert_eq!(made.tree_digest, Some(packed.tree_digest), "as if a client had packed it");
        assert_eq!(made.archive_sha256, Some(packed.archive_sha256));
        assert_eq!(yard.make(checkpoint, "1.0.0").await.unwrap(), made);
        let of_checkpoint = Filter { checkpoint_ids: vec![checkpoint], ..Filter::default() };
        assert_eq!(versions(&yard.engine, &yard.admin, of_checkpoint).await.unwrap(), std::slice::from_ref(&made));

        let (word, existing) = refused(yard.make(checkpoint, "1.0.1").await);
        assert_eq!((word, existing), ("same_content", made.id.to_string()));
        let other = yard.checkpoint(&job, &[("labels.txt", b"changed")]).await;
        let (word, message) = refused(yard.make(other, "1.0.0").await);
        assert!(word == "tag_exists" && message.contains("`1.0.0`"), "{message}");
        assert_eq!(yard.stored().await, [made.object_key], "nothing is left of what was refused");
        file_set::delete(&yard.engine, &yard.admin, Kind::Checkpoint, checkpoint).await.unwrap();
        assert_eq!(yard.version(made.id).await.checkpoint_id, Some(checkpoint), "it outlives its checkpoint");
    }

    async fn the_catalog_file_says_what_is_copied_and_nothing_else_is(db) {
        let yard = Yard::on(db).await;
        let (_, job) = yard.run().await;
        let named = catalog(json!(["model.pt", "tokenizer/"]));
        let checkpoint = yard.checkpoint(&job, &[
            ("chariot_model_config.json", &named), ("model.pt", b"weights"), ("optimizer.pt", b"not wanted"),
            ("tokenizer/vocab.txt", b"a b"), ("tokenizer2/vocab.txt", b"c d"),
        ]).await;
        let made = yard.make(checkpoint, "2.0.0-rc.1+build.5").await.unwrap();
        let expected = ["chariot_model_config.json", "model.pt", "tokenizer", "tokenizer/vocab.txt"];
        assert_eq!(yard.names(&made).await, expected);
        assert_eq!(made.config["chariot_model_config"]["class_labels"]["one"], 1);
    }

    async fn what_leads_out_of_the_checkpoint_or_is_not_in_it_is_refused_by_name(db) {
        let yard = Yard::on(db).await;
        let (_, job) = yard.run().await;
        let wrong = catalog(json!(["../secret", "/etc/passwd", "a/../../b", "model.pt", "missing.pt", 5, ""]));
        let checkpoint =
            yard.checkpoint(&job, &[("chariot_model_config.json", &wrong), ("model.pt", b"w")]).await;
        let said = fields(yard.make(checkpoint, "1.0.0").await);
        let named: Vec<&String> = said.keys().collect();
        let at = |n: usize| format!("copy_key_suffixes.{n}");
        assert_eq!(named, [&at(0), &at(1), &at(2), &at(4), &at(5), &at(6)]);
        assert!(said[&at(0)][0].contains("leads out of the checkpoint: `../secret`"), "{said:?}");
        assert!(said[&at(4)][0].contains("names `missing.pt`, which is not in the checkpoint"), "{said:?}");
        for (content, words) in
            [(&b"{"[..], "is not JSON"), (b"[]", "is no JSON object"), (b"{}", "has no list `copy_key_suffixes`")]
        {
            let checkpoint = yard.checkpoint(&job, &[("chariot_model_config.json", content)]).await;
            let said = fields(yard.make(checkpoint, "1.0.0").await);
            assert!(said["chariot_model_config.json"][0].contains(words), "{said:?}");
        }
        let models = list(&yard.engine, &yard.admin, ModelFilter::default()).await.unwrap();
        assert_eq!(models, [], "no model was made for nothing");
    }

    async fn only_a_complete_checkpoint_and_a_semver_make_a_version(db) {
        let yard = Yard::on(db).await;
        let (run, job) = yard.run().await;
        let new = file_set::NewFileSet {
            kind: Kind::Checkpoint, run: run.id, job: None, global_step: Some(1), name: None, of_type: None,
            source_key: None, path: None,
        };
        let begun = file_set::create(&yard.engine, &job, new).await.unwrap();
        let (word, message) = refused(yard.make(begun.id, "1.0.0").await);
        assert!(word == "incomplete" && message.contains("is not complete"), "{message}");
        let checkpoint = yard.checkpoint(&job, &[("a", b"a")]).await;
        let said = fields(yard.make(checkpoint, "v1").await);
        assert!(said["version"][0].contains("SemVer 2.0.0"), "{said:?}");
        assert_eq!(refused(yard.make(yard.engine.id(FileSetId::new), "1.0.0").await).0, "not_found");
        let elsewhere = NewCheckpointModel {
            name: "digits".into(), version: "1.0.0".into(), project: Some("nobody".into()), ..Default::default()
        };
        let said = fields(make(&yard.engine, &yard.admin, checkpoint, elsewhere).await);
        assert!(said.contains_key("project_id"), "{said:?}");
    }

    async fn a_server_that_was_killed_while_it_packed_goes_on(db) {
        let yard = Yard::on(db).await;
        let (_, job) = yard.run().await;
        let checkpoint = yard.checkpoint(&job, &[("a", b"a")]).await;
        let first = yard.make(checkpoint, "1.0.0").await.unwrap();
        // As it was before the end: the row is there, and an archive of which nobody knows whether it is whole.
        let row = ModelVersion {
            state: State::Created, available_at: None, tree_digest: None, archive_sha256: None, ..first.clone()
        };
        let id = first.id;
        yard.engine.db.write(move |tx| {
            store::model::version::delete(tx, id)?;
            store::model::version::insert(tx, &row)
        }).await.unwrap();
        let racing = (0..4).map(|_| yard.make(checkpoint, "1.0.0"));
        let made = futures::future::join_all(racing).await;
        let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
        assert!(made.iter().all(|made| made.id == first.id && made.state == State::Available));
        assert_eq!(yard.stored().await, [made[0].object_key.clone()], "what the first had written is gone");
    }
}
