//! Elements: make, list, read, change, link, delete. What is found about them is in `element/result`.

use std::collections::{HashMap, HashSet};

use runyard_domain::{CorpusId, ElementId, ImageId, WorkerRunId, activity::State, token::Scope};
pub use runyard_store::element::{
    Element, Filter, MadeBy, Within,
    list::Depth,
    result::{class::Classification, metadata::Metadata},
};
use runyard_store::{self as store, Tx, corpus::Corpus, image::Image};

use crate::{Actor, Engine, Error, Result, corpus};

pub mod create;
pub mod delete;
pub mod link;
pub mod patch;
pub mod result;
#[cfg(test)]
mod tests;

pub use create::{Batch, Made, children, create};
pub use delete::delete;
pub use link::{add_children, add_parent, remove_parent};
pub use patch::{Patch, patch};

/// Elements of one page.
pub const MAX_PAGE: i64 = 1_000;

/// Elements that match, in order.
///
/// # Errors
/// 404 when the corpus or element to look in is not there.
pub async fn list(engine: &Engine, actor: &Actor, filter: Filter) -> Result<Vec<Element>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            place(tx, &actor, filter.within)?;
            Ok::<_, Error>(store::element::list::list(tx, &filter)?)
        })
        .await
}

/// How many match, whatever the page.
pub async fn count(engine: &Engine, actor: &Actor, filter: Filter) -> Result<i64> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            place(tx, &actor, filter.within)?;
            Ok::<_, Error>(store::element::list::count(tx, &filter)?)
        })
        .await
}

/// The element with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: ElementId) -> Result<Element> {
    let actor = actor.clone();
    engine.db.read(move |tx| Ok(readable(tx, &actor, id)?.0)).await
}

/// What else is wanted of elements.
#[derive(Debug, Clone, Copy, Default)]
pub struct With {
    /// Their images.
    pub images: bool,
    /// Their parents.
    pub parents: bool,
    /// Whether they have children.
    pub has_children: bool,
    /// Classifications.
    pub classifications: bool,
    /// Metadata.
    pub metadata: bool,
}

/// What belongs to some elements, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Images by their own ids.
    pub images: HashMap<ImageId, Image>,
    /// Parents.
    pub parents: HashMap<ElementId, Vec<ElementId>>,
    /// Those that have children.
    pub having_children: HashSet<ElementId>,
    /// Classifications with the names of their classes.
    pub classifications: HashMap<ElementId, Vec<(Classification, String)>>,
    /// Metadata.
    pub metadata: HashMap<ElementId, Vec<Metadata>>,
}

/// What belongs to elements that were read before.
pub async fn details(engine: &Engine, elements: &[Element], with: With) -> Result<Details> {
    let ids: Vec<ElementId> = elements.iter().map(|one| one.id).collect();
    let images: Vec<ImageId> = elements.iter().filter_map(|one| one.image_id).collect();
    engine
        .db
        .read(move |tx| {
            let mut details = Details::default();
            if with.images {
                details.images = store::image::by_ids(tx, &images)?;
            }
            if with.parents {
                details.parents = store::element::link::parents(tx, &ids)?;
            }
            if with.has_children {
                details.having_children = store::element::link::having_children(tx, &ids)?;
            }
            if with.classifications {
                for one in store::element::result::class::of_elements(tx, &ids)? {
                    details.classifications.entry(one.0.element_id).or_default().push(one);
                }
            }
            if with.metadata {
                for one in store::element::result::metadata::of_elements(tx, &ids)? {
                    details.metadata.entry(one.element_id).or_default().push(one);
                }
            }
            Ok::<_, Error>(details)
        })
        .await
}

/// The corpus in which a list looks.
fn place(tx: &mut Tx, actor: &Actor, within: Within) -> Result<Corpus> {
    match within {
        Within::Corpus(id) => corpus::readable(tx, actor, id),
        Within::Below(id, _) | Within::Above(id, _) => Ok(readable(tx, actor, id)?.1),
    }
}

/// An element and its corpus, if the actor's token may read them.
pub(crate) fn readable(tx: &mut Tx, actor: &Actor, id: ElementId) -> Result<(Element, Corpus)> {
    let element = store::element::get(tx, id)?.ok_or_else(|| Error::not_found("element", id))?;
    // Of an element in another's corpus only the element is named.
    let corpus =
        corpus::readable(tx, actor, element.corpus_id).map_err(|_| Error::not_found("element", id))?;
    Ok((element, corpus))
}

/// An element that stays until the end of the transaction, and its corpus.
pub(crate) fn hold(tx: &mut Tx, actor: &Actor, id: ElementId) -> Result<(Element, Corpus)> {
    let mut held = store::element::hold(tx, &[id])?;
    let element = held.remove(&id).ok_or_else(|| Error::not_found("element", id))?;
    let corpus = corpus::hold(tx, actor, element.corpus_id).map_err(|_| Error::not_found("element", id))?;
    Ok((element, corpus))
}

/// Whether the actor may write into a corpus in the name of a worker run (`None`: in their own).
pub(crate) fn check_writer(
    tx: &mut Tx,
    actor: &Actor,
    corpus: &Corpus,
    worker_run: Option<WorkerRunId>,
) -> Result<()> {
    let Some(id) = worker_run else {
        return match actor.scope {
            Scope::Run(..) => Err(Error::Forbidden(
                "the token of a run writes for its own worker run: name it in `worker_run_id`".to_owned(),
            )),
            _ => Ok(()),
        };
    };
    let run = store::worker_run::get(tx, id)?.filter(|run| run.project_id == corpus.project_id);
    if run.is_none() {
        return Err(Error::field("worker_run_id", format!("there is no worker run `{id}` in this project")));
    }
    match actor.scope {
        Scope::Run(_, own) if own.0 != id.0 => Err(Error::Forbidden(format!(
            "this token belongs to run {own}: it cannot write for worker run {id}"
        ))),
        _ => Ok(()),
    }
}

/// The element under work of a worker run that `element` belongs to: itself, or the nearest one above it that is started.
pub(crate) fn under_work(
    tx: &mut Tx,
    worker_run: Option<WorkerRunId>,
    element: ElementId,
) -> Result<Option<ElementId>> {
    let Some(run) = worker_run else { return Ok(None) };
    let mut seen = HashSet::new();
    let mut level = vec![element];
    while !level.is_empty() {
        let found = store::activity::by_elements(tx, run, &level)?;
        if let Some((id, _)) = found.iter().find(|(_, activity)| activity.state == State::Started) {
            return Ok(Some(*id));
        }
        seen.extend(level.iter().copied());
        let above: HashSet<ElementId> =
            store::element::link::parents(tx, &level)?.into_values().flatten().collect();
        level = above.into_iter().filter(|id| !seen.contains(id)).collect();
    }
    Ok(None)
}

/// The slugs of a corpus, for the sentence that one is not among them.
pub(crate) fn no_type(slug: &str, known: &[String]) -> String {
    let known = known.iter().map(String::as_str).take(20).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "it has none yet".to_owned() } else { format!("it has {known}") };
    format!("there is no type `{slug}` in this corpus: {known}")
}

/// The slugs of a corpus.
pub(crate) fn slugs(tx: &mut Tx, corpus: CorpusId) -> Result<Vec<String>> {
    Ok(store::corpus::types(tx, corpus)?.into_iter().map(|one| one.slug).collect())
}
