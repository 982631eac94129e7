//! Makes a version of what is in a bucket: the objects are packed as they are now, and may change or go afterwards.

use runyard_domain::channel::Place;
use runyard_store as store;

use super::{
    ModelVersion, State,
    begin::{NewVersion, begin},
    packed::make,
    verify::join,
};
use crate::{Actor, Engine, Error, Result, source::gather};

/// Makes a version of the model (by id, or by name in `project`) of the objects at `place`. Content that the model has already
/// under another tag answers the version that has it.
///
/// # Errors
/// `uri` when there is nothing; what [`begin`] refuses.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    model: &str,
    project: Option<&str>,
    mut new: NewVersion,
    place: &Place,
) -> Result<ModelVersion> {
    let members = gather::members(engine, actor, place).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::field("uri", error.to_string()),
        other => other,
    })?;
    if members.is_empty() {
        let message = format!("there is no object at oss://{}/{}", place.bucket, place.key);
        return Err(Error::field("uri", message));
    }
    new.size = members.iter().map(|member| member.object.size).sum();
    new.files = i64::try_from(members.len()).unwrap_or(i64::MAX);
    let begun = begin(engine, actor, model, project, new).await?;
    if begun.version.state == State::Available {
        return Ok(begun.version);
    }
    let (actor, pending) = (actor.clone(), begun.version.id);
    let what = format!("oss://{}/{}", place.bucket, place.key);
    let made = join(engine, pending, |engine| async move {
        let files = members.iter().map(|member| member.file.clone()).collect();
        let open = gather::opener(&engine, members);
        make(&engine, &actor, &what, files, open, pending).await
    });
    match made.await {
        Ok(finished) => Ok(finished.version),
        Err(Error::SameContent { existing }) => {
            let found = engine.db.read(move |tx| Ok::<_, Error>(store::model::version::get(tx, existing)?)).await?;
            found.ok_or_else(|| Error::not_found("model version", existing))
        }
        Err(error) => Err(error),
    }
}
