//! Submits a run: valid as a whole, or nothing is created.

use std::collections::BTreeMap;

use runyard_domain::{
    BlueprintId, FieldErrors, RunId, blueprint as rules, channel as channels,
    instance_type::InstanceType,
    job::RetryOn,
    metric::definition,
    resources::Resources,
    run::{Effect, Entry, Kind, Life, Retries, Run, Spec, recorded},
    secret as secret_rules,
};
use runyard_store::{self as store, Tx, blueprint::Blueprint};
use serde_json::{Map, Value, json};

use super::{image, instances, transition::announce, warn};
use crate::{Actor, Engine, Error, Result, blueprint, channel, idempotent, project, secret, worker_run};

/// Longest time limit, in seconds: a year.
const MAX_RUN_TIME_S: i64 = 366 * 24 * 3600;
/// Most restarts that a run may give itself.
const MAX_RETRIES: i64 = 100;
/// Most bytes of a config as JSON.
const MAX_CONFIG: usize = 1 << 20;
/// Most bytes of all arguments of a command, and of all variables.
const MAX_WORDS: usize = 128 << 10;

/// A run to submit; every field as it was given.
#[derive(Debug, Clone, Default)]
pub struct NewRun {
    /// Id or name; `None`: `default`.
    pub project: Option<String>,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// `training` when `None`.
    pub kind: Option<String>,
    /// Id of the blueprint.
    pub blueprint: Option<String>,
    /// Task type.
    pub task_type: Option<String>,
    /// Config.
    pub config: Option<Map<String, Value>>,
    /// Resources.
    pub resources: Option<Resources>,
    /// What is executed.
    pub spec: Option<Spec>,
    /// Executor.
    pub executor: Option<String>,
    /// Priority.
    pub priority: Option<i64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Notes.
    pub notes: Option<String>,
}

/// Submits a run. `idempotency_key`: a repeat with the same body answers the same run.
///
/// # Errors
/// Every wrong field by its path; a config by `config.` and the path in it.
pub async fn submit(
    engine: &Engine,
    actor: &Actor,
    new: NewRun,
    idempotency_key: Option<String>,
) -> Result<Run> {
    let now = engine.now();
    let key = idempotent::Key::new("run", idempotency_key, actor, &format!("{new:?}"))?;
    let id = engine.id(RunId::new);
    let default_executor = engine.executors.first().map_or("local", |executor| executor.name()).to_owned();
    let known: Vec<&'static str> = engine.executors.iter().map(|executor| executor.name()).collect();
    let types = engine.options.instance_types.clone();
    let containers = image::containers(engine, &new, &types).await;
    let (actor, driver) = (actor.clone(), engine.options.server_id.clone());
    let (run, created) = engine
        .db
        .write(move |tx| {
            let mut errors = check(&new, &known, &types);
            let project_name = new.project.as_deref().unwrap_or(project::DEFAULT);
            let project = match project::resolve(tx, &actor, project_name) {
                Ok(project) if actor.scope.covers_project(project.id) => Some(project),
                Ok(_) => return Err(Error::Forbidden("the token of a run cannot submit runs".to_owned())),
                Err(Error::NotFound { .. }) => {
                    errors.add("project_id", format!("there is no project `{project_name}`"));
                    None
                }
                Err(other) => return Err(other),
            };
            let blueprint = find_blueprint(tx, &actor, new.blueprint.as_deref(), &mut errors)?;
            let spec = merge_spec(blueprint.as_ref(), new.spec.clone().unwrap_or_default());
            let config = Value::Object(new.config.clone().unwrap_or_default());
            check_against(blueprint.as_ref(), &new, &spec, &config, &mut errors)?;
            if let Some(digest) = &spec.source
                && check_source(tx, digest).is_err()
            {
                errors.add("spec.source", format!("there is no source `{digest}`: upload it first"));
            }
            let named = instances::executor(&new, &types);
            let executor = image::executor(named, &spec, &containers, &default_executor, &mut errors);
            let links = match &project {
                Some(project) => channel::links(tx, project.id, id, &spec, &mut errors)?,
                None => Vec::new(),
            };
            if let Some(project) = &project {
                secret::check(tx, project.id, &spec, &mut errors)?;
            }
            let project = errors.finish(project)?.ok_or_else(|| Error::not_found("project", project_name))?;
            if let Some(same) = key.claim(tx, &id.to_string(), now)? {
                let same = same.parse().map_err(|error| Error::Internal(format!("{error}")))?;
                let run = store::run::get(tx, same)?.ok_or_else(|| Error::not_found("run", same))?;
                return Ok((run, false));
            }
            let retries = Retries {
                left: spec.retries.unwrap_or(0),
                on: spec.retry_on.clone().unwrap_or(vec![RetryOn::Failed, RetryOn::Oom, RetryOn::Lost]),
            };
            let base = blueprint.as_ref().and_then(|it| it.resources.as_ref());
            let resources = instances::resources(&new, base, &types);
            let mut run = Run {
                id,
                project_id: project.id,
                user_id: actor.name.clone(),
                created_at: id.time(),
                name: new.name.clone(),
                version: new.version.clone(),
                kind: new.kind.as_deref().and_then(Kind::from_word).unwrap_or_default(),
                blueprint_id: blueprint.as_ref().map(|blueprint| blueprint.id),
                task_type: new.task_type.clone(),
                config,
                resources,
                spec,
                executor,
                priority: new.priority.unwrap_or(0),
                labels: new.labels.clone(),
                notes: new.notes.clone(),
                progress: Vec::new(),
                progress_updated_at: None,
                life: Life::new(retries),
                status_updated_at: now,
                exit: None,
                sequence: 1,
            };
            store::run::insert(tx, &run, &driver)?;
            store::channel::insert(tx, &links)?;
            let details = json!({"by": actor.name}).as_object().cloned().unwrap_or_default();
            store::event::append(tx, id, 1, &Entry { status: run.life.status, details }, now)?;
            for sentence in
                [recorded::warning(&run.spec.recorded), image::warning(&run)].into_iter().flatten()
            {
                warn(tx, &mut run, &sentence, now)?;
            }
            if let Some(worker) = &run.spec.worker {
                worker_run::make(tx, &run, worker, now)?;
            }
            Ok((run, true))
        })
        .await?;
    if created {
        announce(engine, run.id, &[Effect::Drive]);
    }
    Ok(run)
}

/// What is wrong with the request by itself.
fn check(new: &NewRun, executors: &[&str], types: &[InstanceType]) -> FieldErrors {
    let mut errors = FieldErrors::default();
    rules::check_run_name("name", &new.name, &mut errors);
    rules::check_run_version("version", &new.version, &mut errors);
    rules::check_labels("labels", &new.labels, &mut errors);
    if let Some(notes) = &new.notes {
        rules::check_notes("notes", notes, &mut errors);
    }
    if let Some(task_type) = &new.task_type {
        rules::check_name("task_type", task_type, &mut errors);
    }
    match new.kind.as_deref().map(|kind| (kind, Kind::from_word(kind))) {
        Some((kind, None)) => {
            errors.add(
                "kind",
                format!("`{kind}` is not a kind: it is training, processing, worker or external"),
            );
        }
        Some((_, Some(Kind::External))) => {
            errors.add("kind", "runs that are executed elsewhere are not supported by this server yet");
        }
        _ => {}
    }
    if let Some(executor) = new.executor.as_deref().filter(|executor| !executors.contains(executor)) {
        let known = executors.join(", ");
        errors.add("executor", format!("there is no executor `{executor}` here; there is {known}"));
    }
    if let Some(priority) = new.priority.filter(|priority| !(-1000..=1000).contains(priority)) {
        errors.add("priority", format!("{priority} is not from -1000 to 1000"));
    }
    instances::check(new, types, executors, &mut errors);
    if let Some(config) = &new.config
        && serde_json::to_string(config).map_or(0, |text| text.len()) > MAX_CONFIG
    {
        errors
            .add("config", format!("is larger than {MAX_CONFIG} bytes as JSON: put large data into a file"));
    }
    if let Some(spec) = &new.spec {
        check_spec(spec, &mut errors);
    }
    check_worker(new, &mut errors);
    errors
}

/// The kind `worker` and the section `worker` go together.
fn check_worker(new: &NewRun, errors: &mut FieldErrors) {
    let is_worker = new.kind.as_deref() == Some(Kind::Worker.word());
    match new.spec.as_ref().and_then(|spec| spec.worker.as_ref()) {
        Some(worker) => {
            worker.check("spec.worker", errors);
            if !is_worker {
                errors.add("kind", "must be worker: the spec has a section `worker`");
            }
        }
        None if is_worker => {
            errors.add("spec.worker", "is needed by a run of the kind worker: which corpus, which elements");
        }
        None => {}
    }
}

fn check_spec(spec: &Spec, errors: &mut FieldErrors) {
    check_command("spec.command", &spec.command, errors);
    check_env("spec.env", &spec.env, errors);
    secret_rules::check_wanted("spec.secrets", &spec.secrets, &spec.env, errors);
    if let Some(name) = &spec.registry_secret {
        secret_rules::check_name("spec.registry_secret", name, errors);
    }
    check_requirements("spec.requirements", &spec.requirements, errors);
    if let Some(limit) = spec.max_run_time_s.filter(|limit| !(1..=MAX_RUN_TIME_S).contains(limit)) {
        errors.add("spec.max_run_time_s", format!("{limit} is not from 1 to {MAX_RUN_TIME_S} seconds"));
    }
    if let Some(retries) = spec.retries.filter(|retries| !(0..=MAX_RETRIES).contains(retries)) {
        errors.add("spec.retries", format!("{retries} is not from 0 to {MAX_RETRIES}"));
    }
    if let Some(retention) = &spec.checkpoints {
        retention.check("spec.checkpoints", errors);
    }
    channels::check_inputs("spec.inputs", &spec.inputs, errors);
    channels::check_outputs("spec.outputs", &spec.outputs, errors);
    definition::check("spec.metric_definitions", &spec.metric_definitions, errors);
    recorded::check("spec.recorded", &spec.recorded, errors);
    if let Some(image) = spec.image.as_deref()
        && (image.is_empty()
            || image.len() > 500
            || image.chars().any(|c| c.is_whitespace() || c.is_control()))
    {
        errors.add("spec.image", "must be 1 to 500 characters without white space");
    }
}

/// Whether these words can be a command.
pub(crate) fn check_command(path: &str, command: &[String], errors: &mut FieldErrors) {
    let size: usize = command.iter().map(String::len).sum();
    if command.first().is_some_and(String::is_empty) {
        errors.add(path, "the program's name is empty");
    }
    if size > MAX_WORDS || command.len() > 10_000 {
        errors.add(path, format!("is larger than {MAX_WORDS} bytes or 10000 words: use a config or a file"));
    }
    if command.iter().any(|word| word.contains('\0')) {
        errors.add(path, "contains a zero byte");
    }
}

/// Whether these can be variables of a program.
pub(crate) fn check_env(path: &str, env: &BTreeMap<String, String>, errors: &mut FieldErrors) {
    let size: usize = env.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_WORDS {
        errors.add(path, format!("is larger than {MAX_WORDS} bytes in all: use a config or a file"));
    }
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let shown: String = name.chars().take(100).collect();
            errors.add(
                format!("{path}.{shown}"),
                "a variable's name is not empty and has no `=`; no zero bytes",
            );
        }
    }
}

/// Whether these can be lines of a requirements file.
pub(crate) fn check_requirements(path: &str, requirements: &[String], errors: &mut FieldErrors) {
    if requirements.len() > 1000 {
        errors.add(path, "has more than 1000 entries");
    }
    for (index, requirement) in requirements.iter().enumerate() {
        let wrong = requirement.trim().is_empty()
            || requirement.len() > 1000
            || requirement.chars().any(char::is_control);
        if wrong {
            errors
                .add(format!("{path}.{index}"), "must be one requirement as pip takes it, such as pandas>=2");
        }
    }
}

/// Whether the source was uploaded.
pub(crate) fn check_source(tx: &mut Tx, digest: &str) -> Result<()> {
    match store::source::size(tx, digest)? {
        Some(_) => Ok(()),
        None => Err(Error::field("source", format!("there is no source `{digest}`: upload it first"))),
    }
}

fn find_blueprint(
    tx: &mut Tx,
    actor: &Actor,
    id: Option<&str>,
    errors: &mut FieldErrors,
) -> Result<Option<Blueprint>> {
    let Some(id) = id else { return Ok(None) };
    let found = match id.parse::<BlueprintId>() {
        Ok(id) => blueprint::resolve(tx, actor, id),
        Err(_) => Err(Error::not_found("blueprint", id)),
    };
    match found {
        Ok(blueprint) => Ok(Some(blueprint)),
        Err(error @ Error::NotFound { .. }) => {
            errors.add("blueprint_id", error.to_string());
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// What the run says goes before what the blueprint says; variables and requirements add up.
fn merge_spec(blueprint: Option<&Blueprint>, mut spec: Spec) -> Spec {
    let Some(blueprint) = blueprint else { return spec };
    if spec.command.is_empty() {
        spec.command.clone_from(&blueprint.command);
    }
    spec.image = spec.image.or_else(|| blueprint.image.clone());
    spec.source = spec.source.or_else(|| blueprint.source.clone());
    for (name, value) in &blueprint.env {
        spec.env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for requirement in &blueprint.requirements {
        if !spec.requirements.contains(requirement) {
            spec.requirements.push(requirement.clone());
        }
    }
    spec
}

/// What is wrong with the request beside its blueprint.
fn check_against(
    blueprint: Option<&Blueprint>,
    new: &NewRun,
    spec: &Spec,
    config: &Value,
    errors: &mut FieldErrors,
) -> Result<()> {
    // An unknown blueprint has been named already; it would have brought the command.
    if spec.command.is_empty() && spec.image.is_none() && (new.blueprint.is_none() || blueprint.is_some()) {
        errors.add("spec.command", "is needed: name a command, or a blueprint that has one");
    }
    let Some(blueprint) = blueprint else { return Ok(()) };
    errors.merge("config", blueprint::check_config(blueprint, config)?);
    if let Some(task_type) = &new.task_type
        && !blueprint.task_types.is_empty()
        && !blueprint.task_types.contains(task_type)
    {
        let known = blueprint.task_types.join(", ");
        errors.add(
            "task_type",
            format!("blueprint `{}` does not serve `{task_type}`: {known}", blueprint.name),
        );
    }
    Ok(())
}
