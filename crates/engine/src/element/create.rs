//! Makes elements, up to ten thousand in one transaction: all of a request, or nothing and which of them is wrong. An element
//! with an id of the caller's choice that is there already, and is the same, changes nothing: so an import may be repeated.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use runyard_domain::{
    CorpusId, ElementId, FieldErrors, Millis, WorkerRunId,
    element::{MAX_ELEMENTS, NewElement, Results},
    id::Series,
};
use runyard_store::{
    self as store, Tx,
    corpus::Corpus,
    element::{
        Element, link,
        result::{Target, Writing},
    },
};

use super::{check_writer, hold, no_type, slugs, under_work};
use crate::{Actor, Engine, Error, Result, corpus, idempotent};

mod images;
mod parents;

/// Wrong fields that are named; beyond that it is said that there are more.
const NAMED: usize = 100;

/// Elements to make in one corpus.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Who makes them; `None`: a person.
    pub worker_run: Option<WorkerRunId>,
    /// The elements; parents come before their children.
    pub elements: Vec<NewElement>,
    /// Makes types that the corpus does not have.
    pub create_types: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Ids in the order of the request.
    pub ids: Vec<ElementId>,
    /// How many of them are new.
    pub created: usize,
}

/// A batch that was checked, with the ids of its elements.
struct Checked {
    batch: Batch,
    ids: Vec<ElementId>,
    /// The first id of the series: all that nobody gave follow from it.
    first: ElementId,
    series: Series,
    now: Millis,
}

/// Makes elements in a corpus; durable when it answers.
///
/// # Errors
/// Every wrong element as `elements.N.field`; then nothing is written.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    corpus: CorpusId,
    batch: Batch,
    idempotency_key: Option<String>,
) -> Result<Made> {
    let checked = Arc::new(check(engine, batch)?);
    let request = idempotency_key.as_ref().map(|_| request(&checked, corpus)).unwrap_or_default();
    let key = idempotent::Key::new("elements", idempotency_key, actor, &request)?;
    let actor = actor.clone();
    let written = engine
        .db
        .write(move |tx| {
            let corpus = corpus::hold(tx, &actor, corpus)?;
            check_writer(tx, &actor, &corpus, checked.batch.worker_run)?;
            if let Some(first) = key.claim(tx, &checked.first.to_string(), checked.now)? {
                return again(&checked, &first);
            }
            write(tx, &corpus, &checked)
        })
        .await;
    written.map_err(rival)
}

/// Makes children of an element, in the order of the request.
///
/// # Errors
/// Every wrong element as `elements.N.field`; then nothing is written.
pub async fn children(engine: &Engine, actor: &Actor, parent: ElementId, mut batch: Batch) -> Result<Made> {
    for new in &mut batch.elements {
        let parent = parent.to_string();
        if !new.parents.contains(&parent) {
            new.parents.insert(0, parent);
        }
    }
    let checked = Arc::new(check(engine, batch)?);
    let actor = actor.clone();
    let written = engine
        .db
        .write(move |tx| {
            let (_, corpus) = hold(tx, &actor, parent)?;
            check_writer(tx, &actor, &corpus, checked.batch.worker_run)?;
            write(tx, &corpus, &checked)
        })
        .await;
    written.map_err(rival)
}

/// What is wrong with the elements by themselves; and their ids.
fn check(engine: &Engine, batch: Batch) -> Result<Checked> {
    let count = batch.elements.len();
    if count == 0 || count > MAX_ELEMENTS {
        let message = format!("has {count} elements: send 1 to {MAX_ELEMENTS} at a time");
        return Err(Error::field("elements", message));
    }
    let mut errors = FieldErrors::default();
    let mut series = engine.series();
    let first = ElementId(series.clone().take());
    let mut ids = Vec::with_capacity(count);
    let mut given = HashMap::new();
    for (index, new) in batch.elements.iter().enumerate() {
        if errors.0.len() >= NAMED {
            errors.add(
                "elements",
                format!("there may be more: what follows element {index} was not looked at"),
            );
            break;
        }
        new.check(&format!("elements.{index}"), &mut errors);
        if let Some(id) = new.id
            && let Some(first) = given.insert(id, index)
        {
            let message =
                format!("`{id}` is the id of element {first} of this request too: ids are given once");
            errors.add(format!("elements.{index}.id"), message);
        }
        let taken = ElementId(series.take());
        ids.push(new.id.unwrap_or(taken));
    }
    errors.finish(())?;
    Ok(Checked { batch, ids, first, series, now: engine.now() })
}

/// The request in a stable form, for its idempotency key.
fn request(checked: &Checked, corpus: CorpusId) -> String {
    let elements = serde_json::to_string(&checked.batch.elements).unwrap_or_default();
    format!("{corpus} {:?} {elements}", checked.batch.worker_run)
}

/// What the first request with the same key made: its ids follow from the first of them.
fn again(checked: &Checked, first: &str) -> Result<Made> {
    let first: ElementId = first.parse().map_err(|error| Error::Internal(format!("{error}")))?;
    let mut series = Series::after(first.0);
    let made = checked.batch.elements.iter().map(|new| {
        let taken = ElementId(series.take());
        new.id.unwrap_or(taken)
    });
    Ok(Made { ids: made.collect(), created: 0 })
}

/// Two requests wrote the same ids at the same time.
fn rival(error: Error) -> Error {
    match error {
        Error::Internal(message) if message.contains("elements") && is_duplicate(&message) => Error::Busy(
            "another request wrote elements with the same ids at the same time: send it again".to_owned(),
        ),
        other => other,
    }
}

fn is_duplicate(message: &str) -> bool {
    message.contains("UNIQUE constraint") || message.contains("duplicate key")
}

fn write(tx: &mut Tx, corpus: &Corpus, checked: &Checked) -> Result<Made> {
    let mut ids = checked.series.clone();
    let mut errors = FieldErrors::default();
    check_types(tx, corpus, checked, &mut ids, &mut errors)?;
    let images = images::resolve(tx, corpus, checked, &mut ids, &mut errors)?;
    let parents = parents::resolve(tx, corpus, checked, &mut errors)?;
    // Wrong parents or images would only be said once more.
    errors.finish(())?;
    let rows = rows(tx, corpus, checked, images, &parents)?;
    let known = existing(tx, checked, &rows, &parents.of)?;
    save(tx, checked, rows, &parents.of, &known, ids)
}

/// The rows of the request, each held against its image.
fn rows(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    mut images: images::Images,
    parents: &parents::Parents,
) -> Result<Vec<Element>> {
    let mut errors = FieldErrors::default();
    let mut roots = HashMap::new();
    let mut rows: Vec<Element> = Vec::with_capacity(checked.ids.len());
    for (index, new) in checked.batch.elements.iter().enumerate() {
        let image_id = match &new.image {
            Some(_) => images.of[index],
            None if new.polygon.is_some() => parents.image(index, &rows),
            None => None,
        };
        let children = new.results.as_ref().filter(|results| !results.children.is_empty());
        if let Some(image) = image_id.filter(|_| new.polygon.is_some() || children.is_some())
            && let Some(size) = images.size(tx, image)?
            && errors.0.len() < NAMED
        {
            let path = format!("elements.{index}");
            if let Some(polygon) = &new.polygon {
                polygon.check(&format!("{path}.polygon"), Some(size), &mut errors);
            }
            if let Some(results) = children {
                results.check(&format!("{path}.results"), Some(size), &mut errors);
            }
        }
        let root = root(tx, checked.batch.worker_run, parents, index, &rows, &mut roots)?;
        rows.push(row(corpus, checked, index, image_id, root, &parents.of[index]));
    }
    Ok(errors.finish(rows)?)
}

fn row(
    corpus: &Corpus,
    checked: &Checked,
    index: usize,
    image_id: Option<runyard_domain::ImageId>,
    root_element: Option<ElementId>,
    parents: &[ElementId],
) -> Element {
    let new = &checked.batch.elements[index];
    Element {
        id: checked.ids[index],
        corpus_id: corpus.id,
        of_type: new.of_type.clone(),
        name: new.name.clone(),
        payload: new.payload.clone(),
        image_id,
        polygon: new.polygon.clone(),
        rotation_angle: new.rotation_angle,
        mirrored: new.mirrored,
        confidence: new.confidence,
        worker_run_id: checked.batch.worker_run,
        root_element,
        top_level: parents.is_empty(),
        created_at: checked.now,
    }
}

/// Writes what is new.
fn save(
    tx: &mut Tx,
    checked: &Checked,
    rows: Vec<Element>,
    parents: &[Vec<ElementId>],
    known: &HashMap<ElementId, Element>,
    ids: Series,
) -> Result<Made> {
    let fresh = |id: &ElementId| !known.contains_key(id);
    let links: Vec<link::Link> = checked
        .ids
        .iter()
        .zip(parents)
        .filter(|(id, _)| fresh(id))
        .flat_map(|(id, parents)| parents.iter().map(|parent| (*parent, *id)))
        .collect();
    let results: Vec<(Target, &Results)> = rows
        .iter()
        .zip(&checked.batch.elements)
        .filter(|(row, _)| fresh(&row.id))
        .filter_map(|(row, new)| Some((Target::from(row), new.results.as_ref()?)))
        .collect();
    let mut writing = Writing { worker_run: checked.batch.worker_run, ids, now: checked.now };
    let created = rows.len() - known.len();
    if known.is_empty() {
        store::element::insert_all(tx, &rows)?;
    } else {
        let new: Vec<Element> = rows.iter().filter(|row| fresh(&row.id)).cloned().collect();
        store::element::insert_all(tx, &new)?;
    }
    link::add_all(tx, &links, false)?;
    store::element::result::write_all(tx, &mut writing, &results)?;
    Ok(Made { ids: checked.ids.clone(), created })
}

/// The elements of the request that are there already; one that is there and differs is wrong.
fn existing(
    tx: &mut Tx,
    checked: &Checked,
    rows: &[Element],
    parents: &[Vec<ElementId>],
) -> Result<HashMap<ElementId, Element>> {
    let given: Vec<ElementId> = checked.batch.elements.iter().filter_map(|new| new.id).collect();
    let known = store::element::by_ids(tx, &given)?;
    if known.is_empty() {
        return Ok(known);
    }
    let there: Vec<ElementId> = known.keys().copied().collect();
    let above = store::element::link::parents(tx, &there)?;
    let mut errors = FieldErrors::default();
    for (index, row) in rows.iter().enumerate() {
        let Some(old) = known.get(&row.id) else { continue };
        let mut wanted = parents[index].clone();
        wanted.sort_unstable();
        let same_parents = above.get(&row.id).map_or(wanted.is_empty(), |old| *old == wanted);
        let differs = differences(old, row, same_parents);
        if !differs.is_empty() {
            let message = format!(
                "there is an element `{}` already, and it differs in {}: choose another id, or change that element",
                row.id,
                differs.join(", ")
            );
            errors.add(format!("elements.{index}.id"), message);
        }
    }
    Ok(errors.finish(known)?)
}

fn differences(old: &Element, new: &Element, same_parents: bool) -> Vec<&'static str> {
    if old.corpus_id != new.corpus_id {
        // What another corpus has is not told.
        return vec!["its corpus"];
    }
    let same = [
        ("type", old.of_type == new.of_type),
        ("name", old.name == new.name),
        ("parents", same_parents),
        ("image", old.image_id == new.image_id),
        ("polygon", old.polygon == new.polygon),
        ("rotation_angle", old.rotation_angle == new.rotation_angle),
        ("mirrored", old.mirrored == new.mirrored),
        ("confidence", old.confidence == new.confidence),
        ("payload", old.payload == new.payload),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
}

/// The element under work above what a worker run makes.
fn root(
    tx: &mut Tx,
    worker_run: Option<WorkerRunId>,
    parents: &parents::Parents,
    index: usize,
    rows: &[Element],
    known: &mut HashMap<ElementId, Option<ElementId>>,
) -> Result<Option<ElementId>> {
    if worker_run.is_none() {
        return Ok(None);
    }
    for parent in &parents.of[index] {
        let root = match (parents.place(*parent), known.get(parent)) {
            (Some(place), _) => rows[place].root_element,
            (None, Some(root)) => *root,
            (None, None) => under_work(tx, worker_run, *parent)?,
        };
        known.insert(*parent, root);
        if root.is_some() {
            return Ok(root);
        }
    }
    Ok(None)
}

/// Types that the corpus does not have are made, or wrong.
fn check_types(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    ids: &mut Series,
    errors: &mut FieldErrors,
) -> Result<()> {
    let known = slugs(tx, corpus.id)?;
    let is_known = |slug: &str| known.iter().any(|one| one == slug);
    let mut missing = BTreeSet::new();
    let mut missed = |path: String, slug: &str| {
        if is_known(slug) {
            return;
        }
        missing.insert(slug.to_owned());
        if !checked.batch.create_types && errors.0.len() < NAMED {
            errors.add(path, no_type(slug, &known));
        }
    };
    for (index, new) in checked.batch.elements.iter().enumerate() {
        missed(format!("elements.{index}.type"), &new.of_type);
        if let Some(results) = &new.results {
            visit_children(results, &format!("elements.{index}.results"), &mut missed);
        }
    }
    if checked.batch.create_types {
        corpus::types::put_slugs(tx, corpus.id, missing.iter().map(String::as_str), ids)?;
    }
    Ok(())
}

fn visit_children(results: &Results, path: &str, missed: &mut impl FnMut(String, &str)) {
    for (index, child) in results.children.iter().enumerate() {
        missed(format!("{path}.children.{index}.type"), &child.of_type);
        if let Some(below) = &child.results {
            visit_children(below, &format!("{path}.children.{index}.results"), missed);
        }
    }
}
