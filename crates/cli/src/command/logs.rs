//! `runyard logs`: the program's output, as it was written.

use runyard_client::run::{Following, Update, Want};

use crate::{address, args::run::Logs, context::Context, failure::Failure, output};

/// Bytes asked for at once.
const PART: i64 = 1 << 20;
/// Bytes read at once from the end while looking for the last lines.
const TAIL_PART: i64 = 64 << 10;

pub(super) async fn run(context: &Context, args: Logs) -> Result<u8, Failure> {
    let id = address::run(context, &args.run.run, args.run.newest).await?;
    if !args.follow {
        let start = match args.tail {
            Some(lines) => tail_start(context, &id, args.job, lines).await?.offset,
            None => 0,
        };
        print(context, &id, args.job, start).await?;
        return Ok(0);
    }
    let start = match args.tail {
        Some(lines) => tail_start(context, &id, args.job, lines).await?,
        None => Start::default(),
    };
    follow(context, &id, args.job, start).await?;
    Ok(0)
}

/// Where to begin in a job's output.
#[derive(Default)]
struct Start {
    job: Option<String>,
    offset: i64,
}

async fn print(context: &Context, id: &str, epoch: Option<i64>, mut offset: i64) -> Result<(), Failure> {
    loop {
        let part = context.client.logs(id, epoch, offset, PART).await?;
        output::bytes(&part.bytes)?;
        if part.bytes.is_empty() || part.next_offset >= part.total {
            return Ok(());
        }
        offset = part.next_offset;
    }
}

async fn tail_start(context: &Context, id: &str, epoch: Option<i64>, lines: usize) -> Result<Start, Failure> {
    let newest = context.client.logs(id, epoch, -1, 1).await?;
    let (mut end, mut left) = (newest.total, lines);
    // The newline at the very end ends the last line; it does not begin another one.
    if newest.bytes.ends_with(b"\n") {
        left += 1;
    }
    while end > 0 && left > 0 {
        let from = (end - TAIL_PART).max(0);
        let part = context.client.logs(id, epoch, from, end - from).await?;
        match nth_newline_from_end(&part.bytes, &mut left) {
            Some(at) => return Ok(Start { job: newest.job_id, offset: from + at as i64 + 1 }),
            None => end = from,
        }
    }
    Ok(Start { job: newest.job_id, offset: if lines == 0 { newest.total } else { 0 } })
}

/// The place of the `left`-th newline from the end; what was not found is still left.
fn nth_newline_from_end(bytes: &[u8], left: &mut usize) -> Option<usize> {
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'\n' {
            *left -= 1;
            if *left == 0 {
                return Some(at);
            }
        }
    }
    None
}

async fn follow(context: &Context, id: &str, epoch: Option<i64>, start: Start) -> Result<(), Failure> {
    let mut following = context.client.follow_run(id, Want { logs: true, metrics: false });
    let mut seen = None;
    let mut lost = false;
    while let Some(update) = following.next().await? {
        match update {
            Update::Log(part) if epoch.is_some_and(|epoch| part.epoch > epoch) => return Ok(()),
            Update::Log(part) if epoch.is_some_and(|epoch| part.epoch < epoch) => {}
            Update::Log(part) => {
                let from = if start.job.as_ref() == Some(&part.job_id) { start.offset } else { 0 };
                // Attempts before the one whose last lines are wanted are left out too.
                if start.job.is_some() && seen.is_none() && start.job.as_ref() != Some(&part.job_id) {
                    continue;
                }
                if seen.replace(part.epoch).is_some_and(|before| before != part.epoch) {
                    output::note(format!("--- attempt {}", part.epoch));
                }
                output::text(from_offset(&part.text, part.offset, from))?;
            }
            Update::Lost(error) => {
                if !std::mem::replace(&mut lost, true) {
                    let why = Failure::from_error(&error);
                    output::note(format!("lost sight of the run ({why}): trying again"));
                }
                moved(context, &mut following);
            }
            Update::Found => {
                lost = false;
                output::note("the server is back");
            }
            Update::Status(_) | Update::Progress(_) | Update::Metrics(_) | Update::End(_) => {}
        }
    }
    Ok(())
}

fn moved(context: &Context, following: &mut Following) {
    if let Some(url) = context.url_now() {
        following.set_url(&url);
    }
}

/// What of `text`, which starts at `offset`, is at `from` or behind it.
fn from_offset(text: &str, offset: i64, from: i64) -> &str {
    let mut skip = usize::try_from(from - offset).unwrap_or(0).min(text.len());
    while !text.is_char_boundary(skip) {
        skip += 1;
    }
    &text[skip..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_across_parts() {
        let mut left = 3;
        assert_eq!(nth_newline_from_end(b"c\nd\n", &mut left), None);
        assert_eq!(left, 1);
        assert_eq!(nth_newline_from_end(b"a\nb\n", &mut left), Some(3));
    }

    #[test]
    fn text_before_the_start_is_left_out() {
        assert_eq!(from_offset("hello", 10, 0), "hello");
        assert_eq!(from_offset("hello", 10, 12), "llo");
        assert_eq!(from_offset("hello", 10, 99), "");
        assert_eq!(from_offset("grün!", 0, 3), "n!");
    }
}
