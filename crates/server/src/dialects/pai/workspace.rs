//! Workspaces, which are projects here, and their settings: the one that is asked for is the bucket that files go to when the
//! client names none.

use axum::extract::{Path, State};
use runyard_domain::token::Scope;
use runyard_engine::{self as engine, project::Project};
use serde_json::{Value, json};

use super::{Answer, Asked, job::project, query::Parameters, show::time};
use crate::app::App;

/// The setting whose value is the default bucket.
const BUCKET_KEY: &str = "modelExportPath";

pub(super) async fn list(State(app): State<App>, asked: Asked, parameters: Parameters) -> Answer {
    let page = parameters.page()?;
    let wanted = parameters.text("WorkspaceName");
    let mut projects = engine::project::list(&app.engine, &asked.actor).await?;
    projects.retain(|project| wanted.is_none_or(|wanted| project.name == wanted));
    let all: Vec<Value> = projects.iter().map(shown).collect();
    let total = all.len();
    Ok(asked.answer(json!({"Workspaces": page.of(all), "TotalCount": total})))
}

pub(super) async fn get(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let project = engine::project::get(&app.engine, &asked.actor, &id).await?;
    Ok(asked.answer(shown(&project)))
}

/// The caller's own project, or the one that is always there.
pub(super) async fn get_default(State(app): State<App>, asked: Asked) -> Answer {
    let named = project(&app, &asked, None).await?;
    let project = engine::project::get(&app.engine, &asked.actor, &named).await?;
    Ok(asked.answer(shown(&project)))
}

fn shown(project: &Project) -> Value {
    json!({
        "WorkspaceId": project.id.to_string(), "WorkspaceName": project.name, "DisplayName": project.name,
        "Description": project.description, "Status": "ENABLED", "GmtCreateTime": time(project.created_at),
        "IsDefault": project.name == engine::project::DEFAULT, "EnvTypes": ["prod"], "AdminNames": [],
    })
}

pub(super) async fn configs(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let keys = parameters.text("ConfigKeys");
    let is_asked = keys.is_none_or(|keys| keys.split(',').any(|key| key.trim() == BUCKET_KEY));
    let mut configs = Vec::new();
    if is_asked && !matches!(asked.actor.scope, Scope::Run(..)) {
        let project = project(&app, &asked, Some(&id)).await?;
        let project = engine::project::get(&app.engine, &asked.actor, &project).await?;
        let value = format!("oss://{}/", default_bucket(&project));
        configs.push(
            json!({"ConfigKey": BUCKET_KEY, "ConfigValue": value, "CategoryName": "CommonResourceConfig"}),
        );
    }
    let total = configs.len();
    Ok(asked.answer(json!({"Configs": configs, "TotalCount": total})))
}

/// The bucket of a project. Names of buckets are those of the whole server, so it has the project's id; it is made when
/// something is written to it.
fn default_bucket(project: &Project) -> String {
    format!("runyard-{}", project.id.0.simple())
}
