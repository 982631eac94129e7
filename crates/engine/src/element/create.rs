//! Makes elements, up to ten thousand in one transaction: all of a request, or nothing and which of them is wrong. An element
//! with an id of the caller's choice that is there already, and is the same, changes nothing: so an import may be repeated.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use runyard_domain::{
    CorpusId, ElementId, FieldErrors, ImageId, Millis, WorkerRunId,
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
    let places = places(tx, checked, images, &parents)?;
    let known = existing(tx, corpus, checked, &places, &parents.of)?;
    save(tx, corpus, checked, &places, &parents.of, &known, ids)
}

/// What of an element is known only in its corpus.
struct Place {
    image_id: Option<ImageId>,
    /// The element under work above it.
    root: Option<ElementId>,
}

/// Where the elements of the request are, each held against its image.
fn places(
    tx: &mut Tx,
    checked: &Checked,
    mut images: images::Images,
    parents: &parents::Parents,
) -> Result<Vec<Place>> {
    let mut errors = FieldErrors::default();
    let mut roots = HashMap::new();
    let mut places: Vec<Place> = Vec::with_capacity(checked.ids.len());
    for (index, new) in checked.batch.elements.iter().enumerate() {
        let image_id = match &new.image {
            Some(_) => images.of[index],
            None if new.polygon.is_some() => parents.image(index, |place| places[place].image_id),
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
        let root = root(tx, checked.batch.worker_run, parents, index, &places, &mut roots)?;
        places.push(Place { image_id, root });
    }
    Ok(errors.finish(places)?)
}

/// Writes what is new.
fn save(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    places: &[Place],
    parents: &[Vec<ElementId>],
    known: &HashMap<ElementId, Element>,
    ids: Series,
) -> Result<Made> {
    let fresh = || (0..places.len()).filter(|index| !known.contains_key(&checked.ids[*index]));
    let row = |index: usize| {
        let new = &checked.batch.elements[index];
        store::element::New {
            id: checked.ids[index],
            corpus_id: corpus.id,
            of_type: &new.of_type,
            name: &new.name,
            payload: new.payload.as_ref(),
            image_id: places[index].image_id,
            polygon: new.polygon.as_ref(),
            rotation_angle: new.rotation_angle,
            mirrored: new.mirrored,
            confidence: new.confidence,
            worker_run_id: checked.batch.worker_run,
            root_element: places[index].root,
            top_level: parents[index].is_empty(),
            created_at: checked.now,
        }
    };
    // In the order of ids every page of an index is written once, whatever ids were chosen.
    let mut order: Vec<usize> = fresh().collect();
    order.sort_unstable_by_key(|index| checked.ids[*index]);
    store::element::insert_new(tx, order.into_iter().map(row))?;
    let links: Vec<link::Link> = fresh()
        .flat_map(|index| parents[index].iter().map(move |parent| (*parent, checked.ids[index])))
        .collect();
    link::add_all(tx, &links, false)?;
    let results: Vec<(Target, &Results)> = fresh()
        .filter_map(|index| {
            let (id, image_id) = (checked.ids[index], places[index].image_id);
            let results = checked.batch.elements[index].results.as_ref()?;
            Some((Target { id, corpus_id: corpus.id, image_id }, results))
        })
        .collect();
    let mut writing = Writing { worker_run: checked.batch.worker_run, ids, now: checked.now };
    store::element::result::write_all(tx, &mut writing, &results)?;
    Ok(Made { ids: checked.ids.clone(), created: places.len() - known.len() })
}

/// The elements of the request that are there already; one that is there and differs is wrong.
fn existing(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    places: &[Place],
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
    for (index, new) in checked.batch.elements.iter().enumerate() {
        let id = checked.ids[index];
        let Some(old) = known.get(&id) else { continue };
        let mut wanted = parents[index].clone();
        wanted.sort_unstable();
        let same_parents = above.get(&id).map_or(wanted.is_empty(), |old| *old == wanted);
        let differs = if old.corpus_id == corpus.id {
            differences(old, new, places[index].image_id, same_parents)
        } else {
            // What another corpus has is not told.
            vec!["its corpus"]
        };
        if !differs.is_empty() && errors.0.len() < NAMED {
            let message = format!(
                "there is an element `{id}` already, and it differs in {}: choose another id, or change that element",
                differs.join(", ")
            );
            errors.add(format!("elements.{index}.id"), message);
        }
    }
    Ok(errors.finish(known)?)
}

fn differences(
    old: &Element,
    new: &NewElement,
    image_id: Option<ImageId>,
    same_parents: bool,
) -> Vec<&'static str> {
    let same = [
        ("type", old.of_type == new.of_type),
        ("name", old.name == new.name),
        ("parents", same_parents),
        ("image", old.image_id == image_id),
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
    places: &[Place],
    known: &mut HashMap<ElementId, Option<ElementId>>,
) -> Result<Option<ElementId>> {
    if worker_run.is_none() {
        return Ok(None);
    }
    for parent in &parents.of[index] {
        let root = match (parents.place(*parent), known.get(parent)) {
            (Some(place), _) => places[place].root,
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
