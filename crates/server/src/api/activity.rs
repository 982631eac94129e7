//! Activities over HTTP: claim, renew, release, commit, retry, set a state by name, list.

use axum::extract::{Path, State};
use runyard_domain::{
    ElementId, FieldErrors, WorkerRunId,
    activity::{self as rules, Outcome, State as Stands},
};
use runyard_engine::{self as engine, activity::Claimed as Handed};
use runyard_wire::{
    Data,
    activity::{
        Activity, Claim, ClaimAnswer, Claimed, ClaimedImage, Commit, CommitItem, Committed, Release, Renew,
        Retry, SetState,
    },
    worker_run::Changed,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::{Bulk, Valid},
    error::Problem,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query, pattern},
};

/// Which activities.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `queued`, `started`, `processed`, `error`.
    #[serde(default)]
    #[param(required = false)]
    state: Vec<String>,
    /// Of any of these elements, by id.
    #[serde(default)]
    #[param(required = false)]
    element_id: Vec<String>,
    /// Of elements of any of these types.
    #[serde(default)]
    #[param(required = false)]
    r#type: Vec<String>,
    /// Of elements with a name like any of these: `%` is any run of characters, `_` is one, `\` escapes.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// What follows this element, in the order of the ids.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists the activities of a worker run
///
/// In the order of the elements' ids; with `state=error`: each failed element and why.
#[utoipa::path(get, path = "/worker_runs/{worker_run_id}/activities", operation_id = "list_activities", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run."), Wanted),
    responses((status = 200, description = "Activities.", body = Data<Vec<Activity>>), Missing, Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Activity>> {
    let mut errors = FieldErrors::default();
    let filter = engine::activity::Filter {
        states: query::each(&mut errors, "state", wanted.state, str::parse::<Stands>),
        elements: query::each(&mut errors, "element_id", wanted.element_id, str::parse),
        types: wanted.r#type,
        name_ilikes: query::each(&mut errors, "name_ilike", wanted.name_ilike, pattern),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        limit: wanted.limit.unwrap_or(10),
    };
    errors.finish(())?;
    let found = engine::activity::list(&app.engine, &actor, id, filter).await?;
    data(found.into_iter().map(wire).collect())
}

/// Claims elements of a worker run
///
/// What is queued, and what workers that are not heard of any more had, in the order of the elements' ids. One element that its
/// workers lost again and again comes alone; lost once too often, it is set aside as an error.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/claim", operation_id = "claim_elements", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Claim,
    responses((status = 200, description = "What was handed out.", body = Data<ClaimAnswer>), Missing, BadBody, Refused))]
pub(super) async fn claim(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Claim>,
) -> Answer<ClaimAnswer> {
    let claim = move |engine| async move {
        engine::activity::claim(&engine, &actor, id, body.holder, body.limit, body.lease_ms).await
    };
    let claim = app.command(claim).await?;
    data(ClaimAnswer {
        claimed: claim.claimed.into_iter().map(claimed).collect(),
        left: claim.left,
        lease_until: claim.lease_until.0,
    })
}

/// Renews the leases of a holder
///
/// All of them; answers how many it still has.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/renew", operation_id = "renew_leases", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Renew,
    responses((status = 200, description = "How many it has.", body = Data<Changed>), Missing, BadBody, Refused))]
pub(super) async fn renew(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Renew>,
) -> Answer<Changed> {
    let renew = move |engine| async move {
        engine::activity::renew(&engine, &actor, id, body.holder, body.lease_ms).await
    };
    data(Changed { count: app.command(renew).await? })
}

/// Gives elements back
///
/// Of one holder; answers how many. It is no mark against them, unless the holder died.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/release", operation_id = "release_elements", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Release,
    responses((status = 200, description = "How many came back.", body = Data<Changed>), Missing, BadBody, Refused))]
pub(super) async fn release(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Release>,
) -> Answer<Changed> {
    let elements = elements(body.elements)?;
    let release = move |engine| async move {
        if body.died {
            engine::activity::lose(&engine, &actor, id, body.holder, elements).await
        } else {
            engine::activity::release(&engine, &actor, id, body.holder, elements).await
        }
    };
    data(Changed { count: app.command(release).await? })
}

/// Commits what was found
///
/// State and results of each element in one transaction. May be repeated: an attempt counts once. One invalid item refuses all of
/// them, and nothing is written; an attempt that lost its lease refuses its own item only.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/commit", operation_id = "commit_elements", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Commit,
    responses((status = 200, description = "What became of each item, in their order.", body = Data<Vec<Committed>>),
        Missing, BadBody, Refused))]
pub(super) async fn commit(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Bulk(body): Bulk<Commit, { limits::COMMIT }>,
) -> Answer<Vec<Committed>> {
    let mut errors = FieldErrors::default();
    let items = body.items.into_iter().enumerate().filter_map(|(index, one)| item(&mut errors, index, one));
    let items = items.collect();
    let items = errors.finish(items)?;
    let commit = move |engine| async move { engine::activity::commit(&engine, &actor, id, items).await };
    let answers = app.command(commit).await?.into_iter().map(|answer| Committed {
        element_id: answer.element.to_string(),
        outcome: answer.outcome.to_owned(),
        reason: answer.reason,
    });
    data(answers.collect())
}

/// Puts elements back to the queue
///
/// Those that failed, or that are done; what they left stays until they are done again. Answers how many.
#[utoipa::path(post, path = "/worker_runs/{worker_run_id}/retry", operation_id = "retry_elements", tag = "activities",
    params(("worker_run_id" = String, Path, description = "Id of the worker run.")), request_body = Retry,
    responses((status = 200, description = "How many are queued again.", body = Data<Changed>), Missing, BadBody, Refused))]
pub(super) async fn retry(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<WorkerRunId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Retry>,
) -> Answer<Changed> {
    let outcome = Outcome::from_word(&body.state).ok_or_else(|| {
        Problem::field("state", format!("`{}` cannot be retried: it is error or processed", body.state))
    })?;
    let elements = elements(body.elements)?;
    let retry = move |engine| async move {
        engine::activity::retry(&engine, &actor, id, outcome, elements, !body.keep_attempts).await
    };
    data(Changed { count: app.command(retry).await? })
}

/// Sets the state of an element
///
/// For workers that know no attempts: `started` takes a lease, and what earlier attempts left is deleted; then `processed` or
/// `error`. The same again is no conflict, except `started`.
#[utoipa::path(put, path = "/worker_runs/{worker_run_id}/activities/{element_id}", operation_id = "set_activity_state",
    tag = "activities", params(("worker_run_id" = String, Path, description = "Id of the worker run."),
        ("element_id" = String, Path, description = "Id of the element.")),
    request_body = SetState,
    responses((status = 200, description = "The activity.", body = Data<Activity>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn set_state(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((run, element)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<SetState>,
) -> Answer<Activity> {
    let (id, element): (WorkerRunId, ElementId) = (parse_id(&run)?, parse_id(&element)?);
    let wanted = body.state.parse::<Stands>().map_err(|error| Problem::field("state", error.to_string()))?;
    let holder = body.holder.unwrap_or_else(|| actor.name.clone());
    let (reader, error) = (actor.clone(), body.error);
    let set = move |engine| async move {
        match wanted {
            Stands::Queued => {
                let message =
                    "an element is queued again by release or retry: set started, processed or error";
                Err(engine::Error::field("state", message))
            }
            Stands::Started => {
                engine::activity::start(&engine, &actor, id, element, holder, None).await.map(drop)
            }
            Stands::Processed => {
                engine::activity::finish(&engine, &actor, id, element, Outcome::Processed, None).await
            }
            Stands::Error => {
                engine::activity::finish(&engine, &actor, id, element, Outcome::Error, error).await
            }
        }
    };
    app.command(set).await?;
    let filter = engine::activity::Filter { elements: vec![element], limit: 1, ..Default::default() };
    let found = engine::activity::list(&app.engine, &reader, id, filter).await?.pop();
    let found =
        found.ok_or_else(|| Problem::not_found(format!("there is no element `{element}` any more")))?;
    data(wire(found))
}

fn item(errors: &mut FieldErrors, index: usize, item: CommitItem) -> Option<engine::activity::CommitItem> {
    let element = query::one(errors, &format!("items.{index}.element_id"), Some(item.element_id), str::parse);
    let outcome = Outcome::from_word(&item.state);
    if outcome.is_none() {
        let message = format!("`{}` is no end of an attempt: it is processed or error", item.state);
        errors.add(format!("items.{index}.state"), message);
    }
    Some(engine::activity::CommitItem {
        element: element?,
        attempt: item.attempt,
        outcome: outcome?,
        error: item.error,
        results: item.results,
    })
}

fn elements(given: Option<Vec<String>>) -> Result<Option<Vec<ElementId>>, Problem> {
    let mut errors = FieldErrors::default();
    let elements = given.map(|texts| {
        let each = texts.into_iter().enumerate();
        each.filter_map(|(n, text)| query::one(&mut errors, &format!("elements.{n}"), Some(text), str::parse))
            .collect()
    });
    Ok(errors.finish(elements)?)
}

fn claimed(handed: Handed) -> Claimed {
    let Handed { element, image, attempt } = handed;
    Claimed {
        element_id: element.id.to_string(),
        attempt,
        of_type: element.of_type,
        name: element.name,
        payload: element.payload,
        image: image.map(|image| ClaimedImage {
            id: image.id.to_string(),
            url: image.url,
            width: image.width,
            height: image.height,
        }),
        polygon: element.polygon.and_then(|polygon| serde_json::to_value(polygon).ok()),
        rotation_angle: element.rotation_angle,
        mirrored: element.mirrored,
    }
}

fn wire(found: engine::activity::Listed) -> Activity {
    let rules::Activity { state, attempt, lost, lease } = found.activity;
    let (holder, until) = lease.map(|lease| (lease.holder, lease.until.0)).unzip();
    let (of_type, name) = found.element.unzip();
    Activity {
        element_id: found.element_id.to_string(),
        of_type,
        name,
        state: state.word().to_owned(),
        attempt,
        lost,
        holder,
        lease_until: until,
        error: found.error,
        updated_at: found.updated_at.0,
    }
}
