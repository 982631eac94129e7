//! Tags: one available version of a model has each. A tag that is taken is moved only when that was asked for.

use runyard_store::{self as store, Tx};

use super::{ModelVersion, State};
use crate::{Error, Result};

/// Refuses a tag that another available version has, unless it is to be moved.
///
/// # Errors
/// 409 `tag_exists` names the version that has it.
pub(super) fn free(
    tx: &mut Tx,
    model: runyard_domain::ModelId,
    tag: Option<&str>,
    move_tag: bool,
    own: Option<runyard_domain::ModelVersionId>,
) -> Result<()> {
    let Some(tag) = tag else { return Ok(()) };
    match store::model::version::by_tag(tx, model, tag)? {
        Some(other) if !move_tag && own != Some(other.id) => Err(taken(tag, &other)),
        _ => Ok(()),
    }
}

/// Gives an available version the tag, and takes it from the one that has it if `move_tag`.
///
/// # Errors
/// 409 `tag_exists`, when another version has the tag and it is not to be moved.
pub(super) fn give(tx: &mut Tx, version: &mut ModelVersion, tag: &str, move_tag: bool) -> Result<()> {
    if version.tag.as_deref() == Some(tag) && version.state == State::Available {
        return Ok(());
    }
    if let Some(mut other) = store::model::version::by_tag(tx, version.model_id, tag)?
        && other.id != version.id
    {
        if !move_tag {
            return Err(taken(tag, &other));
        }
        (other.tag, other.updated_at) = (None, version.updated_at);
        store::model::version::save(tx, &other)?;
    }
    version.tag = Some(tag.to_owned());
    Ok(())
}

/// Gives the tag to a version that has the content already: one with another tag keeps it, unless tags are moved. Answers
/// what a person should know.
///
/// # Errors
/// 409 `tag_exists`, when a third version has the tag and it is not to be moved.
pub(super) fn give_existing(
    tx: &mut Tx,
    existing: &mut ModelVersion,
    tag: Option<&str>,
    move_tag: bool,
) -> Result<Option<String>> {
    let Some(tag) = tag.filter(|tag| existing.tag.as_deref() != Some(*tag)) else { return Ok(None) };
    if let Some(own) = existing.tag.as_deref().filter(|_| !move_tag) {
        free(tx, existing.model_id, Some(tag), move_tag, Some(existing.id))?;
        return Ok(Some(format!(
            "the version that has this content keeps its tag `{own}`: `{tag}` was not set; say that tags are moved (`move_tag`) to change that"
        )));
    }
    give(tx, existing, tag, move_tag)?;
    Ok(None)
}

fn taken(tag: &str, other: &ModelVersion) -> Error {
    let (model, id) = (&other.model, other.id);
    let message = format!(
        "version {id} of model `{model}` has the tag `{tag}` already: choose another tag, or say that it is to be moved (`move_tag`)"
    );
    Error::Conflict { code: "tag_exists", message }
}
