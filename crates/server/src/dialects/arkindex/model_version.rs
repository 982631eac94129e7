//! Versions of models. The archive goes to an address that is answered here, and is validated by what its sender says of it;
//! a version that has the same content is told to older workers by a refusal that they know.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use runyard_domain::ModelVersionId;
use runyard_engine::{
    self as engine, Actor,
    model::{Filter, State as Progress, foreign},
};
use runyard_objects::Signed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    model,
    page::{self, Cursor},
    refusal::{Renamed, conflict},
    site::Site,
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    limits,
    query::{self, Lenient},
};

/// The state that archives are validated by.
const AVAILABLE: &str = "available";

#[derive(Serialize)]
pub(super) struct ModelVersion {
    id: String,
    model_id: String,
    model: OfModel,
    state: &'static str,
    parent: Option<String>,
    tag: Option<String>,
    description: String,
    configuration: Map<String, Value>,
    /// Where to read the archive.
    s3_url: Option<String>,
    /// Where to send it.
    s3_put_url: Option<String>,
    hash: Option<String>,
    archive_hash: Option<String>,
    size: Option<i64>,
    created: String,
}

#[derive(Serialize)]
struct OfModel {
    id: String,
    name: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    #[param(nullable = false)]
    cursor: Option<String>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

/// What is left out, or null, stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexModelVersion)]
pub(super) struct Attributes {
    tag: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    configuration: Option<Map<String, Value>>,
    parent: Option<String>,
    size: Option<i64>,
    archive_hash: Option<String>,
}

/// The same, with which archives are validated too.
#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexPatchedModelVersion)]
pub(super) struct Patched {
    #[serde(flatten)]
    attributes: Attributes,
    state: Option<String>,
    hash: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexValidation)]
pub(super) struct Validation {
    size: i64,
    hash: Option<String>,
    archive_hash: String,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Path(id): Path<String>,
    Lenient(wanted): Lenient<Wanted>,
) -> Result<Json<Cursor<ModelVersion>>, Problem> {
    let model = engine::model::get(&app.engine, &actor, &id, None).await?;
    let mut errors = runyard_domain::FieldErrors::default();
    let id_after = query::one(&mut errors, "cursor", wanted.cursor, str::parse);
    errors.finish(())?;
    let limit = page::size(wanted.page_size);
    let filter = Filter { model_ids: vec![model.id], id_after, limit: limit + 1, ..Filter::default() };
    let (count, mut versions) = engine::model::versions_counted(&app.engine, &actor, filter).await?;
    let more = versions.len() as i64 > limit;
    versions.truncate(limit as usize);
    let next = versions.last().filter(|_| more).map(|last| last.id.to_string());
    let shown = versions.into_iter().map(|version| show(&app, &site, version, None));
    Ok(Json(page::cursor(&site, Some(count), next, shown.collect::<Result<_, _>>()?)))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Path(model): Path<String>,
    Valid(attributes): Valid<Attributes>,
) -> Result<(StatusCode, Json<ModelVersion>), Problem> {
    let attributes = attributes.known();
    let begin = move |engine| async move { foreign::begin(&engine, &actor, &model, attributes).await };
    let (version, put) = app.command(begin).await.renamed()?;
    Ok((StatusCode::CREATED, Json(show(&app, &site, version, Some(put))?)))
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<ModelVersionId>,
) -> Result<Json<ModelVersion>, Problem> {
    let version = engine::model::version(&app.engine, &actor, id).await?;
    Ok(Json(whole(&app, &actor, &site, version).await?))
}

pub(super) async fn update(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<ModelVersionId>,
    Valid(attributes): Valid<Attributes>,
) -> Result<Json<ModelVersion>, Problem> {
    let version = change(&app, &actor, id, attributes).await?;
    Ok(Json(whole(&app, &actor, &site, version).await?))
}

pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<ModelVersionId>,
    Valid(patched): Valid<Patched>,
) -> Result<Json<ModelVersion>, Problem> {
    let Patched { attributes, state, hash } = patched;
    match state.as_deref() {
        None => {
            let version = change(&app, &actor, id, attributes).await?;
            return Ok(Json(whole(&app, &actor, &site, version).await?));
        }
        Some(AVAILABLE) => {}
        Some(other) => {
            let other: String = other.chars().take(80).collect();
            let message = format!(
                "You can only update a model version's state from Created to Available, not to `{other}`."
            );
            return Err(Problem::field("state", message));
        }
    }
    let mut errors = runyard_domain::FieldErrors::default();
    if attributes.size.is_none() {
        errors.add("size", "This field is required.");
    }
    if attributes.archive_hash.is_none() {
        errors.add("archive_hash", "This field is required.");
    }
    errors.finish(())?;
    let claims = foreign::Claims {
        size: attributes.size,
        content_md5: hash,
        archive_md5: attributes.archive_hash.clone(),
    };
    if attributes.has_words() {
        let words = Attributes { size: None, archive_hash: None, ..attributes };
        change(&app, &actor, id, words).await?;
    }
    match validated(&app, &actor, id, claims).await? {
        Ok(version) => Ok(Json(show(&app, &site, version, None)?)),
        Err(existing) => Err(conflict(json!({"id": [existing.to_string()]}))),
    }
}

pub(super) async fn validate(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<ModelVersionId>,
    Valid(said): Valid<Validation>,
) -> Result<Json<ModelVersion>, Problem> {
    let claims = foreign::Claims {
        size: Some(said.size),
        content_md5: said.hash,
        archive_md5: Some(said.archive_hash),
    };
    match validated(&app, &actor, id, claims).await? {
        Ok(version) => Ok(Json(show(&app, &site, version, None)?)),
        Err(existing) => {
            let existing = engine::model::version(&app.engine, &actor, existing).await?;
            let shown = serde_json::to_value(show(&app, &site, existing, None)?);
            let shown = shown.map_err(|error| Problem::fault(format!("cannot write a version: {error}")))?;
            Err(conflict(shown))
        }
    }
}

pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ModelVersionId>,
) -> Result<StatusCode, Problem> {
    let delete = move |engine| async move { engine::model::delete_version(&engine, &actor, id).await };
    app.command(delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits for the archive to be read, as long as clients wait for an answer; those ask again when it takes longer.
pub(super) async fn patiently<T>(work: impl Future<Output = engine::Result<T>>) -> engine::Result<T> {
    let waited = tokio::time::timeout(limits::VALIDATION, work).await;
    waited.unwrap_or_else(|_| {
        Err(engine::Error::Busy("the archive is still being read: ask again to go on waiting".to_owned()))
    })
}

/// The version, or the one that has its content.
async fn validated(
    app: &App,
    actor: &Actor,
    id: ModelVersionId,
    claims: foreign::Claims,
) -> Result<Result<engine::model::ModelVersion, ModelVersionId>, Problem> {
    match patiently(foreign::validate(&app.engine, actor, id, claims)).await {
        Ok(version) => Ok(Ok(version)),
        Err(engine::Error::SameContent { existing }) => Ok(Err(existing)),
        Err(error) => Err(error.into()),
    }
}

async fn change(
    app: &App,
    actor: &Actor,
    id: ModelVersionId,
    attributes: Attributes,
) -> Result<engine::model::ModelVersion, Problem> {
    let (actor, attributes) = (actor.clone(), attributes.known());
    let update = move |engine| async move { foreign::update(&engine, &actor, id, attributes).await };
    app.command(update).await.renamed()
}

/// A version with all addresses that it has.
pub(super) async fn whole(
    app: &App,
    actor: &Actor,
    site: &Site,
    version: engine::model::ModelVersion,
) -> Result<ModelVersion, Problem> {
    let put = match version.state {
        Progress::Created => foreign::put_again(&app.engine, actor, version.id).await?,
        Progress::Available | Progress::Error => None,
    };
    show(app, site, version, put)
}

pub(super) fn show(
    app: &App,
    site: &Site,
    version: engine::model::ModelVersion,
    put: Option<Signed>,
) -> Result<ModelVersion, Problem> {
    let read = match version.state {
        Progress::Available => Some(engine::model::address(&app.engine, &version)?),
        Progress::Created | Progress::Error => None,
    };
    let address = |signed: Signed| site.address(app, signed.url);
    Ok(ModelVersion {
        id: version.id.to_string(),
        model_id: version.model_id.to_string(),
        model: OfModel { id: version.model_id.to_string(), name: version.model },
        state: version.state.word(),
        parent: version.parent_id.map(|parent| parent.to_string()),
        tag: version.tag,
        description: version.description,
        configuration: version.config,
        s3_url: read.map(address),
        s3_put_url: put.map(address),
        hash: version.content_md5,
        archive_hash: version.archive_md5,
        size: version.archive_size,
        created: model::time(version.created_at),
    })
}

impl Attributes {
    fn known(self) -> foreign::Attributes {
        foreign::Attributes {
            tag: self.tag,
            description: self.description,
            config: self.configuration,
            parent: self.parent,
            archive_size: self.size,
            archive_md5: self.archive_hash,
        }
    }

    /// Whether anything is said that people write on a version.
    fn has_words(&self) -> bool {
        self.tag.is_some()
            || self.description.is_some()
            || self.configuration.is_some()
            || self.parent.is_some()
    }
}
