//! Deletes an element with what is below it.

use runyard_domain::ElementId;
use runyard_store::{self as store, element::delete::BATCH};

use super::hold;
use crate::{Actor, Engine, Error, Result, corpus};

/// Deletes an element with its results and everything below it that has no parent elsewhere; answers how many elements went.
/// Up to some thousands go at once; of more the lowest go first, so that a deletion that was interrupted is repeated and goes on.
pub async fn delete(engine: &Engine, actor: &Actor, id: ElementId) -> Result<u64> {
    let asker = actor.clone();
    let order = engine
        .db
        .write(move |tx| {
            let (_, corpus) = hold(tx, &asker, id)?;
            corpus::people(&asker, corpus.project_id, "delete elements")?;
            let order = store::element::delete::with_descendants(tx, &[id])?;
            if order.len() <= 5 * BATCH {
                let deleted = store::element::delete::delete_all(tx, &order)?;
                return Ok(Err(deleted));
            }
            Ok::<_, Error>(Ok(order))
        })
        .await?;
    let order = match order {
        Err(deleted) => return Ok(deleted),
        Ok(order) => order,
    };
    let mut deleted = 0;
    for part in order.chunks(BATCH) {
        let part = part.to_vec();
        let some = move |tx: &mut store::Tx| Ok::<_, Error>(store::element::delete::delete_all(tx, &part)?);
        deleted += engine.db.write(some).await?;
    }
    Ok(deleted)
}
