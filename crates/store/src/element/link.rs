//! Who is above and below an element. Never makes a circle: that is asked before a link is written.

use std::collections::{HashMap, HashSet};

use runyard_domain::ElementId;

use super::values;
use crate::{
    db::{Error, Tx, Value},
    params,
};

/// `(parent, child)`.
pub type Link = (ElementId, ElementId);

/// Writes links, in this order behind the children that are there; those that are there already change nothing. Of
/// children that were there before `mark` says that they have a parent now.
pub fn add_all(tx: &mut Tx, links: &[Link], mark: bool) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let mut parents: Vec<ElementId> = links.iter().map(|(parent, _)| *parent).collect();
    parents.sort_unstable();
    parents.dedup();
    let rows = tx.query_in(&[], &values(&parents), |places| {
        format!(
            "SELECT parent_id, max(ord) FROM element_parents WHERE parent_id IN ({places}) GROUP BY parent_id"
        )
    })?;
    let mut next: HashMap<ElementId, i64> = HashMap::new();
    for row in rows {
        next.insert(row.get(0)?, row.get::<i64>(1)? + 1);
    }
    let mut place = |parent: ElementId| {
        let next = next.entry(parent).or_default();
        *next += 1;
        *next - 1
    };
    let row =
        |(parent, child): &Link| [Value::from(*child), Value::from(*parent), Value::from(place(*parent))];
    let rows: Vec<_> = links.iter().map(row).collect();
    tx.insert_rows("element_parents", &["child_id", "parent_id", "ord"], &rows, "ON CONFLICT DO NOTHING")?;
    if mark {
        let children: Vec<ElementId> = links.iter().map(|(_, child)| *child).collect();
        tx.execute_in(&[], &values(&children), |places| {
            format!("UPDATE elements SET top_level = 0 WHERE id IN ({places}) AND top_level = 1")
        })?;
    }
    Ok(())
}

/// Takes a link away; whether there was one.
pub fn remove(tx: &mut Tx, (parent, child): Link) -> Result<bool, Error> {
    let sql = "DELETE FROM element_parents WHERE parent_id = $1 AND child_id = $2";
    let gone = tx.execute(sql, params![parent, child])? > 0;
    tx.execute(
        "UPDATE elements SET top_level = 1 WHERE id = $1
            AND NOT EXISTS (SELECT 1 FROM element_parents p WHERE p.child_id = $1)",
        params![child],
    )?;
    Ok(gone)
}

/// The parents of each of these elements, in the order of their ids.
pub fn parents(tx: &mut Tx, ids: &[ElementId]) -> Result<HashMap<ElementId, Vec<ElementId>>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!("SELECT DISTINCT child_id, parent_id FROM element_parents WHERE child_id IN ({places}) ORDER BY 1, 2")
    })?;
    let mut found: HashMap<ElementId, Vec<ElementId>> = HashMap::new();
    for row in rows {
        found.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(found)
}

/// Which of these elements have children.
pub fn having_children(tx: &mut Tx, ids: &[ElementId]) -> Result<HashSet<ElementId>, Error> {
    let rows = tx.query_in(&[], &values(ids), |places| {
        format!(
            "SELECT e.id FROM elements e WHERE e.id IN ({places})
                AND EXISTS (SELECT 1 FROM element_parents p WHERE p.parent_id = e.id)"
        )
    })?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Everything above an element, without itself.
pub fn ancestors(tx: &mut Tx, id: ElementId) -> Result<HashSet<ElementId>, Error> {
    let rows = tx.query(&format!("{ABOVE} SELECT id FROM above"), params![id])?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// `above(id)`: everything above the element `$1`.
pub(super) const ABOVE: &str = "WITH RECURSIVE above(id) AS (
        SELECT p.parent_id FROM element_parents p WHERE p.child_id = $1
        UNION SELECT p.parent_id FROM element_parents p JOIN above ON p.child_id = above.id)";
