//! The list of runs: its filters, and the fields that were selected.

use std::collections::BTreeSet;

use axum::extract::State;
use runyard_domain::{FieldErrors, filter::parse_time, run::Kind};
use runyard_engine as engine;
use runyard_wire::{Data, run::Run};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::wire;
use crate::{
    api::{Answer, data, pattern, project, sort_by_creation},
    app::App,
    auth::Caller,
    error::Problem,
    openapi::Refused,
    query::{self, Query},
};

/// Everything that a run may have; what `select` chooses from.
const FIELDS: [&str; 23] = [
    "id",
    "project_id",
    "user_id",
    "created_at",
    "name",
    "version",
    "kind",
    "blueprint_id",
    "task_type",
    "config",
    "resources",
    "spec",
    "executor",
    "priority",
    "labels",
    "notes",
    "progress",
    "progress_updated_at",
    "status",
    "status_updated_at",
    "waiting_for",
    "epoch",
    "exit",
];

/// Which runs, and what of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Made from any of these blueprints, by id.
    #[serde(default)]
    #[param(required = false)]
    blueprint_id: Vec<String>,
    /// Created by any of these.
    #[serde(default)]
    #[param(required = false)]
    user_id: Vec<String>,
    /// Name like any of these: `%` is any run of characters, `_` is one, `\` escapes; case does not matter.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// Any of these versions.
    #[serde(default)]
    #[param(required = false)]
    version: Vec<String>,
    /// Any of these statuses.
    #[serde(default)]
    #[param(required = false)]
    status: Vec<String>,
    /// Any of these task types.
    #[serde(default)]
    #[param(required = false)]
    task_type: Vec<String>,
    /// Any of these kinds.
    #[serde(default)]
    #[param(required = false)]
    kind: Vec<String>,
    /// All of these labels: `key=value`, or `key` for any value.
    #[serde(default)]
    #[param(required = false)]
    label: Vec<String>,
    /// Created strictly after this time: epoch milliseconds or RFC 3339.
    #[param(nullable = false)]
    created_after: Option<String>,
    /// Created strictly before this time: epoch milliseconds or RFC 3339.
    #[param(nullable = false)]
    created_before: Option<String>,
    /// What follows this id in the order of the sort.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// Only these fields; `*`, or nothing said: all.
    #[serde(default)]
    #[param(required = false)]
    select: Vec<String>,
    /// `id` or `created_at`, with `:asc` or `:desc`; `created_at:desc` when nothing was said.
    #[serde(default)]
    #[param(required = false)]
    sort: Vec<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
    /// Leave out so many first.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
}

/// Lists runs
#[utoipa::path(get, path = "/runs", operation_id = "list_runs", tag = "runs", params(Wanted),
    responses((status = 200, description = "Runs; fields that were not selected are absent.", body = Data<Vec<Run>>),
        Refused))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(mut wanted): Query<Wanted>,
) -> Answer<Vec<Value>> {
    let mut errors = FieldErrors::default();
    let fields = selected(&mut errors, std::mem::take(&mut wanted.select));
    let filter = filter(&app, &actor, &mut errors, wanted).await?;
    errors.finish(())?;
    let runs = engine::run::list(&app.engine, &actor, filter).await?;
    let shown = runs
        .into_iter()
        .map(|run| {
            let waiting_for = app.engine.waits_for(run.id);
            show(Run { waiting_for, ..wire(run) }, fields.as_ref())
        })
        .collect::<Result<_, _>>();
    data(shown.map_err(|error| Problem::fault(format!("cannot write a run: {error}")))?)
}

async fn filter(
    app: &App,
    actor: &engine::Actor,
    errors: &mut FieldErrors,
    wanted: Wanted,
) -> Result<engine::run::Filter, Problem> {
    Ok(engine::run::Filter {
        ids: query::each(errors, "id", wanted.id, str::parse),
        project_ids: project::ids(app, actor, errors, wanted.project_id).await?,
        blueprint_ids: query::each(errors, "blueprint_id", wanted.blueprint_id, str::parse),
        user_ids: wanted.user_id,
        name_ilikes: query::each(errors, "name_ilike", wanted.name_ilike, pattern),
        versions: wanted.version,
        statuses: query::each(errors, "status", wanted.status, str::parse),
        task_types: wanted.task_type,
        kinds: query::each(errors, "kind", wanted.kind, kind),
        labels: query::each(errors, "label", wanted.label, label),
        created_after: query::one(errors, "created_after", wanted.created_after, parse_time),
        created_before: query::one(errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
    })
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::from_word(word).ok_or_else(|| {
        let word: String = word.chars().take(80).collect();
        format!("`{word}` is not a kind: the kinds are {}", Kind::ALL.map(Kind::word).join(", "))
    })
}

fn label(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if key.is_empty() {
        Err("a label is `key=value`, or `key` for any value".into())
    } else {
        Ok((key.to_owned(), value))
    }
}

/// `None`: all fields.
fn selected(errors: &mut FieldErrors, names: Vec<String>) -> Option<BTreeSet<String>> {
    for name in &names {
        if name != "*" && !FIELDS.contains(&name.as_str()) {
            let name: String = name.chars().take(80).collect();
            errors.add(
                "select",
                format!("`{name}` is no field of a run: the fields are {}", FIELDS.join(", ")),
            );
        }
    }
    if names.is_empty() || names.iter().any(|name| name == "*") {
        None
    } else {
        Some(names.into_iter().collect())
    }
}

fn show(run: Run, fields: Option<&BTreeSet<String>>) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(run)?;
    if let (Some(fields), Some(object)) = (fields, value.as_object_mut()) {
        object.retain(|name, _| fields.contains(name));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_field_of_a_run_can_be_selected() {
        let schema = serde_json::to_value(Run::schema()).unwrap();
        let documented: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(documented, BTreeSet::from(FIELDS));
    }

    #[test]
    fn only_what_was_selected_is_shown() {
        let run = Run { id: Some("1".into()), name: Some("n".into()), ..Run::default() };
        let mut errors = FieldErrors::default();
        let fields = selected(&mut errors, vec!["name".into(), "notes".into()]);
        assert_eq!(show(run.clone(), fields.as_ref()).unwrap(), serde_json::json!({"name": "n"}));
        let all = selected(&mut errors, vec!["name".into(), "*".into()]);
        assert_eq!(show(run, all.as_ref()).unwrap(), serde_json::json!({"id": "1", "name": "n"}));
        assert_eq!(errors, FieldErrors::default());
    }

    #[test]
    fn an_unknown_field_is_named_beside_the_known_ones() {
        let mut errors = FieldErrors::default();
        selected(&mut errors, vec!["colour".into()]);
        let message = &errors.0["select"][0];
        assert!(message.contains("`colour`") && message.contains("progress_updated_at"), "{message}");
    }

    #[test]
    fn labels_are_a_key_or_a_key_and_a_value() {
        assert_eq!(label("team"), Ok(("team".into(), None)));
        assert_eq!(label("team=a=b"), Ok(("team".into(), Some("a=b".into()))));
        assert!(label("=x").is_err());
    }
}
