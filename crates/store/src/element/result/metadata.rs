//! Named facts about elements.

use runyard_domain::{ElementId, EntityId, MetadataId, element::MetadataType};

use super::{Origin, values};
use crate::db::{Error, Row, Tx, Value};

/// A named fact about an element.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Id.
    pub id: MetadataId,
    /// The element.
    pub element_id: ElementId,
    /// What sort of value it is.
    pub of_type: MetadataType,
    /// Name; not unique.
    pub name: String,
    /// Value.
    pub value: String,
    /// The entity that it is about.
    pub entity_id: Option<EntityId>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Writes metadata.
pub fn insert_all(tx: &mut Tx, all: &[Metadata]) -> Result<(), Error> {
    let columns = [
        "id",
        "element_id",
        "type",
        "name",
        "value",
        "entity_id",
        "worker_run_id",
        "root_element",
        "created_at",
    ];
    let row = |one: &Metadata| {
        let [run, root, at] = one.origin.values();
        let (name, value) = (Value::from(&one.name), Value::from(&one.value));
        let of_type = Value::from(one.of_type.word());
        [one.id.into(), one.element_id.into(), of_type, name, value, one.entity_id.into(), run, root, at]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    tx.insert_rows("metadata", &columns, &rows, "")?;
    Ok(())
}

/// Metadata of these elements, the oldest first.
pub fn of_elements(tx: &mut Tx, ids: &[ElementId]) -> Result<Vec<Metadata>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!(
            "SELECT id, element_id, type, name, value, entity_id, {} FROM metadata
              WHERE element_id IN ({places}) ORDER BY id",
            Origin::COLUMNS
        )
    })?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Metadata, Error> {
    let of_type: String = row.get(2)?;
    Ok(Metadata {
        id: row.get(0)?,
        element_id: row.get(1)?,
        of_type: MetadataType::from_word(&of_type)
            .ok_or_else(|| Error::Sql(format!("`{of_type}` is not a type of metadata")))?,
        name: row.get(3)?,
        value: row.get(4)?,
        entity_id: row.get(5)?,
        origin: Origin::from_row(row, 6)?,
    })
}
