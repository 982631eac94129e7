//! Begins a version, or finds the one that has the content: then nothing need be sent. What is wrong is said before a byte
//! travels.

use runyard_domain::{
    FieldErrors, JobId, Millis, ModelId, ModelVersionId, RunId, blueprint as rules,
    model::{self as names, MAX_BYTES, MAX_ENTRIES},
};
use runyard_store::{self as store, Tx};
use serde_json::{Map, Value};

use super::{
    Model, ModelVersion, Part, State,
    changing::{discard, discard_upload, fresh_key},
    find,
    origin::{self, Origin},
    tag,
};
use crate::{Actor, Engine, Error, Result};

/// A version to begin.
#[derive(Debug, Clone, Default)]
pub struct NewVersion {
    /// Tag, unique in the model.
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    pub move_tag: bool,
    /// For people.
    pub description: String,
    /// What a program that uses it should know.
    pub config: Map<String, Value>,
    /// The version it is made from: an available one of the same model, by id or tag.
    pub parent: Option<String>,
    /// The run that made it; `None`: the one that the token belongs to.
    pub run: Option<RunId>,
    /// The job that made it; `None`: the run's current one.
    pub job: Option<JobId>,
    /// Bytes of all files.
    pub size: i64,
    /// How many files.
    pub files: i64,
    /// Hex SHA-256 over paths, modes and contents, if it is known.
    pub tree_digest: Option<String>,
    /// What tells this publish from others of the model.
    pub source_key: Option<String>,
}

/// A version that was begun, or found.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The version.
    pub version: ModelVersion,
    /// It has the content already, and is available.
    pub existing: bool,
    /// What a person should know.
    pub note: Option<String>,
    /// Parts that have arrived.
    pub parts: Vec<Part>,
}

/// Begins a version of the model (by id, or by name in `project`); a repeat with the same `source_key` answers the same one.
///
/// # Errors
/// `tag_exists` when another version has the tag; `parent`, `run_id` and `job_id` when they lead nowhere; `source_conflict`
/// when the same publish made something else.
pub async fn begin(
    engine: &Engine,
    actor: &Actor,
    model: &str,
    project: Option<&str>,
    mut new: NewVersion,
) -> Result<Begun> {
    check(&new)?;
    new.tree_digest = new.tree_digest.map(|digest| digest.to_ascii_lowercase());
    let fresh = Fresh { id: engine.id(ModelVersionId::new), key: fresh_key(engine), now: engine.now() };
    let (actor, model, project) = (actor.clone(), model.to_owned(), project.map(str::to_owned));
    let begun = engine
        .db
        .write(move |tx| {
            let model = find(tx, &actor, &model, project.as_deref())?;
            store::model::lock(tx, model.id)?;
            let origin = origin::of(tx, &actor, new.run, new.job)?;
            let parent = origin::parent(tx, &actor, &model, new.parent.as_deref())?;
            let same = match &new.source_key {
                Some(key) => store::model::version::by_source(tx, model.id, key)?,
                None => None,
            };
            let twin = match &new.tree_digest {
                Some(digest) => store::model::version::by_tree(tx, model.id, digest)?,
                None => None,
            };
            match (same, twin) {
                (Some(same), twin) if same.state == State::Available => {
                    if new.tree_digest.is_some() && twin.is_none_or(|twin| twin.id != same.id) {
                        return Err(source_conflict(&same));
                    }
                    found(tx, same, &new, fresh.now)
                }
                (same, Some(twin)) => {
                    if let Some(pending) = same {
                        discard(tx, &pending, fresh.now)?;
                        store::model::version::delete(tx, pending.id)?;
                    }
                    found(tx, twin, &new, fresh.now)
                }
                (Some(pending), None) => {
                    tag::free(tx, model.id, new.tag.as_deref(), new.move_tag, None)?;
                    go_on(tx, pending, &new, parent, &fresh)
                }
                (None, None) => {
                    tag::free(tx, model.id, new.tag.as_deref(), new.move_tag, None)?;
                    let version = fresh.version(&actor, &model, &new, origin, parent);
                    store::model::version::insert(tx, &version)?;
                    Ok(Begun { version, existing: false, note: None, parts: Vec::new() })
                }
            }
        })
        .await?;
    Ok(begun)
}

/// The version that has the content; it may get the tag.
fn found(tx: &mut Tx, mut version: ModelVersion, new: &NewVersion, now: Millis) -> Result<Begun> {
    let before = version.tag.clone();
    let note = tag::give_existing(tx, &mut version, new.tag.as_deref(), new.move_tag)?;
    if version.tag != before {
        version.updated_at = now;
        store::model::version::save(tx, &version)?;
    }
    Ok(Begun { version, existing: true, note, parts: Vec::new() })
}

/// The version that an earlier attempt began: what it has sent counts, unless this is about other files.
fn go_on(
    tx: &mut Tx,
    mut version: ModelVersion,
    new: &NewVersion,
    parent: Option<ModelVersionId>,
    fresh: &Fresh,
) -> Result<Begun> {
    if (version.size, version.files) != (Some(new.size), Some(new.files)) {
        discard_upload(tx, &version, fresh.now)?;
        store::source::discard_object(tx, &version.object_key, fresh.now)?;
        version.upload = None;
        version.object_key = fresh.object_key(version.model_id, version.id);
        (version.size, version.files) = (Some(new.size), Some(new.files));
        version.part_size = Some(names::part_size(new.size, new.files));
    }
    (version.tag, version.move_tag) = (new.tag.clone(), new.move_tag);
    (version.description, version.config) = (new.description.clone(), new.config.clone());
    (version.parent_id, version.updated_at) = (parent, fresh.now);
    store::model::version::save(tx, &version)?;
    let parts = store::model::content::parts(tx, version.id)?;
    Ok(Begun { version, existing: false, note: None, parts })
}

/// What a new row needs from outside of the transaction.
pub(super) struct Fresh {
    pub(super) id: ModelVersionId,
    pub(super) key: String,
    pub(super) now: Millis,
}

impl Fresh {
    pub(super) fn object_key(&self, model: ModelId, version: ModelVersionId) -> String {
        format!("models/{model}/{version}/{}", self.key)
    }

    pub(super) fn version(
        &self,
        actor: &Actor,
        model: &Model,
        new: &NewVersion,
        origin: Origin,
        parent: Option<ModelVersionId>,
    ) -> ModelVersion {
        ModelVersion {
            id: self.id,
            model_id: model.id,
            model: model.name.clone(),
            project_id: model.project_id,
            state: State::Created,
            reason: None,
            tag: new.tag.clone(),
            move_tag: new.move_tag,
            description: new.description.clone(),
            config: new.config.clone(),
            parent_id: parent,
            run_id: origin.run,
            job_id: origin.job,
            checkpoint_id: None,
            source: origin.source,
            run_config: origin.config,
            tree_digest: None,
            content_md5: None,
            archive_sha256: None,
            archive_md5: None,
            archive_size: None,
            size: Some(new.size),
            files: Some(new.files),
            source_key: new.source_key.clone(),
            object_key: self.object_key(model.id, self.id),
            upload: None,
            part_size: Some(names::part_size(new.size, new.files)),
            created_at: self.id.time(),
            updated_at: self.now,
            available_at: None,
            user_id: actor.name.clone(),
        }
    }
}

fn source_conflict(same: &ModelVersion) -> Error {
    let key = same.source_key.as_deref().unwrap_or_default();
    let message = format!(
        "the source key `{key}` made model version {} of other content: use a key of its own for each publish",
        same.id
    );
    Error::Conflict { code: "source_conflict", message }
}

fn check(new: &NewVersion) -> Result<()> {
    let mut errors = FieldErrors::default();
    check_words(new.tag.as_deref(), Some(&new.description), Some(&new.config), &mut errors);
    if let Some(key) = &new.source_key {
        names::check_source_key("source_key", key, &mut errors);
    }
    if new.tree_digest.as_deref().is_some_and(|digest| !is_hex(digest, 64)) {
        errors.add("tree_digest", "must be a SHA-256 as 64 hexadecimal digits");
    }
    if !(0..=MAX_BYTES).contains(&new.size) {
        errors.add("size", format!("{} is not from 0 to {MAX_BYTES} bytes", new.size));
    }
    if !(1..=MAX_ENTRIES).contains(&new.files) {
        errors.add("files", format!("{} is not from 1 to {MAX_ENTRIES}: publish what has files", new.files));
    }
    Ok(errors.finish(())?)
}

/// What people write on a version.
pub(super) fn check_words(
    tag: Option<&str>,
    description: Option<&str>,
    config: Option<&Map<String, Value>>,
    errors: &mut FieldErrors,
) {
    if let Some(tag) = tag {
        names::check_name("tag", tag, errors);
    }
    if let Some(description) = description {
        rules::check_description("description", description, errors);
    }
    if let Some(config) = config {
        names::check_config("config", config, errors);
    }
}

/// Whether the text is so many hexadecimal digits.
pub(super) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
