//! `runyard logs`: the program's output, as it was written; followed, or searched.

use runyard_client::run::{Following, From, LogQuery, Update, Want};
use runyard_domain::instance::Lines;
use runyard_wire::log::LogMatch;

use crate::{
    address,
    args::run::Logs,
    context::Context,
    failure::Failure,
    output::{self, Format},
};

mod instance;

/// Bytes asked for at once.
const PART: i64 = 1 << 20;

pub(super) async fn run(context: &Context, args: Logs) -> Result<u8, Failure> {
    let id = address::run(context, &args.run.run, args.run.newest).await?;
    if let Some(text) = args.grep {
        let search = LogQuery {
            q: text,
            regex: args.regex,
            ignore_case: args.ignore_case,
            epoch: args.job,
            instance: args.instance,
            ..LogQuery::default()
        };
        grep(context, &id, search).await?;
    } else if let Some(instance) = args.instance {
        let follows = args.follow;
        instance::print(context, &id, instance, args.job, args.tail, follows).await?;
    } else if args.follow {
        let from = match (args.tail, args.job) {
            (Some(lines), epoch) => From::Tail { epoch, lines },
            (None, Some(epoch)) => From::Epoch(epoch),
            (None, None) => From::Beginning,
        };
        follow(context, &id, args.job, from, None).await?;
    } else {
        print(context, &id, args.job, args.tail).await?;
    }
    Ok(0)
}

async fn print(context: &Context, id: &str, epoch: Option<i64>, tail: Option<i64>) -> Result<(), Failure> {
    let mut part = match tail {
        Some(0) => return Ok(()),
        Some(lines) => context.client.log_lines(id, epoch, -lines, None).await?,
        None => context.client.logs(id, epoch, 0, PART).await?,
    };
    loop {
        output::bytes(&part.bytes)?;
        if part.bytes.is_empty() || part.next_offset >= part.total {
            return Ok(());
        }
        part = context.client.logs(id, epoch, part.next_offset, PART).await?;
    }
}

/// Lines that match, as they are found: `LINE:TEXT`, or in JSON one object a line.
async fn grep(context: &Context, id: &str, mut search: LogQuery) -> Result<(), Failure> {
    search.limit = Some(1000);
    let mut none = true;
    loop {
        let found = context.client.search_logs(id, &search).await?;
        none &= found.matches.is_empty();
        for one in &found.matches {
            match context.out.format {
                Format::Table => output::line(shown(one))?,
                Format::Quiet => output::line(one.line)?,
                Format::Json => output::line(serde_json::to_string(one).unwrap_or_default())?,
                Format::Csv => return Err(output::no_csv()),
            }
        }
        if found.complete || found.next_offset <= search.offset {
            break;
        }
        search.offset = found.next_offset;
        // The job that was searched first, also when a newer one has begun.
        search.epoch = search.epoch.or(found.epoch);
    }
    if none && context.out.format == Format::Table {
        output::note("no line matches");
    }
    Ok(())
}

fn shown(one: &LogMatch) -> String {
    format!("{}:{}{}", one.line, one.text, if one.cut { " ..." } else { "" })
}

/// Follows the output; of several instances only these `lines`.
async fn follow(
    context: &Context,
    id: &str,
    epoch: Option<i64>,
    from: From,
    mut lines: Option<Lines>,
) -> Result<(), Failure> {
    let mut following = context.client.follow_run(id, Want { logs: true, metrics: false, from });
    let mut seen = None;
    let mut lost = false;
    while let Some(update) = following.next().await? {
        match update {
            Update::Log(part) if epoch.is_some_and(|epoch| part.epoch > epoch) => return Ok(()),
            Update::Log(part) => {
                if seen.replace(part.epoch).is_some_and(|before| before != part.epoch) {
                    output::note(format!("--- attempt {}", part.epoch));
                    lines.iter_mut().for_each(Lines::begin_line);
                }
                for piece in part.text.split_inclusive('\n') {
                    let all = piece.as_bytes();
                    output::bytes(lines.as_mut().map_or(all, |lines| lines.pass(all)))?;
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_matches_is_shown_with_its_number() {
        let mut one = LogMatch { offset: 99, line: 7, text: "boom".into(), cut: false };
        assert_eq!(shown(&one), "7:boom");
        one.cut = true;
        assert_eq!(shown(&one), "7:boom ...");
    }
}
