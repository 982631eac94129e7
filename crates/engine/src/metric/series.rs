//! Series for charts: several runs and tags on one grid.

use runyard_domain::{
    RunId,
    metric::series::{Axis, Buckets, Grid},
};
use runyard_store as store;

use super::readable;
use crate::{Actor, Engine, Error, Result};

/// Buckets that one call may ask of each curve.
pub const MAX_BUCKETS: i64 = 10_000;
/// Buckets of all curves of one call.
pub const MAX_ALL_BUCKETS: usize = 500_000;

/// Which series, and how finely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of these runs.
    pub run_ids: Vec<RunId>,
    /// These tags; with none: all.
    pub tags: Vec<String>,
    /// What the horizontal axis shows.
    pub axis: Axis,
    /// At most so many buckets, from 1 to [`MAX_BUCKETS`].
    pub buckets: i64,
    /// From this place on; `None`: where the first of the points lies.
    pub from: Option<i64>,
    /// To this place; `None`: where the last of the points lies.
    pub to: Option<i64>,
}

/// One tag of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The run.
    pub run: RunId,
    /// The tag.
    pub tag: String,
    /// Its points.
    pub buckets: Buckets,
}

/// Curves on one grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// `None`: there is nothing to show.
    pub grid: Option<Grid>,
    /// By run and tag.
    pub curves: Vec<Curve>,
}

/// The series of several runs and tags, reduced to buckets. Unknown runs are left out, as in lists.
///
/// # Errors
/// Too few or too many buckets, a range that ends before it begins, more curves than one call may have.
pub async fn series(engine: &Engine, actor: &Actor, wanted: Wanted) -> Result<Chart> {
    if !(1..=MAX_BUCKETS).contains(&wanted.buckets) {
        let message = format!("is {}: ask for 1 to {MAX_BUCKETS} buckets", wanted.buckets);
        return Err(Error::field("buckets", message));
    }
    if let (Some(from), Some(to)) = (wanted.from, wanted.to)
        && from > to
    {
        return Err(Error::field("to", format!("is {to}, which is before `from`, {from}")));
    }
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let runs = readable(tx, &actor, &wanted.run_ids)?;
            let curves = store::metric::series::curves(tx, &runs, &wanted.tags)?;
            let most = MAX_ALL_BUCKETS / wanted.buckets as usize;
            if curves.len() > most {
                let message = format!(
                    "there are {} series: at most {most} of {} buckets are answered at once; name fewer tags or runs, or \
                     ask for fewer buckets",
                    curves.len(),
                    wanted.buckets
                );
                return Err(Error::field("tag", message));
            }
            let extent = match (wanted.from, wanted.to) {
                (Some(from), Some(to)) => Some((from, to)),
                (from, to) => store::metric::series::extent(tx, &curves, wanted.axis)?
                    .map(|(low, high)| (from.unwrap_or(low), to.unwrap_or(high))),
            };
            // Where all points lie beyond the one end that was given, there is nothing to show.
            let grid = extent.and_then(|(from, to)| Grid::new(from, to, wanted.buckets as usize));
            let Some(grid) = grid else { return Ok(Chart::default()) };
            let all = store::metric::series::buckets(tx, &curves, wanted.axis, grid)?;
            let curves = curves.iter().zip(all).map(|(curve, buckets)| Curve {
                run: curve.run,
                tag: curve.tag.to_string(),
                buckets,
            });
            Ok(Chart { grid: Some(grid), curves: curves.collect() })
        })
        .await
}
