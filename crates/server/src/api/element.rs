//! Elements over HTTP: bulk posts, lists, changes, parents and children.

use axum::{
    extract::{FromRequest, Path, Request, State},
    http::StatusCode,
};
use runyard_domain::{
    CorpusId, ElementId, FieldErrors,
    element::{MAX_ELEMENTS, NewElement},
};
use runyard_engine::{
    self as engine, Actor,
    element::{Depth, Details, Element as Row, Filter, MadeBy, With, Within},
};
use runyard_wire::{
    Data,
    element::{
        AddChildren, Element, ElementPatch, ElementsDeleted, ElementsMade, NewElementSchema, PostElements,
    },
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data, image, pattern, result};
use crate::{
    app::{App, Id, IdempotencyKey, parse_id},
    auth::Caller,
    body::{Bulk, Valid, lines},
    error::Problem,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which elements, wherever they are looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// In this corpus.
    corpus_id: String,
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// Any of these types.
    #[serde(default, rename = "type")]
    #[param(required = false)]
    of_type: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// Name like any of these: `%` is any run of characters, `_` is one, `\` escapes; case does not matter.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// Only those without a parent, or only those with one.
    #[param(nullable = false)]
    top_level: Option<bool>,
    /// Made by any of these worker runs.
    #[serde(default)]
    #[param(required = false)]
    worker_run_id: Vec<String>,
    /// What else is answered: `parents`, `has_children`, `classifications`, `metadata`.
    #[serde(default)]
    #[param(required = false)]
    with: Vec<String>,
    /// Ids that follow this one.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Which elements above or below another one.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedAround {
    /// All levels, and not one. Then the order is that of ids.
    #[param(nullable = false)]
    recursive: Option<bool>,
    /// Any of these types.
    #[serde(default, rename = "type")]
    #[param(required = false)]
    of_type: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// Name like any of these.
    #[serde(default)]
    #[param(required = false)]
    name_ilike: Vec<String>,
    /// Made by any of these worker runs.
    #[serde(default)]
    #[param(required = false)]
    worker_run_id: Vec<String>,
    /// What else is answered: `parents`, `has_children`, `classifications`, `metadata`.
    #[serde(default)]
    #[param(required = false)]
    with: Vec<String>,
    /// What follows this element in the order of the list.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// How elements are made.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HowMade {
    /// The corpus.
    corpus_id: String,
    /// The worker run that makes them; absent: you.
    #[param(nullable = false)]
    worker_run_id: Option<String>,
    /// Makes types that the corpus does not have; absent: they are refused.
    #[param(nullable = false)]
    create_types: Option<bool>,
}

/// Lists elements
#[utoipa::path(get, path = "/elements", operation_id = "list_elements", tag = "elements", params(Wanted),
    responses((status = 200, description = "Elements by id: in the order in which they were made, unless ids were chosen.",
        body = Data<Vec<Element>>), Missing, Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Element>> {
    let mut errors = FieldErrors::default();
    let corpus = query::one(&mut errors, "corpus_id", Some(wanted.corpus_id), str::parse::<CorpusId>);
    let ids = query::each(&mut errors, "id", wanted.id, str::parse);
    let around = WantedAround {
        recursive: None,
        of_type: wanted.of_type,
        name: wanted.name,
        name_ilike: wanted.name_ilike,
        worker_run_id: wanted.worker_run_id,
        with: wanted.with,
        id_after: wanted.id_after,
        limit: wanted.limit,
    };
    let within = corpus.map(Within::Corpus);
    let (filter, with) = around.filter(errors, within)?;
    let filter = Filter { ids, top_level: wanted.top_level, ..filter };
    answer(&app, &actor, filter, with).await
}

/// Lists what is below an element
///
/// Children in their order; with `recursive` everything below, by id.
#[utoipa::path(get, path = "/elements/{element_id}/children", operation_id = "list_element_children",
    tag = "elements", params(("element_id" = String, Path, description = "Id of the element."), WantedAround),
    responses((status = 200, description = "Elements.", body = Data<Vec<Element>>), Missing, Refused))]
pub(super) async fn children(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(wanted): Query<WantedAround>,
) -> Answer<Vec<Element>> {
    let within = Within::Below(id, depth(wanted.recursive));
    let (filter, with) = wanted.filter(FieldErrors::default(), Some(within))?;
    answer(&app, &actor, filter, with).await
}

/// Lists what is above an element
///
/// Parents; with `recursive` everything above. By id.
#[utoipa::path(get, path = "/elements/{element_id}/parents", operation_id = "list_element_parents",
    tag = "elements", params(("element_id" = String, Path, description = "Id of the element."), WantedAround),
    responses((status = 200, description = "Elements.", body = Data<Vec<Element>>), Missing, Refused))]
pub(super) async fn parents(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(wanted): Query<WantedAround>,
) -> Answer<Vec<Element>> {
    let within = Within::Above(id, depth(wanted.recursive));
    let (filter, with) = wanted.filter(FieldErrors::default(), Some(within))?;
    answer(&app, &actor, filter, with).await
}

fn depth(recursive: Option<bool>) -> Depth {
    if recursive == Some(true) { Depth::All } else { Depth::One }
}

impl WantedAround {
    fn filter(self, mut errors: FieldErrors, within: Option<Within>) -> Result<(Filter, With), FieldErrors> {
        let runs = query::each(&mut errors, "worker_run_id", self.worker_run_id, str::parse);
        let name_ilikes = query::each(&mut errors, "name_ilike", self.name_ilike, pattern);
        let id_after = query::one(&mut errors, "id_after", self.id_after, str::parse);
        let with = with(&mut errors, &self.with);
        let within = errors.finish(within)?.ok_or_else(|| FieldErrors::one("corpus_id", "is required"))?;
        let filter = Filter {
            types: self.of_type,
            names: self.name,
            name_ilikes,
            made_by: (!runs.is_empty()).then_some(MadeBy::WorkerRuns(runs)),
            id_after,
            limit: self.limit.unwrap_or(100),
            ..Filter::within(within)
        };
        Ok((filter, with))
    }
}

fn with(errors: &mut FieldErrors, words: &[String]) -> With {
    let mut with = With { images: true, ..With::default() };
    for (index, word) in words.iter().enumerate() {
        match word.as_str() {
            "parents" => with.parents = true,
            "has_children" => with.has_children = true,
            "classifications" => with.classifications = true,
            "metadata" => with.metadata = true,
            _ => errors.add(
                format!("with.{index}"),
                "is not known: it is `parents`, `has_children`, `classifications` or `metadata`",
            ),
        }
    }
    with
}

async fn answer(app: &App, actor: &Actor, filter: Filter, with: With) -> Answer<Vec<Element>> {
    let elements = engine::element::list(&app.engine, actor, filter).await?;
    let mut details = engine::element::details(&app.engine, &elements, with).await?;
    data(elements.into_iter().map(|element| wire(element, with, &mut details)).collect())
}

/// Makes elements
///
/// All or none, durable when this answers. As JSON, or as JSON lines with one element in each. An element with an id of your
/// choice that is there already, and is the same, changes nothing: such a request may be repeated.
#[utoipa::path(post, path = "/elements", operation_id = "create_elements", tag = "elements",
    params(HowMade, IdempotencyKey),
    request_body(content((PostElements = "application/json"), (NewElementSchema = "application/x-ndjson"))),
    responses((status = 200, description = "Ids in the order of the request.", body = Data<ElementsMade>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(how): Query<HowMade>,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Answer<ElementsMade> {
    let mut errors = FieldErrors::default();
    let corpus = query::one(&mut errors, "corpus_id", Some(how.corpus_id), str::parse::<CorpusId>);
    let worker_run = query::one(&mut errors, "worker_run_id", how.worker_run_id, str::parse);
    let corpus = errors.finish(corpus)?.ok_or_else(|| FieldErrors::one("corpus_id", "is required"))?;
    let elements = read(request).await?;
    let create_types = how.create_types.unwrap_or(false);
    let batch = engine::element::Batch { worker_run, elements, create_types };
    let create =
        move |engine| async move { engine::element::create(&engine, &actor, corpus, batch, key).await };
    let made = app.command(create).await?;
    let ids = made.ids.iter().map(ToString::to_string).collect();
    data(ElementsMade { ids, created: made.created as i64 })
}

async fn read(request: Request) -> Result<Vec<NewElement>, Problem> {
    if lines::are_lines(&request) {
        return lines::read::<_, NewElementSchema>(request, "elements", MAX_ELEMENTS, limits::ELEMENTS).await;
    }
    let Bulk(body) = Bulk::<PostElements, { limits::ELEMENTS }>::from_request(request, &())
        .await
        .map_err(lines::neither)?;
    Ok(body.elements)
}

/// Reads an element
#[utoipa::path(get, path = "/elements/{element_id}", operation_id = "get_element", tag = "elements",
    params(("element_id" = String, Path, description = "Id of the element.")),
    responses((status = 200, description = "The element, with its parents.", body = Data<Element>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Element> {
    let element = engine::element::get(&app.engine, &actor, id).await?;
    data(whole(&app, element).await?)
}

async fn whole(app: &App, element: Row) -> Result<Element, Problem> {
    let with = With { images: true, parents: true, has_children: true, ..With::default() };
    let mut details = engine::element::details(&app.engine, std::slice::from_ref(&element), with).await?;
    Ok(wire(element, with, &mut details))
}

/// Changes an element
#[utoipa::path(patch, path = "/elements/{element_id}", operation_id = "patch_element", tag = "elements",
    params(("element_id" = String, Path, description = "Id of the element.")), request_body = ElementPatch,
    responses((status = 200, description = "The element.", body = Data<Element>), Missing, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<ElementPatch>,
) -> Answer<Element> {
    let mut errors = FieldErrors::default();
    let image = new.image_id.map(|id| query::one(&mut errors, "image_id", id, str::parse));
    errors.finish(())?;
    let patch = engine::element::Patch {
        of_type: new.of_type,
        name: new.name,
        payload: new.payload,
        image,
        polygon: new.polygon,
        rotation_angle: new.rotation_angle,
        mirrored: new.mirrored,
        confidence: new.confidence,
    };
    let patch = move |engine| async move { engine::element::patch(&engine, &actor, id, patch).await };
    let element = app.command(patch).await?;
    data(whole(&app, element).await?)
}

/// Deletes an element
///
/// With its results, and with everything below it that has no parent elsewhere.
#[utoipa::path(delete, path = "/elements/{element_id}", operation_id = "delete_element", tag = "elements",
    params(("element_id" = String, Path, description = "Id of the element.")),
    responses((status = 200, description = "How many elements are gone.", body = Data<ElementsDeleted>),
        Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<ElementsDeleted> {
    let delete = move |engine| async move { engine::element::delete(&engine, &actor, id).await };
    data(ElementsDeleted { deleted: app.command(delete).await? as i64 })
}

/// Puts elements below another one
///
/// Behind the children that it has; those that are its children already stay where they are.
#[utoipa::path(post, path = "/elements/{element_id}/children", operation_id = "add_element_children",
    tag = "elements", params(("element_id" = String, Path, description = "Id of the parent.")),
    request_body = AddChildren,
    responses((status = 204, description = "They are."), Missing, BadBody, Refused))]
pub(super) async fn add_children(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<AddChildren>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let mut children = Vec::with_capacity(new.children.len());
    for (index, text) in new.children.into_iter().enumerate() {
        children.extend(query::one(
            &mut errors,
            &format!("children.{index}"),
            Some(text),
            str::parse::<ElementId>,
        ));
    }
    errors.finish(())?;
    app.command(
        move |engine| async move { engine::element::add_children(&engine, &actor, id, children).await },
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a parent away from an element
#[utoipa::path(delete, path = "/elements/{element_id}/parents/{parent_id}", operation_id = "remove_element_parent",
    tag = "elements", params(("element_id" = String, Path, description = "Id of the element."),
        ("parent_id" = String, Path, description = "Id of the parent.")),
    responses((status = 204, description = "It is not its parent any more."), Missing, Refused))]
pub(super) async fn remove_parent(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((child, parent)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let (child, parent) = (parse_id(&child)?, parse_id(&parent)?);
    app.command(
        move |engine| async move { engine::element::remove_parent(&engine, &actor, child, parent).await },
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wire(element: Row, with: With, details: &mut Details) -> Element {
    let id = element.id;
    let parents = details.parents.remove(&id).unwrap_or_default();
    let classifications = details.classifications.remove(&id).unwrap_or_default();
    let metadata = details.metadata.remove(&id).unwrap_or_default();
    Element {
        id: id.to_string(),
        corpus_id: element.corpus_id.to_string(),
        of_type: element.of_type,
        name: element.name,
        payload: element.payload,
        image: element.image_id.and_then(|id| details.images.get(&id)).cloned().map(image::wire),
        polygon: element.polygon,
        rotation_angle: element.rotation_angle,
        mirrored: element.mirrored,
        confidence: element.confidence,
        worker_run_id: element.worker_run_id.map(|id| id.to_string()),
        top_level: element.top_level,
        created_at: element.created_at.0,
        parents: with.parents.then(|| parents.iter().map(ToString::to_string).collect()),
        has_children: with.has_children.then(|| details.having_children.contains(&id)),
        classifications: with
            .classifications
            .then(|| classifications.into_iter().map(result::wire_classification).collect()),
        metadata: with.metadata.then(|| metadata.into_iter().map(result::wire_metadata).collect()),
    }
}
