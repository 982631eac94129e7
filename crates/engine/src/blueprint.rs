//! Blueprints: create, read, validate a config, delete.

use std::collections::BTreeMap;

use runyard_domain::{BlueprintId, FieldErrors, blueprint as rules, resources::Resources, token::Scope};
pub use runyard_store::blueprint::{Blueprint, Filter};
use runyard_store::{self as store, Tx};
use serde_json::{Value, json};

use crate::{Actor, Engine, Error, Result, Schema, idempotent, project, run::submit};

/// A blueprint to create.
#[derive(Debug, Clone, Default)]
pub struct NewBlueprint {
    /// Id or name of its project.
    pub project: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// For people.
    pub description: String,
    /// Container image.
    pub image: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// JSON Schema of the config; `None`: any object.
    pub config_schema: Option<Value>,
    /// The task types it serves; empty: any.
    pub task_types: Vec<String>,
    /// Default resources.
    pub resources: Option<Resources>,
    /// Digest of an uploaded source.
    pub source: Option<String>,
    /// Python requirements.
    pub requirements: Vec<String>,
    /// Variables for the program.
    pub env: BTreeMap<String, String>,
}

/// Creates a blueprint; name and version are unique in its project.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    mut new: NewBlueprint,
    idempotency_key: Option<String>,
) -> Result<Blueprint> {
    // Who names some resources and no core gets one, as everywhere.
    new.resources = new.resources.map(|own| own.over(Resources::default()));
    check(&new)?;
    let key = idempotent::Key::new("blueprint", idempotency_key, actor, &format!("{new:?}"))?;
    let (id, now, actor) = (engine.id(BlueprintId::new), engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let project = project::resolve(tx, &actor, &new.project)?;
            if !actor.scope.covers_project(project.id) {
                return Err(Error::Forbidden("the token of a run cannot create blueprints".to_owned()));
            }
            if let Some(id) = key.claim(tx, &id.to_string(), now)? {
                let id = id.parse().map_err(|error| Error::Internal(format!("{error}")))?;
                return store::blueprint::get(tx, id)?.ok_or_else(|| Error::not_found("blueprint", id));
            }
            if let Some(digest) = &new.source {
                submit::check_source(tx, digest)?;
            }
            let same = Filter {
                project_ids: vec![project.id],
                names: vec![new.name.clone()],
                versions: vec![new.version.clone()],
                ..Filter::default()
            };
            if !store::blueprint::list(tx, &same)?.is_empty() {
                return Err(Error::Conflict {
                    code: "already_exists",
                    message: format!(
                        "there is a blueprint `{}` with the version `{}` already: choose another version",
                        new.name, new.version
                    ),
                });
            }
            let blueprint = Blueprint {
                id,
                project_id: project.id,
                name: new.name.clone(),
                version: new.version.clone(),
                description: new.description.clone(),
                image: new.image.clone(),
                command: new.command.clone(),
                config_schema: new.config_schema.clone().unwrap_or_else(|| json!({"type": "object"})),
                task_types: new.task_types.clone(),
                resources: new.resources.clone(),
                source: new.source.clone(),
                requirements: new.requirements.clone(),
                env: new.env.clone(),
                created_at: now,
                user_id: actor.name.clone(),
                deleted_at: None,
            };
            store::blueprint::insert(tx, &blueprint)?;
            Ok(blueprint)
        })
        .await
}

/// Blueprints that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<Blueprint>> {
    let own = match actor.scope {
        Scope::Admin => None,
        Scope::Project(own) | Scope::Run(own, _) => Some(own),
    };
    if let Some(own) = own {
        if !filter.project_ids.is_empty() && !filter.project_ids.contains(&own) {
            return Ok(Vec::new());
        }
        filter.project_ids = vec![own];
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::blueprint::list(tx, &filter)?)).await
}

/// The blueprint with this id, unless it was deleted.
pub async fn get(engine: &Engine, actor: &Actor, id: BlueprintId) -> Result<Blueprint> {
    let actor = actor.clone();
    engine.db.read(move |tx| resolve(tx, &actor, id)).await
}

/// Whether the config is valid: `Err(Invalid)` names every wrong field under `config`.
pub async fn validate(engine: &Engine, actor: &Actor, id: BlueprintId, config: &Value) -> Result<()> {
    let blueprint = get(engine, actor, id).await?;
    let mut errors = FieldErrors::default();
    errors.merge("config", check_config(&blueprint, config)?);
    Ok(errors.finish(())?)
}

/// Deletes a blueprint: it no longer resolves; runs that were made of it stay.
pub async fn delete(engine: &Engine, actor: &Actor, id: BlueprintId) -> Result<()> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let blueprint = resolve(tx, &actor, id)?;
            if !actor.scope.covers_project(blueprint.project_id) {
                return Err(Error::Forbidden("the token of a run cannot delete blueprints".to_owned()));
            }
            store::blueprint::delete(tx, id, now)?;
            Ok(())
        })
        .await
}

/// The blueprint, if it is there and the actor's token reaches it.
pub(crate) fn resolve(tx: &mut Tx, actor: &Actor, id: BlueprintId) -> Result<Blueprint> {
    store::blueprint::get(tx, id)?
        .filter(|blueprint| blueprint.deleted_at.is_none())
        .filter(|blueprint| match actor.scope {
            Scope::Run(own, _) => own == blueprint.project_id,
            scope => scope.covers_project(blueprint.project_id),
        })
        .ok_or_else(|| Error::not_found("blueprint", id))
}

/// What is wrong with a config, by paths below the config.
pub(crate) fn check_config(blueprint: &Blueprint, config: &Value) -> Result<FieldErrors> {
    let schema = Schema::compile(&blueprint.config_schema).map_err(|error| {
        Error::Internal(format!("the stored schema of blueprint {} does not compile: {error}", blueprint.id))
    })?;
    Ok(schema.check(config))
}

fn check(new: &NewBlueprint) -> Result<()> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &new.name, &mut errors);
    rules::check_version("version", &new.version, &mut errors);
    rules::check_description("description", &new.description, &mut errors);
    if new.command.is_empty() && new.image.is_none() {
        errors.add("command", "is needed, unless an image brings its own");
    }
    if let Some(schema) = &new.config_schema
        && let Err(error) = Schema::compile(schema)
    {
        errors.add("config_schema", error);
    }
    for (index, task_type) in new.task_types.iter().enumerate() {
        rules::check_name(&format!("task_types.{index}"), task_type, &mut errors);
    }
    if let Some(resources) = &new.resources
        && let Err(wrong) = resources.demand()
    {
        errors.merge("resources", wrong);
    }
    submit::check_command("command", &new.command, &mut errors);
    submit::check_env("env", &new.env, &mut errors);
    submit::check_requirements("requirements", &new.requirements, &mut errors);
    Ok(errors.finish(())?)
}
