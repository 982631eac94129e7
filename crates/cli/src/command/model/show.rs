//! `runyard model show`: one version, as a person wants to know it.

use runyard_wire::model::{ModelFile, ModelVersion};

use crate::{
    address,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    source, time,
};

/// More files than this are counted only.
const FILES: i64 = 50;

pub(super) async fn run(context: &Context, text: &str) -> Result<(), Failure> {
    let version = address::model::version(context, text).await?;
    let id = version.id.clone().unwrap_or_default();
    let files = if context.out.format == Format::Table {
        context.client.model_files(&id, None, Some(FILES + 1)).await?
    } else {
        Vec::new()
    };
    context.out.one(&version, &id, || tell(context, &version, &files))
}

fn tell(context: &Context, version: &ModelVersion, files: &[ModelFile]) -> Result<(), Failure> {
    context.out.table(&[], facts(version))?;
    if files.is_empty() {
        return Ok(());
    }
    output::text("\n")?;
    let shown = &files[..files.len().min(FILES as usize)];
    context.out.table(&["FILE", "KIND", "SIZE", "SHA-256"], shown.iter().map(file).collect())?;
    if files.len() > shown.len() {
        output::note("and more: `--output json` of `runyard model diff` and the API list all of them");
    }
    Ok(())
}

fn file(file: &ModelFile) -> Vec<Cell> {
    let is_file = matches!(file.kind.as_str(), "file" | "executable");
    let size = if is_file { source::bytes(file.size) } else { String::new() };
    let digest = file.sha256.get(..12).unwrap_or_default();
    vec![file.path.as_str().into(), file.kind.as_str().into(), size.into(), Cell::new(digest, Tone::Dim)]
}

/// A fact and what it is called.
pub(in crate::command) fn row(name: &str, value: impl Into<Cell>) -> Vec<Cell> {
    vec![Cell::new(name, Tone::Dim), value.into()]
}

fn facts(version: &ModelVersion) -> Vec<Vec<Cell>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut rows = vec![
        row("id", text(&version.id)),
        row("model", text(&version.model)),
        row("tag", text(&version.tag)),
        row("state", super::state_cell(version.state.as_deref())),
    ];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push(row(name, value));
        }
    };
    fact("", version.reason.clone());
    fact("description", version.description.clone());
    let by = version.user_id.as_deref().unwrap_or("?");
    fact("created", version.created_at.map(|at| format!("{} by {by}", time::moment(at))));
    let size = |size: Option<i64>| size.map(source::bytes);
    let files = version.files.zip(size(version.size)).map(|(files, size)| format!("{files} in {size}"));
    fact("files", files);
    fact("archive", size(version.archive_size));
    fact("tree digest", version.tree_digest.clone());
    fact("archive SHA-256", version.archive_sha256.clone());
    fact("parent", version.parent_id.clone());
    fact("run", version.run_id.clone());
    fact("job", version.job_id.clone());
    fact("checkpoint", version.checkpoint_id.clone());
    fact("source", version.source.clone());
    let filled = |value: &serde_json::Value| value.as_object().is_some_and(|own| !own.is_empty());
    fact("config of the run", version.run_config.as_ref().filter(|own| filled(own)).map(ToString::to_string));
    let config = version.config.as_ref().filter(|config| !config.is_empty());
    fact("config", config.and_then(|config| serde_json::to_string(config).ok()));
    rows
}
