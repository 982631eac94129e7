//! Entities of a corpus, their types, and where in transcriptions they are.

use std::collections::HashMap;

use runyard_domain::{
    CorpusId, ElementId, EntityId, EntityTypeId, TranscriptionEntityId, TranscriptionId, id::Series,
};
use serde_json::{Map, Value as Json};

use super::{Origin, class, values};
use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    element::MadeBy,
    params,
};

/// A type of entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityType {
    /// Id.
    pub id: EntityTypeId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Name, unique in its corpus.
    pub name: String,
    /// How it is shown, such as `ff0000`.
    pub color: Option<String>,
}

/// A person, place, date, ...
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Id.
    pub id: EntityId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Its type.
    pub type_id: EntityTypeId,
    /// Name; not unique.
    pub name: String,
    /// Anything else.
    pub metas: Option<Map<String, Json>>,
    /// Whether a person has looked at it.
    pub validated: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// An entity at a place of a transcription.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptionEntity {
    /// Id.
    pub id: TranscriptionEntityId,
    /// The text.
    pub transcription_id: TranscriptionId,
    /// The entity.
    pub entity_id: EntityId,
    /// Characters from the start of the text.
    pub offset: i64,
    /// Characters.
    pub length: i64,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which entities of a corpus.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The corpus.
    pub corpus_id: CorpusId,
    /// Name like this.
    pub name_ilike: Option<String>,
    /// In transcriptions of this element or of what is below it.
    pub below: Option<ElementId>,
    /// Leave out this many first.
    pub offset: i64,
    /// At most this many.
    pub limit: i64,
}

const TYPE_COLUMNS: &str = "id, corpus_id, name, color";
const COLUMNS: &str = "e.id, e.corpus_id, e.type_id, e.name, e.metas, e.validated, e.worker_run_id, e.root_element, \
    e.created_at";

/// Ids of the types of a corpus with these names; those that are not there are made.
pub fn put_types<'a>(
    tx: &mut Tx,
    corpus: CorpusId,
    names: &[&'a str],
    ids: &mut Series,
) -> Result<HashMap<&'a str, EntityTypeId>, Error> {
    class::named(tx, "entity_types", corpus, names, ids, |ids| EntityTypeId(ids.take()))
}

/// Writes a new type. A name that is taken is a unique violation.
pub fn insert_type(tx: &mut Tx, new: &EntityType) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO entity_types (id, corpus_id, name, color) VALUES ($1, $2, $3, $4)",
        params![new.id, new.corpus_id, &new.name, new.color.clone()],
    )?;
    Ok(())
}

/// Types of a corpus, by name.
pub fn types(tx: &mut Tx, corpus: CorpusId, page: &class::Page) -> Result<Vec<EntityType>, Error> {
    let (conditions, end) = class::paged(tx, corpus, page);
    let sql = format!("SELECT {TYPE_COLUMNS} FROM entity_types{} ORDER BY name{end}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(type_from_row).collect()
}

/// How many types a corpus has.
pub fn count_types(tx: &mut Tx, corpus: CorpusId) -> Result<i64, Error> {
    tx.query_one("SELECT count(*) FROM entity_types WHERE corpus_id = $1", params![corpus])?.get(0)
}

/// Types with these ids, by id.
pub fn types_by_ids(tx: &mut Tx, ids: &[EntityTypeId]) -> Result<HashMap<EntityTypeId, EntityType>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!("SELECT {TYPE_COLUMNS} FROM entity_types WHERE id IN ({places})")
    })?;
    rows.iter().map(|row| type_from_row(row).map(|one| (one.id, one))).collect()
}

/// The type with this name.
pub fn type_by_name(tx: &mut Tx, corpus: CorpusId, name: &str) -> Result<Option<EntityType>, Error> {
    let sql = format!("SELECT {TYPE_COLUMNS} FROM entity_types WHERE corpus_id = $1 AND name = $2");
    tx.query_opt(&sql, params![corpus, name])?.map(|row| type_from_row(&row)).transpose()
}

/// Writes entities.
pub fn insert_all(tx: &mut Tx, all: &[Entity]) -> Result<(), Error> {
    let columns = [
        "id",
        "corpus_id",
        "type_id",
        "name",
        "metas",
        "validated",
        "worker_run_id",
        "root_element",
        "created_at",
    ];
    let mut rows = Vec::with_capacity(all.len());
    for one in all {
        let [run, root, at] = one.origin.values();
        let metas = one.metas.as_ref().map_or(Ok(Value::Null), Value::json)?;
        let (id, corpus, of_type) = (one.id.into(), one.corpus_id.into(), one.type_id.into());
        rows.push([id, corpus, of_type, Value::from(&one.name), metas, one.validated.into(), run, root, at]);
    }
    tx.insert_rows("entities", &columns, &rows, "")?;
    Ok(())
}

/// Entities with these ids, by id.
pub fn by_ids(tx: &mut Tx, ids: &[EntityId]) -> Result<HashMap<EntityId, Entity>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!("SELECT {COLUMNS} FROM entities e WHERE e.id IN ({places})")
    })?;
    rows.iter().map(|row| from_row(row).map(|one| (one.id, one))).collect()
}

/// Entities that match, the oldest first.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Entity>, Error> {
    let (with, mut conditions) = query(tx, filter);
    let (limit, offset) = (conditions.bind(filter.limit), conditions.bind(filter.offset));
    let sql = format!(
        "{with} SELECT {COLUMNS} FROM entities e{} ORDER BY e.id LIMIT {limit} OFFSET {offset}",
        conditions.clause()
    );
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// How many match, whatever the page.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let (with, conditions) = query(tx, filter);
    let sql = format!("{with} SELECT count(*) FROM entities e{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

fn query(tx: &Tx, filter: &Filter) -> (&'static str, Conditions) {
    let mut conditions = Conditions::default();
    let mut with = "";
    if let Some(element) = filter.below {
        conditions.bind(element);
        with = "WITH RECURSIVE below(id) AS (
                    SELECT x.id FROM elements x WHERE x.id = $1
                    UNION SELECT p.child_id FROM element_parents p JOIN below ON p.parent_id = below.id)";
        conditions.and(
            "e.id IN (SELECT te.entity_id FROM below JOIN transcriptions t ON t.element_id = below.id
                        JOIN transcription_entities te ON te.transcription_id = t.id)",
        );
    }
    conditions.equal("e.corpus_id", filter.corpus_id);
    conditions.ilike_any(tx.dialect(), "e.name", filter.name_ilike.as_slice());
    (with, conditions)
}

/// Writes where entities are.
pub fn place_all(tx: &mut Tx, all: &[TranscriptionEntity]) -> Result<(), Error> {
    let columns = [
        "id",
        "transcription_id",
        "entity_id",
        "char_offset",
        "char_length",
        "confidence",
        "worker_run_id",
        "root_element",
        "created_at",
    ];
    let row = |one: &TranscriptionEntity| {
        let [run, root, at] = one.origin.values();
        let (offset, length, confidence) = (one.offset.into(), one.length.into(), one.confidence.into());
        [
            one.id.into(),
            one.transcription_id.into(),
            one.entity_id.into(),
            offset,
            length,
            confidence,
            run,
            root,
            at,
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    tx.insert_rows("transcription_entities", &columns, &rows, "")?;
    Ok(())
}

/// What is known of an entity where it is listed at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The place.
    pub place: TranscriptionEntity,
    /// The entity.
    pub entity: Entity,
    /// Name of its type.
    pub of_type: String,
}

/// Entities of these transcriptions, by offset; `made_by`: who put them there.
pub fn of_transcriptions(
    tx: &mut Tx,
    ids: &[TranscriptionId],
    made_by: Option<&MadeBy>,
) -> Result<Vec<Placed>, Error> {
    let mut first = Vec::new();
    let clause = match made_by {
        None => String::new(),
        Some(MadeBy::People) => "t.worker_run_id IS NULL AND ".to_owned(),
        Some(MadeBy::WorkerRuns(runs)) => {
            first.extend(runs.iter().map(|run| Value::from(*run)));
            format!("{} AND ", tx.dialect().any_of("t.worker_run_id", 1, runs.len()))
        }
    };
    let rows = tx.query_in(&first, &values(ids), |places| {
        format!(
            "SELECT {COLUMNS}, k.name, t.id, t.transcription_id, t.char_offset, t.char_length, t.confidence,
                    t.worker_run_id, t.root_element, t.created_at
               FROM transcription_entities t JOIN entities e ON e.id = t.entity_id
               JOIN entity_types k ON k.id = e.type_id
              WHERE {clause}t.transcription_id IN ({places}) ORDER BY t.transcription_id, t.char_offset, t.id"
        )
    })?;
    rows.iter()
        .map(|row| {
            let entity = from_row(row)?;
            let place = TranscriptionEntity {
                id: row.get(10)?,
                transcription_id: row.get(11)?,
                entity_id: entity.id,
                offset: row.get(12)?,
                length: row.get(13)?,
                confidence: row.get(14)?,
                origin: Origin::from_row(row, 15)?,
            };
            Ok(Placed { place, entity, of_type: row.get(9)? })
        })
        .collect()
}

fn from_row(row: &Row) -> Result<Entity, Error> {
    Ok(Entity {
        id: row.get(0)?,
        corpus_id: row.get(1)?,
        type_id: row.get(2)?,
        name: row.get(3)?,
        metas: row.json(4)?,
        validated: row.get(5)?,
        origin: Origin::from_row(row, 6)?,
    })
}

fn type_from_row(row: &Row) -> Result<EntityType, Error> {
    Ok(EntityType { id: row.get(0)?, corpus_id: row.get(1)?, name: row.get(2)?, color: row.get(3)? })
}
