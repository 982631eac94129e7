//! What happens to models and their versions, on both databases and objects in a folder. The tests play the sender: they
//! store what the addresses allow.

mod checkpoints;
mod foreign;
mod publishing;
mod refusals;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::stream;
use runyard_archive::model::{self as archive, ModelLimits, PartOptions};
use runyard_domain::{Millis, RunId, run::Run};
use runyard_objects::{Checksum, ChecksumKind, SignedPart, SignedPut, Size};
use runyard_store::{self as store, Db};

use super::*;
use crate::tests::{Stopped, engine_on};

/// An engine with two projects and a clock that is moved by hand.
struct Yard {
    engine: Engine,
    clock: Arc<Stopped>,
    admin: Actor,
    folder: tempfile::TempDir,
}

/// An archive as its sender has it.
#[derive(Clone)]
struct Archive {
    parts: Vec<archive::Part>,
    said: Said,
    size: i64,
    files: i64,
}

impl Yard {
    async fn on(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = engine_on(db, clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        Self { engine, clock, admin, folder }
    }

    fn later(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    async fn model(&self, name: &str) -> Model {
        create(&self.engine, &self.admin, None, name.into(), None, String::new(), None).await.unwrap()
    }

    /// A run with a source, and who its job is.
    async fn run(&self) -> (Run, Actor) {
        let project = crate::project::get(&self.engine, &self.admin, "default").await.unwrap();
        let mut run = store::testing::run(1, self.engine.now(), project.id);
        run.id = self.engine.id(RunId::new);
        run.spec.source = Some("5".repeat(64));
        let job = runyard_domain::run::Job {
            id: self.engine.id(runyard_domain::JobId::new),
            run_id: run.id,
            epoch: 1,
            executor: "local".into(),
            created_at: self.engine.now(),
            started_at: None,
            seen_at: None,
            ended_at: None,
            exit: None,
            lengths: runyard_domain::job::StreamLengths::default(),
        };
        run.life.epoch = 1;
        let (row, now) = (run.clone(), self.engine.now());
        let written = self.engine.db.write(move |tx| {
            store::source::insert(
                tx,
                "5555555555555555555555555555555555555555555555555555555555555555",
                1,
                now,
            )?;
            store::run::insert(tx, &row, "test")?;
            store::job::insert(tx, &job)
        });
        written.await.unwrap();
        let scope = Scope::Run(run.project_id, run.id);
        let actor = Actor { token_id: None, name: "job".into(), scope };
        (run, actor)
    }

    async fn begin(&self, model: &Model, archive: &Archive) -> Begun {
        begin(&self.engine, &self.admin, &model.id.to_string(), None, archive.announced()).await.unwrap()
    }

    /// Sends parts to where the addresses lead; answers them as they arrived.
    async fn send(&self, id: ModelVersionId, parts_of: &[archive::Part]) -> Vec<Part> {
        let asked = parts_of.iter().map(asked).collect();
        let puts = parts(&self.engine, &self.admin, id, asked, Vec::new()).await.unwrap();
        let version = version(&self.engine, &self.admin, id).await.unwrap();
        let mut sent = Vec::new();
        for (part, (number, put)) in parts_of.iter().zip(puts) {
            assert_eq!(part.number, number);
            assert!(put.url.starts_with("http://127.0.0.1:7878/objects/"), "{}", put.url);
            let upload = version.upload.clone().unwrap();
            let checksum = Checksum::from_hex(ChecksumKind::Sha256, &part.checksum);
            let put = SignedPut {
                key: version.object_key.clone(),
                size: Size::Exactly(part.bytes.len() as u64),
                checksum,
                part: Some(SignedPart { upload, number }),
            };
            let etag = self.engine.objects.put_signed(&put, whole(part.bytes.clone())).await.unwrap();
            sent.push(Part { etag, ..arrived(part) });
        }
        sent
    }

    /// Sends all parts and completes.
    async fn finish(&self, id: ModelVersionId, archive: &Archive) -> Result<Finished> {
        let parts = self.send(id, &archive.parts).await;
        self.complete(id, Said { parts, ..archive.said.clone() }).await
    }

    async fn complete(&self, id: ModelVersionId, said: Said) -> Result<Finished> {
        match complete(&self.engine, &self.admin, id, said).await? {
            Completed::Done(finished) => Ok(*finished),
            Completed::Reading(version) => panic!("{version:?}"),
        }
    }

    async fn published(&self, model: &Model, archive: &Archive, tag: Option<&str>) -> ModelVersion {
        let new = NewVersion { tag: tag.map(str::to_owned), ..archive.announced() };
        let begun = begin(&self.engine, &self.admin, &model.id.to_string(), None, new).await.unwrap();
        self.finish(begun.version.id, archive).await.unwrap().version
    }

    async fn version(&self, id: ModelVersionId) -> ModelVersion {
        version(&self.engine, &self.admin, id).await.unwrap()
    }

    async fn versions(&self, model: &Model) -> Vec<ModelVersion> {
        let filter = Filter { model_ids: vec![model.id], ..Filter::default() };
        versions(&self.engine, &self.admin, filter).await.unwrap()
    }

    /// Keys of everything that is stored of models, once garbage is collected; files that no object is made of included.
    async fn stored(&self) -> Vec<String> {
        crate::garbage::collect(&self.engine).await.unwrap();
        let objects = self.engine.objects.list("models").await.unwrap();
        let uploads = self.folder.path().join(".multipart");
        let uploads =
            std::fs::read_dir(uploads).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        let uploads = uploads.map(|name| format!("upload {}", name.to_string_lossy()));
        objects.into_iter().map(|object| object.key).chain(uploads).collect()
    }
}

impl Archive {
    /// Packs files, a mode of their own for paths that end in `.sh`.
    fn of(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            write(folder.path(), path, bytes);
        }
        let survey = archive::survey(folder.path(), &ModelLimits::default()).unwrap();
        let mut parts = Vec::new();
        let options = PartOptions { part_size: names_part(&survey), checksum: archive::Checksum::Sha256 };
        let packed = archive::pack(&survey, options, |part| {
            parts.push(part);
            Ok(())
        });
        let packed = packed.unwrap();
        let said = Said {
            parts: Vec::new(),
            archive_size: packed.archive_size as i64,
            archive_sha256: packed.archive_sha256,
            tree_digest: packed.summary.tree_digest.clone(),
        };
        Self { parts, said, size: packed.summary.size as i64, files: packed.summary.files as i64 }
    }

    fn announced(&self) -> NewVersion {
        NewVersion { size: self.size, files: self.files, ..NewVersion::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.bytes.to_vec()).collect()
    }
}

fn names_part(survey: &archive::Survey) -> u64 {
    runyard_domain::model::part_size(survey.size as i64, survey.files as i64).cast_unsigned()
}

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    if path.extension().is_some_and(|extension| extension == "sh") {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

fn asked(part: &archive::Part) -> NewPart {
    let sha256 = Some(part.checksum.clone());
    NewPart { number: part.number, size: part.bytes.len() as i64, sha256, md5: None }
}

fn arrived(part: &archive::Part) -> Part {
    Part {
        number: part.number,
        size: part.bytes.len() as i64,
        sha256: Some(part.checksum.clone()),
        md5: None,
        etag: format!("\"{}\"", part.checksum),
    }
}

fn whole(bytes: Bytes) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Unpin {
    stream::iter([Ok(bytes)])
}

/// So many bytes that cannot be compressed.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(word).take(bytes).collect()
}

/// The word and the sentence of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, String) {
    match result.unwrap_err() {
        Error::Conflict { code, message } => (code, message),
        Error::Invalid { fields } => ("invalid", fields.to_string()),
        Error::NotFound { noun, id } => ("not_found", format!("{noun} {id}")),
        Error::Forbidden(message) => ("forbidden", message),
        Error::SameContent { existing } => ("same_content", existing.to_string()),
        other => panic!("{other:?}"),
    }
}

fn fields<T: std::fmt::Debug>(result: Result<T>) -> BTreeMap<String, Vec<String>> {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.0,
        other => panic!("{other:?}"),
    }
}
