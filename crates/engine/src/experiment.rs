//! Experiments: names for runs that belong together, with a place for what they make. A run belongs to one by the label
//! [`LABEL`], so that runs are found by it, and outlive it.

use std::collections::BTreeMap;

use runyard_domain::{ExperimentId, FieldErrors, blueprint as rules, channel::Uri, token::Scope};
use runyard_store::{self as store, Tx};
pub use runyard_store::experiment::{Experiment, Filter};

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
