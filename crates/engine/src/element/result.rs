//! What is found about elements, piece by piece: for people, and for workers that write while they work. What such a worker
//! writes while an element is under work belongs to that element, so that its next attempt begins with nothing.

use std::collections::HashMap;

use runyard_domain::{ElementId, FieldErrors, TranscriptionId, WorkerRunId, element::Results};
pub use runyard_store::element::result::{
    Origin,
    class::{Again, Class, Classification},
    entity::{Entity, EntityType, Placed, TranscriptionEntity},
    metadata::Metadata,
    transcription::Transcription,
};
use runyard_store::{
    self as store, Tx,
    element::{
        Element,
        result::{Target, Writing},
    },
};

use super::{check_writer, hold, no_type, readable, slugs, under_work};
use crate::{Actor, Engine, Error, Result};

pub mod classify;
pub mod entity;
pub mod metadata;
pub mod transcribe;

/// Results of one kind that are written at once.
pub const MAX_AT_ONCE: usize = 10_000;

/// Everything that was found about an element.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Classifications with the names of their classes.
    pub classifications: Vec<(Classification, String)>,
    /// Transcriptions.
    pub transcriptions: Vec<Transcription>,
    /// Entities of the transcriptions.
    pub entities: HashMap<TranscriptionId, Vec<Placed>>,
    /// Metadata.
    pub metadata: Vec<Metadata>,
}

/// Everything that was found about an element.
pub async fn get(engine: &Engine, actor: &Actor, id: ElementId) -> Result<Found> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            readable(tx, &actor, id)?;
            let transcriptions = store::element::result::transcription::of_elements(tx, &[id])?;
            let texts: Vec<TranscriptionId> = transcriptions.iter().map(|one| one.id).collect();
            let mut entities: HashMap<TranscriptionId, Vec<Placed>> = HashMap::new();
            for one in store::element::result::entity::of_transcriptions(tx, &texts, None)? {
                entities.entry(one.place.transcription_id).or_default().push(one);
            }
            Ok::<_, Error>(Found {
                classifications: store::element::result::class::of_elements(tx, &[id])?,
                transcriptions,
                entities,
                metadata: store::element::result::metadata::of_elements(tx, &[id])?,
            })
        })
        .await
}

/// Adds results to an element. `replace`: what the worker run wrote about it before goes first.
///
/// # Errors
/// Every wrong one as `results.kind.N.field`; then nothing is written.
pub async fn add(
    engine: &Engine,
    actor: &Actor,
    id: ElementId,
    worker_run: Option<WorkerRunId>,
    replace: bool,
    results: Results,
) -> Result<()> {
    let mut errors = FieldErrors::default();
    if replace && worker_run.is_none() {
        errors.add("replace", "goes with a `worker_run_id`: what people wrote is not replaced");
    }
    results.check("results", None, &mut errors);
    errors.finish(())?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let (element, corpus) = hold(tx, &actor, id)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            let mut errors = FieldErrors::default();
            results.check("results", size(tx, &element)?, &mut errors);
            let known = slugs(tx, corpus.id)?;
            check_types(&results, "results", &known, &mut errors);
            errors.finish(())?;
            if let Some(run) = worker_run.filter(|_| replace) {
                store::element::result::clear(tx, run, id)?;
            }
            let mut writing = Writing { worker_run, ids: ids.clone(), now };
            Ok::<_, Error>(store::element::result::write(tx, &mut writing, Target::from(&element), &results)?)
        })
        .await
}

/// Width and height of the image of an element, where they are known.
pub(super) fn size(tx: &mut Tx, element: &Element) -> Result<Option<(i64, i64)>> {
    let Some(id) = element.image_id else { return Ok(None) };
    Ok(store::image::by_ids(tx, &[id])?.get(&id).and_then(store::image::Image::size))
}

fn check_types(results: &Results, path: &str, known: &[String], errors: &mut FieldErrors) {
    for (index, child) in results.children.iter().enumerate() {
        let path = format!("{path}.children.{index}");
        if !known.contains(&child.of_type) {
            errors.add(format!("{path}.type"), no_type(&child.of_type, known));
        }
        if let Some(below) = &child.results {
            check_types(below, &format!("{path}.results"), known, errors);
        }
    }
}

/// Where a result about an element comes from.
fn origin(
    tx: &mut Tx,
    worker_run: Option<WorkerRunId>,
    element: ElementId,
    at: runyard_domain::Millis,
) -> Result<Origin> {
    let root = under_work(tx, worker_run, element)?.filter(|root| *root != element);
    Ok(Origin { worker_run, root, at })
}

/// Whether so many can be written at once.
fn check_count(path: &str, count: usize) -> Result<()> {
    if (1..=MAX_AT_ONCE).contains(&count) {
        return Ok(());
    }
    Err(Error::field(path, format!("has {count} entries: send 1 to {MAX_AT_ONCE} at once")))
}
