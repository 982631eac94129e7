//! Training jobs, as PAI's clients create, read, list, stop and delete them.

use axum::extract::{Path, State};
use runyard_domain::{RunId, run::Kind, token::Scope};
use runyard_engine as engine;
use serde_json::json;

use super::{
    Answer, Asked, code, experiment, id, metric,
    query::Parameters,
    refusal,
    request::{self, Known, translate},
    show::{self, Beside},
};
use crate::{
    app::App,
    body::Raw,
    error::Problem,
    limits,
    query::{pattern, sort_by_creation},
};

/// Grace of a stop, in seconds: PAI's clients cannot say one.
const GRACE_S: i64 = 30;
/// Entries of a run's log that statuses are read from.
const EVENTS: i64 = 1000;

pub(super) async fn create(State(app): State<App>, asked: Asked, Raw(body): Raw<{ limits::JSON }>) -> Answer {
    let sent = super::body(&body)?;
    let executors: Vec<&str> = app.engine.executors.iter().map(|executor| executor.name()).collect();
    let project = project(&app, &asked, request::workspace(&sent)).await?;
    let known = Known {
        instance_types: app.engine.options.instance_types.iter().map(|known| known.name.clone()).collect(),
        project: Some(project),
        experiment: experiment::of_job(&app, &asked, &sent).await?,
        executor: app.pai.executor(&executors).to_owned(),
    };
    let mut wanted = translate(&sent, &known)?;
    if let Some(place) = &wanted.code {
        let code = code::source(&app, &asked.actor, place).await?;
        if let Some(spec) = &mut wanted.new.spec {
            spec.source = Some(code.source.digest);
            let own = std::mem::take(&mut spec.requirements);
            spec.requirements = code::requirements(code.requirements.as_deref(), own);
        }
    }
    let (actor, new) = (asked.actor.clone(), wanted.new);
    let submit = move |engine| async move { engine::run::submit(&engine, &actor, new, None).await };
    let run = app.command(submit).await.map_err(refusal::renamed)?;
    Ok(asked.answer(json!({"TrainingJobId": id::job(run.id)})))
}

pub(super) async fn get(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let beside = Beside {
        url: app.engine.options.url.get().cloned().unwrap_or_default(),
        events: engine::event::list(&app.engine, &asked.actor, run.id, false, EVENTS, 0).await?,
        metrics: metric::latest_of(&app, &asked, run.id).await?,
        waits_for: app.engine.waits_for(run.id),
    };
    Ok(asked.answer(show::job(&run, &beside)))
}

pub(super) async fn list(State(app): State<App>, asked: Asked, parameters: Parameters) -> Answer {
    let nothing = || Ok(asked.answer(json!({"TrainingJobs": [], "TotalCount": 0})));
    let Some(filter) = filter(&app, &asked, &parameters).await? else { return nothing() };
    let total = engine::run::count(&app.engine, &asked.actor, filter.clone()).await?;
    let runs = engine::run::list(&app.engine, &asked.actor, filter).await?;
    let mut shown = Vec::with_capacity(runs.len());
    for run in runs {
        shown.push(show::listed(
            &run,
            &Beside { waits_for: app.engine.waits_for(run.id), ..Beside::default() },
        ));
    }
    Ok(asked.answer(json!({"TrainingJobs": shown, "TotalCount": total})))
}

/// `None`: nothing can match.
async fn filter(
    app: &App,
    asked: &Asked,
    parameters: &Parameters,
) -> Result<Option<engine::run::Filter>, Problem> {
    let page = parameters.page()?;
    let mut errors = runyard_domain::FieldErrors::default();
    let order = if parameters.ascending(false)? { "created_at:asc" } else { "created_at:desc" };
    let mut filter = engine::run::Filter {
        kinds: vec![Kind::Training, Kind::Processing],
        created_after: parameters.time("StartTime")?,
        created_before: parameters.time("EndTime")?,
        sort: sort_by_creation(&mut errors, vec![order.to_owned()]),
        limit: page.size,
        offset: page.offset,
        ..engine::run::Filter::default()
    };
    if let Some(name) = parameters.text("TrainingJobName") {
        let escaped: String = name.chars().flat_map(escape).collect();
        let found = pattern(&format!("%{escaped}%"));
        filter.name_ilikes =
            vec![found.map_err(|error| Problem::field("TrainingJobName", error.to_string()))?];
    }
    errors.finish(())?;
    if let Some(job) = parameters.text("TrainingJobId") {
        let Ok(run) = id::run(job) else { return Ok(None) };
        filter.ids = vec![run];
    }
    if let Some(word) = parameters.text("Status") {
        filter.statuses = show::statuses(word);
        if filter.statuses.is_empty() {
            return Ok(None);
        }
    }
    filter.labels = labels(parameters)?;
    if let Some(workspace) = parameters.text("WorkspaceId").filter(|id| *id != "None") {
        let name = project(app, asked, Some(workspace)).await?;
        filter.project_ids = vec![engine::project::get(&app.engine, &asked.actor, &name).await?.id];
    }
    Ok(Some(filter))
}

/// A character of a name, as it stands for itself in a pattern.
fn escape(c: char) -> impl Iterator<Item = char> {
    matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])
}

/// `{"key": "value"}`, as the SDK writes it.
fn labels(parameters: &Parameters) -> Result<Vec<(String, Option<String>)>, Problem> {
    let Some(text) = parameters.text("Labels") else { return Ok(Vec::new()) };
    let read: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(text);
    let read = read.map_err(|error| {
        Problem::field("Labels", format!("is not an object of texts, such as {{\"team\": \"ocr\"}}: {error}"))
    })?;
    Ok(read.into_iter().map(|(key, value)| (key, Some(value).filter(|value| !value.is_empty()))).collect())
}

pub(super) async fn stop(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let run = id::run(&id)?;
    let actor = asked.actor.clone();
    let stop = move |engine| async move { engine::run::stop(&engine, &actor, run, Some(GRACE_S)).await };
    app.command(stop).await.map_err(|problem| refusal::no_job(problem, &id))?;
    Ok(asked.answer(json!({})))
}

pub(super) async fn delete(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let run = id::run(&id)?;
    let actor = asked.actor.clone();
    let delete = move |engine| async move { engine::run::delete(&engine, &actor, run).await };
    app.command(delete).await.map_err(|problem| refusal::no_job(problem, &id))?;
    Ok(asked.answer(json!({})))
}

/// Why a job did not end well; nothing of one that did, or that goes on.
pub(super) async fn error_info(State(app): State<App>, asked: Asked, Path(id): Path<String>) -> Answer {
    let run = find(&app, &asked, &id).await?;
    let events = engine::event::list(&app.engine, &asked.actor, run.id, false, EVENTS, 0).await?;
    let failed =
        run.life.status.is_terminal() && run.life.status != runyard_domain::run::Status::JobCompleted;
    let show::Reason { code, message } = if failed {
        show::reason(&run, &Beside { events, ..Beside::default() })
    } else {
        show::Reason::default()
    };
    Ok(asked.answer(json!({"ErrorInfo": {"Code": code, "Message": message, "AdditionalInfo": ""}})))
}

/// The run with this id.
pub(super) async fn find(app: &App, asked: &Asked, id: &str) -> Result<engine::run::Run, Problem> {
    let run: RunId = id::run(id)?;
    let found = engine::run::get(&app.engine, &asked.actor, run).await;
    found.map_err(|error| refusal::no_job(error.into(), id))
}

/// The project that a workspace stands for: the one of this name or id, else the caller's own.
pub(super) async fn project(app: &App, asked: &Asked, workspace: Option<&str>) -> Result<String, Problem> {
    if let Some(named) = workspace {
        match engine::project::get(&app.engine, &asked.actor, named).await {
            Ok(project) => return Ok(project.id.to_string()),
            Err(engine::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(match asked.actor.scope {
        Scope::Admin => engine::project::DEFAULT.to_owned(),
        Scope::Project(own) | Scope::Run(own, _) => own.to_string(),
    })
}
