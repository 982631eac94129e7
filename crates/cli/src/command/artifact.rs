//! `runyard artifacts`, `runyard artifact`.

use std::path::{Path, PathBuf};

use runyard_client::artifact::Filter;
use runyard_domain::{FileSetId, checkpoint::Kind, record::check_name};
use runyard_wire::artifact::Artifact;

use super::{checkpoint::status_cell, confirm::confirm};
use crate::{
    address,
    args::artifact::{Artifact as Args, Artifacts},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    pull::{self, Wanted},
    source, time,
};

/// More than anybody wants at once.
const ALL: i64 = 1000;

pub(super) async fn list(context: &Context, args: Artifacts) -> Result<u8, Failure> {
    let run = address::run(context, &args.run.run, args.run.newest).await?;
    let filter = Filter { run_id: vec![run], limit: Some(args.limit), ..Filter::default() };
    let found = context.client.artifacts(&filter).await?;
    let now = time::now();
    context.out.list(
        &found,
        |artifact| artifact.id.clone().unwrap_or_default(),
        &["NAME", "TYPE", "STATUS", "FILES", "SIZE", "AGE", "REASON"],
        |artifact| row(artifact, now),
        "this run has no artifacts",
    )?;
    Ok(0)
}

fn row(artifact: &Artifact, now: i64) -> Vec<Cell> {
    vec![
        artifact.name.as_deref().unwrap_or_default().into(),
        artifact.r#type.as_deref().unwrap_or_default().into(),
        status_cell(artifact.status.as_deref(), artifact.reason.as_deref()),
        artifact.files.map(|files| files.to_string()).unwrap_or_default().into(),
        artifact.size.map(source::bytes).unwrap_or_default().into(),
        artifact.created_at.map(|at| time::age(now - at)).unwrap_or_default().into(),
        Cell::new(artifact.reason.as_deref().unwrap_or_default(), Tone::Dim),
    ]
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Pull { artifact, folder, newest } => {
            download(context, &artifact, folder.as_deref(), newest).await?;
        }
        Args::Rm { artifacts, newest, yes } => remove(context, &artifacts, newest, yes).await?,
    }
    Ok(0)
}

async fn download(
    context: &Context,
    artifact: &str,
    folder: Option<&Path>,
    newest: bool,
) -> Result<(), Failure> {
    let (run, name) = match artifact.split_once('/') {
        Some((run, name)) => (run, Some(name)),
        None => (artifact, None),
    };
    let run = address::run(context, run, newest).await?;
    let found = complete(context, &run, name).await?;
    for artifact in &found {
        let own = artifact.name.as_deref().unwrap_or_default();
        let wanted = Wanted {
            kind: Kind::Artifact,
            id: artifact.id.as_deref().unwrap_or_default(),
            title: format!("artifact {own}"),
            size: artifact.size.unwrap_or_default(),
        };
        let place = place(folder, own, name.is_none())?;
        pull::pull(context, &wanted, &place).await?;
    }
    if context.out.format == Format::Json {
        output::json(&found)?;
    }
    Ok(())
}

async fn remove(context: &Context, texts: &[String], newest: bool, yes: bool) -> Result<(), Failure> {
    let mut found: Vec<Artifact> = Vec::new();
    for text in texts {
        for artifact in named(context, text, newest).await? {
            if !found.iter().any(|known| known.id == artifact.id) {
                found.push(artifact);
            }
        }
    }
    let name = |artifact: &Artifact| artifact.name.clone().unwrap_or_default();
    let many = if found.len() == 1 { "artifact" } else { "artifacts" };
    let names: Vec<String> = found.iter().map(name).collect();
    confirm(&format!("Delete the {many} {}?", names.join(", ")), yes)?;
    let mut gone = Vec::new();
    for artifact in &found {
        let id = artifact.id.as_deref().unwrap_or_default();
        let deleted = context.client.delete_artifact(id).await?;
        match context.out.format {
            Format::Table => output::note(format!(
                "deleted the artifact {}, freed {}",
                name(artifact),
                source::bytes(deleted.freed_bytes)
            )),
            Format::Quiet => output::line(id)?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}

/// Every artifact that `text` names: by its id, or all of a run with a name.
async fn named(context: &Context, text: &str, newest: bool) -> Result<Vec<Artifact>, Failure> {
    if let Ok(id) = text.parse::<FileSetId>() {
        return Ok(vec![context.client.artifact(&id.to_string()).await?]);
    }
    let Some((run, name)) = text.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        return Err(Failure::usage(format!("`{text}` does not say which artifact"))
            .hint("write RUN/NAME, or the id of an artifact"));
    };
    let run = address::run(context, run, newest).await?;
    let filter = Filter {
        run_id: vec![run.clone()],
        name: vec![name.to_owned()],
        limit: Some(ALL),
        ..Filter::default()
    };
    let found = context.client.artifacts(&filter).await?;
    if found.is_empty() {
        let short = address::short(&run);
        return Err(Failure::new(format!("`{text}`: run {short} has no artifact `{name}`"))
            .hint(format!("`runyard artifacts {short}` lists those that it has")));
    }
    Ok(found)
}

/// The folder of an artifact: the named one, or one of its own below that.
fn place(folder: Option<&Path>, name: &str, all: bool) -> Result<PathBuf, Failure> {
    match folder {
        Some(folder) if !all => Ok(folder.to_owned()),
        _ => {
            // The server's word for a folder on this machine.
            check_name(name).map_err(Failure::new)?;
            Ok(folder.unwrap_or(Path::new("")).join(name))
        }
    }
}

/// The newest complete artifact with this name, or with each name.
async fn complete(context: &Context, run: &str, name: Option<&str>) -> Result<Vec<Artifact>, Failure> {
    let filter = Filter {
        run_id: vec![run.to_owned()],
        name: name.into_iter().map(str::to_owned).collect(),
        status: vec!["complete".to_owned()],
        limit: Some(ALL),
        ..Filter::default()
    };
    let mut found = context.client.artifacts(&filter).await?;
    let mut names = std::collections::HashSet::new();
    // Newest first: of a name, the first counts.
    found.retain(|artifact| names.insert(artifact.name.clone()));
    if found.is_empty() {
        let what = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let short = address::short(run);
        return Err(Failure::new(format!("run {short} has no complete artifact{what}"))
            .hint(format!("`runyard artifacts {short}` lists those that it has")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_has_its_own_folder_or_the_one_that_was_named() {
        let at = |folder: Option<&str>, all| place(folder.map(Path::new), "model", all).unwrap();
        assert_eq!(at(None, false), Path::new("model"));
        assert_eq!(at(Some("here"), false), Path::new("here"));
        assert_eq!(at(Some("here"), true), Path::new("here/model"));
        assert!(place(None, "..", false).is_err());
    }
}
