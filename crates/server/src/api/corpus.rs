//! Corpora over HTTP, with the types of their elements, their classes and entities.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use runyard_domain::{CorpusId, FieldErrors};
use runyard_engine::{self as engine, element::result};
use runyard_wire::{
    Data,
    corpus::{
        Corpus, CorpusPatch, ElementType, Entity, EntityType, NewClass, NewCorpus, NewElementType,
        NewEntityType,
    },
    result::Class,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, pattern, project};
use crate::{
    app::{App, Id, IdempotencyKey, parse_id},
    auth::Caller,
    body::Valid,
    error::Problem,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which corpora.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// In any of these projects, by id or name.
    #[serde(default)]
    #[param(required = false)]
    project_id: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// Name like any of these: `%` is any run of characters, `_` is one, `\` escapes; case does not matter.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// Ids that follow this one.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Which names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedNames {
    /// Name like this.
    #[param(nullable = false)]
    name_ilike: Option<String>,
    /// Leave out so many first.
    #[param(minimum = 0, nullable = false)]
    offset: Option<i64>,
    /// At most so many; 1000 when nothing was said.
    #[param(minimum = 0, maximum = 10_000, nullable = false)]
    limit: Option<i64>,
}

impl WantedNames {
    fn page(self) -> Result<result::classify::Page, FieldErrors> {
        let mut errors = FieldErrors::default();
        let page = result::classify::Page {
            name_ilike: query::one(&mut errors, "name_ilike", self.name_ilike, pattern),
            offset: self.offset.unwrap_or(0),
            limit: Some(self.limit.unwrap_or(1000)),
        };
        errors.finish(page)
    }
}

/// Lists corpora
#[utoipa::path(get, path = "/corpora", operation_id = "list_corpora", tag = "corpora", params(Wanted),
    responses((status = 200, description = "Corpora, the oldest first.", body = Data<Vec<Corpus>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Corpus>> {
    let mut errors = FieldErrors::default();
    let filter = engine::corpus::Filter {
        project_ids: project::ids(&app, &actor, &mut errors, wanted.project_id).await?,
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        names: wanted.name,
        name_ilikes: query::each(&mut errors, "name_ilike", wanted.name_ilike, pattern),
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        limit: wanted.limit.unwrap_or(100),
        offset: 0,
    };
    errors.finish(())?;
    let corpora = engine::corpus::list(&app.engine, &actor, filter).await?;
    data(corpora.into_iter().map(wire).collect())
}

/// Creates a corpus
///
/// The name is unique in its project.
#[utoipa::path(post, path = "/corpora", operation_id = "create_corpus", tag = "corpora",
    params(IdempotencyKey), request_body = NewCorpus,
    responses((status = 200, description = "The corpus.", body = Data<Corpus>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    IdempotencyKey(key): IdempotencyKey,
    Valid(new): Valid<NewCorpus>,
) -> Answer<Corpus> {
    let mut errors = FieldErrors::default();
    let new = engine::corpus::NewCorpus {
        id: query::one(&mut errors, "id", new.id, str::parse),
        project: new.project_id.unwrap_or_else(|| engine::project::DEFAULT.to_owned()),
        name: new.name,
        description: new.description,
        types: new.types.into_iter().map(new_type).collect(),
    };
    errors.finish(())?;
    let create = move |engine| async move { engine::corpus::create(&engine, &actor, new, key).await };
    data(wire(app.command(create).await?))
}

/// Reads a corpus
#[utoipa::path(get, path = "/corpora/{corpus_id}", operation_id = "get_corpus", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")),
    responses((status = 200, description = "The corpus.", body = Data<Corpus>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Corpus> {
    data(wire(engine::corpus::get(&app.engine, &actor, id).await?))
}

/// Changes a corpus
#[utoipa::path(patch, path = "/corpora/{corpus_id}", operation_id = "patch_corpus", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")), request_body = CorpusPatch,
    responses((status = 200, description = "The corpus.", body = Data<Corpus>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<CorpusPatch>,
) -> Answer<Corpus> {
    let patch = move |engine| async move {
        engine::corpus::patch(&engine, &actor, id, new.name, new.description).await
    };
    data(wire(app.command(patch).await?))
}

/// Deletes a corpus
///
/// With all that is in it: elements, results, datasets, worker runs. It is gone from all lists at once.
#[utoipa::path(delete, path = "/corpora/{corpus_id}", operation_id = "delete_corpus", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")),
    responses((status = 204, description = "It is gone."), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<StatusCode, Problem> {
    app.command(move |engine| async move { engine::corpus::delete(&engine, &actor, id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the types of a corpus
#[utoipa::path(get, path = "/corpora/{corpus_id}/types", operation_id = "list_element_types", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")),
    responses((status = 200, description = "Types by slug.", body = Data<Vec<ElementType>>), Missing, Refused))]
pub(super) async fn types(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<ElementType>> {
    let types = engine::corpus::types(&app.engine, &actor, id).await?;
    data(types.into_iter().map(wire_type).collect())
}

/// Adds a type to a corpus
#[utoipa::path(post, path = "/corpora/{corpus_id}/types", operation_id = "add_element_type", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")), request_body = NewElementType,
    responses((status = 200, description = "The type.", body = Data<ElementType>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn add_type(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewElementType>,
) -> Answer<ElementType> {
    let new = new_type(new);
    let add = move |engine| async move { engine::corpus::add_type(&engine, &actor, id, new).await };
    data(wire_type(app.command(add).await?))
}

/// Deletes a type of a corpus
///
/// Only one that no element has.
#[utoipa::path(delete, path = "/corpora/{corpus_id}/types/{slug}", operation_id = "delete_element_type",
    tag = "corpora", params(("corpus_id" = String, Path, description = "Id of the corpus."),
        ("slug" = String, Path, description = "Slug of the type.")),
    responses((status = 204, description = "It is gone."), Missing, Conflicting, Refused))]
pub(super) async fn delete_type(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((id, slug)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let id = parse_id(&id)?;
    app.command(move |engine| async move { engine::corpus::delete_type(&engine, &actor, id, slug).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the classes of a corpus
#[utoipa::path(get, path = "/corpora/{corpus_id}/classes", operation_id = "list_classes", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus."), WantedNames),
    responses((status = 200, description = "Classes by name.", body = Data<Vec<Class>>), Missing, Refused))]
pub(super) async fn classes(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(wanted): Query<WantedNames>,
) -> Answer<Vec<Class>> {
    let (classes, _) = result::classify::classes(&app.engine, &actor, id, wanted.page()?).await?;
    data(classes.into_iter().map(|class| Class { id: class.id.to_string(), name: class.name }).collect())
}

/// Makes a class
#[utoipa::path(post, path = "/corpora/{corpus_id}/classes", operation_id = "create_class", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus.")), request_body = NewClass,
    responses((status = 200, description = "The class.", body = Data<Class>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create_class(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewClass>,
) -> Answer<Class> {
    let create =
        move |engine| async move { result::classify::create_class(&engine, &actor, id, new.name).await };
    let class = app.command(create).await?;
    data(Class { id: class.id.to_string(), name: class.name })
}

/// Lists the types of entities of a corpus
#[utoipa::path(get, path = "/corpora/{corpus_id}/entity_types", operation_id = "list_entity_types", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus."), WantedNames),
    responses((status = 200, description = "Types by name.", body = Data<Vec<EntityType>>), Missing, Refused))]
pub(super) async fn entity_types(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(wanted): Query<WantedNames>,
) -> Answer<Vec<EntityType>> {
    let (types, _) = result::entity::types(&app.engine, &actor, id, wanted.page()?).await?;
    data(types.into_iter().map(wire_entity_type).collect())
}

/// Makes a type of entities
#[utoipa::path(post, path = "/corpora/{corpus_id}/entity_types", operation_id = "create_entity_type",
    tag = "corpora", params(("corpus_id" = String, Path, description = "Id of the corpus.")),
    request_body = NewEntityType,
    responses((status = 200, description = "The type.", body = Data<EntityType>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create_entity_type(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewEntityType>,
) -> Answer<EntityType> {
    let create = move |engine| async move {
        result::entity::create_type(&engine, &actor, id, new.name, new.color).await
    };
    data(wire_entity_type(app.command(create).await?))
}

/// Lists the entities of a corpus
#[utoipa::path(get, path = "/corpora/{corpus_id}/entities", operation_id = "list_entities", tag = "corpora",
    params(("corpus_id" = String, Path, description = "Id of the corpus."), WantedNames),
    responses((status = 200, description = "Entities, the oldest first.", body = Data<Vec<Entity>>),
        Missing, Refused))]
pub(super) async fn entities(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
    Query(wanted): Query<WantedNames>,
) -> Answer<Vec<Entity>> {
    let page = wanted.page()?;
    let filter = result::entity::Filter {
        corpus_id: id,
        name_ilike: page.name_ilike,
        below: None,
        offset: page.offset,
        limit: page.limit.unwrap_or(1000),
    };
    let (entities, _) = result::entity::list(&app.engine, &actor, filter).await?;
    let wire = |one: result::Entity| Entity {
        id: one.id.to_string(),
        type_id: one.type_id.to_string(),
        name: one.name,
        metas: one.metas,
        validated: one.validated,
        worker_run_id: one.origin.worker_run.map(|id| id.to_string()),
    };
    data(entities.into_iter().map(wire).collect())
}

fn new_type(new: NewElementType) -> engine::corpus::NewType {
    engine::corpus::NewType { id: None, slug: new.slug, display_name: new.display_name, folder: new.folder }
}

pub(super) fn wire(corpus: engine::corpus::Corpus) -> Corpus {
    Corpus {
        id: corpus.id.to_string(),
        project_id: corpus.project_id.to_string(),
        name: corpus.name,
        description: corpus.description,
        created_at: corpus.created_at.0,
    }
}

fn wire_type(one: engine::corpus::ElementType) -> ElementType {
    let id = one.id.to_string();
    ElementType { id, slug: one.slug, display_name: one.display_name, folder: one.folder }
}

fn wire_entity_type(one: result::EntityType) -> EntityType {
    EntityType { id: one.id.to_string(), name: one.name, color: one.color }
}
