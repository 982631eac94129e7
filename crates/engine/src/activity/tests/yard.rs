//! A corpus with elements, worker runs on it, and a clock that is moved by hand.

use std::sync::{Arc, atomic::Ordering};

use runyard_domain::{
    CorpusId, ElementTypeId, ProjectId,
    element::{Classification, Results},
    run::Spec,
    token::Scope,
    worker_run::{Query, Selection, WorkerSpec},
};
use runyard_store::{Db, corpus::Corpus, corpus::ElementType, element::Element};

use super::*;
use crate::{run, tests::Stopped};

pub(crate) struct Yard {
    pub(crate) engine: Engine,
    pub(crate) admin: Actor,
    pub(crate) project: ProjectId,
    pub(crate) corpus: CorpusId,
    /// In the order of their ids.
    pub(crate) elements: Vec<ElementId>,
    pub(crate) clock: Arc<Stopped>,
    pub(crate) folder: tempfile::TempDir,
}

impl Yard {
    pub(crate) async fn new(db: Db, elements: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = crate::tests::engine_on(db, clock.clone(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        let project = crate::project::get(&engine, &admin, "default").await.unwrap().id;
        let corpus = engine.id(CorpusId::new);
        let (types, now) = ([engine.id(ElementTypeId::new), engine.id(ElementTypeId::new)], engine.now());
        let ids: Vec<ElementId> = (0..elements).map(|_| engine.id(ElementId::new)).collect();
        let rows: Vec<Element> = ids.iter().enumerate().map(|(n, id)| page(*id, corpus, n, now)).collect();
        engine
            .db
            .write(move |tx| {
                let (name, description) = ("books".to_owned(), String::new());
                store::corpus::insert(
                    tx,
                    &Corpus { id: corpus, project_id: project, name, description, created_at: now },
                )?;
                for (id, slug) in types.into_iter().zip(["page", "line"]) {
                    let slug = slug.to_owned();
                    let display_name = slug.clone();
                    store::corpus::insert_type(
                        tx,
                        &ElementType { id, corpus_id: corpus, slug, display_name, folder: false },
                    )?;
                }
                store::element::insert_all(tx, &rows)
            })
            .await
            .unwrap();
        Self { engine, admin, project, corpus, elements: ids, clock, folder }
    }

    pub(crate) fn later(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// A worker run on all pages, with leases of a minute and three attempts.
    pub(crate) async fn worker_run(&self) -> WorkerRunId {
        let new = worker_run::NewWorkerRun {
            corpus: Some(self.corpus.to_string()),
            worker: "reader".into(),
            selection: Some(pages()),
            ..worker_run::NewWorkerRun::default()
        };
        let run = worker_run::create(&self.engine, &self.admin, new).await.unwrap();
        assert_eq!(run.counts.queued, self.elements.len() as i64);
        run.id
    }

    /// A run that executes a worker run on all pages, and the actor of its job.
    pub(crate) async fn run_of_kind_worker(&self) -> (Run, Actor) {
        let worker = WorkerSpec { corpus: "books".into(), selection: pages(), ..WorkerSpec::default() };
        let spec = Spec { command: vec!["true".into()], worker: Some(worker), ..Spec::default() };
        let new = run::NewRun {
            name: "reads".into(),
            kind: Some("worker".into()),
            executor: None,
            spec: Some(spec),
            ..run::NewRun::default()
        };
        let run = run::submit(&self.engine, &self.admin, new, None).await.unwrap();
        let scope = Scope::Run(run.project_id, run.id);
        (run, Actor { token_id: None, name: "job".into(), scope })
    }

    pub(crate) async fn claim(&self, run: WorkerRunId, holder: &str, limit: i64) -> Vec<Claimed> {
        claim(&self.engine, &self.admin, run, holder.into(), limit, None).await.unwrap().claimed
    }

    pub(crate) async fn commit(&self, run: WorkerRunId, items: Vec<CommitItem>) -> Result<Vec<Committed>> {
        commit(&self.engine, &self.admin, run, items).await
    }

    /// How many classifications these elements have.
    pub(crate) async fn classes(&self, elements: &[ElementId]) -> usize {
        let ids = elements.to_vec();
        let found = move |tx: &mut Tx| store::element::result::class::of_elements(tx, &ids);
        self.engine.db.read(found).await.unwrap().len()
    }

    /// How many elements a worker run made.
    pub(crate) async fn children(&self, run: WorkerRunId) -> usize {
        let new = worker_run::NewWorkerRun {
            corpus: Some(self.corpus.to_string()),
            worker: "counts".into(),
            selection: Some(Selection {
                query: Some(Query { of_type: Some("line".into()), ..Query::default() }),
                ..Selection::default()
            }),
            ..worker_run::NewWorkerRun::default()
        };
        let lines = worker_run::create(&self.engine, &self.admin, new).await.unwrap();
        assert_ne!(lines.id, run);
        usize::try_from(lines.counts.queued).unwrap()
    }

    /// What the ledger says is what the rows say.
    pub(crate) async fn counts_are_true(&self, run: WorkerRunId) {
        let kept = counts(&self.engine, &self.admin, run).await.unwrap();
        let rows = self.engine.db.read(move |tx| store::activity::count(tx, run)).await.unwrap();
        assert_eq!(kept, rows);
    }
}

fn pages() -> Selection {
    let query = Query { of_type: Some("page".into()), ..Query::default() };
    Selection { query: Some(query), ..Selection::default() }
}

fn page(id: ElementId, corpus_id: CorpusId, n: usize, created_at: Millis) -> Element {
    Element {
        id,
        corpus_id,
        of_type: "page".into(),
        name: format!("No. {n}"),
        payload: None,
        image_id: None,
        polygon: None,
        rotation_angle: 0,
        mirrored: false,
        confidence: None,
        worker_run_id: None,
        root_element: None,
        top_level: true,
        created_at,
    }
}

pub(crate) fn item(element: ElementId, attempt: i64, outcome: Outcome) -> CommitItem {
    CommitItem { element, attempt, outcome, error: None, results: Results::default() }
}

/// A result with one class, which names the attempt.
pub(crate) fn processed(claimed: &Claimed) -> CommitItem {
    let mut item = item(claimed.element.id, claimed.attempt, Outcome::Processed);
    item.results.classifications.push(Classification {
        class: format!("attempt {}", claimed.attempt),
        confidence: 0.5,
        high_confidence: false,
        state: runyard_domain::element::ClassificationState::Pending,
    });
    item
}
