//! `runyard model`: lists, shows and downloads versions. Publishing, deleting and comparing have files of their own.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use runyard_client::model::{Filter, ModelFilter};
use runyard_domain::model::check_name;
use runyard_sdk::Pulled;
use runyard_wire::model::{Model, ModelVersion};

use crate::{
    address::{self, model::title},
    args::model::Model as Args,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    pull::bar,
    source, time,
};

mod diff;
pub(super) mod publish;
mod rm;
pub(super) mod show;

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Publish(args) => publish::run(context, args).await?,
        Args::Ls { model: None, limit } => models(context, limit).await?,
        Args::Ls { model: Some(model), limit } => versions(context, &model, limit).await?,
        Args::Show { version } => show::run(context, &version).await?,
        Args::Pull { version, folder } => pull(context, &version, folder).await?,
        Args::Rm { what, yes } => rm::run(context, &what, yes).await?,
        Args::Diff { from, to } => return diff::run(context, &from, &to).await,
    }
    Ok(0)
}

async fn models(context: &Context, limit: i64) -> Result<(), Failure> {
    let project_id = context.project.iter().cloned().collect();
    let filter = ModelFilter { project_id, limit: Some(limit), ..ModelFilter::default() };
    let found = context.client.models(&filter).await?;
    let now = time::now();
    context.out.list(
        &found,
        |model| model.id.clone(),
        &["NAME", "VERSIONS", "AGE", "DESCRIPTION"],
        |model: &Model| {
            vec![
                model.name.as_str().into(),
                model.versions.into(),
                time::age(now - model.created_at).into(),
                model.description.as_str().into(),
            ]
        },
        "no models; `runyard model publish DIR --name NAME` makes one",
    )
}

async fn versions(context: &Context, model: &str, limit: i64) -> Result<(), Failure> {
    let model = address::model::model(context, model).await?;
    let filter = Filter { model_id: vec![model.id], limit: Some(limit), ..Filter::default() };
    let found = context.client.model_versions(&filter).await?;
    list_versions(context, &found, "this model has no versions")
}

/// Versions as a list; `none` is what people are told when it is empty.
fn list_versions(context: &Context, found: &[ModelVersion], none: &str) -> Result<(), Failure> {
    context.out.list(
        found,
        |version| version.id.clone().unwrap_or_default(),
        &VERSION_HEADER,
        version_row,
        none,
    )
}

pub(super) const VERSION_HEADER: [&str; 8] =
    ["ID", "MODEL", "TAG", "STATE", "FILES", "SIZE", "AGE", "DESCRIPTION"];

/// A version in a table under [`VERSION_HEADER`].
pub(super) fn version_row(version: &ModelVersion) -> Vec<Cell> {
    let said = version.reason.as_deref().or(version.description.as_deref()).unwrap_or_default();
    let line = said.lines().next().unwrap_or_default();
    vec![
        version.id.as_deref().unwrap_or_default().into(),
        version.model.as_deref().unwrap_or_default().into(),
        version.tag.as_deref().unwrap_or_default().into(),
        state_cell(version.state.as_deref()),
        version.files.map(|files| files.to_string()).unwrap_or_default().into(),
        version.size.map(source::bytes).unwrap_or_default().into(),
        version.created_at.map(|at| time::age(time::now() - at)).unwrap_or_default().into(),
        Cell::new(line, Tone::Dim),
    ]
}

fn state_cell(state: Option<&str>) -> Cell {
    let tone = match state {
        Some("available") => Tone::Good,
        Some("error") => Tone::Bad,
        _ => Tone::Busy,
    };
    Cell::new(state.unwrap_or_default(), tone)
}

async fn pull(context: &Context, text: &str, folder: Option<PathBuf>) -> Result<(), Failure> {
    let version = address::model::version(context, text).await?;
    let folder = folder.map_or_else(|| own_folder(&version), Ok)?;
    let bar = bar(context, version.archive_size.unwrap_or_default().cast_unsigned());
    let pulled = download(context, &version, &folder, &bar).await;
    bar.finish_and_clear();
    let what = match pulled? {
        Pulled::New => source::bytes(version.size.unwrap_or_default()),
        Pulled::There => "all of it was there".to_owned(),
    };
    match context.out.format {
        Format::Table => output::note(format!("{}: {what} in {}", title(&version), folder.display())),
        Format::Quiet => output::line(folder.display())?,
        Format::Json => output::json(&version)?,
        Format::Csv => return Err(output::no_csv()),
    }
    Ok(())
}

async fn download(
    context: &Context,
    version: &ModelVersion,
    folder: &Path,
    bar: &ProgressBar,
) -> Result<Pulled, Failure> {
    // Ctrl-C leaves nothing behind. Where it cannot be heard, it ends the command.
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let moved = |bytes| bar.inc(bytes);
    match runyard_sdk::pull(&context.client, version, folder, &moved, stop).await {
        Err(error @ runyard_sdk::Error::Stopped) => Err(Failure::from(error).code(130)),
        pulled => Ok(pulled?),
    }
}

/// The server's words as a folder on this machine.
fn own_folder(version: &ModelVersion) -> Result<PathBuf, Failure> {
    let mut name = version.model.clone().unwrap_or_default();
    if let Some(tag) = &version.tag {
        name = format!("{name}-{tag}");
    }
    let mut errors = runyard_domain::FieldErrors::default();
    check_name("name", &name.chars().take(200).collect::<String>(), &mut errors);
    errors.finish(PathBuf::from(name)).map_err(|error| {
        Failure::new(format!("the version cannot name a folder: {error}")).hint("name a folder to pull into")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_pulled_into_a_folder_of_its_own() {
        let at = |model: &str, tag: Option<&str>| {
            let (model, tag) = (Some(model.to_owned()), tag.map(str::to_owned));
            own_folder(&ModelVersion { model, tag, ..ModelVersion::default() })
        };
        assert_eq!(at("digits", Some("v3")).unwrap(), Path::new("digits-v3"));
        assert_eq!(at("digits", None).unwrap(), Path::new("digits"));
        for model in ["..", "", "a/b"] {
            assert!(at(model, None).unwrap_err().to_string().contains("hint: name a folder"), "{model}");
        }
    }
}
