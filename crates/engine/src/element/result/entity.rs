//! Entities, their types, and where in texts they are.

use std::collections::HashMap;

use runyard_domain::{
    CorpusId, ElementId, EntityId, EntityTypeId, FieldErrors, TranscriptionEntityId, TranscriptionId,
    WorkerRunId,
    element::{self as rules, result::check_entity_name, result::check_place},
};
pub use runyard_store::element::result::entity::Filter;
use runyard_store::{
    self as store, Tx,
    corpus::Corpus,
    element::{
        MadeBy,
        result::{class::Page, entity, transcription},
    },
};
use serde_json::{Map, Value};

use super::{
    Entity, EntityType, Origin, Placed, TranscriptionEntity, check_count, check_writer, hold, origin,
};
use crate::{Actor, Engine, Error, Result, corpus};

/// An entity to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntity {
    /// Its type.
    pub type_id: EntityTypeId,
    /// Name.
    pub name: String,
    /// Anything else.
    pub metas: Option<Map<String, Value>>,
    /// Whether a person has looked at it.
    pub validated: bool,
}

/// Which entity is at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// One that is there.
    Known(EntityId),
    /// A new one; without a name it is called as the text there.
    New(EntityTypeId, Option<String>),
}

/// An entity at a place of a text, to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlace {
    /// Which.
    pub entity: Which,
    /// Characters from the start of the text.
    pub offset: i64,
    /// Characters.
    pub length: i64,
    /// From 0 to 1.
    pub confidence: Option<f64>,
}

/// Makes a type of entities.
///
/// # Errors
/// 409 `already_exists` when the corpus has the name.
pub async fn create_type(
    engine: &Engine,
    actor: &Actor,
    corpus: CorpusId,
    name: String,
    color: Option<String>,
) -> Result<EntityType> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &name, &mut errors);
    if let Some(color) = &color
        && (color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        errors.add("color", "is six hexadecimal digits, such as `ff8800`");
    }
    errors.finish(())?;
    let (id, actor) = (engine.id(EntityTypeId::new), actor.clone());
    engine
        .db
        .write(move |tx| {
            let corpus = corpus::hold(tx, &actor, corpus)?;
            if entity::type_by_name(tx, corpus.id, &name)?.is_some() {
                let message = format!("there is an entity type `{name}` in this corpus already");
                return Err(Error::Conflict { code: "already_exists", message });
            }
            let made = EntityType { id, corpus_id: corpus.id, name: name.clone(), color: color.clone() };
            entity::insert_type(tx, &made)?;
            Ok(made)
        })
        .await
}

/// Types of entities by name, and how many there are.
pub async fn types(
    engine: &Engine,
    actor: &Actor,
    corpus: CorpusId,
    page: Page,
) -> Result<(Vec<EntityType>, i64)> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let corpus = corpus::readable(tx, &actor, corpus)?;
            Ok::<_, Error>((entity::types(tx, corpus.id, &page)?, entity::count_types(tx, corpus.id)?))
        })
        .await
}

/// Makes an entity. `under_work`: the element that its worker is at, where it says so.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    corpus: CorpusId,
    worker_run: Option<WorkerRunId>,
    under_work: Option<ElementId>,
    new: NewEntity,
) -> Result<Entity> {
    let mut errors = FieldErrors::default();
    check_entity_name("name", &new.name, &mut errors);
    rules::check_payload("metas", new.metas.as_ref(), &mut errors);
    errors.finish(())?;
    let (id, now, actor) = (engine.id(EntityId::new), engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let corpus = corpus::hold(tx, &actor, corpus)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            check_type(tx, &corpus, new.type_id).map_err(|message| Error::field("type_id", message))?;
            let origin = Origin { worker_run, root: under_work.filter(|_| worker_run.is_some()), at: now };
            let made = Entity {
                id,
                corpus_id: corpus.id,
                type_id: new.type_id,
                name: new.name.clone(),
                metas: new.metas.clone(),
                validated: new.validated,
                origin,
            };
            entity::insert_all(tx, std::slice::from_ref(&made))?;
            Ok(made)
        })
        .await
}

fn check_type(tx: &mut Tx, corpus: &Corpus, id: EntityTypeId) -> Result<(), String> {
    let found = entity::types_by_ids(tx, &[id]).map_err(|error| error.to_string())?;
    match found.get(&id).filter(|one| one.corpus_id == corpus.id) {
        Some(_) => Ok(()),
        None => Err(format!("there is no entity type `{id}` in this corpus")),
    }
}

/// Entities of a corpus that match, and how many there are whatever the page.
pub async fn list(engine: &Engine, actor: &Actor, filter: Filter) -> Result<(Vec<Entity>, i64)> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            corpus::readable(tx, &actor, filter.corpus_id)?;
            Ok::<_, Error>((entity::list(tx, &filter)?, entity::count(tx, &filter)?))
        })
        .await
}

/// Writes where entities are in a text; answers them in the order of the request.
///
/// # Errors
/// Every wrong one as `entities.N.field`; then nothing is written.
pub async fn place(
    engine: &Engine,
    actor: &Actor,
    transcription: TranscriptionId,
    worker_run: Option<WorkerRunId>,
    new: Vec<NewPlace>,
) -> Result<Vec<TranscriptionEntity>> {
    check_count("entities", new.len())?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let (text, corpus) = hold_text(tx, &actor, transcription)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            check_places(tx, &corpus, &text.text, &new)?;
            let place = origin(tx, worker_run, text.element_id, now)?;
            // An entity is about no element: the one under work says whose it is.
            let whole = Origin { root: worker_run.map(|_| place.root.unwrap_or(text.element_id)), ..place };
            let mut ids = ids.clone();
            let (mut entities, mut rows) = (Vec::new(), Vec::new());
            for one in &new {
                let entity_id = match &one.entity {
                    Which::Known(id) => *id,
                    Which::New(type_id, name) => {
                        let id = EntityId(ids.take());
                        entities.push(Entity {
                            id,
                            corpus_id: corpus.id,
                            type_id: *type_id,
                            name: name.clone().unwrap_or_else(|| {
                                text.text
                                    .chars()
                                    .skip(one.offset as usize)
                                    .take(one.length as usize)
                                    .collect()
                            }),
                            metas: None,
                            validated: false,
                            origin: whole,
                        });
                        id
                    }
                };
                rows.push(TranscriptionEntity {
                    id: TranscriptionEntityId(ids.take()),
                    transcription_id: text.id,
                    entity_id,
                    offset: one.offset,
                    length: one.length,
                    confidence: one.confidence,
                    origin: place,
                });
            }
            entity::insert_all(tx, &entities)?;
            entity::place_all(tx, &rows)?;
            Ok(rows)
        })
        .await
}

fn check_places(tx: &mut Tx, corpus: &Corpus, text: &str, new: &[NewPlace]) -> Result<()> {
    let mut errors = FieldErrors::default();
    let known: Vec<EntityId> = new
        .iter()
        .filter_map(|one| match &one.entity {
            Which::Known(id) => Some(*id),
            Which::New(..) => None,
        })
        .collect();
    let known = entity::by_ids(tx, &known)?;
    let mut types = HashMap::new();
    let length = text.chars().count() as i64;
    for (index, one) in new.iter().enumerate() {
        let path = format!("entities.{index}");
        check_place(&path, one.offset, one.length, length, &mut errors);
        rules::check_confidence(&format!("{path}.confidence"), one.confidence, &mut errors);
        match &one.entity {
            Which::Known(id) => {
                if known.get(id).is_none_or(|entity| entity.corpus_id != corpus.id) {
                    errors.add(
                        format!("{path}.entity_id"),
                        format!("there is no entity `{id}` in this corpus"),
                    );
                }
            }
            Which::New(type_id, name) => {
                if let Some(name) = name {
                    check_entity_name(&format!("{path}.name"), name, &mut errors);
                }
                let fits = match types.get(type_id) {
                    Some(fits) => *fits,
                    None => check_type(tx, corpus, *type_id).is_ok(),
                };
                types.insert(*type_id, fits);
                if !fits {
                    let message = format!("there is no entity type `{type_id}` in this corpus");
                    errors.add(format!("{path}.type_id"), message);
                }
            }
        }
    }
    Ok(errors.finish(())?)
}

/// A text whose element stays until the end of the transaction.
fn hold_text(tx: &mut Tx, actor: &Actor, id: TranscriptionId) -> Result<(super::Transcription, Corpus)> {
    let none = || Error::not_found("transcription", id);
    let text = transcription::get(tx, id)?.ok_or_else(none)?;
    let (_, corpus) = hold(tx, actor, text.element_id).map_err(|_| none())?;
    // It may have gone before its element was held.
    let text = transcription::get(tx, id)?.ok_or_else(none)?;
    Ok((text, corpus))
}

/// Entities of a text, by offset.
pub async fn of_transcription(
    engine: &Engine,
    actor: &Actor,
    id: TranscriptionId,
    made_by: Option<MadeBy>,
) -> Result<Vec<Placed>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let none = || Error::not_found("transcription", id);
            let text = transcription::get(tx, id)?.ok_or_else(none)?;
            super::readable(tx, &actor, text.element_id).map_err(|_| none())?;
            Ok(store::element::result::entity::of_transcriptions(tx, &[id], made_by.as_ref())?)
        })
        .await
}
