//! Projects: create, read, change, delete.

use runyard_domain::{FieldErrors, ProjectId, blueprint as rules, token::Scope};
pub use runyard_store::project::Project;
use runyard_store::{self as store, Tx};

use crate::{Actor, Engine, Error, Result, idempotent};

/// The project that is there from the start, and that runs go to when none is named.
pub const DEFAULT: &str = "default";

/// Creates a project. Admin only. `idempotency_key`: a repeat with the same body answers the same project.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    name: String,
    description: String,
    idempotency_key: Option<String>,
) -> Result<Project> {
    admin(actor, "create projects")?;
    check(Some(&name), Some(&description))?;
    let project = Project { id: engine.id(ProjectId::new), name, description, created_at: engine.now() };
    let request = format!("{}\n{}", project.name, project.description);
    let key = idempotent::Key::new("project", idempotency_key, actor, &request)?;
    engine
        .db
        .write(move |tx| {
            if let Some(id) = key.claim(tx, &project.id.to_string(), project.created_at)? {
                return find(tx, &id)?.ok_or_else(|| Error::not_found("project", id));
            }
            free_name(tx, &project.name)?;
            store::project::insert(tx, &project)?;
            Ok::<_, Error>(project.clone())
        })
        .await
}

/// All projects that the actor may read, by name.
pub async fn list(engine: &Engine, actor: &Actor) -> Result<Vec<Project>> {
    let own = match actor.scope {
        Scope::Admin => None,
        Scope::Project(own) | Scope::Run(own, _) => Some(own),
    };
    let all = engine.db.read(|tx| Ok::<_, Error>(store::project::list(tx)?)).await?;
    Ok(all.into_iter().filter(|project| own.is_none_or(|own| project.id == own)).collect())
}

/// The project with this id or name.
pub async fn get(engine: &Engine, actor: &Actor, id_or_name: &str) -> Result<Project> {
    let (actor, wanted) = (actor.clone(), id_or_name.to_owned());
    engine.db.read(move |tx| resolve(tx, &actor, &wanted)).await
}

/// Changes name or description. Admin only.
pub async fn patch(
    engine: &Engine,
    actor: &Actor,
    id_or_name: &str,
    name: Option<String>,
    description: Option<String>,
) -> Result<Project> {
    admin(actor, "change projects")?;
    check(name.as_deref(), description.as_deref())?;
    let (actor, wanted) = (actor.clone(), id_or_name.to_owned());
    engine
        .db
        .write(move |tx| {
            let project = resolve(tx, &actor, &wanted)?;
            if let Some(name) = name.as_ref().filter(|name| **name != project.name) {
                free_name(tx, name)?;
            }
            store::project::update(tx, project.id, name.as_deref(), description.as_deref())?
                .ok_or_else(|| Error::not_found("project", &wanted))
        })
        .await
}

/// Deletes a project that has neither runs nor models, with its blueprints and tokens. Admin only.
pub async fn delete(engine: &Engine, actor: &Actor, id_or_name: &str) -> Result<ProjectId> {
    admin(actor, "delete projects")?;
    let (actor, wanted) = (actor.clone(), id_or_name.to_owned());
    engine
        .db
        .write(move |tx| {
            let project = resolve(tx, &actor, &wanted)?;
            if project.name == DEFAULT {
                return Err(Error::conflict("the project `default` is always there: it cannot be deleted"));
            }
            if store::run::exists_in(tx, project.id)? {
                return Err(Error::conflict(format!(
                    "project `{}` still has runs: delete them first (`runyard ls --project {0}`)",
                    project.name
                )));
            }
            if store::worker_run::exists_in(tx, project.id)? {
                return Err(Error::conflict(format!(
                    "project `{}` still has worker runs: delete them first",
                    project.name
                )));
            }
            if store::corpus::exists_in(tx, project.id)? {
                return Err(Error::conflict(format!(
                    "project `{}` still has corpora: delete them first",
                    project.name
                )));
            }
            if store::model::exists_in(tx, project.id)? {
                return Err(Error::conflict(format!(
                    "project `{}` still has models: delete them first (`runyard model ls --project {0}`)",
                    project.name
                )));
            }
            if let Some(bucket) = store::oss::delete_empty(tx, project.id)? {
                return Err(Error::conflict(format!(
                    "project `{}` still has the bucket `{bucket}` with objects in it: delete them first",
                    project.name
                )));
            }
            store::image::delete_project(tx, project.id)?;
            store::experiment::delete_project(tx, project.id)?;
            store::project::delete(tx, project.id)?;
            Ok(project.id)
        })
        .await
}

/// The project with this id or name, if the actor's token reaches it.
pub(crate) fn resolve(tx: &mut Tx, actor: &Actor, id_or_name: &str) -> Result<Project> {
    let project = find(tx, id_or_name)?;
    project
        .filter(|project| match actor.scope {
            Scope::Run(own, _) => own == project.id,
            scope => scope.covers_project(project.id),
        })
        .ok_or_else(|| Error::not_found("project", id_or_name))
}

/// Says no to all but admins.
pub(crate) fn admin(actor: &Actor, what: &str) -> Result<()> {
    match actor.scope {
        Scope::Admin => Ok(()),
        scope => Err(Error::Forbidden(format!(
            "only an admin token may {what}: this one has the scope {}",
            scope.word()
        ))),
    }
}

fn find(tx: &mut Tx, id_or_name: &str) -> Result<Option<Project>> {
    Ok(match id_or_name.parse::<ProjectId>() {
        Ok(id) => store::project::get(tx, id)?,
        Err(_) => store::project::by_name(tx, id_or_name)?,
    })
}

fn free_name(tx: &mut Tx, name: &str) -> Result<()> {
    if store::project::by_name(tx, name)?.is_some() {
        let message = format!("there is a project `{name}` already: choose another name");
        return Err(Error::Conflict { code: "already_exists", message });
    }
    Ok(())
}

fn check(name: Option<&str>, description: Option<&str>) -> Result<()> {
    let mut errors = FieldErrors::default();
    if let Some(name) = name {
        rules::check_project_name("name", name, &mut errors);
    }
    if let Some(description) = description {
        rules::check_description("description", description, &mut errors);
    }
    Ok(errors.finish(())?)
}
