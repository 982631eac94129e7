//! Puts elements below others. Never makes a circle.

use runyard_domain::{ElementId, FieldErrors};
use runyard_store::{self as store, Tx, element::link};

use super::{Element, hold};
use crate::{Actor, Engine, Error, Result};

/// Children that are linked at once.
pub const MAX_CHILDREN: usize = 10_000;

/// Gives an element a parent; where it has it already, nothing changes.
pub async fn add_parent(engine: &Engine, actor: &Actor, child: ElementId, parent: ElementId) -> Result<()> {
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let (child, _) = hold(tx, &actor, child)?;
            let (parent, _) = hold(tx, &actor, parent)?;
            let message = wrong(tx, &parent, &child)?;
            if let Some(message) = message {
                return Err(Error::conflict(message));
            }
            Ok(link::add_all(tx, &[(parent.id, child.id)], true)?)
        })
        .await
}

/// Puts elements below a parent, behind the children that it has; all or none.
///
/// # Errors
/// Every wrong one as `children.N`.
pub async fn add_children(
    engine: &Engine,
    actor: &Actor,
    parent: ElementId,
    children: Vec<ElementId>,
) -> Result<()> {
    if children.is_empty() || children.len() > MAX_CHILDREN {
        let message = format!("has {} ids: name 1 to {MAX_CHILDREN} at once", children.len());
        return Err(Error::field("children", message));
    }
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let (parent, _) = hold(tx, &actor, parent)?;
            let found = store::element::hold(tx, &children)?;
            let mut errors = FieldErrors::default();
            for (index, id) in children.iter().enumerate() {
                let message = match found.get(id).filter(|child| child.corpus_id == parent.corpus_id) {
                    Some(child) => wrong(tx, &parent, child)?,
                    None => Some(format!("there is no element `{id}` in the corpus of the parent")),
                };
                if let Some(message) = message {
                    errors.add(format!("children.{index}"), message);
                }
            }
            errors.finish(())?;
            let links: Vec<link::Link> = children.iter().map(|child| (parent.id, *child)).collect();
            Ok::<_, Error>(link::add_all(tx, &links, true)?)
        })
        .await
}

/// Takes a parent away from an element.
///
/// # Errors
/// 404 when it is not its parent.
pub async fn remove_parent(
    engine: &Engine,
    actor: &Actor,
    child: ElementId,
    parent: ElementId,
) -> Result<()> {
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            hold(tx, &actor, child)?;
            if link::remove(tx, (parent, child))? {
                return Ok(());
            }
            Err(Error::not_found("parent of this element", parent))
        })
        .await
}

/// Why one element cannot be below another, if it cannot.
fn wrong(tx: &mut Tx, parent: &Element, child: &Element) -> Result<Option<String>> {
    if parent.corpus_id != child.corpus_id {
        return Ok(Some(format!("element {} and element {} are in different corpora", parent.id, child.id)));
    }
    if parent.id == child.id || link::ancestors(tx, parent.id)?.contains(&child.id) {
        return Ok(Some(format!(
            "element {} is above element {}, or is the same: it cannot be below it too",
            child.id, parent.id
        )));
    }
    Ok(None)
}
