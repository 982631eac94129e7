//! Publishes files as a version of a model: content that the server has is not sent, other content is packed and sent in
//! one pass, and what arrived is verified before anyone may use it. An interrupted publish goes on when it is repeated.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use runyard_archive::model::{self, ModelLimits, Survey};
use runyard_client::{Client, model::Filter};
use runyard_domain::{
    FieldErrors, ModelId,
    model::{MAX_BYTES, MAX_ENTRIES, check_name},
};
use runyard_wire::model::{BegunModelVersion, NewModel, NewModelVersion};
use serde_json::{Map, Value};

use crate::{Error, error::blocking, patience::Patience};

mod resume;
mod send;

pub(crate) use send::send;

/// How often a version that somebody else completed or deleted meanwhile is begun again.
const ROUNDS: u32 = 3;

/// What is published, and as what.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// A folder, or one file.
    pub path: PathBuf,
    /// The model, by name or id; made when no model has the name.
    pub model: String,
    /// Its project, by name or id; absent: the token's own, or `default`.
    pub project: Option<String>,
    /// Tag of the version.
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    pub move_tag: bool,
    /// For people.
    pub description: String,
    /// What a program that uses it should know.
    pub config: Map<String, Value>,
    /// The version that it was made from: an id, or a tag of the same model.
    pub parent: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// The job that made it.
    pub job_id: Option<String>,
    /// What tells this publish from others, and lets its repeat go on where it stopped. Absent: made of what the disk says
    /// of the files, so that a repeat goes on as long as they are unchanged.
    pub source_key: Option<String>,
}

/// How far a publish is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// What there is to publish.
    Found {
        /// Bytes of all files.
        size: u64,
        /// How many.
        files: u64,
    },
    /// The server has a version of this size: contents are compared before anything is sent.
    Comparing,
    /// So many more bytes of the archive are there: sent now, or when this publish was tried before.
    Arrived(u64),
    /// All was sent; the server reads it.
    Verifying,
}

/// Publishes, and answers the version: the new one, or the one that has this content already. `progress` hears how far it
/// is. To be called on a tokio runtime. Holds a few parts (16 MiB each, as a rule) in memory and copies nothing to the disk.
pub async fn publish(
    client: &Client,
    publish: &Publish,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<BegunModelVersion, Error> {
    let survey = survey(&publish.path).await?;
    progress(Progress::Found { size: survey.size, files: survey.files });
    let mut new = new_version(publish, &survey).await?;
    let model = find_or_make(client, publish).await?;
    if may_be_there(client, &model, &survey).await? {
        progress(Progress::Comparing);
        let survey = Arc::clone(&survey);
        new.tree_digest = Some(blocking(move || model::digest(&survey)).await??.tree_digest);
    }
    let mut round = 1;
    loop {
        let begun = client.begin_model_version(&model, None, &new).await?;
        if begun.existing {
            return Ok(begun);
        }
        match bring(client, &begun, &survey, progress).await {
            // Somebody with the same files was faster, or the store lost some.
            Err(error) if round < ROUNDS && is_over(&error) => round += 1,
            done => return done,
        }
    }
}

async fn bring(
    client: &Client,
    begun: &BegunModelVersion,
    survey: &Arc<Survey>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<BegunModelVersion, Error> {
    let complete = send(client, begun, survey, progress).await?;
    progress(Progress::Verifying);
    let mut patience = Patience::brief();
    loop {
        match client.complete_model_version(id(begun), &complete).await {
            Ok(done) => return Ok(done),
            Err(error) => patience.meet(error.into()).await?,
        }
    }
}

/// Whether the version that is being sent is available or gone, or what had arrived of it is lost.
fn is_over(error: &Error) -> bool {
    let Error::Server(error) = error else { return false };
    match (error.status(), error.code()) {
        (Some(409), Some(code)) => ["available", "no_upload", "incomplete"].contains(&code),
        (status, code) => status == Some(404) && code.is_some(),
    }
}

/// What a server takes.
pub(crate) fn limits() -> ModelLimits {
    ModelLimits { max_bytes: MAX_BYTES.cast_unsigned(), max_entries: MAX_ENTRIES.cast_unsigned() }
}

/// What there is to publish.
pub(crate) async fn survey(path: &Path) -> Result<Arc<Survey>, Error> {
    let own = path.to_owned();
    Ok(Arc::new(blocking(move || model::survey(&own, &limits())).await??))
}

/// The id of a version that was begun.
pub(crate) fn id(begun: &BegunModelVersion) -> &str {
    begun.version.id.as_deref().unwrap_or_default()
}

/// What is asked for, without the files.
pub(crate) fn request(publish: &Publish) -> NewModelVersion {
    NewModelVersion {
        tag: publish.tag.clone(),
        move_tag: publish.move_tag,
        description: publish.description.clone(),
        config: publish.config.clone(),
        parent: publish.parent.clone(),
        run_id: publish.run_id.clone(),
        job_id: publish.job_id.clone(),
        source_key: publish.source_key.clone(),
        ..NewModelVersion::default()
    }
}

async fn new_version(publish: &Publish, survey: &Survey) -> Result<NewModelVersion, Error> {
    let mut new = request(publish);
    (new.size, new.files) = (survey.size.cast_signed(), survey.files.cast_signed());
    if new.source_key.is_none() {
        let (path, asked) = (publish.path.clone(), serde_json::to_string(&new).unwrap_or_default());
        let key = blocking(move || resume::key(&path, &asked)).await?;
        new.source_key = Some(key.map_err(|cause| Error::Local { what: "cannot look at the files", cause })?);
    }
    Ok(new)
}

/// The id of the model. One that is not there is made, but not for a version that will be refused.
pub(crate) async fn find_or_make(client: &Client, publish: &Publish) -> Result<String, Error> {
    let (name, project) = (publish.model.as_str(), publish.project.as_deref());
    let missing = match client.model(name, project).await {
        Ok(model) => return Ok(model.id),
        Err(error) if error.status() == Some(404) && error.code().is_some() => error,
        Err(error) => return Err(error.into()),
    };
    if name.parse::<ModelId>().is_ok() {
        return Err(missing.into());
    }
    let mut errors = FieldErrors::default();
    check_name("name", name, &mut errors);
    if let Some(tag) = &publish.tag {
        check_name("tag", tag, &mut errors);
    }
    if let Some(parent) = &publish.parent {
        errors.add("parent", format!("`{parent}` is no version of `{name}`: this model has none yet"));
    }
    errors.finish(()).map_err(Error::Fields)?;
    let new = NewModel { name: name.to_owned(), project_id: publish.project.clone(), ..NewModel::default() };
    match client.create_model(&new).await {
        // Made by somebody else in between.
        Err(error) if error.code() == Some("exists") => Ok(client.model(name, project).await?.id),
        made => Ok(made?.id),
    }
}

/// Whether an available version has as many bytes and files.
async fn may_be_there(client: &Client, model: &str, survey: &Survey) -> Result<bool, Error> {
    let filter = Filter {
        model_id: vec![model.to_owned()],
        state: vec!["available".to_owned()],
        size: Some(survey.size.cast_signed()),
        files: Some(survey.files.cast_signed()),
        limit: Some(1),
        ..Filter::default()
    };
    Ok(!client.model_versions(&filter).await?.is_empty())
}
