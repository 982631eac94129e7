//! Runs, as Chariot's clients submit, read, stop, restart and delete them.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
};
use runyard_domain::{
    FieldErrors, RunId, filter::parse_time, record::Progress, resources as domain, run::Status,
};
use runyard_engine as engine;
use runyard_wire::Data;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, data, form, ids, projects, select, settings::Time};
use crate::{
    app::{App, Id, IdempotencyKey},
    auth::Caller,
    body::{self, Valid},
    error::Problem,
    limits,
    query::{self, Lenient, pattern, sort_by_creation},
};

/// Everything that a run may have here; what `select` chooses from.
const FIELDS: [&str; 15] = [
    "id",
    "project_id",
    "user_id",
    "created_at",
    "name",
    "version",
    "blueprint_id",
    "task_type",
    "config",
    "resources",
    "notes",
    "progress",
    "progress_updated_at",
    "status",
    "status_updated_at",
];

#[derive(Serialize)]
pub(super) struct Run {
    id: String,
    project_id: String,
    user_id: String,
    created_at: Time,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blueprint_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<String>,
    config: Value,
    resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// `[]` when there is none, never null.
    progress: Vec<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_updated_at: Option<Time>,
    status: Status,
    status_updated_at: Time,
}

/// Here a run always has a memory: [`UNLIMITED`] is our "no limit".
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ChariotResources)]
pub(super) struct Resources {
    cpu: String,
    memory: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<Gpu>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ChariotGpu)]
struct Gpu {
    count: i64,
    r#type: String,
}

/// A quantity of memory that says: as much as there is.
const UNLIMITED: &str = "0";

#[derive(Deserialize, ToSchema)]
pub(super) struct SubmitRunRequest {
    blueprint_id: String,
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    name: String,
    project_id: String,
    resources: Resources,
    task_type: String,
    version: String,
    notes: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
pub(super) struct RestartRunRequest {
    resources: Option<Resources>,
}

#[derive(Serialize)]
pub(super) struct Created {
    pub(super) id: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    blueprint_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    user_id: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    version: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    status: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    task_type: Vec<String>,
    #[param(nullable = false)]
    created_after: Option<String>,
    #[param(nullable = false)]
    created_before: Option<String>,
    #[param(nullable = false)]
    id_after: Option<String>,
    #[serde(default)]
    #[param(required = false)]
    select: Vec<String>,
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Grace {
    #[param(nullable = false)]
    grace_period_seconds: Option<i64>,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Lenient(mut wanted): Lenient<Wanted>,
) -> Answer<Vec<Value>> {
    let mut errors = FieldErrors::default();
    let fields = select::read(&mut errors, "run", std::mem::take(&mut wanted.select), &FIELDS);
    let filter = filter(&app, &actor, &mut errors, wanted).await?;
    errors.finish(())?;
    let Some(filter) = filter else { return data(Vec::new()) };
    let runs = engine::run::list(&app.engine, &actor, filter).await?;
    select::show(runs.into_iter().map(|run| show(&app, run)), fields.as_ref())
}

/// `None`: nothing can match.
async fn filter(
    app: &App,
    actor: &engine::Actor,
    errors: &mut FieldErrors,
    wanted: Wanted,
) -> Result<Option<engine::run::Filter>, Problem> {
    let (found, blueprints) = (ids(&wanted.id), ids(&wanted.blueprint_id));
    let projects = projects(app, actor, &wanted.project_id).await?;
    let filter = engine::run::Filter {
        user_ids: wanted.user_id,
        name_ilikes: query::each(errors, "name_ilike", wanted.name_ilike, pattern),
        versions: wanted.version,
        statuses: query::each(errors, "status", wanted.status, str::parse),
        task_types: wanted.task_type,
        created_after: query::one(errors, "created_after", wanted.created_after, parse_time),
        created_before: query::one(errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
        ..engine::run::Filter::default()
    };
    let places = found.zip(blueprints).zip(projects);
    Ok(places.map(|((ids, blueprint_ids), project_ids)| engine::run::Filter {
        ids,
        blueprint_ids,
        project_ids,
        ..filter
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<SubmitRunRequest>,
) -> Result<(StatusCode, Json<Data<Created>>), Problem> {
    let new = engine::run::NewRun {
        project: Some(new.project_id),
        name: new.name,
        version: new.version,
        blueprint: Some(new.blueprint_id),
        task_type: Some(new.task_type),
        config: Some(new.config),
        resources: Some(new.resources.into()),
        notes: new.notes,
        ..engine::run::NewRun::default()
    };
    let submit = move |engine| async move { engine::run::submit(&engine, &actor, new, key).await };
    let id = app.command(submit).await?.id.to_string();
    Ok((app.chariot.created(), Json(Data { data: Created { id } })))
}

pub(super) async fn get(State(app): State<App>, Caller(actor): Caller, Id(id): Id<RunId>) -> Answer<Run> {
    let run = engine::run::get(&app.engine, &actor, id).await?;
    data(show(&app, run))
}

pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
) -> Result<StatusCode, Problem> {
    app.command(move |engine| async move { engine::run::delete(&engine, &actor, id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The grace is in the query, or in a form.
pub(super) async fn stop(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Lenient(query): Lenient<Grace>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let grace = match query.grace_period_seconds {
        None => in_form(request).await?,
        given => given,
    };
    app.command(move |engine| async move { engine::run::stop(&engine, &actor, id, grace).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn in_form(request: Request<Body>) -> Result<Option<i64>, Problem> {
    let (parts, body) = request.into_parts();
    let mime = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |mime| mime.as_bytes());
    if !mime.starts_with(b"application/x-www-form-urlencoded") {
        return Ok(None);
    }
    let body = body::read(&parts.headers, body, limits::FORM).await?;
    let Some(text) = form::fields(&body)?.remove("grace_period_seconds") else { return Ok(None) };
    let number = text.parse().map_err(|_| Problem::field("grace_period_seconds", "is not a whole number"))?;
    Ok(Some(number))
}

pub(super) async fn restart(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<RunId>,
    Valid(body): Valid<Option<RestartRunRequest>>,
) -> Result<StatusCode, Problem> {
    let resources = body.unwrap_or_default().resources.map(domain::Resources::from);
    let restart = move |engine| async move { engine::run::restart(&engine, &actor, id, resources).await };
    app.command(restart).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn show(app: &App, run: engine::run::Run) -> Run {
    let time = |at| app.chariot.time(at);
    Run {
        id: run.id.to_string(),
        project_id: run.project_id.to_string(),
        user_id: run.user_id,
        created_at: time(run.created_at),
        name: run.name,
        version: run.version,
        blueprint_id: run.blueprint_id.map(|id| id.to_string()),
        task_type: run.task_type,
        config: run.config,
        resources: run.resources.into(),
        notes: run.notes,
        progress: run.progress.into_iter().map(|operation| operation.reported).collect(),
        progress_updated_at: run.progress_updated_at.map(time),
        status: run.life.status,
        status_updated_at: time(run.status_updated_at),
    }
}

impl From<Resources> for domain::Resources {
    fn from(resources: Resources) -> Self {
        Self {
            cpu: resources.cpu,
            memory: Some(resources.memory).filter(|memory| memory != UNLIMITED),
            ephemeral_storage: resources.ephemeral_storage,
            shared_memory: None,
            gpu: resources.gpu.map(|gpu| domain::Gpu { count: gpu.count, kind: gpu.r#type }),
        }
    }
}

impl From<domain::Resources> for Resources {
    fn from(resources: domain::Resources) -> Self {
        Self {
            cpu: resources.cpu,
            memory: resources.memory.unwrap_or_else(|| UNLIMITED.to_owned()),
            ephemeral_storage: resources.ephemeral_storage,
            gpu: resources.gpu.map(|gpu| Gpu { count: gpu.count, r#type: gpu.kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_document_and_the_code_agree_on_the_fields_of_a_run() {
        let parameters: BTreeSet<String> =
            Wanted::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
        super::super::tests::agrees("/v2/runs", &parameters, &FIELDS);
        let document: Value = serde_json::from_str(super::super::DOCUMENT).unwrap();
        let fields = document["definitions"]["Run"]["properties"].as_object().unwrap();
        assert_eq!(fields.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
    }

    #[test]
    fn a_run_without_a_limit_of_memory_keeps_none_when_its_resources_are_sent_back() {
        let ours = domain::Resources { cpu: "500m".into(), ..domain::Resources::default() };
        let theirs = serde_json::to_value(Resources::from(ours.clone())).unwrap();
        assert_eq!(theirs, serde_json::json!({"cpu": "500m", "memory": "0"}));
        let back: Resources = serde_json::from_value(theirs).unwrap();
        assert_eq!(domain::Resources::from(back), ours);
    }

    #[test]
    fn fields_nobody_knows_are_nothing_to_us() {
        let body = BTreeMap::from([("resources", Value::Null), ("colour", "red".into())]);
        let body = serde_json::to_value(body).unwrap();
        assert!(crate::schema::of::<RestartRunRequest>().check(&body).0.is_empty());
        assert!(serde_json::from_value::<RestartRunRequest>(body).unwrap().resources.is_none());
    }
}
