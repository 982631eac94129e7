//! Elements as Arkindex shows them. Everything that lists, makes or changes them answers this one shape; what was not asked for
//! is null.

mod list;
mod write;

use std::collections::{HashMap, hash_map::Entry};

use axum::{Json, extract::State};
use runyard_domain::{CorpusId, ElementId, WorkerRunId};
use runyard_engine::{
    self as engine, Actor,
    element::{Details, Element as Row, With},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    classification::{self, Classification},
    image::{self, Zone},
    metadata::{self, MetaData},
    model::time,
};
use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
};

pub(super) use list::{children, list, parents};
pub(super) use write::{create, create_bulk, link_children, link_parent, patch};

#[derive(Serialize)]
pub(super) struct Element {
    pub(super) id: String,
    r#type: String,
    name: String,
    corpus: Option<OfCorpus>,
    zone: Option<Zone>,
    rotation_angle: i64,
    mirrored: bool,
    confidence: Option<f64>,
    thumbnail_url: Option<String>,
    created: String,
    worker_version_id: Option<String>,
    worker_run_id: Option<String>,
    worker_run: Option<Made>,
    classifications: Option<Vec<Classification>>,
    metadata: Option<Vec<MetaData>>,
    has_children: Option<bool>,
    /// What Runyard keeps beside what Arkindex knows.
    payload: Option<Map<String, Value>>,
}

#[derive(Clone, Serialize)]
pub(super) struct OfCorpus {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) public: bool,
}

/// The worker run that made something.
#[derive(Clone, Serialize)]
pub(super) struct Made {
    id: String,
    summary: String,
}

/// The worker runs that made some things, by id.
pub(super) struct Makers(HashMap<WorkerRunId, String>);

impl Makers {
    /// Of these ids, which may repeat.
    pub(super) async fn of(
        app: &App,
        ids: impl IntoIterator<Item = Option<WorkerRunId>>,
    ) -> Result<Self, Problem> {
        let ids: std::collections::HashSet<WorkerRunId> = ids.into_iter().flatten().collect();
        Ok(Self(engine::worker_run::summaries(&app.engine, ids.into_iter().collect()).await?))
    }

    /// One of them; one that was deleted has no words any more.
    pub(super) fn get(&self, id: Option<WorkerRunId>) -> Option<Made> {
        let id = id?;
        let summary = self.0.get(&id).cloned().unwrap_or_else(|| format!("worker run {id}, deleted"));
        Some(Made { id: id.to_string(), summary })
    }
}

/// What is wanted of elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) corpus: bool,
    pub(super) zone: bool,
    pub(super) classes: bool,
    pub(super) metadata: bool,
    pub(super) has_children: bool,
}

impl Wanted {
    /// All of one element.
    pub(super) const ALL: Self =
        Self { corpus: true, zone: true, classes: true, metadata: true, has_children: true };
    /// What lists say when nothing was asked for.
    pub(super) const USUAL: Self =
        Self { corpus: true, zone: true, classes: false, metadata: false, has_children: false };
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
) -> Result<Json<Element>, Problem> {
    let row = engine::element::get(&app.engine, &actor, id).await?;
    Ok(Json(show_one(&app, &actor, row, Wanted::ALL).await?))
}

/// One element.
pub(super) async fn show_one(app: &App, actor: &Actor, row: Row, wanted: Wanted) -> Result<Element, Problem> {
    let shown = show(app, actor, vec![row], wanted).await?.pop();
    shown.ok_or_else(|| Problem::fault("an element was not shown"))
}

/// Elements in their order.
pub(super) async fn show(
    app: &App,
    actor: &Actor,
    rows: Vec<Row>,
    wanted: Wanted,
) -> Result<Vec<Element>, Problem> {
    let with = With {
        images: wanted.zone,
        parents: false,
        has_children: wanted.has_children,
        classifications: wanted.classes,
        metadata: wanted.metadata,
    };
    let details = engine::element::details(&app.engine, &rows, with).await?;
    let mut corpora: HashMap<CorpusId, OfCorpus> = HashMap::new();
    if wanted.corpus {
        for row in &rows {
            if let Entry::Vacant(place) = corpora.entry(row.corpus_id) {
                let corpus = engine::corpus::get(&app.engine, actor, row.corpus_id).await?;
                place.insert(OfCorpus { id: corpus.id.to_string(), name: corpus.name, public: false });
            }
        }
    }
    let found = details.classifications.values().flatten().map(|(one, _)| one.origin.worker_run);
    let noted = details.metadata.values().flatten().map(|one| one.origin.worker_run);
    let made = rows.iter().map(|row| row.worker_run_id).chain(found).chain(noted);
    let makers = Makers::of(app, made).await?;
    Ok(rows.into_iter().map(|row| one(row, &details, &corpora, &makers, wanted)).collect())
}

fn one(
    row: Row,
    details: &Details,
    corpora: &HashMap<CorpusId, OfCorpus>,
    makers: &Makers,
    wanted: Wanted,
) -> Element {
    let image = row.image_id.and_then(|id| details.images.get(&id));
    let classifications = wanted.classes.then(|| {
        let found = details.classifications.get(&row.id).into_iter().flatten();
        found.map(|(one, class)| classification::show(one, class, makers)).collect()
    });
    let metadata = wanted.metadata.then(|| {
        let found = details.metadata.get(&row.id).into_iter().flatten();
        found.map(|one| metadata::show(one, makers)).collect()
    });
    Element {
        zone: image.map(|image| image::zone(&row, image)),
        corpus: corpora.get(&row.corpus_id).cloned(),
        has_children: wanted.has_children.then(|| details.having_children.contains(&row.id)),
        classifications,
        metadata,
        thumbnail_url: None,
        created: time(row.created_at),
        // A worker run is its own worker version here.
        worker_version_id: row.worker_run_id.map(|id| id.to_string()),
        worker_run_id: row.worker_run_id.map(|id| id.to_string()),
        worker_run: makers.get(row.worker_run_id),
        id: row.id.to_string(),
        r#type: row.of_type,
        name: row.name,
        rotation_angle: row.rotation_angle,
        mirrored: row.mirrored,
        confidence: row.confidence,
        payload: row.payload,
    }
}
