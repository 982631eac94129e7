//! `runyard model diff`: which files two versions do not share.

use std::collections::BTreeMap;

use runyard_wire::model::{ModelFile, ModelVersion};
use serde::Serialize;

use crate::{
    address::{self, model::title},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    source,
};

/// Files that are asked for at once.
const PAGE: i64 = 10_000;
/// The exit codes of `diff`.
const DIFFERENT: u8 = 1;
const TROUBLE: u8 = 2;

/// What is not the same.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Difference {
    added: Vec<ModelFile>,
    removed: Vec<ModelFile>,
    changed: Vec<Changed>,
}

/// A path with something else at it.
#[derive(Debug, PartialEq, Serialize)]
struct Changed {
    path: String,
    from: ModelFile,
    to: ModelFile,
}

pub(super) async fn run(context: &Context, from: &str, to: &str) -> Result<u8, Failure> {
    compare(context, from, to).await.map_err(|failure| failure.code(TROUBLE))
}

async fn compare(context: &Context, from: &str, to: &str) -> Result<u8, Failure> {
    let from = address::model::version(context, from).await?;
    let to = address::model::version(context, to).await?;
    let same = from.tree_digest.is_some() && from.tree_digest == to.tree_digest;
    let difference = if same {
        Difference::default()
    } else {
        difference(files(context, &from).await?, files(context, &to).await?)
    };
    tell(context, &difference, &from, &to)?;
    Ok(if difference == Difference::default() { 0 } else { DIFFERENT })
}

async fn files(context: &Context, version: &ModelVersion) -> Result<Vec<ModelFile>, Failure> {
    let (id, mut all) = (version.id.as_deref().unwrap_or_default(), Vec::<ModelFile>::new());
    if version.state.as_deref() != Some("available") {
        return Err(Failure::new(format!("{} is not available: it has no files yet", title(version))));
    }
    loop {
        let after = all.last().map(|file| file.path.clone());
        let page = context.client.model_files(id, after.as_deref(), Some(PAGE)).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn difference(from: Vec<ModelFile>, to: Vec<ModelFile>) -> Difference {
    let mut before: BTreeMap<String, ModelFile> =
        from.into_iter().map(|file| (file.path.clone(), file)).collect();
    let mut difference = Difference::default();
    for file in to {
        match before.remove(&file.path) {
            None => difference.added.push(file),
            Some(old) if old == file => {}
            Some(old) => difference.changed.push(Changed { path: file.path.clone(), from: old, to: file }),
        }
    }
    difference.removed = before.into_values().collect();
    difference
}

fn tell(
    context: &Context,
    difference: &Difference,
    from: &ModelVersion,
    to: &ModelVersion,
) -> Result<(), Failure> {
    let Difference { added, removed, changed } = difference;
    match context.out.format {
        Format::Json => output::json(difference),
        Format::Quiet => {
            let paths = added.iter().chain(removed).map(|file| &file.path);
            let mut paths: Vec<&String> = paths.chain(changed.iter().map(|one| &one.path)).collect();
            paths.sort();
            paths.into_iter().try_for_each(output::line)
        }
        Format::Csv => Err(output::no_csv()),
        Format::Table if *difference == Difference::default() => {
            output::note(format!("{} and {} have the same files", title(from), title(to)));
            Ok(())
        }
        Format::Table => {
            let row =
                |word: &str, tone, path: &str, before: Option<&ModelFile>, after: Option<&ModelFile>| {
                    let shown = |file: Option<&ModelFile>| Cell::from(file.map(size).unwrap_or_default());
                    vec![Cell::new(word, tone), path.into(), shown(before), shown(after)]
                };
            let mut rows: Vec<Vec<Cell>> = Vec::new();
            rows.extend(added.iter().map(|file| row("added", Tone::Good, &file.path, None, Some(file))));
            rows.extend(removed.iter().map(|file| row("removed", Tone::Bad, &file.path, Some(file), None)));
            let changed = changed.iter();
            rows.extend(
                changed.map(|one| row("changed", Tone::Busy, &one.path, Some(&one.from), Some(&one.to))),
            );
            context.out.table(&["", "FILE", &title(from), &title(to)], rows)
        }
    }
}

/// What there is, as a size where it has one.
fn size(file: &ModelFile) -> String {
    match file.kind.as_str() {
        "file" => source::bytes(file.size),
        "executable" => format!("{}, executable", source::bytes(file.size)),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: &str, sha256: &str) -> ModelFile {
        ModelFile { path: path.into(), kind: kind.into(), size: 1, sha256: sha256.into() }
    }

    #[test]
    fn a_file_is_added_removed_or_changed_in_content_or_kind() {
        let from = vec![
            file("a", "file", "1"),
            file("b", "file", "1"),
            file("c", "file", "1"),
            file("s", "file", "1"),
        ];
        let to = vec![
            file("b", "file", "2"),
            file("c", "executable", "1"),
            file("d", "file", "1"),
            file("s", "file", "1"),
        ];
        let found = difference(from.clone(), to);
        assert_eq!(found.added, [file("d", "file", "1")]);
        assert_eq!(found.removed, [file("a", "file", "1")]);
        assert_eq!(found.changed.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(difference(from.clone(), from), Difference::default());
    }
}
