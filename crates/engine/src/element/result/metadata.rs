//! Named facts about elements.

use runyard_domain::{ElementId, EntityId, FieldErrors, MetadataId, WorkerRunId, element as rules};
use runyard_store::{
    self as store,
    element::result::{entity, metadata},
};

use super::{Metadata, check_count, check_writer, hold, origin, readable};
use crate::{Actor, Engine, Error, Result};

/// Metadata to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMetadata {
    /// What it says.
    pub given: rules::Metadata,
    /// The entity that it is about.
    pub entity_id: Option<EntityId>,
}

/// Writes metadata of an element; answers it in the order of the request.
///
/// # Errors
/// Every wrong entry as `metadata.N.field`; then nothing is written.
pub async fn add(
    engine: &Engine,
    actor: &Actor,
    element: ElementId,
    worker_run: Option<WorkerRunId>,
    new: Vec<NewMetadata>,
) -> Result<Vec<Metadata>> {
    check_count("metadata", new.len())?;
    let mut errors = FieldErrors::default();
    for (index, one) in new.iter().enumerate() {
        one.given.check(&format!("metadata.{index}"), &mut errors);
    }
    errors.finish(())?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let (element, corpus) = hold(tx, &actor, element)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            let entities: Vec<EntityId> = new.iter().filter_map(|one| one.entity_id).collect();
            let known = entity::by_ids(tx, &entities)?;
            let mut errors = FieldErrors::default();
            for (index, one) in new.iter().enumerate() {
                if let Some(id) = one.entity_id
                    && known.get(&id).is_none_or(|entity| entity.corpus_id != corpus.id)
                {
                    let message = format!("there is no entity `{id}` in this corpus");
                    errors.add(format!("metadata.{index}.entity_id"), message);
                }
            }
            errors.finish(())?;
            let origin = origin(tx, worker_run, element.id, now)?;
            let mut ids = ids.clone();
            let row = |one: &NewMetadata| Metadata {
                id: MetadataId(ids.take()),
                element_id: element.id,
                of_type: one.given.of_type,
                name: one.given.name.clone(),
                value: one.given.value.clone(),
                entity_id: one.entity_id,
                origin,
            };
            let rows: Vec<Metadata> = new.iter().map(row).collect();
            metadata::insert_all(tx, &rows)?;
            Ok::<_, Error>(rows)
        })
        .await
}

/// Metadata of an element, the oldest first; `with_parents`: that of everything above it too.
pub async fn list(
    engine: &Engine,
    actor: &Actor,
    element: ElementId,
    with_parents: bool,
) -> Result<Vec<Metadata>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            readable(tx, &actor, element)?;
            let mut ids = vec![element];
            if with_parents {
                ids.extend(store::element::link::ancestors(tx, element)?);
            }
            Ok::<_, Error>(metadata::of_elements(tx, &ids)?)
        })
        .await
}
