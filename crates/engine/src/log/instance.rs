//! Reads the lines of one instance out of the output of all, without what stands before them. Offsets stay those of the whole
//! output, and what is answered ends where a line ends, so that a reader goes on from there.

use runyard_domain::{
    RunId,
    instance::Lines,
    run::{Job, Run},
};
use runyard_store as store;

use super::{Part, Range, Which, find, of_job, read};
use crate::{Actor, Engine, Error, Result, run::visible};

/// Bytes that are read at once.
const PART: i64 = 1 << 20;
/// Bytes of the whole output that one call by bytes reads at most.
const READ_MAX: i64 = 64 << 20;
/// How much of the end is looked at first for the last lines.
const TAIL: i64 = 256 << 10;

/// The number of an instance as a filter of lines: `None` where the run has only one, whose output is the whole output.
///
/// # Errors
/// A number that the run does not have, by the field `instance`.
pub(super) fn filter(run: &Run, instance: Option<i64>) -> Result<Option<i64>> {
    let Some(instance) = instance else { return Ok(None) };
    match run.spec.instances() {
        count if !(0..count).contains(&instance) => {
            let there = if count == 1 { "0 alone".to_owned() } else { format!("0 to {}", count - 1) };
            Err(Error::field("instance", format!("the run has no instance {instance}: it has {there}")))
        }
        1 => Ok(None),
        _ => Ok(Some(instance)),
    }
}

/// The output of one instance, whole lines of it: about `limit` bytes, and one line at least. `None`: the run has no job yet.
/// Empty with a `next_offset` that has moved: nothing of this instance so far.
///
/// # Errors
/// An epoch or a job that the run does not have is not found; an instance that it does not have is a wrong field.
pub async fn read_instance(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    instance: i64,
    which: Which,
    range: Range,
    limit: i64,
) -> Result<Option<Part>> {
    let asking = actor.clone();
    let found = engine
        .db
        .read(move |tx| {
            let asked = visible(&asking, run, store::run::get(tx, run)?)?;
            let instance = filter(&asked, Some(instance))?;
            Ok::<_, Error>((instance, find(tx, &asking, run, which)?))
        })
        .await?;
    let (instance, job) = match found {
        (_, None) => return Ok(None),
        (None, Some(_)) => return read(engine, actor, run, which, range, limit).await,
        (Some(instance), Some(job)) => (instance, job),
    };
    let total = job.lengths.logs;
    let (from, skip, count) = match range {
        Range::Bytes(offset) if offset < 0 => (total.saturating_add(offset).max(0), 0, None),
        Range::Bytes(offset) => (offset.min(total), 0, None),
        Range::Lines(from, count) if from < 0 => {
            let (at, skip) = tail(engine, &job, instance, from.saturating_neg()).await?;
            (at, skip, count)
        }
        Range::Lines(from, count) => (0, from.max(1) - 1, count),
    };
    let by_lines = matches!(range, Range::Lines(..));
    let mut walk = Walk::open(engine, &job, instance, from).await?;
    let mut taken = Taken { skip, count: count.unwrap_or(i64::MAX), limit: limit.max(0), ..Taken::at(from) };
    while taken.wants_more() && (by_lines || walk.at - from < READ_MAX) {
        let Some(part) = walk.next().await? else {
            taken.end(&job);
            break;
        };
        match part.dropped {
            None => taken.take(&mut walk.lines, &part),
            Some(_) if taken.skip > 0 => taken.jump(part.next),
            Some(_) if taken.bytes.is_empty() => return Ok(Some(of_job(&job, part))),
            // It is said when the reader comes to it.
            Some(_) => {
                taken.next = part.offset;
                taken.whole = taken.bytes.len();
                break;
            }
        }
    }
    Ok(Some(taken.part(&job, from)))
}

/// Where the last `count` lines of the instance are: from there on, behind so many others of its lines.
async fn tail(engine: &Engine, job: &Job, instance: i64, count: i64) -> Result<(i64, i64)> {
    let mut window = TAIL;
    loop {
        let from = (job.lengths.logs - window).max(0);
        let mut walk = Walk::open(engine, job, instance, from).await?;
        let mut there = 0;
        while let Some(part) = walk.next().await? {
            for piece in part.bytes.split_inclusive(|byte| *byte == b'\n').filter(|_| part.dropped.is_none())
            {
                there += i64::from(walk.lines.pass(piece).ends_with(b"\n"));
            }
        }
        // The last line of a job that has ended may have no end.
        there += i64::from(job.ended_at.is_some() && walk.lines.is_inside_own());
        if there >= count || from == 0 {
            return Ok((from, (there - count).max(0)));
        }
        window = window.saturating_mul(4);
    }
}

/// Goes through the whole output of a job from some byte on.
struct Walk<'a> {
    engine: &'a Engine,
    job: &'a Job,
    at: i64,
    lines: Lines,
}

impl<'a> Walk<'a> {
    async fn open(engine: &'a Engine, job: &'a Job, instance: i64, at: i64) -> Result<Self> {
        let mut lines = Lines::of(instance);
        if at > 0 {
            let id = job.id;
            let before =
                engine.db.read(move |tx| Ok::<_, Error>(store::log::read(tx, id, at - 1, 1)?)).await?;
            if before.dropped.is_none() && before.bytes != b"\n" {
                lines.begin_inside();
            }
        }
        Ok(Self { engine, job, at, lines })
    }

    /// `None`: that was all.
    async fn next(&mut self) -> Result<Option<store::log::Part>> {
        let (id, at, limit) = (self.job.id, self.at, PART.min(self.job.lengths.logs - self.at));
        if limit <= 0 {
            return Ok(None);
        }
        let part =
            self.engine.db.read(move |tx| Ok::<_, Error>(store::log::read(tx, id, at, limit)?)).await?;
        if part.next <= at {
            return Ok(None);
        }
        if part.dropped.is_some() {
            self.lines.begin_line();
        }
        self.at = part.next;
        Ok(Some(part))
    }
}

/// What has been read of an instance.
#[derive(Debug, Default)]
struct Taken {
    bytes: Vec<u8>,
    /// How many of them are whole lines.
    whole: usize,
    /// Where the line starts that is not whole, or the next one.
    next: i64,
    /// Where the next byte is.
    at: i64,
    /// Lines to leave out first.
    skip: i64,
    /// Lines still wanted.
    count: i64,
    limit: i64,
    full: bool,
}

impl Taken {
    fn at(from: i64) -> Self {
        Self { next: from, at: from, ..Self::default() }
    }

    fn wants_more(&self) -> bool {
        !self.full && self.count > 0 && self.limit > 0
    }

    fn take(&mut self, lines: &mut Lines, part: &store::log::Part) {
        self.at = part.offset;
        for piece in part.bytes.split_inclusive(|byte| *byte == b'\n') {
            let own = lines.pass(piece);
            let too_much = (self.bytes.len() + own.len()) as i64 > self.limit;
            if self.skip == 0 && self.whole > 0 && too_much {
                self.full = true;
                return;
            }
            self.at += piece.len() as i64;
            if self.skip == 0 {
                self.bytes.extend_from_slice(own);
            }
            if !piece.ends_with(b"\n") {
                continue;
            }
            self.next = self.at;
            self.whole = self.bytes.len();
            if own.ends_with(b"\n") {
                if self.skip > 0 {
                    self.skip -= 1;
                } else {
                    self.count -= 1;
                }
            }
            if !self.wants_more() {
                return;
            }
        }
    }

    fn jump(&mut self, to: i64) {
        (self.next, self.at) = (to, to);
    }

    /// There is no more. The last line of a job that has ended is whole, however it ends.
    fn end(&mut self, job: &Job) {
        if job.ended_at.is_some() {
            (self.next, self.whole) = (self.at, self.bytes.len());
        }
    }

    fn part(mut self, job: &Job, offset: i64) -> Part {
        if self.whole == 0 && self.next == offset && !self.bytes.is_empty() && self.at - offset >= READ_MAX {
            // A line without an end must not hold up its reader for ever.
            (self.next, self.whole) = (self.at, self.bytes.len());
        }
        self.bytes.truncate(self.whole);
        Part {
            job_id: job.id,
            epoch: job.epoch,
            offset,
            bytes: self.bytes,
            next_offset: self.next,
            dropped: None,
            total: job.lengths.logs,
            total_lines: None,
        }
    }
}
