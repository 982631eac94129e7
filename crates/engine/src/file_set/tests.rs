//! What happens to checkpoints and artifacts, on objects in a folder. The tests play the sender: they store what the
//! addresses allow.

mod refusals;
mod retention;

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use futures::stream;
use runyard_domain::{
    Millis, RunId,
    checkpoint::{Retention, parts},
    job::{Exit, Reason, StreamLengths},
    run::{Job, Life, Spec},
};
use runyard_objects::{Checksum, ChecksumKind, SignedPart, SignedPut, Size};
use runyard_store as store;

use super::*;
use crate::{Engine, tests::Stopped};

/// Path, bytes and their SHA-256.
const HELLO: (&str, &[u8], &str) =
    ("hello.txt", b"hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
const WORLD: (&str, &[u8], &str) =
    ("deep/er/world.bin", b"world", "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7");
const EMPTY: (&str, &[u8], &str) =
    ("empty", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/// An engine with a project and a clock that is moved by hand.
struct Yard {
    engine: Engine,
    clock: Arc<Stopped>,
    admin: Actor,
    _folder: tempfile::TempDir,
}

impl Yard {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = crate::tests::engine(clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        Self { engine, clock, admin, _folder: folder }
    }

    fn later(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// A run with a job, and who its job is.
    async fn run(&self, checkpoints: Option<Retention>) -> (Run, Job, Actor) {
        let run = self.row(checkpoints);
        let project = crate::project::get(&self.engine, &self.admin, "default").await.unwrap();
        let run = Run { project_id: project.id, ..run };
        let job = self.job(&run, 1);
        let (row, job_row) = (run.clone(), job.clone());
        self.engine
            .db
            .write(move |tx| {
                store::run::insert(tx, &row, "test")?;
                store::job::insert(tx, &job_row)
            })
            .await
            .unwrap();
        let scope = Scope::Run(run.project_id, run.id);
        let actor = Actor { token_id: None, name: "job".into(), scope };
        (run, job, actor)
    }

    fn row(&self, checkpoints: Option<Retention>) -> Run {
        Run {
            id: self.engine.id(RunId::new),
            project_id: self.engine.id(runyard_domain::ProjectId::new),
            user_id: "ann".into(),
            created_at: self.engine.now(),
            name: "digits".into(),
            version: String::new(),
            kind: runyard_domain::run::Kind::Training,
            blueprint_id: None,
            task_type: None,
            config: serde_json::json!({}),
            resources: runyard_domain::resources::Resources::default(),
            spec: Spec { command: vec!["train".into()], checkpoints, ..Spec::default() },
            executor: "local".into(),
            priority: 0,
            labels: std::collections::BTreeMap::default(),
            notes: None,
            progress: Vec::new(),
            progress_updated_at: None,
            life: Life {
                status: runyard_domain::run::Status::JobPending,
                has_job: true,
                ..Life::new(runyard_domain::run::Retries { left: 0, on: Vec::new() })
            },
            status_updated_at: self.engine.now(),
            exit: None,
            sequence: 1,
        }
    }

    fn job(&self, run: &Run, epoch: i64) -> Job {
        Job {
            id: self.engine.id(JobId::new),
            run_id: run.id,
            epoch,
            executor: "local".into(),
            created_at: self.engine.now(),
            started_at: None,
            seen_at: None,
            ended_at: None,
            exit: None,
            lengths: StreamLengths::default(),
        }
    }

    /// The run goes on with a new job.
    async fn restart(&self, run: &Run) -> Job {
        let mut run = run.clone();
        run.life.epoch += 1;
        let job = self.job(&run, run.life.epoch);
        let row = job.clone();
        self.engine
            .db
            .write(move |tx| {
                store::run::save_life(tx, &run)?;
                store::job::insert(tx, &row)
            })
            .await
            .unwrap();
        job
    }

    async fn checkpoint(&self, actor: &Actor, run: &Run, step: i64) -> Result<FileSet> {
        self.later(1);
        create(&self.engine, actor, new_checkpoint(run.id, step)).await
    }

    async fn announce(&self, actor: &Actor, set: &FileSet, files: &[NewFile]) -> Result<Vec<Upload>> {
        upload(&self.engine, actor, set.kind, set.id, files.to_vec()).await
    }

    async fn complete(&self, actor: &Actor, set: &FileSet) -> Result<FileSet> {
        self.later(1);
        complete(&self.engine, actor, set.kind, set.id, Vec::new()).await
    }

    async fn send(&self, set: &FileSet, file: (&str, &'static [u8], &str)) {
        let (size, checksum) = (Size::Exactly(file.1.len() as u64), Some(checksum(file.2)));
        let put = SignedPut { key: key(set, file.0), size, checksum, part: None };
        self.engine.objects.put_signed(&put, bytes(file.1)).await.unwrap();
    }

    /// A complete checkpoint with one small file.
    async fn saved(&self, actor: &Actor, run: &Run, step: i64) -> FileSet {
        let set = self.checkpoint(actor, run, step).await.unwrap();
        self.announce(actor, &set, &[new(HELLO)]).await.unwrap();
        self.send(&set, HELLO).await;
        self.complete(actor, &set).await.unwrap()
    }

    async fn objects(&self) -> Vec<String> {
        crate::garbage::collect(&self.engine).await.unwrap();
        self.engine.objects.list("runs").await.unwrap().into_iter().map(|object| object.key).collect()
    }

    async fn listed(&self, actor: &Actor) -> Vec<FileSet> {
        list(&self.engine, actor, Filter::of(Kind::Checkpoint)).await.unwrap()
    }
}

fn new_checkpoint(run: RunId, step: i64) -> NewFileSet {
    NewFileSet {
        kind: Kind::Checkpoint,
        run,
        job: None,
        global_step: Some(step),
        name: None,
        of_type: None,
        source_key: Some(format!("job:{step}")),
        path: Some(format!("output/checkpoints/{step}")),
    }
}

fn new(file: (&str, &[u8], &str)) -> NewFile {
    NewFile {
        path: file.0.into(),
        size: file.1.len() as i64,
        md5: None,
        sha256: file.2.to_uppercase(),
        parts: Vec::new(),
        mode: None,
    }
}

fn checksum(hex: &str) -> Checksum {
    Checksum::from_hex(ChecksumKind::Sha256, hex).unwrap()
}

fn bytes(bytes: &'static [u8]) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Unpin {
    stream::iter([Ok(Bytes::from_static(bytes))])
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, String) {
    match result.unwrap_err() {
        Error::Conflict { code, message } => (code, message),
        Error::Invalid { fields } => ("invalid", fields.to_string()),
        Error::NotFound { noun, id } => ("not_found", format!("{noun} {id}")),
        Error::Forbidden(message) => ("forbidden", message),
        Error::TooLarge(message) => ("too_large", message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_checkpoint_is_incomplete_until_every_byte_is_there_and_only_then_can_be_read() {
    let yard = Yard::new().await;
    let (run, job, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 10).await.unwrap();
    assert_eq!((set.status, set.job_id, set.global_step), (Status::Incomplete, job.id, Some(10)));
    let uploads = yard.announce(&actor, &set, &[new(HELLO), new(WORLD), new(EMPTY)]).await.unwrap();
    let paths: Vec<&str> = uploads.iter().map(|upload| upload.path.as_str()).collect();
    assert_eq!(paths, [HELLO.0, WORLD.0, EMPTY.0], "in the order of the request");
    let put = uploads[0].put.as_ref().unwrap();
    assert!(put.url.starts_with("http://127.0.0.1:7878/objects/runs/"), "{}", put.url);

    yard.send(&set, HELLO).await;
    let (word, message) = code(yard.complete(&actor, &set).await);
    assert_eq!(word, "incomplete");
    assert!(message.starts_with("2 of 3 files") && message.contains(WORLD.0), "{message}");
    assert!(!message.contains(HELLO.0), "{message}");
    let wanted = || WantedFiles { limit: 10, ..WantedFiles::default() };
    let shown = files(&yard.engine, &actor, set.kind, set.id, wanted()).await.unwrap();
    assert!(shown.len() == 3 && shown.iter().all(|(_, address)| address.is_none()));
    assert_eq!(code(file(&yard.engine, &actor, set.kind, set.id, HELLO.0.into()).await).0, "incomplete");

    yard.send(&set, WORLD).await;
    yard.send(&set, EMPTY).await;
    let complete = yard.complete(&actor, &set).await.unwrap();
    assert_eq!((complete.status, complete.size, complete.files), (Status::Complete, 10, 3));
    assert_eq!(complete.status_updated_at, yard.engine.now());
    assert_eq!(yard.complete(&actor, &set).await.unwrap(), complete, "said twice, done once");
    let shown = files(&yard.engine, &actor, set.kind, set.id, wanted()).await.unwrap();
    assert!(shown.iter().all(|(_, address)| address.as_ref().is_some_and(|get| get.method == "GET")));
    let one = WantedFiles { paths: vec![WORLD.0.into()], ..wanted() };
    assert_eq!(files(&yard.engine, &actor, set.kind, set.id, one).await.unwrap().len(), 1);
    file(&yard.engine, &actor, set.kind, set.id, WORLD.0.into()).await.unwrap();
    assert_eq!(code(yard.announce(&actor, &set, &[new(HELLO)]).await).0, "complete");
}

#[tokio::test]
async fn a_sender_that_starts_again_is_told_what_is_there() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO), new(WORLD)]).await.unwrap();
    yard.send(&set, WORLD).await;
    let again = yard.checkpoint(&actor, &run, 1).await.unwrap();
    assert_eq!(again.id, set.id, "the same source is the same checkpoint");
    let uploads = yard.announce(&actor, &set, &[new(HELLO), new(WORLD)]).await.unwrap();
    assert_eq!(uploads.iter().map(|upload| upload.done).collect::<Vec<_>>(), [false, true]);
    assert!(uploads[0].put.is_some() && uploads[1].put.is_none());
    assert_eq!(yard.listed(&actor).await[0].files, 2, "nothing is counted twice");
}

/// 70 MiB of zeros in three parts.
fn large() -> NewFile {
    let digests = [
        "83ee47245398adee79bd9c0a8bc57b821e92aba10f5f9ade8a5d1fae4d8c4302",
        "83ee47245398adee79bd9c0a8bc57b821e92aba10f5f9ade8a5d1fae4d8c4302",
        "b69dae56a14d1a8314ed40664c4033ea0a550eea2673e04df42a66ac6b9faf2c",
    ];
    let size = 70 << 20;
    let part = |((_, size), digest): ((i64, i64), &str)| {
        let sha256 = Some(digest.to_owned());
        NewPart { size, sha256, ..NewPart::default() }
    };
    let parts = parts(size).zip(digests).map(part).collect();
    NewFile { path: "model/weights.bin".into(), size, md5: None, sha256: "b".repeat(64), parts, mode: None }
}

async fn send_part(yard: &Yard, set: &FileSet, upload: &str, number: usize) -> String {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    let file = large();
    let part = &file.parts[number - 1];
    let put = SignedPut {
        key: key(set, &file.path),
        size: Size::Exactly(part.size as u64),
        checksum: Some(checksum(part.sha256.as_deref().unwrap())),
        part: Some(SignedPart { upload: upload.into(), number: number as i64 }),
    };
    let body =
        stream::iter((0..part.size >> 20).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&ZEROS))));
    yard.engine.objects.put_signed(&put, body).await.unwrap()
}

#[tokio::test]
async fn a_large_file_goes_in_parts_that_are_remembered_and_begins_anew_when_its_upload_is_lost() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    let first = yard.announce(&actor, &set, &[large()]).await.unwrap().remove(0);
    let lost = first.upload.clone().unwrap();
    assert_eq!(first.parts.iter().map(|part| part.offset >> 20).collect::<Vec<_>>(), [0, 32, 64]);
    let again = yard.announce(&actor, &set, &[large()]).await.unwrap().remove(0);
    assert_eq!(again.upload.as_deref(), Some(lost.as_str()), "one upload per file");
    let path = key(&set, &large().path);
    yard.engine.objects.abort_multipart(&path, &lost).await.unwrap();
    let anew = yard.announce(&actor, &set, &[large()]).await.unwrap().remove(0);
    let upload = anew.upload.unwrap();
    assert_ne!(upload, lost);

    let mut told = large();
    let mut etags = Vec::new();
    for number in 1..=3 {
        etags.push(send_part(&yard, &set, &upload, number).await);
    }
    told.parts[0].etag = Some(etags[0].clone());
    yard.announce(&actor, &set, &[told]).await.unwrap();
    let resumed = yard.announce(&actor, &set, &[large()]).await.unwrap().remove(0);
    assert_eq!(
        resumed.parts.iter().map(|part| part.put.is_none()).collect::<Vec<_>>(),
        [true, false, false],
        "the server keeps what it was told"
    );
    assert_eq!(code(yard.complete(&actor, &set).await).0, "incomplete", "two ETags are not known");
    let named = |etags: Vec<String>| vec![SentFile { path: large().path, etags, sha256: None }];
    let complete = async |etags| complete(&yard.engine, &actor, set.kind, set.id, named(etags)).await;
    assert_eq!(code(complete(etags[..2].to_vec()).await).0, "invalid", "an ETag for each part");
    yard.engine.objects.abort_multipart(&path, &upload).await.unwrap();
    assert_eq!(code(complete(etags).await).0, "incomplete", "the upload is lost once more");
    let last = yard.announce(&actor, &set, &[large()]).await.unwrap().remove(0);
    assert!(last.parts.iter().all(|part| part.put.is_some()), "all parts are sent again");
    let mut etags = Vec::new();
    for number in 1..=3 {
        etags.push(send_part(&yard, &set, last.upload.as_deref().unwrap(), number).await);
    }
    assert_eq!(complete(etags).await.unwrap().status, Status::Complete);
    assert_eq!(yard.engine.objects.size(&path).await.unwrap(), Some(70 << 20));
    assert_eq!(yard.objects().await, [path]);
}

#[tokio::test]
async fn an_artifact_has_a_name_and_a_type_and_is_no_checkpoint() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let new_artifact = NewFileSet {
        kind: Kind::Artifact,
        global_step: None,
        name: Some("model".into()),
        of_type: Some("weights".into()),
        ..new_checkpoint(run.id, 1)
    };
    let set = create(&yard.engine, &actor, new_artifact).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO)]).await.unwrap();
    yard.send(&set, HELLO).await;
    yard.complete(&actor, &set).await.unwrap();
    assert_eq!(code(get(&yard.engine, &actor, Kind::Checkpoint, set.id).await).0, "not_found");
    let filter = Filter { names: vec!["model".into()], ..Filter::of(Kind::Artifact) };
    assert_eq!(list(&yard.engine, &actor, filter).await.unwrap()[0].of_type.as_deref(), Some("weights"));
    assert_eq!(yard.listed(&actor).await, []);
}

#[tokio::test]
async fn what_was_given_up_is_freed_and_stays_visible_with_its_reason() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &set, &[new(HELLO), large()]).await.unwrap();
    yard.send(&set, HELLO).await;
    let give_up = async |reason: &str| abandon(&yard.engine, &actor, set.kind, set.id, reason.into()).await;
    assert_eq!(code(give_up("").await).0, "invalid");
    let given_up = give_up("weights.bin vanished").await.unwrap();
    assert_eq!(give_up("another").await.unwrap(), given_up, "the first reason stays");
    assert_eq!((given_up.status, given_up.files), (Status::Incomplete, 0));
    assert_eq!(yard.listed(&actor).await, [given_up]);
    assert_eq!(yard.objects().await, [""; 0]);
    for refused in
        [code(yard.announce(&actor, &set, &[new(HELLO)]).await), code(yard.complete(&actor, &set).await)]
    {
        assert_eq!(refused.0, "abandoned");
        assert!(refused.1.contains("weights.bin vanished"), "{}", refused.1);
    }
}

#[tokio::test]
async fn a_deleted_checkpoint_is_freed_and_its_source_does_not_come_back() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.saved(&actor, &run, 1).await;
    let freed = delete(&yard.engine, &actor, set.kind, set.id).await.unwrap();
    assert_eq!(freed, 5);
    assert_eq!(code(delete(&yard.engine, &actor, set.kind, set.id).await).0, "not_found");
    assert_eq!(code(get(&yard.engine, &actor, set.kind, set.id).await).0, "not_found");
    assert_eq!(yard.listed(&actor).await, []);
    let again = yard.checkpoint(&actor, &run, 1).await.unwrap();
    assert_eq!((again.id, again.status), (set.id, Status::Deleted), "a runner that starts again is told");
    assert_eq!(code(yard.announce(&actor, &set, &[new(HELLO)]).await).0, "not_found");
    yard.send(&set, HELLO).await;
    assert_eq!(yard.objects().await.len(), 1, "an address that had been given out still brought it");
    yard.later(2 * 3600 * 1000);
    assert_eq!(yard.objects().await, [""; 0], "it goes once no address lives any more");
}

#[tokio::test]
async fn a_run_goes_with_all_of_its_files() {
    let yard = Yard::new().await;
    let (run, job, actor) = yard.run(None).await;
    let (other, _, other_actor) = yard.run(None).await;
    let kept = yard.saved(&other_actor, &other, 1).await;
    yard.saved(&actor, &run, 1).await;
    let open = yard.checkpoint(&actor, &run, 2).await.unwrap();
    yard.announce(&actor, &open, &[large()]).await.unwrap();
    crate::job::start(&yard.engine, &actor, job.id, "h".into()).await.unwrap();
    assert_eq!(code(crate::run::delete(&yard.engine, &yard.admin, run.id).await).0, "conflict");
    end(&yard, &actor, &job).await;
    crate::run::delete(&yard.engine, &yard.admin, run.id).await.unwrap();
    assert_eq!(yard.objects().await, [key(&kept, HELLO.0)]);
    assert_eq!(yard.listed(&yard.admin).await, [kept]);
}

#[tokio::test]
async fn loose_files_are_read_in_their_project_and_go_with_their_run() {
    let yard = Yard::new().await;
    let (run, job, actor) = yard.run(None).await;
    let (_, _, neighbour) = yard.run(None).await;
    loose::begin(&yard.engine, &actor, run.id, "sub/a.txt", 5).await.unwrap();
    for (path, size) in [("../a", 5), ("", 5), ("a", -1)] {
        assert_eq!(code(loose::begin(&yard.engine, &actor, run.id, path, size).await).0, "invalid", "{path}");
    }
    assert_eq!(code(loose::begin(&yard.engine, &neighbour, run.id, "a", 5).await).0, "forbidden");
    let sent = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"hello"))]);
    yard.engine.objects.put_stream(&format!("runs/{}/loose/sub/a.txt", run.id), sent, 100).await.unwrap();
    let listed = loose::list(&yard.engine, &neighbour, run.id).await.unwrap();
    assert_eq!((listed[0].path.as_str(), listed[0].size), ("sub/a.txt", 5));
    assert!(loose::read(&yard.engine, &neighbour, run.id, "sub/a.txt").await.unwrap().is_some());
    assert!(loose::read(&yard.engine, &neighbour, run.id, "sub/b.txt").await.unwrap().is_none());
    crate::job::start(&yard.engine, &actor, job.id, "h".into()).await.unwrap();
    end(&yard, &actor, &job).await;
    crate::run::delete(&yard.engine, &yard.admin, run.id).await.unwrap();
    assert_eq!(yard.objects().await, [""; 0]);
    assert_eq!(code(loose::list(&yard.engine, &neighbour, run.id).await).0, "not_found");
}

async fn end(yard: &Yard, actor: &Actor, job: &Job) {
    let exit = Exit {
        reason: Reason::Completed,
        code: Some(0),
        signal: None,
        message: None,
        launched_at: None,
        ended_at: Millis(1),
    };
    crate::job::end(&yard.engine, actor, job.id, exit, StreamLengths::default()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_job_gives_up_what_it_did_not_finish_and_nothing_else() {
    let yard = Yard::new().await;
    let (run, job, actor) = yard.run(None).await;
    let done = yard.saved(&actor, &run, 1).await;
    let open = yard.checkpoint(&actor, &run, 2).await.unwrap();
    crate::job::start(&yard.engine, &actor, job.id, "h".into()).await.unwrap();
    end(&yard, &actor, &job).await;
    let listed = yard.listed(&actor).await;
    assert_eq!(listed[1], done);
    assert_eq!(listed[0].id, open.id);
    assert!(listed[0].reason.as_deref().is_some_and(|reason| reason.contains("the job ended")));
}

#[tokio::test]
async fn what_nobody_goes_on_with_is_swept_up() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let open = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &open, &[new(HELLO)]).await.unwrap();
    yard.send(&open, HELLO).await;
    crate::garbage::sweep(&yard.engine).await.unwrap();
    assert_eq!(yard.listed(&actor).await[0].reason, None, "its job is at it");
    yard.restart(&run).await;
    crate::garbage::sweep(&yard.engine).await.unwrap();
    assert!(yard.listed(&actor).await[0].reason.is_some());
    assert_eq!(yard.objects().await, [""; 0]);
}

#[tokio::test]
async fn the_digest_of_a_large_file_may_come_with_the_request_that_completes() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    let set = yard.checkpoint(&actor, &run, 1).await.unwrap();
    let unsaid = NewFile { sha256: String::new(), ..large() };
    let first = yard.announce(&actor, &set, std::slice::from_ref(&unsaid)).await.unwrap().remove(0);
    let mut etags = Vec::new();
    for number in 1..=3 {
        etags.push(send_part(&yard, &set, first.upload.as_deref().unwrap(), number).await);
    }
    let complete = async |sha256: Option<String>| {
        let sent = vec![SentFile { path: large().path, etags: etags.clone(), sha256 }];
        complete(&yard.engine, &actor, set.kind, set.id, sent).await
    };
    let (word, message) = code(complete(None).await);
    assert!(word == "incomplete" && message.contains("the SHA-256 of `model/weights.bin`"), "{message}");
    let (word, message) = code(complete(Some("b".repeat(63))).await);
    assert!(word == "invalid" && message.contains("files.0.sha256"), "{message}");
    // Said with a later announcement, it is what a request that completes must say too.
    assert!(yard.announce(&actor, &set, &[unsaid.clone(), large()][1..]).await.unwrap()[0].done);
    yard.announce(&actor, &set, &[unsaid]).await.unwrap();
    let (word, message) = code(complete(Some("c".repeat(64))).await);
    assert!(word == "file_changed" && message.contains("model/weights.bin"), "{message}");
    assert_eq!(complete(Some("B".repeat(64))).await.unwrap().status, Status::Complete);
    let wanted = WantedFiles { limit: 10, ..WantedFiles::default() };
    let shown = files(&yard.engine, &actor, set.kind, set.id, wanted).await.unwrap();
    assert_eq!(shown[0].0.sha256, "b".repeat(64));
}
