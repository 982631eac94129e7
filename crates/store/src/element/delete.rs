//! Takes elements away with everything that hangs on them. Never an element that has a parent elsewhere.

use std::collections::HashSet;

use runyard_domain::{CorpusId, ElementId, ImageId};

use super::values;
use crate::{
    dataset,
    db::{Error, Tx},
    image, params,
};

/// Elements whose rows go in one statement; a caller with many does so in several transactions.
pub const BATCH: usize = 1_000;

/// What goes with these elements, the lowest first: they, and everything below that has no parent elsewhere.
pub fn with_descendants(tx: &mut Tx, ids: &[ElementId]) -> Result<Vec<ElementId>, Error> {
    let mut order = Vec::new();
    let mut going: HashSet<ElementId> = HashSet::new();
    let mut level: Vec<ElementId> = ids.to_vec();
    while !level.is_empty() {
        level.retain(|id| going.insert(*id));
        order.extend_from_slice(&level);
        let rows = tx.query_in(&[], &values(&level), |places| {
            format!("SELECT DISTINCT child_id FROM element_parents WHERE parent_id IN ({places})")
        })?;
        level = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    }
    let given: HashSet<ElementId> = ids.iter().copied().collect();
    spare(tx, &order, &given, &mut going)?;
    order.retain(|id| going.contains(id));
    order.reverse();
    Ok(order)
}

/// Those with a parent that stays do stay, and so does what is below them.
fn spare(
    tx: &mut Tx,
    order: &[ElementId],
    given: &HashSet<ElementId>,
    going: &mut HashSet<ElementId>,
) -> Result<(), Error> {
    let below: Vec<ElementId> = order.iter().copied().filter(|id| !given.contains(id)).collect();
    let rows = tx.query_in(&[], &values(&below), |places| {
        format!("SELECT DISTINCT child_id, parent_id FROM element_parents WHERE child_id IN ({places})")
    })?;
    let links = rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<Vec<_>, Error>>()?;
    loop {
        let mut changed = false;
        for (child, parent) in &links {
            if !going.contains(parent) && going.remove(child) {
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
    }
}

/// Deletes exactly these elements, with results, links and places in datasets, and images that nobody else is on. What they
/// were the only parents of becomes top level; activities stay, and say that their element is gone. Answers how many there were.
pub fn delete_all(tx: &mut Tx, ids: &[ElementId]) -> Result<u64, Error> {
    let mut deleted = 0;
    for part in ids.chunks(BATCH) {
        deleted += delete_part(tx, part)?;
    }
    Ok(deleted)
}

fn delete_part(tx: &mut Tx, ids: &[ElementId]) -> Result<u64, Error> {
    lock(tx, ids)?;
    dataset::forget_elements(tx, ids)?;
    let ids = values(ids);
    for condition in [
        "transcription_entities WHERE transcription_id IN
            (SELECT t.id FROM transcriptions t WHERE t.element_id IN ",
        "transcriptions WHERE (element_id IN ",
        "classifications WHERE (element_id IN ",
        "metadata WHERE (element_id IN ",
    ] {
        tx.execute_in(&[], &ids, |places| format!("DELETE FROM {condition}({places}))"))?;
    }
    tx.execute_in(&[], &ids, |places| {
        format!("DELETE FROM entities WHERE root_element IN ({places}) AND {}", super::result::UNUSED_ENTITY)
    })?;
    let rows = tx.query_in(&[], &ids, |places| {
        format!("SELECT DISTINCT child_id FROM element_parents WHERE parent_id IN ({places})")
    })?;
    let children = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<ElementId>, _>>()?;
    tx.execute_in(&[], &ids, |places| format!("DELETE FROM element_parents WHERE child_id IN ({places})"))?;
    tx.execute_in(&[], &ids, |places| format!("DELETE FROM element_parents WHERE parent_id IN ({places})"))?;
    let gone = tx.query_in(&[], &ids, |places| {
        format!("DELETE FROM elements WHERE id IN ({places}) RETURNING image_id")
    })?;
    tx.execute_in(&[], &values(&children), |places| {
        format!(
            "UPDATE elements SET top_level = 1 WHERE id IN ({places}) AND top_level = 0
                AND NOT EXISTS (SELECT 1 FROM element_parents p WHERE p.child_id = elements.id)"
        )
    })?;
    let images = gone.iter().map(|row| row.get(0)).collect::<Result<HashSet<Option<ImageId>>, _>>()?;
    let images: Vec<ImageId> = images.into_iter().flatten().collect();
    image::delete_unused(tx, &images)?;
    Ok(gone.len() as u64)
}

/// Waits for whoever puts these into a set of a dataset, so that their places there are seen; in the order of their ids, so that
/// two who want the same ones wait for each other, and not both.
fn lock(tx: &mut Tx, ids: &[ElementId]) -> Result<(), Error> {
    let lock = tx.dialect().for_update();
    if lock.is_empty() {
        return Ok(());
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    tx.query_in(&[], &values(&sorted), |places| {
        format!("SELECT id FROM elements WHERE id IN ({places}) ORDER BY id{lock}")
    })?;
    Ok(())
}

/// Deletes some elements of a corpus, at most `limit`; 0: there are none left.
pub fn delete_some(tx: &mut Tx, corpus: CorpusId, limit: i64) -> Result<u64, Error> {
    let sql = "SELECT id FROM elements WHERE corpus_id = $1 ORDER BY id LIMIT $2";
    let rows = tx.query(sql, params![corpus, limit])?;
    let ids = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<_>, _>>()?;
    delete_all(tx, &ids)
}
