//! What addresses of a new run mean, and what its job is told of them; on a real database.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use runyard_domain::{
    FileSetId, JobId,
    checkpoint::{Kind as SetKind, Status as SetStatus},
    job::StreamLengths,
    run::{Job, Run, Spec},
    token::Scope,
};
use runyard_store::{self as store, Db, both, file_set::FileSet, file_set::file::File};

use super::*;
use crate::{
    Actor, Engine, Error,
    run::{NewRun, submit},
    tests::{Stopped, engine_on},
};

struct Yard {
    engine: Engine,
    admin: Actor,
    clock: Arc<Stopped>,
    _folder: tempfile::TempDir,
}

impl Yard {
    async fn new(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = engine_on(db, clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        crate::project::create(&engine, &admin, "other".into(), String::new(), None).await.unwrap();
        Self { engine, admin, clock, _folder: folder }
    }

    async fn submit(&self, project: &str, name: &str, inputs: &[(&str, &str)]) -> crate::Result<Run> {
        self.clock.0.fetch_add(1, Ordering::Relaxed);
        let inputs: BTreeMap<String, String> =
            inputs.iter().map(|(name, uri)| ((*name).to_owned(), (*uri).to_owned())).collect();
        let outputs = [("kept".to_owned(), None), ("out".to_owned(), Some(format!("s3://bucket/{name}")))];
        let spec = Spec { command: vec!["true".into()], inputs, outputs: outputs.into(), ..Spec::default() };
        let new = NewRun {
            project: Some(project.to_owned()),
            name: name.to_owned(),
            spec: Some(spec),
            ..NewRun::default()
        };
        submit(&self.engine, &self.admin, new, None).await
    }

    /// Ends the run, with files in an artifact at this path.
    async fn wrote(&self, run: &Run, path: &str, files: &[&str]) -> FileSetId {
        let (id, job) = (self.engine.id(FileSetId::new), self.engine.id(JobId::new));
        let (mut run, path, now) = (run.clone(), path.to_owned(), self.engine.now());
        run.life.status = runyard_domain::run::Status::JobCompleted;
        let files: Vec<File> = files.iter().map(|path| file(path)).collect();
        self.engine
            .db
            .write(move |tx| {
                let set = FileSet {
                    id,
                    kind: SetKind::Artifact,
                    run_id: run.id,
                    project_id: run.project_id,
                    job_id: job,
                    epoch: run.life.epoch,
                    source_key: path.clone(),
                    name: Some(path.clone()),
                    of_type: None,
                    global_step: None,
                    path: Some(path.clone()),
                    status: SetStatus::Complete,
                    status_updated_at: now,
                    reason: None,
                    created_at: now,
                    size: 1,
                    files: files.len() as i64,
                    key_prefix: format!("runs/{}/artifacts/{id}/", run.id),
                };
                store::file_set::insert(tx, &set)?;
                store::file_set::file::insert(tx, id, &files)?;
                store::run::save_life(tx, &run)?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        id
    }

    /// The run gets a job; answers it, and who it is.
    async fn job(&self, run: &Run) -> (JobId, Actor) {
        let job = Job {
            id: self.engine.id(JobId::new),
            run_id: run.id,
            epoch: run.life.epoch,
            executor: "local".into(),
            created_at: self.engine.now(),
            started_at: None,
            seen_at: None,
            ended_at: None,
            exit: None,
            lengths: StreamLengths::default(),
        };
        let (id, row) = (job.id, job);
        self.engine.db.write(move |tx| store::job::insert(tx, &row)).await.unwrap();
        let scope = Scope::Run(run.project_id, run.id);
        (id, Actor { token_id: None, name: "job".into(), scope })
    }

    async fn paths(&self, job: JobId, actor: &Actor, channel: &str, limit: i64) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = files(&self.engine, actor, job, channel.to_owned(), after, limit).await.unwrap();
            let Some(last) = page.last() else { return found };
            after = Some(last.path.clone());
            found.extend(page.into_iter().map(|file| file.path));
        }
    }
}

fn file(path: &str) -> File {
    File {
        path: path.to_owned(),
        size: 1,
        sha256: "a".repeat(64),
        md5: None,
        parts: Vec::new(),
        upload: None,
        mode: Some(0o755),
    }
}

#[track_caller]
fn said<T: std::fmt::Debug>(result: crate::Result<T>) -> String {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.to_string(),
        other => other.to_string(),
    }
}

both! {
    async fn an_address_means_one_thing_of_its_own_project(db) {
        let yard = Yard::new(db).await;
        let first = yard.submit("default", "train", &[]).await.unwrap();
        let again = yard.submit("default", "train", &[]).await.unwrap();
        let elsewhere = yard.submit("other", "alone", &[]).await.unwrap();
        yard.wrote(&elsewhere, "output/kept", &["a"]).await;

        let refused = said(yard.submit("default", "x", &[("in", "run://train/output/kept")]).await);
        assert!(refused.contains(&format!("several runs have the name `train`: write an id, the newest first: {}, {}", again.id, first.id)), "{refused}");
        for uri in [format!("run://{}/output/kept", elsewhere.id), "run://alone/output/kept".to_owned()] {
            let refused = said(yard.submit("default", "x", &[("in", &uri)]).await);
            assert!(refused.contains("spec.inputs.in: ") && refused.contains("this project"), "{refused}");
        }
        // In its own project it is found.
        yard.submit("other", "x", &[("in", "run://alone/output/kept")]).await.unwrap();
        let refused = said(yard.submit("other", "x", &[("in", "run://alone/output/kept/b")]).await);
        assert!(refused.contains(&format!("output `kept` of run {} has no `b`", elsewhere.id)), "{refused}");
    }

    async fn every_wrong_channel_is_named_at_once_and_nothing_is_made(db) {
        let yard = Yard::new(db).await;
        let inputs = [("a", "run://nobody/output/x"), ("b", "model://nothing"), ("c", "s3://bucket/fine")];
        let refused = said(yard.submit("default", "x", &inputs).await);
        assert!(refused.contains("spec.inputs.a: no run") && refused.contains("spec.inputs.b: there is no model"), "{refused}");
        let links = yard.engine.db.read(|tx| store::testing::count(tx, "run_links")).await.unwrap();
        assert_eq!(links, 0);
    }

    async fn a_job_is_told_files_page_by_page_below_the_place_that_was_meant(db) {
        let yard = Yard::new(db).await;
        let maker = yard.submit("default", "maker", &[]).await.unwrap();
        yard.wrote(&maker, "output/kept", &["a", "d/1", "d/2", "d/e/3", "d0"]).await;
        yard.wrote(&maker, "output", &["rest/x", "single"]).await;
        let inputs = [
            ("all", "run://maker/output/kept"),
            ("folder", "run://maker/output/kept/d/"),
            ("one", "run://maker/output/kept/d/e/3"),
            ("rest", "run://maker/output/rest"),
            ("single", "run://maker/output/single"),
            ("store", "s3://bucket/maker/x.csv"),
        ];
        let reader = yard.submit("default", "reader", &inputs).await.unwrap();
        let (job, actor) = yard.job(&reader).await;
        let told = super::inputs(&yard.engine, &actor, job).await.unwrap();
        let single: Vec<Option<&str>> = told.iter().map(|input| input.file.as_deref()).collect();
        assert_eq!(single, [None, None, Some("3"), None, Some("single"), Some("x.csv")]);
        for limit in [1, 2, 100] {
            assert_eq!(yard.paths(job, &actor, "all", limit).await, ["a", "d/1", "d/2", "d/e/3", "d0"]);
            assert_eq!(yard.paths(job, &actor, "folder", limit).await, ["1", "2", "e/3"]);
            assert_eq!(yard.paths(job, &actor, "one", limit).await, ["3"]);
            assert_eq!(yard.paths(job, &actor, "rest", limit).await, ["x"]);
            assert_eq!(yard.paths(job, &actor, "single", limit).await, ["single"]);
        }
        let one = files(&yard.engine, &actor, job, "one".into(), None, 10).await.unwrap().remove(0);
        assert_eq!(one.mode, Some(0o755));
        assert!(one.read.url.contains("/d/e/3"), "{}", one.read.url);
        let refused = said(files(&yard.engine, &actor, job, "store".into(), None, 10).await);
        assert!(refused.contains("input `store` is a s3: it has no files of its own"), "{refused}");
        let refused = said(files(&yard.engine, &actor, job, "nothing".into(), None, 10).await);
        assert_eq!(refused, "there is no input `nothing`");

        // What it read is known from both ends.
        let up = lineage(&yard.engine, &yard.admin, reader.id).await.unwrap();
        assert!(up.inputs.iter().all(|input| input.run.as_ref().is_some_and(|run| run.id == maker.id)));
        let down = lineage(&yard.engine, &yard.admin, maker.id).await.unwrap();
        assert_eq!(down.used_by.len(), 6);
        assert!(down.outputs[0].artifact.is_some() && down.outputs[1].artifact.is_none());
    }

    async fn a_superseded_job_is_told_nothing_and_what_is_gone_is_said(db) {
        let yard = Yard::new(db).await;
        let maker = yard.submit("default", "maker", &[]).await.unwrap();
        yard.wrote(&maker, "output/kept", &["a"]).await;
        let reader = yard.submit("default", "reader", &[("in", "run://maker/output/kept")]).await.unwrap();
        let (job, actor) = yard.job(&reader).await;
        crate::run::delete(&yard.engine, &yard.admin, maker.id).await.unwrap();
        let gone = files(&yard.engine, &actor, job, "in".into(), None, 10).await.unwrap_err();
        assert!(matches!(&gone, Error::Conflict { code: "gone", .. }), "{gone}");
        let up = lineage(&yard.engine, &yard.admin, reader.id).await.unwrap();
        assert_eq!((up.inputs[0].link.from_run_id, up.inputs[0].run.is_none()), (Some(maker.id), true));

        let id = reader.id;
        yard.engine
            .db
            .write(move |tx| {
                let mut run = store::run::get(tx, id)?.unwrap();
                run.life.epoch += 1;
                store::run::save_life(tx, &run)
            })
            .await
            .unwrap();
        let stale = super::inputs(&yard.engine, &actor, job).await.unwrap_err();
        assert!(matches!(&stale, Error::Conflict { code: "stale_epoch", .. }), "{stale}");
    }
}
