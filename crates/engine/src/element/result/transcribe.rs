//! Texts on elements, and on children that are found or made by their polygons.

use std::collections::HashMap;

use runyard_domain::{
    ElementId, FieldErrors, TranscriptionId, WorkerRunId,
    element::{self as rules, Orientation, Polygon},
    id::Series,
};
pub use runyard_store::element::result::transcription::Filter;
use runyard_store::{
    self as store, Tx,
    element::{Element, link, list::Depth, result::transcription},
};

use super::{Transcription, check_count, check_writer, hold, no_type, origin, readable, size, slugs};
use crate::{Actor, Engine, Error, Result, corpus, element::under_work};

/// A text to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTranscription {
    /// The element.
    pub element_id: ElementId,
    /// The text, with its confidence; entities of it are written too.
    pub text: String,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// How it is written.
    pub orientation: Orientation,
}

/// A text at a place of an element.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedText {
    /// Where.
    pub polygon: Polygon,
    /// The text.
    pub text: String,
    /// From 0 to 1, of the text.
    pub confidence: Option<f64>,
    /// How it is written.
    pub orientation: Orientation,
    /// From 0 to 1, of the child.
    pub element_confidence: Option<f64>,
}

/// A text on a child that was found or made.
#[derive(Debug, Clone, PartialEq)]
pub struct OnChild {
    /// The text.
    pub transcription: Transcription,
    /// Whether the child is new.
    pub created: bool,
}

/// Writes texts on elements of one corpus; answers them in the order of the request.
///
/// # Errors
/// Every wrong one as `transcriptions.N.field`; then nothing is written.
pub async fn transcribe(
    engine: &Engine,
    actor: &Actor,
    worker_run: Option<WorkerRunId>,
    new: Vec<NewTranscription>,
) -> Result<Vec<Transcription>> {
    check_count("transcriptions", new.len())?;
    let mut errors = FieldErrors::default();
    for (index, one) in new.iter().enumerate() {
        check_text(&format!("transcriptions.{index}"), &one.text, one.confidence, &mut errors);
    }
    errors.finish(())?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let wanted: Vec<ElementId> = new.iter().map(|one| one.element_id).collect();
            let found = store::element::hold(tx, &wanted)?;
            let mut errors = FieldErrors::default();
            let mut corpora = HashMap::new();
            for (index, id) in wanted.iter().enumerate() {
                let corpus = found.get(id).map(|element| element.corpus_id);
                let visible = match corpus {
                    Some(id) if corpora.contains_key(&id) => true,
                    Some(id) => corpus::hold(tx, &actor, id).map(|corpus| corpora.insert(id, corpus)).is_ok(),
                    None => false,
                };
                if !visible {
                    let message = format!("there is no element `{id}`");
                    errors.add(format!("transcriptions.{index}.element_id"), message);
                }
            }
            errors.finish(())?;
            for corpus in corpora.values() {
                check_writer(tx, &actor, corpus, worker_run)?;
            }
            let mut ids = ids.clone();
            let mut rows = Vec::with_capacity(new.len());
            for one in &new {
                rows.push(Transcription {
                    id: TranscriptionId(ids.take()),
                    element_id: one.element_id,
                    text: one.text.clone(),
                    confidence: one.confidence,
                    orientation: one.orientation,
                    origin: origin(tx, worker_run, one.element_id, now)?,
                });
            }
            transcription::insert_all(tx, &rows)?;
            Ok(rows)
        })
        .await
}

/// Writes texts at places of an element: each goes to the child of this type with the same outline, which is made where there
/// is none. Answers them in the order of the request.
///
/// # Errors
/// Every wrong one as `transcriptions.N.field`; then nothing is written.
pub async fn transcribe_children(
    engine: &Engine,
    actor: &Actor,
    element: ElementId,
    worker_run: Option<WorkerRunId>,
    of_type: String,
    new: Vec<PlacedText>,
) -> Result<Vec<OnChild>> {
    check_count("transcriptions", new.len())?;
    let mut errors = FieldErrors::default();
    for (index, one) in new.iter().enumerate() {
        let path = format!("transcriptions.{index}");
        check_text(&path, &one.text, one.confidence, &mut errors);
        one.polygon.check(&format!("{path}.polygon"), None, &mut errors);
        let confidence = format!("{path}.element_confidence");
        rules::check_confidence(&confidence, one.element_confidence, &mut errors);
    }
    errors.finish(())?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let (parent, corpus) = hold(tx, &actor, element)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            let known = slugs(tx, corpus.id)?;
            if !known.contains(&of_type) {
                return Err(Error::field("element_type", no_type(&of_type, &known)));
            }
            check_places(tx, &parent, &new)?;
            let origin = super::Origin { worker_run, root: under_work(tx, worker_run, parent.id)?, at: now };
            let known = outlines(tx, &parent, &of_type)?;
            let (made, rows) = lay_out(&parent, &of_type, &new, known, origin, &mut ids.clone());
            store::element::insert_all(tx, &made)?;
            let links: Vec<link::Link> = made.iter().map(|child| (parent.id, child.id)).collect();
            link::add_all(tx, &links, false)?;
            let texts: Vec<Transcription> = rows.iter().map(|row| row.transcription.clone()).collect();
            transcription::insert_all(tx, &texts)?;
            Ok(rows)
        })
        .await
}

/// The children to make, and every text on its child.
fn lay_out(
    parent: &Element,
    of_type: &str,
    new: &[PlacedText],
    mut outlines: HashMap<Vec<[i64; 2]>, ElementId>,
    origin: super::Origin,
    ids: &mut Series,
) -> (Vec<Element>, Vec<OnChild>) {
    let mut named = outlines.len();
    let (mut made, mut rows) = (Vec::new(), Vec::new());
    for one in new {
        let outline = one.polygon.outline();
        let known = outlines.get(&outline).copied();
        let element_id = known.unwrap_or_else(|| ElementId(ids.take()));
        if known.is_none() {
            named += 1;
            outlines.insert(outline, element_id);
            made.push(Element {
                id: element_id,
                corpus_id: parent.corpus_id,
                of_type: of_type.to_owned(),
                name: named.to_string(),
                payload: None,
                image_id: parent.image_id,
                polygon: Some(one.polygon.clone()),
                rotation_angle: 0,
                mirrored: false,
                confidence: one.element_confidence,
                worker_run_id: origin.worker_run,
                root_element: origin.root,
                top_level: false,
                created_at: origin.at,
            });
        }
        let transcription = Transcription {
            id: TranscriptionId(ids.take()),
            element_id,
            text: one.text.clone(),
            confidence: one.confidence,
            orientation: one.orientation,
            origin,
        };
        rows.push(OnChild { transcription, created: known.is_none() });
    }
    (made, rows)
}

/// The children of this type by their outlines; of several with the same one the first.
fn outlines(tx: &mut Tx, parent: &Element, of_type: &str) -> Result<HashMap<Vec<[i64; 2]>, ElementId>> {
    let within = store::element::Within::Below(parent.id, Depth::One);
    let types = vec![of_type.to_owned()];
    let filter = store::element::Filter { types, limit: i64::MAX, ..store::element::Filter::within(within) };
    let mut outlines = HashMap::new();
    for child in store::element::list::list(tx, &filter)? {
        if let Some(polygon) = child.polygon.filter(|_| child.image_id == parent.image_id) {
            outlines.entry(polygon.outline()).or_insert(child.id);
        }
    }
    Ok(outlines)
}

fn check_places(tx: &mut Tx, parent: &Element, new: &[PlacedText]) -> Result<()> {
    let Some(size) = size(tx, parent)? else { return Ok(()) };
    let mut errors = FieldErrors::default();
    for (index, one) in new.iter().enumerate() {
        one.polygon.check(&format!("transcriptions.{index}.polygon"), Some(size), &mut errors);
    }
    Ok(errors.finish(())?)
}

fn check_text(path: &str, text: &str, confidence: Option<f64>, errors: &mut FieldErrors) {
    let text = rules::Transcription { text: text.to_owned(), confidence, ..rules::Transcription::default() };
    text.check(path, errors);
}

/// Texts on an element (and on everything below it) that match, and how many there are whatever the page.
pub async fn list(engine: &Engine, actor: &Actor, filter: Filter) -> Result<(Vec<Transcription>, i64)> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            readable(tx, &actor, filter.element_id)?;
            Ok::<_, Error>((transcription::list(tx, &filter)?, transcription::count(tx, &filter)?))
        })
        .await
}
