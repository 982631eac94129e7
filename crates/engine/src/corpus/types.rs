//! The types of a corpus's elements. Workers may add types, only people take them away.

use std::collections::HashMap;

use runyard_domain::{CorpusId, ElementTypeId, FieldErrors, element, id::Series};
use runyard_store::{self as store, Tx, corpus::ElementType};

use super::{hold, people, readable};
use crate::{Actor, Engine, Error, Result};

/// Types of one corpus.
const MAX_TYPES: usize = 1_000;

/// A type to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewType {
    /// Id of the caller's choice.
    pub id: Option<ElementTypeId>,
    /// What elements carry; unique in its corpus.
    pub slug: String,
    /// For people; `None`: the slug.
    pub display_name: Option<String>,
    /// Whether it is only there to hold others.
    pub folder: bool,
}

/// Adds a type.
///
/// # Errors
/// 409 `already_exists` when the corpus has the slug.
pub async fn add_type(engine: &Engine, actor: &Actor, corpus: CorpusId, new: NewType) -> Result<ElementType> {
    let mut errors = FieldErrors::default();
    check_one(&new, "", &mut errors);
    errors.finish(())?;
    let (actor, ids) = (actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let corpus = hold(tx, &actor, corpus)?;
            let there = store::corpus::types(tx, corpus.id)?;
            if there.len() >= MAX_TYPES {
                return Err(Error::conflict(format!("the corpus has {MAX_TYPES} types: delete one first")));
            }
            let row = of(corpus.id, &new, &mut ids.clone());
            if there.iter().any(|one| one.slug == row.slug || one.id == row.id)
                || !store::corpus::insert_type(tx, &row)?
            {
                let message = format!("there is a type `{}` in this corpus already", new.slug);
                return Err(Error::Conflict { code: "already_exists", message });
            }
            Ok(row)
        })
        .await
}

/// All types of a corpus, by slug.
pub async fn types(engine: &Engine, actor: &Actor, corpus: CorpusId) -> Result<Vec<ElementType>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let corpus = readable(tx, &actor, corpus)?;
            Ok::<_, Error>(store::corpus::types(tx, corpus.id)?)
        })
        .await
}

/// Deletes a type that no element has.
pub async fn delete_type(engine: &Engine, actor: &Actor, corpus: CorpusId, slug: String) -> Result<()> {
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let corpus = hold(tx, &actor, corpus)?;
            people(&actor, corpus.project_id, "delete types")?;
            if store::corpus::type_is_used(tx, corpus.id, &slug)? {
                return Err(Error::conflict(format!(
                    "there are elements of the type `{slug}`: delete them first, or give them another type"
                )));
            }
            if store::corpus::delete_type(tx, corpus.id, &slug)? {
                return Ok(());
            }
            Err(Error::not_found("type of this corpus", &slug))
        })
        .await
}

/// Writes types that were checked; those that are there stay as they are.
pub(super) fn put_all(tx: &mut Tx, corpus: CorpusId, new: &[NewType], ids: &mut Series) -> Result<()> {
    for new in new {
        store::corpus::insert_type(tx, &of(corpus, new, ids))?;
    }
    Ok(())
}

/// Makes a type for each of these slugs.
pub(crate) fn put_slugs<'a>(
    tx: &mut Tx,
    corpus: CorpusId,
    slugs: impl IntoIterator<Item = &'a str>,
    ids: &mut Series,
) -> Result<()> {
    for slug in slugs {
        let new = NewType { slug: slug.to_owned(), ..NewType::default() };
        store::corpus::insert_type(tx, &of(corpus, &new, ids))?;
    }
    Ok(())
}

fn of(corpus_id: CorpusId, new: &NewType, ids: &mut Series) -> ElementType {
    ElementType {
        id: new.id.unwrap_or_else(|| ElementTypeId(ids.take())),
        corpus_id,
        slug: new.slug.clone(),
        display_name: new.display_name.clone().unwrap_or_else(|| new.slug.clone()),
        folder: new.folder,
    }
}

/// Notes what is wrong with types, each at `path.N`.
pub(super) fn check(new: &[NewType], path: &str, errors: &mut FieldErrors) {
    if new.len() > MAX_TYPES {
        errors.add(path, format!("has {} types: a corpus has at most {MAX_TYPES}", new.len()));
        return;
    }
    let mut seen = HashMap::new();
    for (index, one) in new.iter().enumerate() {
        let path = format!("{path}.{index}");
        check_one(one, &path, errors);
        if let Some(first) = seen.insert(one.slug.as_str(), index) {
            errors.add(format!("{path}.slug"), format!("`{}` is that of type {first} too", one.slug));
        }
    }
}

fn check_one(new: &NewType, path: &str, errors: &mut FieldErrors) {
    element::check_slug(&element::join(path, "slug"), &new.slug, errors);
    if let Some(name) = &new.display_name {
        element::check_name(&element::join(path, "display_name"), name, errors);
    }
}
