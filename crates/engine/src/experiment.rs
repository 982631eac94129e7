//! Experiments: names for runs that belong together, with a place for what they make. A run belongs to one by the label
//! [`LABEL`], so that runs are found by it, and outlive it.

use std::collections::BTreeMap;

use runyard_domain::{ExperimentId, FieldErrors, blueprint as rules, channel::Uri, token::Scope};
pub use runyard_store::experiment::{Experiment, Filter};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, project};

/// The label of the runs of an experiment; its value is the name.
pub const LABEL: &str = "experiment";

/// Makes an experiment in a project (by id or name). `artifact_uri`: a place in a bucket.
///
/// # Errors
/// What is wrong by its field; `already_exists` when the project has one with this name.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    project: &str,
    name: String,
    artifact_uri: String,
    labels: BTreeMap<String, String>,
) -> Result<Experiment> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &name, &mut errors);
    rules::check_labels("labels", &labels, &mut errors);
    if let Err(error) = Uri::parse_output(&artifact_uri) {
        errors.add("artifact_uri", error.to_string());
    }
    errors.finish(())?;
    let (id, now) = (engine.id(ExperimentId::new), engine.now());
    let (actor, project) = (actor.clone(), project.to_owned());
    engine
        .db
        .write(move |tx| {
            no_job(&actor)?;
            let project_id = project::resolve(tx, &actor, &project)?.id;
            let experiment = Experiment {
                id,
                project_id,
                name: name.clone(),
                artifact_uri: artifact_uri.clone(),
                labels: labels.clone(),
                user_id: actor.name.clone(),
                created_at: now,
                updated_at: now,
            };
            if !store::experiment::insert(tx, &experiment)? {
                return Err(taken(&name));
            }
            Ok(experiment)
        })
        .await
}

/// The experiment with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: ExperimentId) -> Result<Experiment> {
    let actor = actor.clone();
    engine.db.read(move |tx| readable(&actor, id, store::experiment::get(tx, id)?)).await
}

/// Experiments that match, and how many do on all pages; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<(i64, Vec<Experiment>)> {
    if let Scope::Project(own) | Scope::Run(own, _) = actor.scope {
        if filter.project_ids.is_empty() {
            filter.project_ids.push(own);
        }
        filter.project_ids.retain(|&project| project == own);
        if filter.project_ids.is_empty() {
            return Ok((0, Vec::new()));
        }
    }
    let read = move |tx: &mut Tx| {
        Ok::<_, Error>((store::experiment::count(tx, &filter)?, store::experiment::list(tx, &filter)?))
    };
    engine.db.read(read).await
}

/// Changes the name, or labels: those that are given, `None` takes one away.
///
/// # Errors
/// As [`create`].
pub async fn patch(
    engine: &Engine,
    actor: &Actor,
    id: ExperimentId,
    name: Option<String>,
    labels: BTreeMap<String, Option<String>>,
) -> Result<Experiment> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let mut experiment = writable(tx, &actor, id)?;
            if let Some(name) = name.as_ref().filter(|name| **name != experiment.name) {
                if store::experiment::by_name(tx, experiment.project_id, name)?.is_some() {
                    return Err(taken(name));
                }
                experiment.name.clone_from(name);
            }
            for (key, value) in &labels {
                match value {
                    Some(value) => experiment.labels.insert(key.clone(), value.clone()),
                    None => experiment.labels.remove(key),
                };
            }
            let mut errors = FieldErrors::default();
            rules::check_name("name", &experiment.name, &mut errors);
            rules::check_labels("labels", &experiment.labels, &mut errors);
            errors.finish(())?;
            experiment.updated_at = now;
            store::experiment::save(tx, &experiment)?;
            Ok(experiment)
        })
        .await
}

/// Deletes an experiment. Its runs stay, and so does what they made.
pub async fn delete(engine: &Engine, actor: &Actor, id: ExperimentId) -> Result<()> {
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            writable(tx, &actor, id)?;
            Ok(store::experiment::delete(tx, id)?)
        })
        .await
}

fn writable(tx: &mut Tx, actor: &Actor, id: ExperimentId) -> Result<Experiment> {
    no_job(actor)?;
    readable(actor, id, store::experiment::lock(tx, id)?)
}

fn readable(actor: &Actor, id: ExperimentId, found: Option<Experiment>) -> Result<Experiment> {
    found
        .filter(|experiment| match actor.scope {
            Scope::Admin => true,
            Scope::Project(own) | Scope::Run(own, _) => own == experiment.project_id,
        })
        .ok_or_else(|| Error::not_found("experiment", id))
}

fn no_job(actor: &Actor) -> Result<()> {
    match actor.scope {
        Scope::Run(..) => Err(Error::Forbidden("the token of a run cannot change experiments".to_owned())),
        Scope::Admin | Scope::Project(_) => Ok(()),
    }
}

fn taken(name: &str) -> Error {
    let message = format!("there is an experiment `{name}` already: choose another name");
    Error::Conflict { code: "already_exists", message }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tests::{Stopped, engine};

    fn actor(scope: Scope) -> Actor {
        Actor { token_id: None, name: "ann".into(), scope }
    }

    async fn new(engine: &Engine, name: &str, uri: &str) -> Result<Experiment> {
        let labels = BTreeMap::from([("team".to_owned(), "ocr".to_owned())]);
        create(engine, &actor(Scope::Admin), "default", name.into(), uri.into(), labels).await
    }

    #[tokio::test]
    async fn an_experiment_is_renamed_labelled_and_deleted_and_names_are_unique() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(Arc::<Stopped>::default(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = actor(Scope::Admin);
        let one = new(&engine, "one", "oss://data/one/").await.unwrap();
        let two = new(&engine, "two", "oss://data/two/").await.unwrap();
        let taken = patch(&engine, &admin, two.id, Some("one".into()), BTreeMap::new()).await;
        assert!(taken.unwrap_err().to_string().contains("an experiment `one` already"));
        let labels = BTreeMap::from([("team".to_owned(), None), ("stage".to_owned(), Some("x".to_owned()))]);
        let patched = patch(&engine, &admin, one.id, Some("first".into()), labels).await.unwrap();
        assert_eq!((patched.name.as_str(), patched.labels.get("team")), ("first", None));
        assert_eq!(get(&engine, &admin, one.id).await.unwrap(), patched);
        delete(&engine, &admin, one.id).await.unwrap();
        assert!(matches!(get(&engine, &admin, one.id).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_foreign_ones_are_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(Arc::<Stopped>::default(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let wrong = new(&engine, "", "nowhere").await.unwrap_err().to_string();
        assert!(wrong.contains("name") && wrong.contains("artifact_uri"), "{wrong}");
        let one = new(&engine, "one", "oss://data/one/").await.unwrap();
        let other = project::create(&engine, &actor(Scope::Admin), "other".into(), String::new(), None).await;
        let stranger = actor(Scope::Project(other.unwrap().id));
        assert!(matches!(get(&engine, &stranger, one.id).await, Err(Error::NotFound { .. })));
        assert!(matches!(delete(&engine, &stranger, one.id).await, Err(Error::NotFound { .. })));
        let filter = Filter {
            project_ids: Vec::new(),
            names: Vec::new(),
            sort: crate::run::Sort::default(),
            limit: 10,
            offset: 0,
        };
        assert_eq!(list(&engine, &stranger, filter.clone()).await.unwrap().0, 0);
        assert_eq!(list(&engine, &actor(Scope::Admin), filter).await.unwrap().0, 1);
        let job = actor(Scope::Run(one.project_id, "01932b2e-7a3c-7000-8000-0000000000a1".parse().unwrap()));
        let refused = delete(&engine, &job, one.id).await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    }
}
