//! Pages of lines of all that the jobs of a run put out, one job after the other, for readers who count lines and come back: what
//! was answered once stays in its place. A line that has not ended yet is none, unless its job has ended.

use runyard_domain::{RunId, run::Job};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, run::visible};

/// Most bytes of a line that are shown.
pub const MAX_LINE: i64 = 64 << 10;
/// Stands for a line that is not kept any more.
const DROPPED: &str = "[runyard] this line was dropped";

/// A page of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// How many there are in all.
    pub total: i64,
}

/// `count` lines behind the first `from`; fewer only at the end. Behind the output of each job that has ended stands what
/// `last_word` says of it, as one more line.
pub async fn lines(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    from: i64,
    count: i64,
    last_word: fn(&Job) -> Option<String>,
) -> Result<Lines> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            visible(&actor, run, store::run::get(tx, run)?)?;
            let mut page = Lines::default();
            let end = from.saturating_add(count);
            for job in store::job::list(tx, run)?.iter().rev() {
                let before = page.total;
                let last = job.ended_at.and_then(|_| last_word(job));
                let own = if job.ended_at.is_some() {
                    store::log::line_count(tx, job.id, job.lengths.logs)?
                } else {
                    store::log::ended_lines(tx, job.id)?
                };
                page.total += own + i64::from(last.is_some());
                read(tx, job, (from - before).max(0), (end - before).min(own), &mut page.lines)?;
                if let Some(last) = last
                    && (from..end).contains(&(before + own))
                {
                    page.lines.push(last);
                }
            }
            Ok::<_, Error>(page)
        })
        .await
}

/// The lines from `from` to before `end`, counted from 0.
fn read(tx: &mut Tx, job: &Job, from: i64, end: i64, lines: &mut Vec<String>) -> Result<()> {
    if from >= end {
        return Ok(());
    }
    let total = job.lengths.logs;
    let mut start = store::log::line_start(tx, job.id, from + 1)?.unwrap_or(total);
    for line in from..end {
        let next = store::log::line_start(tx, job.id, line + 2)?.unwrap_or(total);
        lines.push(one(tx, job, start, next)?);
        start = next;
    }
    Ok(())
}

fn one(tx: &mut Tx, job: &Job, start: i64, next: i64) -> Result<String> {
    // Lines of which some were dropped begin and end where the drop begins.
    if start == next {
        return Ok(DROPPED.to_owned());
    }
    let part = store::log::read(tx, job.id, start, (next - start).min(MAX_LINE))?;
    if part.dropped.is_some() {
        return Ok(DROPPED.to_owned());
    }
    let text = String::from_utf8_lossy(&part.bytes);
    let text = text.trim_end_matches('\n').trim_end_matches('\r');
    let left = next - start - MAX_LINE;
    Ok(if left > 0 { format!("{text} [runyard] and {left} more bytes") } else { text.to_owned() })
}

#[cfg(test)]
mod tests;
