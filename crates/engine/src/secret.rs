//! Secrets of projects: set, listed, deleted by people; given to runs by name. A value leaves this module in one direction
//! only: into the job that is handed to its executor. It is in no answer, no event and no line of a log.

use std::collections::BTreeMap;

use runyard_domain::{
    FieldErrors, Millis, ProjectId,
    run::{Run, Spec},
    secret::{self as rules, SecretEnv},
    token::Scope,
};
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, model, seal};

/// Most secrets of one project.
const MAX_OF_A_PROJECT: i64 = 1_000;

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// When it was set first.
    pub created_at: Millis,
    /// When it was set last.
    pub updated_at: Millis,
}

/// Sets a secret of a project (`None`: the token's own, or `default`), in place of the value that it had.
pub async fn set(
    engine: &Engine,
    actor: &Actor,
    project: Option<String>,
    name: String,
    value: &str,
) -> Result<Secret> {
    not_of_a_run(actor)?;
    let mut errors = FieldErrors::default();
    rules::check_name("name", &name, &mut errors);
    rules::check_value("value", value, &mut errors);
    errors.finish(())?;
    let place = resolve_project(engine, actor, project).await?;
    let ciphertext = seal::seal(engine, &place_of(place, &name), value);
    let now = engine.now();
    let secret =
        store::secret::Secret { project_id: place, name, ciphertext, created_at: now, updated_at: now };
    engine
        .db
        .write(move |tx| {
            // Again in this transaction: the project may be gone by now.
            if store::project::get(tx, place)?.is_none() {
                return Err(Error::not_found("project", place));
            }
            let known = store::secret::get(tx, place, &secret.name)?.is_some();
            if !known && store::secret::count(tx, place)? >= MAX_OF_A_PROJECT {
                let message = format!(
                    "the project has {MAX_OF_A_PROJECT} secrets, which is the most: delete some first"
                );
                return Err(Error::conflict(message));
            }
            Ok(shown(store::secret::put(tx, &secret)?))
        })
        .await
}

/// The secrets of a project, by name, without their values.
pub async fn list(engine: &Engine, actor: &Actor, project: Option<String>) -> Result<Vec<Secret>> {
    not_of_a_run(actor)?;
    let place = resolve_project(engine, actor, project).await?;
    let found = engine.db.read(move |tx| Ok::<_, Error>(store::secret::list(tx, place)?)).await?;
    Ok(found.into_iter().map(shown).collect())
}

/// Deletes a secret. Jobs that have it keep it; runs that name it cannot be started any more.
pub async fn delete(engine: &Engine, actor: &Actor, project: Option<String>, name: String) -> Result<()> {
    not_of_a_run(actor)?;
    let place = resolve_project(engine, actor, project).await?;
    engine
        .db
        .write(move |tx| {
            let deleted = store::secret::delete(tx, place, &name)?;
            if deleted { Ok(()) } else { Err(Error::not_found("secret", &name)) }
        })
        .await
}

/// Adds what is wrong with the secrets that a new run of this project names: that there is none of such a name.
pub(crate) fn check(tx: &mut Tx, project: ProjectId, spec: &Spec, errors: &mut FieldErrors) -> Result<()> {
    let wanted = spec.secrets.iter().map(|(variable, name)| (format!("spec.secrets.{variable}"), name));
    let registry = spec.registry_secret.iter().map(|name| ("spec.registry_secret".to_owned(), name));
    for (path, name) in wanted.chain(registry) {
        if store::secret::get(tx, project, name)?.is_none() {
            errors.add(
                path,
                format!(
                    "there is no secret `{name}` in the project: set it with `runyard secret set {name}`"
                ),
            );
        }
    }
    Ok(())
}

/// The values that a run's job gets, by variable. `Err` within: why it cannot have them, for people.
pub(crate) async fn of_job(engine: &Engine, run: &Run) -> Result<Result<SecretEnv, String>> {
    let values = values(engine, run, run.spec.secrets.values().cloned().collect()).await?;
    let env = |values: BTreeMap<String, String>| {
        let wanted = run.spec.secrets.iter();
        SecretEnv(
            wanted
                .filter_map(|(variable, name)| Some((variable.clone(), values.get(name)?.clone())))
                .collect(),
        )
    };
    Ok(values.map(env))
}

/// The account at the registry of a run's image, `user:password`; none where the run names none. `Err` within: why it
/// cannot be had, for people.
pub(crate) async fn of_registry(engine: &Engine, run: &Run) -> Result<Result<Option<String>, String>> {
    let Some(name) = &run.spec.registry_secret else { return Ok(Ok(None)) };
    let values = values(engine, run, vec![name.clone()]).await?;
    Ok(values.and_then(|values| match values.into_values().next() {
        Some(account) if account.contains(':') => Ok(Some(account)),
        _ => {
            Err(format!("the secret `{name}` is no account at a registry: its value must be `user:password`"))
        }
    }))
}

/// Values by the names of secrets.
async fn values(
    engine: &Engine,
    run: &Run,
    names: Vec<String>,
) -> Result<Result<BTreeMap<String, String>, String>> {
    if names.is_empty() {
        return Ok(Ok(BTreeMap::new()));
    }
    let project = run.project_id;
    let find = move |tx: &mut Tx| {
        let found = names.iter().map(|name| Ok((name.clone(), store::secret::get(tx, project, name)?)));
        found.collect::<Result<Vec<_>>>()
    };
    let mut values = BTreeMap::new();
    for (name, found) in engine.db.read(find).await? {
        let Some(secret) = found else {
            return Ok(Err(format!(
                "the secret `{name}` was deleted: set it again with `runyard secret set {name}`, and restart the run"
            )));
        };
        let what = format!("the secret `{name}`");
        match seal::unseal(engine, &place_of(project, &name), &secret.ciphertext, &what) {
            Ok(value) => values.insert(name, value),
            Err(error) => return Ok(Err(error.to_string())),
        };
    }
    Ok(Ok(values))
}

async fn resolve_project(engine: &Engine, actor: &Actor, project: Option<String>) -> Result<ProjectId> {
    let actor = actor.clone();
    engine.db.read(move |tx| model::project_named(tx, &actor, project.as_deref())).await
}

/// A program may use the secrets of its run, and neither see which others there are nor change any.
fn not_of_a_run(actor: &Actor) -> Result<()> {
    match actor.scope {
        Scope::Run(..) => {
            Err(Error::Forbidden("the token of a run cannot list or change secrets".to_owned()))
        }
        Scope::Admin | Scope::Project(_) => Ok(()),
    }
}

fn place_of(project: ProjectId, name: &str) -> String {
    format!("secret {project} {name}")
}

fn shown(secret: store::secret::Secret) -> Secret {
    let store::secret::Secret { project_id, name, created_at, updated_at, .. } = secret;
    Secret { project_id, name, created_at, updated_at }
}

#[cfg(test)]
mod tests;
