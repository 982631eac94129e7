//! `runyard model publish`.

use indicatif::ProgressBar;
use runyard_sdk::{Progress, Publish, publish};
use runyard_wire::model::{BegunModelVersion, ModelVersion};
use serde_json::Map;

use crate::{
    address::{self, model::title},
    args::model::Publish as Args,
    config,
    context::Context,
    failure::Failure,
    output::{self, Format},
    pull, source,
};

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let mut own = Map::new();
    config::lay(&mut own, "--config", &args.config)?;
    let parent = match &args.parent {
        None => None,
        // By its id, a parent of another model is refused by name.
        Some(parent) => address::model::version(context, parent).await?.id,
    };
    let wanted = Publish {
        path: args.path,
        model: args.name,
        project: context.project.clone(),
        tag: args.tag,
        move_tag: args.move_tag,
        description: args.description,
        config: own,
        parent,
        ..Publish::default()
    };
    let bar = pull::bar(context, 0);
    let done = publish(&context.client, &wanted, &|progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    let BegunModelVersion { version, existing, note, .. } = done.map_err(explain)?;
    tell(context, &version, if existing { "is there already, nothing was sent" } else { "published" }, note)
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Found { size, .. } => bar.set_length(size),
        Progress::Comparing => bar.set_message("comparing "),
        Progress::Arrived(bytes) => {
            bar.set_message("");
            bar.inc(bytes);
        }
        Progress::Verifying => bar.set_message("verifying "),
    }
}

fn explain(error: runyard_sdk::Error) -> Failure {
    let (transient, code) = (error.is_transient(), error.call().and_then(runyard_client::Error::code));
    let hint = match code {
        Some("tag_exists") => Some("give another --tag, or --move-tag to take it from that version"),
        _ if transient => Some("the same command goes on where this one stopped"),
        _ => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Tells what came of it: people in words, programs as the version.
pub(in crate::command) fn tell(
    context: &Context,
    version: &ModelVersion,
    what: &str,
    note: Option<String>,
) -> Result<(), Failure> {
    let id = version.id.as_deref().unwrap_or_default();
    if let Some(note) = note {
        output::note(format!("note: {note}"));
    }
    if context.out.format == Format::Table {
        let files = version.files.unwrap_or_default();
        let many = if files == 1 { "file" } else { "files" };
        let size = source::bytes(version.size.unwrap_or_default());
        output::note(format!("{} {what}: {files} {many}, {size}", title(version)));
    }
    context.out.one(version, id, || output::line(id))
}
