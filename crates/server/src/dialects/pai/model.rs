//! Models, as PAI's registry has them: a model of ours, and its versions by their tags. What only PAI's clients know of a version
//! is kept in its config.

use axum::extract::{Path, State};
use runyard_domain::{channel::Uri, model::State as Ready};
use runyard_engine::{
    self as engine,
    model::{Filter, Model, ModelFilter, ModelVersion},
};
use serde_json::{Map, Value, json};

use super::{Answer, Asked, body, job::project, query::Parameters, show::time};
use crate::{app::App, body::Raw, error::Problem, limits};

/// Where in the config of a version is what only PAI's clients know.
const OWN: &str = "pai";
/// Fields of a version that are kept as they are sent.
const KEPT: [&str; 13] = [
    "ApprovalStatus",
    "CompressionSpec",
    "EvaluationSpec",
    "ExtraInfo",
    "FormatType",
    "FrameworkType",
    "InferenceSpec",
    "Metrics",
    "Options",
    "SourceId",
    "SourceType",
    "TrainingSpec",
    "Uri",
];
/// Versions that are looked through for a name that is free.
const NAMES_TRIED: i64 = 1000;

pub(super) async fn list(State(app): State<App>, asked: Asked, parameters: Parameters) -> Answer {
    let page = parameters.page()?;
    let named = project(&app, &asked, parameters.text("WorkspaceId").filter(|id| *id != "None")).await?;
    let project = engine::project::get(&app.engine, &asked.actor, &named).await?;
    let filter = ModelFilter {
        project_ids: vec![project.id],
        // In quotes: exactly this one, and it is never anything else here.
        names: parameters
            .text("ModelName")
            .map(|name| name.trim_matches('"').to_owned())
            .into_iter()
            .collect(),
        limit: page.size,
        offset: page.offset,
        ..ModelFilter::default()
    };
    let (total, models) = engine::model::list_counted(&app.engine, &asked.actor, filter).await?;
    let mut all = Vec::with_capacity(models.len());
    for model in &models {
        all.push(shown(&app, &asked, model).await?);
    }
    Ok(asked.answer(json!({"Models": all, "TotalCount": total})))
}

pub(super) async fn get(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let model = engine::model::get(&app.engine, &asked.actor, &id, None).await?;
    Ok(asked.answer(shown(&app, &asked, &model).await?))
}

pub(super) async fn create(State(app): State<App>, asked: Asked, Raw(sent): Raw<{ limits::FORM }>) -> Answer {
    let sent = body(&sent)?;
    let text = |name: &str| sent[name].as_str().map(str::to_owned);
    let named = project(&app, &asked, text("WorkspaceId").as_deref().filter(|id| *id != "None")).await?;
    let (actor, name) = (asked.actor.clone(), text("ModelName").unwrap_or_default());
    let description = text("ModelDescription").unwrap_or_default();
    let create = move |engine| async move {
        engine::model::create(&engine, &actor, None, name, Some(named), description, None).await
    };
    let model = app.command(create).await.map_err(|problem| renamed(problem, "name", "ModelName"))?;
    Ok(asked.answer(json!({"ModelId": model.id.to_string()})))
}

pub(super) async fn delete(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let actor = asked.actor.clone();
    app.command(move |engine| async move { engine::model::delete(&engine, &actor, &id, None).await }).await?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn versions(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let (model, page) = (engine::model::get(&app.engine, &asked.actor, &id, None).await?, parameters.page()?);
    let filter = Filter {
        model_ids: vec![model.id],
        states: vec![Ready::Available],
        tags: parameters.text("VersionName").map(str::to_owned).into_iter().collect(),
        limit: page.size,
        offset: page.offset,
        ..Filter::default()
    };
    let (total, found) = engine::model::versions_counted(&app.engine, &asked.actor, filter).await?;
    let shown: Vec<Value> = found.iter().map(version).collect();
    Ok(asked.answer(json!({"Versions": shown, "TotalCount": total})))
}

pub(super) async fn get_version(
    State(app): State<App>,
    asked: Asked,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    Ok(asked.answer(version(&find(&app, &asked, &id, &name).await?)))
}

/// The objects at the address become the version's content, as they are now.
pub(super) async fn create_version(
    State(app): State<App>,
    asked: Asked,
    Path(id): Path<String>,
    Raw(sent): Raw<{ limits::JSON }>,
) -> Answer {
    let sent = body(&sent)?;
    let model = engine::model::get(&app.engine, &asked.actor, &id, None).await?;
    let uri = sent["Uri"].as_str().unwrap_or_default();
    let plain = uri.split_once('?').map_or(uri, |(plain, _)| plain);
    let place = match Uri::parse(plain) {
        Ok(Uri::Oss(place)) => place,
        Ok(_) => {
            return Err(Problem::field(
                "Uri",
                format!("`{uri}` is no object of this server: it is oss://BUCKET/KEY"),
            ));
        }
        Err(error) => return Err(Problem::field("Uri", error.to_string())),
    };
    let name = match sent["VersionName"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => free_name(&app, &asked, &model).await?,
    };
    let new = engine::model::NewVersion {
        tag: Some(name),
        description: sent["VersionDescription"].as_str().unwrap_or_default().to_owned(),
        config: Map::from_iter([(OWN.to_owned(), own(&sent))]),
        ..engine::model::NewVersion::default()
    };
    let (actor, model) = (asked.actor.clone(), model.id.to_string());
    let create = move |engine| async move {
        engine::model::bucket::create(&engine, &actor, &model, None, new, &place).await
    };
    let made = app.command(create).await.map_err(|problem| renamed(problem, "uri", "Uri"))?;
    Ok(asked.answer(json!({"VersionName": version_name(&made)})))
}

/// What people write on a version changes, and what is left out stays.
pub(super) async fn update_version(
    State(app): State<App>,
    asked: Asked,
    Path((id, name)): Path<(String, String)>,
    Raw(sent): Raw<{ limits::JSON }>,
) -> Answer {
    let sent = body(&sent)?;
    let found = find(&app, &asked, &id, &name).await?;
    let mut config = found.config.clone();
    let mut known = config.remove(OWN).unwrap_or_else(|| json!({}));
    if let (Some(known), Value::Object(changed)) = (known.as_object_mut(), own(&sent)) {
        known.extend(
            changed
                .into_iter()
                .filter(|(name, _)| name != "Uri" && (name != "Labels" || !sent["Labels"].is_null())),
        );
    }
    config.insert(OWN.to_owned(), known);
    let patch = engine::model::Patch {
        description: sent["VersionDescription"].as_str().map(str::to_owned),
        config: Some(config),
        ..engine::model::Patch::default()
    };
    engine::model::patch_version(&app.engine, &asked.actor, found.id, patch).await?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn delete_version(
    State(app): State<App>,
    asked: Asked,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    let (found, actor) = (find(&app, &asked, &id, &name).await?, asked.actor.clone());
    app.command(move |engine| async move { engine::model::delete_version(&engine, &actor, found.id).await })
        .await?;
    Ok(asked.answer(json!({})))
}

/// What a job wrote to its output `model`, and the versions that it published.
pub(super) async fn of_job(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let run = super::job::find(&app, &asked, &id).await?;
    let output = run.spec.outputs.get("model").cloned().flatten();
    let mut models: Vec<Value> = output
        .iter()
        .map(|uri| json!({"OutputChannelName": "model", "Uri": uri, "SourceType": "TrainingJob", "SourceId": id}))
        .collect();
    let filter =
        Filter { run_ids: vec![run.id], states: vec![Ready::Available], limit: 1000, ..Filter::default() };
    for found in engine::model::versions(&app.engine, &asked.actor, filter).await? {
        let mut shown = version(&found);
        shown["ModelName"] = json!(found.model);
        shown["ModelId"] = json!(found.model_id.to_string());
        models.push(shown);
    }
    Ok(asked.answer(json!({"JobId": super::id::job(run.id), "OutputModels": models})))
}

/// A model with its newest version.
async fn shown(app: &App, asked: &Asked, model: &Model) -> Result<Value, Problem> {
    let filter =
        Filter { model_ids: vec![model.id], states: vec![Ready::Available], limit: 1, ..Filter::default() };
    let newest = engine::model::versions(&app.engine, &asked.actor, filter).await?;
    let mut shown = json!({
        "ModelId": model.id.to_string(), "ModelName": model.name, "ModelDescription": model.description,
        "WorkspaceId": model.project_id.to_string(), "GmtCreateTime": time(model.created_at),
        "GmtModifiedTime": time(model.created_at), "Accessibility": "PRIVATE", "Labels": [],
    });
    if let Some(newest) = newest.first() {
        shown["LatestVersion"] = version(newest);
    }
    Ok(shown)
}

fn version(found: &ModelVersion) -> Value {
    let own = found.config.get(OWN).cloned().unwrap_or_else(|| json!({}));
    let mut shown = json!({
        "VersionName": version_name(found), "VersionDescription": found.description,
        "GmtCreateTime": time(found.created_at), "GmtModifiedTime": time(found.updated_at), "UserId": found.user_id,
        "Uri": format!("model://{}", found.id), "Labels": [], "InferenceSpec": {}, "TrainingSpec": {}, "Metrics": {},
    });
    if let (Some(shown), Value::Object(own)) = (shown.as_object_mut(), own) {
        shown.extend(own);
    }
    shown
}

fn version_name(found: &ModelVersion) -> String {
    found.tag.clone().unwrap_or_else(|| found.id.to_string())
}

/// What of a request only PAI's clients know.
fn own(sent: &Value) -> Value {
    let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), sent.get(*name)?.clone())));
    let mut kept: Map<String, Value> = kept.filter(|(_, value)| !value.is_null()).collect();
    let labels = sent["Labels"].as_array().cloned().unwrap_or_default();
    kept.insert("Labels".to_owned(), labels.into());
    kept.into()
}

/// `0.1.0`, then `0.2.0`: as PAI counts.
async fn free_name(app: &App, asked: &Asked, model: &Model) -> Result<String, Problem> {
    for number in model.versions + 1..=model.versions + NAMES_TRIED {
        let name = format!("0.{number}.0");
        let filter =
            Filter { model_ids: vec![model.id], tags: vec![name.clone()], limit: 1, ..Filter::default() };
        if engine::model::versions(&app.engine, &asked.actor, filter).await?.is_empty() {
            return Ok(name);
        }
    }
    Err(Problem::field("VersionName", "is needed: the next thousand numbers are taken"))
}

/// The version of a model by its tag or id.
async fn find(app: &App, asked: &Asked, model: &str, name: &str) -> Result<ModelVersion, Problem> {
    let model = engine::model::get(&app.engine, &asked.actor, model, None).await?;
    let filter =
        Filter { model_ids: vec![model.id], tags: vec![name.to_owned()], limit: 1, ..Filter::default() };
    if let Some(found) = engine::model::versions(&app.engine, &asked.actor, filter).await?.pop() {
        return Ok(found);
    }
    let missing = || {
        let name: String = name.chars().take(100).collect();
        Problem::not_found(format!("model `{}` has no version `{name}`", model.name))
    };
    let id = name.parse().map_err(|_| missing())?;
    let found = engine::model::version(&app.engine, &asked.actor, id).await?;
    if found.model_id == model.id { Ok(found) } else { Err(missing()) }
}

fn renamed(mut problem: Problem, ours: &str, theirs: &str) -> Problem {
    if let Some(said) = problem.errors.as_mut().and_then(|errors| errors.remove(ours)) {
        problem.errors.get_or_insert_default().insert(theirs.to_owned(), said);
    }
    problem
}
