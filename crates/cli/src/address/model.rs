//! From what a person writes to the version or the model that is meant.

use runyard_client::{Error as ClientError, model::Filter};
use runyard_domain::model::Reference;
use runyard_wire::model::{Model, ModelVersion};

use crate::{context::Context, failure::Failure};

/// What may be meant: a version, or a model with all of its versions.
#[derive(Debug)]
pub(crate) enum Meant {
    Version(Box<ModelVersion>),
    Model(Model),
}

/// The version that `text` means: `NAME@TAG`, `NAME` for its newest available one, or an id.
pub(crate) async fn version(context: &Context, text: &str) -> Result<ModelVersion, Failure> {
    match meant(context, text).await? {
        Meant::Version(version) => Ok(*version),
        Meant::Model(model) => newest(context, &model).await,
    }
}

/// What `text` means: `NAME@TAG` or the id of a version, or `NAME` or the id of a model.
pub(crate) async fn meant(context: &Context, text: &str) -> Result<Meant, Failure> {
    match Reference::parse(text).map_err(Failure::usage)? {
        Reference::Newest(name) => Ok(Meant::Model(model(context, &name).await?)),
        Reference::Tagged(name, tag) => {
            let model = model(context, &name).await?;
            let filter = Filter { tag: vec![tag.clone()], ..available(&model) };
            let found = context.client.model_versions(&filter).await?.pop();
            found.map(|found| Meant::Version(Box::new(found))).ok_or_else(|| {
                Failure::new(format!("model `{name}` has no version with the tag `{tag}`"))
                    .hint(format!("`runyard model ls {name}` lists those that it has"))
            })
        }
        Reference::Id(id) => {
            let id = id.to_string();
            match context.client.model_version(&id).await {
                Ok(found) => Ok(Meant::Version(Box::new(found))),
                // Models have ids of the same form.
                Err(error) if is_absent(&error) => Ok(Meant::Model(model(context, &id).await?)),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// The model with this name or id.
pub(crate) async fn model(context: &Context, name: &str) -> Result<Model, Failure> {
    match context.client.model(name, context.project.as_deref()).await {
        Err(error) if is_absent(&error) => Err(Failure::new(format!("there is no model `{name}`"))
            .hint("`runyard model ls` lists those that are there; --project may restrict the search")),
        found => Ok(found?),
    }
}

async fn newest(context: &Context, model: &Model) -> Result<ModelVersion, Failure> {
    let found = context.client.model_versions(&available(model)).await?.pop();
    found.ok_or_else(|| {
        Failure::new(format!("model `{}` has no available version", model.name))
            .hint(format!("`runyard model publish DIR --name {}` makes one", model.name))
    })
}

/// The newest available version.
fn available(model: &Model) -> Filter {
    Filter {
        model_id: vec![model.id.clone()],
        state: vec!["available".to_owned()],
        limit: Some(1),
        ..Filter::default()
    }
}

fn is_absent(error: &ClientError) -> bool {
    error.status() == Some(404) && error.code().is_some()
}

/// `digits@v3`, or the model and the end of the id where there is no tag.
pub(crate) fn title(version: &ModelVersion) -> String {
    let model = version.model.as_deref().unwrap_or("model");
    match &version.tag {
        Some(tag) => format!("{model}@{tag}"),
        None => format!("{model} ({})", super::short(version.id.as_deref().unwrap_or_default())),
    }
}
