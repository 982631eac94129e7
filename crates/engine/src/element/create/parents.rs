//! The parents of elements that are made: by id or by name, in the corpus or earlier in the request. A parent never comes
//! after its child, so nothing can be above itself.

use std::collections::{HashMap, HashSet};

use runyard_domain::{ElementId, FieldErrors, ImageId};
use runyard_store::{self as store, Tx, corpus::Corpus, element::Element};

use super::{Checked, NAMED};
use crate::Result;

/// The parents of a request.
pub(super) struct Parents {
    /// Of each element.
    pub(super) of: Vec<Vec<ElementId>>,
    /// Those that were there before.
    known: HashMap<ElementId, Element>,
    /// Where elements of the request are in it.
    places: HashMap<ElementId, usize>,
}

impl Parents {
    /// The element of the request with this id, if it is one.
    pub(super) fn place(&self, id: ElementId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// The image of the first parent of an element that is on one; `of`: that of an element of the request.
    pub(super) fn image(&self, index: usize, of: impl Fn(usize) -> Option<ImageId>) -> Option<ImageId> {
        self.of[index].iter().find_map(|parent| match self.places.get(parent) {
            Some(place) => of(*place),
            None => self.known.get(parent)?.image_id,
        })
    }
}

/// Finds the parents that elements name.
pub(super) fn resolve(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    errors: &mut FieldErrors,
) -> Result<Parents> {
    let elements = &checked.batch.elements;
    let mut parents =
        Parents { of: vec![Vec::new(); elements.len()], known: HashMap::new(), places: HashMap::new() };
    let named: HashSet<&str> =
        elements.iter().flat_map(|new| new.parents.iter().map(String::as_str)).collect();
    if named.is_empty() {
        return Ok(parents);
    }
    let ids: HashMap<&str, ElementId> =
        named.iter().filter_map(|text| Some((*text, text.parse().ok()?))).collect();
    let names: HashSet<&str> = named.iter().copied().filter(|text| !ids.contains_key(text)).collect();
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let stored = store::element::by_names(tx, corpus.id, &texts)?;
    let mut wanted: Vec<ElementId> = ids.values().copied().collect();
    wanted.extend(stored.values().flatten().copied());
    parents.known = store::element::hold(tx, &wanted)?;
    parents.known.retain(|_, element| element.corpus_id == corpus.id);
    // What comes later in the request is no parent yet.
    let mut earlier: HashMap<&str, Vec<ElementId>> = HashMap::new();
    for (index, new) in elements.iter().enumerate() {
        for (at, text) in new.parents.iter().enumerate() {
            let found = match ids.get(text.as_str()) {
                Some(id) => by_id(&parents, *id, checked.ids[index]),
                None => by_name(stored.get(text), earlier.get(text.as_str()), text),
            };
            match found {
                Ok(id) if parents.of[index].contains(&id) => {}
                Ok(id) => parents.of[index].push(id),
                Err(_) if errors.0.len() >= NAMED => {}
                Err(message) => errors.add(format!("elements.{index}.parents.{at}"), message),
            }
        }
        parents.places.insert(checked.ids[index], index);
        if names.contains(new.name.as_str()) {
            earlier.entry(&new.name).or_default().push(checked.ids[index]);
        }
    }
    Ok(parents)
}

fn by_id(parents: &Parents, id: ElementId, child: ElementId) -> Result<ElementId, String> {
    if id == child {
        return Err("is the element itself".to_owned());
    }
    if parents.places.contains_key(&id) || parents.known.contains_key(&id) {
        return Ok(id);
    }
    Err(format!("there is no element `{id}` in this corpus, nor earlier in this request"))
}

fn by_name(
    stored: Option<&Vec<ElementId>>,
    earlier: Option<&Vec<ElementId>>,
    name: &str,
) -> Result<ElementId, String> {
    let distinct: HashSet<ElementId> = stored.into_iter().chain(earlier).flatten().copied().collect();
    let name: String = name.chars().take(80).collect();
    let mut distinct = distinct.into_iter();
    match (distinct.next(), distinct.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => {
            Err(format!("there is no element called `{name}` in this corpus, nor earlier in this request"))
        }
        _ => Err(format!("several elements are called `{name}`: give the id of the one that is meant")),
    }
}
