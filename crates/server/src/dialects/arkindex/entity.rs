//! Entities of corpora, their types, and where in texts they are. Older workers make an entity and place it; newer ones say its
//! type and its place, and it is called as the text there.

mod place;

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{CorpusId, ElementId, EntityTypeId, FieldErrors, WorkerRunId};
use runyard_engine::{
    self as engine, Actor,
    element::result::{
        Entity as Row, EntityType as TypeRow,
        classify::Page,
        entity::{Filter, NewEntity},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    activity::Process,
    page::{self, Numbered},
    site::Site,
    wanted::{containing, id, optional_id},
};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    query::{self, Lenient},
};

pub(super) use place::{create_many as place_many, create_one as place_one, list as places};

/// How a type is shown when nobody chose a colour.
const COLOR: &str = "28b62c";

#[derive(Serialize)]
pub(super) struct EntityType {
    id: String,
    name: String,
    color: String,
    corpus: String,
}

#[derive(Serialize)]
pub(super) struct Entity {
    id: String,
    name: String,
    r#type: String,
    type_id: String,
    corpus: String,
    metas: Map<String, Value>,
    validated: bool,
    worker_version_id: Option<String>,
    worker_run_id: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewEntityType)]
pub(super) struct NewType {
    name: String,
    corpus: String,
    color: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewEntity)]
pub(super) struct New {
    name: String,
    type_id: String,
    #[schema(value_type = Option<Object>)]
    metas: Option<Map<String, Value>>,
    validated: Option<bool>,
    corpus: String,
    worker_run_id: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    name: Option<String>,
    #[param(nullable = false)]
    parent: Option<String>,
    #[param(nullable = false)]
    page: Option<i64>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

pub(super) async fn types(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<CorpusId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Numbered<EntityType>>, Problem> {
    let window = page::window(asked.page, asked.page_size);
    let wanted = Page { name_ilike: None, offset: window.offset, limit: Some(window.limit) };
    let (found, count) = engine::element::result::entity::types(&app.engine, &actor, id, wanted).await?;
    Ok(Json(page::numbered(&site, window, count, found.into_iter().map(show_type).collect())?))
}

pub(super) async fn create_type(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewType>,
) -> Result<(StatusCode, Json<EntityType>), Problem> {
    let mut errors = FieldErrors::default();
    let corpus = id::<CorpusId>(&mut errors, "corpus", &new.corpus);
    errors.finish(())?;
    let Some(corpus) = corpus else { return Err(Problem::fault("a wrong id without a message")) };
    let color = new.color.map(|color| color.trim_start_matches('#').to_owned());
    let create = move |engine| async move {
        engine::element::result::entity::create_type(&engine, &actor, corpus, new.name, color).await
    };
    Ok((StatusCode::CREATED, Json(show_type(app.command(create).await?))))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    process: Process,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Entity>), Problem> {
    let mut errors = FieldErrors::default();
    let corpus = id::<CorpusId>(&mut errors, "corpus", &new.corpus);
    let type_id = id::<EntityTypeId>(&mut errors, "type_id", &new.type_id);
    let run = optional_id::<WorkerRunId>(&mut errors, "worker_run_id", new.worker_run_id.as_deref());
    errors.finish(())?;
    let (Some(corpus), Some(type_id)) = (corpus, type_id) else {
        return Err(Problem::fault("a wrong id without a message"));
    };
    let entity = NewEntity {
        type_id,
        name: new.name,
        metas: new.metas.filter(|metas| !metas.is_empty()),
        validated: new.validated.unwrap_or(false),
    };
    let create = move |engine: engine::Engine| async move {
        let under_work = under_work(&engine, &actor, &process, run).await;
        engine::element::result::entity::create(&engine, &actor, corpus, run, under_work, entity).await
    };
    let made = app.command(create).await?;
    Ok((StatusCode::CREATED, Json(show(made))))
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(corpus_id): Id<CorpusId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Numbered<Entity>>, Problem> {
    let window = page::window(asked.page, asked.page_size);
    let mut errors = FieldErrors::default();
    let below = query::one(&mut errors, "parent", asked.parent, str::parse::<ElementId>);
    errors.finish(())?;
    let filter = Filter {
        corpus_id,
        name_ilike: asked.name.filter(|name| !name.is_empty()).map(|name| containing(&name)),
        below,
        offset: window.offset,
        limit: window.limit,
    };
    let (found, count) = engine::element::result::entity::list(&app.engine, &actor, filter).await?;
    Ok(Json(page::numbered(&site, window, count, found.into_iter().map(show).collect())?))
}

/// Older workers do not say which element an entity was found on: it is the one that they have started, if that is one.
async fn under_work(
    engine: &engine::Engine,
    actor: &Actor,
    process: &Process,
    run: Option<WorkerRunId>,
) -> Option<ElementId> {
    let holder = process.holder(engine, actor).await.ok()?;
    engine::activity::current(engine, actor, run?, holder).await.ok()?
}

fn show_type(row: TypeRow) -> EntityType {
    EntityType {
        id: row.id.to_string(),
        name: row.name,
        color: row.color.unwrap_or_else(|| COLOR.to_owned()),
        corpus: row.corpus_id.to_string(),
    }
}

fn show(row: Row) -> Entity {
    let run = row.origin.worker_run.map(|id| id.to_string());
    Entity {
        id: row.id.to_string(),
        name: row.name,
        r#type: row.type_id.to_string(),
        type_id: row.type_id.to_string(),
        corpus: row.corpus_id.to_string(),
        metas: row.metas.unwrap_or_default(),
        validated: row.validated,
        worker_version_id: run.clone(),
        worker_run_id: run,
    }
}
