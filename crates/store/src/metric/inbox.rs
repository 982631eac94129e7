//! The inbox of a run: what was written last, a row per write, whatever the series.

use runyard_domain::{
    RunId,
    metric::{
        Point,
        pack::{pack, pack_integers, unpack, unpack_integers},
    },
};

use super::{damaged, decode};
use crate::{
    db::{Conditions, Error, Tx},
    params,
};

/// Puts the points of several series into the inbox, as one row; they are numbered from `first_seq` on.
pub(super) fn put(tx: &mut Tx, run: RunId, first_seq: i64, groups: &[(i64, &[Point])]) -> Result<(), Error> {
    let series: Vec<i64> =
        groups.iter().flat_map(|(series, points)| [*series, points.len() as i64]).collect();
    let points: Vec<Point> = groups.iter().flat_map(|(_, points)| points.iter().copied()).collect();
    tx.execute(
        "INSERT INTO metric_inbox (run_id, first_seq, last_seq, series, data) VALUES ($1, $2, $3, $4, $5)",
        params![run, first_seq, first_seq + points.len() as i64 - 1, pack_integers(&series), pack(&points)],
    )?;
    Ok(())
}

/// Hands run, series, point and number of all that is in the inboxes of these runs to `each`: by run, in the order of
/// writing. `after`: rows with numbers up to this one may be left out.
pub(super) fn read(
    tx: &mut Tx,
    runs: &[RunId],
    after: Option<i64>,
    mut each: impl FnMut(RunId, i64, Point, i64),
) -> Result<(), Error> {
    let mut conditions = Conditions::default();
    conditions.any_of(tx.dialect(), "run_id", runs.iter().copied());
    if let Some(after) = after {
        let after = conditions.bind(after);
        conditions.and(format!("last_seq > {after}"));
    }
    let sql = format!(
        "SELECT run_id, first_seq, series, data FROM metric_inbox{} ORDER BY run_id, first_seq",
        conditions.clause()
    );
    tx.query_each(&sql, conditions.values(), |mut row| {
        let run: RunId = row.get(0)?;
        let (series, points) = (decode(row.take(2)?, unpack_integers)?, decode(row.take(3)?, unpack)?);
        let mut rest = points.into_iter().zip(row.get::<i64>(1)?..);
        for group in series.chunks_exact(2) {
            let count = usize::try_from(group[1]).map_err(|_| damaged("a group of the inbox has no size"))?;
            for (point, seq) in rest.by_ref().take(count) {
                each(run, group[0], point, seq);
            }
        }
        if rest.next().is_some() { Err(damaged("the inbox has points without a series")) } else { Ok(()) }
    })
}
