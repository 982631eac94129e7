//! `runyard arkindex`: imports of what Arkindex has. An export is read by the server, since only it knows databases; a JSON
//! description is brought thing by thing.

use std::{fs::File, io::Read, path::Path};

use runyard_wire::corpus::Corpus;
use serde::Serialize;

use crate::{
    args::arkindex::Arkindex as Args,
    context::Context,
    failure::Failure,
    output::{self, Format},
    pull::bar,
};

mod bring;
mod description;

/// How every SQLite file begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What was imported, as `--output json` says it.
#[derive(Debug, Serialize)]
struct Imported {
    corpus: Corpus,
    /// In the file; those that were there already too.
    elements: i64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let Args::Import { file, corpus } = args;
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    let imported = if is_export(&file)? {
        export(context, &file, &corpus).await?
    } else {
        bring::bring(context, description::read(&file)?, &corpus).await?
    };
    let Imported { corpus, elements } = &imported;
    match context.out.format {
        Format::Table => output::note(format!(
            "{}: {elements} elements; `runyard element ls --corpus {}` lists them",
            corpus.name, corpus.name
        )),
        Format::Quiet => output::line(&corpus.id)?,
        Format::Json | Format::Csv => output::json(&imported)?,
    }
    Ok(0)
}

fn is_export(path: &Path) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()))
            .hint("name the SQLite export of a corpus, or a JSON description")
    };
    let mut start = Vec::new();
    File::open(path).map_err(failed)?.take(SQLITE.len() as u64).read_to_end(&mut start).map_err(failed)?;
    Ok(start == SQLITE)
}

async fn export(context: &Context, path: &Path, name: &str) -> Result<Imported, Failure> {
    let length = std::fs::metadata(path).map_or(0, |found| found.len());
    let bar = bar(context, length);
    let shown = bar.clone();
    let moved = move |bytes| {
        shown.inc(bytes);
        if shown.position() >= length {
            shown.set_message("the server reads it  ");
        }
    };
    let imported = context.client.import_arkindex(path, name, context.project.as_deref(), moved).await;
    bar.finish_and_clear();
    let imported = imported.map_err(|error| match error.status() {
        Some(422) => Failure::from(error).hint("nothing was written: mend the export, or make it again"),
        _ => Failure::from(error).hint("the same import again completes what this one began"),
    })?;
    Ok(Imported { corpus: imported.corpus, elements: imported.elements })
}
