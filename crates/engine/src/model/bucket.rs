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
            let found =
                engine.db.read(move |tx| Ok::<_, Error>(store::model::version::get(tx, existing)?)).await?;
            found.ok_or_else(|| Error::not_found("model version", existing))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use bytes::Bytes;
    use futures::stream;
    use runyard_domain::token::Scope;

    use super::*;
    use crate::{
        model::{self, files},
        oss::put::{NewObject, put},
        tests::{Stopped, engine},
    };

    async fn yard() -> (Engine, Actor, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(Arc::<Stopped>::default(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "ann".into(), scope: Scope::Admin };
        model::create(&engine, &admin, None, "digits".into(), None, String::new(), None).await.unwrap();
        (engine, admin, folder)
    }

    async fn write(engine: &Engine, admin: &Actor, key: &str, text: &'static str) {
        let new = NewObject { bucket: "data".into(), key: key.into(), ..NewObject::default() };
        let bytes = stream::iter([Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()))]);
        put(engine, admin, new, bytes).await.unwrap();
    }

    async fn publish(engine: &Engine, admin: &Actor, tag: &str, key: &str) -> Result<ModelVersion> {
        let new = NewVersion { tag: Some(tag.to_owned()), ..NewVersion::default() };
        let place = Place { bucket: "data".into(), key: key.into() };
        create(engine, admin, "digits", None, new, &place).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_in_a_bucket_becomes_an_available_version_and_the_same_again_is_that_one() {
        let (engine, admin, _folder) = yard().await;
        write(&engine, &admin, "out/model/weights", "123").await;
        write(&engine, &admin, "out/model/deep/config", "{}").await;
        let version = publish(&engine, &admin, "v1", "out/model/").await.unwrap();
        assert_eq!((version.state, version.tag.as_deref()), (State::Available, Some("v1")));
        let found = files(&engine, &admin, version.id, None, 10).await.unwrap();
        let paths: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["deep", "deep/config", "weights"]);
        let again = publish(&engine, &admin, "v2", "out/model/").await.unwrap();
        assert_eq!((again.id, again.tag.as_deref()), (version.id, Some("v1")), "its content has a tag");
        write(&engine, &admin, "out/model/weights", "124").await;
        let other = publish(&engine, &admin, "v2", "out/model/").await.unwrap();
        assert_eq!((other.id == version.id, other.tag.as_deref()), (false, Some("v2")));
        let taken = publish(&engine, &admin, "v1", "out/model/deep/").await.unwrap_err().to_string();
        assert!(taken.contains("has the tag `v1` already"), "{taken}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_no_version() {
        let (engine, admin, _folder) = yard().await;
        write(&engine, &admin, "a", "1").await;
        let refused = publish(&engine, &admin, "v1", "out/").await.unwrap_err().to_string();
        assert!(refused.contains("there is no object at oss://data/out/"), "{refused}");
        let place = Place { bucket: "none".into(), key: String::new() };
        let refused =
            create(&engine, &admin, "digits", None, NewVersion::default(), &place).await.unwrap_err();
        assert!(refused.to_string().contains("uri"), "{refused}");
    }
}
