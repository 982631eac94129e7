//! The list of versions of models.

use axum::extract::State;
use runyard_domain::{FieldErrors, filter::parse_time};
use runyard_engine as engine;
use runyard_wire::{Data, model::ModelVersion};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::wire;
use crate::{
    api::{Answer, file, project},
    app::App,
    auth::Caller,
    openapi::Refused,
    query::{self, Query, sort_by_creation},
};

/// Everything that a version may have; what `select` chooses from.
const FIELDS: [&str; 25] = [
    "id",
    "model_id",
    "model",
    "project_id",
    "state",
    "reason",
    "tag",
    "description",
    "config",
    "parent_id",
    "run_id",
    "job_id",
    "checkpoint_id",
    "source",
    "run_config",
    "tree_digest",
    "content_md5",
    "archive_sha256",
    "archive_md5",
    "archive_size",
    "size",
    "files",
    "created_at",
    "available_at",
    "user_id",
];

/// Which versions, and what of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// Of any of these models, by id.
    #[serde(default)]
    #[param(required = false)]
    model_id: Vec<String>,
    /// Of any model with one of these names.
    #[serde(default)]
    #[param(required = false)]
    model: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Any of these tags.
    #[serde(default)]
    #[param(required = false)]
    tag: Vec<String>,
    /// `created`, `available`, `error`.
    #[serde(default)]
    #[param(required = false)]
    state: Vec<String>,
    /// Made by any of these runs, by id.
    #[serde(default)]
    #[param(required = false)]
    run_id: Vec<String>,
    /// Made of any of these checkpoints, by id.
    #[serde(default)]
    #[param(required = false)]
    checkpoint_id: Vec<String>,
    /// Made from any of these versions, by id.
    #[serde(default)]
    #[param(required = false)]
    parent_id: Vec<String>,
    /// Any of these digests of paths, modes and contents.
    #[serde(default)]
    #[param(required = false)]
    tree_digest: Vec<String>,
    /// Any of these digests of contents.
    #[serde(default)]
    #[param(required = false)]
    content_md5: Vec<String>,
    /// With so many bytes in all files.
    #[param(minimum = 0, nullable = false)]
    size: Option<i64>,
    /// With so many files.
    #[param(minimum = 0, nullable = false)]
    files: Option<i64>,
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

/// Lists model versions
#[utoipa::path(get, path = "/model_versions", operation_id = "list_model_versions", tag = "models", params(Wanted),
    responses((status = 200, description = "Versions; fields that were not selected are absent.",
        body = Data<Vec<ModelVersion>>), Refused))]
pub(in crate::api) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Value>> {
    let mut errors = FieldErrors::default();
    let fields = file::selected(&mut errors, "model versions", &FIELDS, wanted.select);
    let filter = engine::model::Filter {
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        model_ids: query::each(&mut errors, "model_id", wanted.model_id, str::parse),
        models: wanted.model,
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        tags: wanted.tag,
        states: query::each(&mut errors, "state", wanted.state, state),
        run_ids: query::each(&mut errors, "run_id", wanted.run_id, str::parse),
        checkpoint_ids: query::each(&mut errors, "checkpoint_id", wanted.checkpoint_id, str::parse),
        parent_ids: query::each(&mut errors, "parent_id", wanted.parent_id, str::parse),
        tree_digests: wanted.tree_digest,
        content_md5s: wanted.content_md5,
        size: wanted.size,
        files: wanted.files,
        created_after: query::one(&mut errors, "created_after", wanted.created_after, parse_time),
        created_before: query::one(&mut errors, "created_before", wanted.created_before, parse_time),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        sort: sort_by_creation(&mut errors, wanted.sort),
        limit: wanted.limit.unwrap_or(10),
        offset: wanted.offset.unwrap_or(0),
    };
    errors.finish(())?;
    let versions = engine::model::versions(&app.engine, &actor, filter).await?;
    file::show(versions.into_iter().map(wire), fields.as_ref())
}

fn state(word: &str) -> Result<engine::model::State, String> {
    use engine::model::State;
    State::from_word(word).ok_or_else(|| {
        let word: String = word.chars().take(80).collect();
        let known = State::ALL.map(State::word).join(", ");
        format!("`{word}` is not a state: the states are {known}")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_field_can_be_selected() {
        let schema = serde_json::to_value(ModelVersion::schema()).unwrap();
        let documented: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(documented, BTreeSet::from(FIELDS));
    }
}
