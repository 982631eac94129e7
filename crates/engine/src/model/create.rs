//! Makes a model: a name for versions.

use runyard_domain::{FieldErrors, ModelId, blueprint as rules, model as names};
use runyard_store as store;

use super::{Model, project_named};
use crate::{Actor, Engine, Error, Result, idempotent};

/// Makes a model, with an id of the caller's choice if there is one, in a project (by id or name; `None`: the token's own, or `default`). `idempotency_key`: a repeat with the
/// same body answers the same model.
///
/// # Errors
/// 409 `exists` when the project has a model with this name.
pub async fn create(
    engine: &Engine,
    actor: &Actor,
    id: Option<ModelId>,
    name: String,
    project: Option<String>,
    description: String,
    idempotency_key: Option<String>,
) -> Result<Model> {
    let mut errors = FieldErrors::default();
    names::check_name("name", &name, &mut errors);
    rules::check_description("description", &description, &mut errors);
    errors.finish(())?;
    let (id, now) = (id.unwrap_or_else(|| engine.id(ModelId::new)), engine.now());
    let request = format!("{name}\n{project:?}\n{description}");
    let key = idempotent::Key::new("model", idempotency_key, actor, &request)?;
    let actor = actor.clone();
    engine
        .db
        .write(move |tx| {
            let project = project_named(tx, &actor, project.as_deref()).map_err(|error| match error {
                Error::NotFound { .. } => Error::field("project_id", error.to_string()),
                other => other,
            })?;
            if let Some(same) = key.claim(tx, &id.to_string(), now)? {
                let same: ModelId =
                    same.parse().map_err(|error| Error::Internal(format!("idempotency: {error}")))?;
                return store::model::get(tx, same)?.ok_or_else(|| Error::not_found("model", same));
            }
            if store::model::get(tx, id)?.is_some() {
                let message = format!("there is a model with the id `{id}` already: choose another id");
                return Err(Error::Conflict { code: "exists", message });
            }
            let model = Model {
                id,
                project_id: project,
                name: name.clone(),
                description: description.clone(),
                created_at: now,
                versions: 0,
            };
            if store::model::insert(tx, &model)? { Ok(model) } else { Err(taken(&name)) }
        })
        .await
}

/// The project has a model with this name.
pub(super) fn taken(name: &str) -> Error {
    let message = format!("the project has a model `{name}` already: publish to it, or choose another name");
    Error::Conflict { code: "exists", message }
}
