//! Makes, changes and links elements. A bulk is answered in the order of its request: clients take the ids for theirs by it.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use runyard_domain::{
    CorpusId, ElementId, FieldErrors, ImageId,
    element::{NewElement, NewImage, Polygon},
};
use runyard_engine::{
    self as engine,
    element::{Batch, Patch},
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Element, Wanted, show_one};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::Valid,
    dialects::arkindex::{
        refusal::Renamed,
        wanted::{id, optional_id},
    },
    error::Problem,
    limits,
};

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewElement)]
pub(in crate::dialects::arkindex) struct New {
    r#type: String,
    name: String,
    corpus: String,
    image: Option<String>,
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    polygon: Option<Polygon>,
    parent: Option<String>,
    worker_run_id: Option<String>,
    confidence: Option<f64>,
    rotation_angle: Option<i64>,
    mirrored: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewElements)]
pub(in crate::dialects::arkindex) struct NewBulk {
    worker_run_id: Option<String>,
    elements: Vec<NewChild>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewChild)]
struct NewChild {
    r#type: String,
    name: String,
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    polygon: Option<Polygon>,
    confidence: Option<f64>,
    rotation_angle: Option<i64>,
    mirrored: Option<bool>,
}

/// A field that may be null says so; one that is left out stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexPatchedElement)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(in crate::dialects::arkindex) struct Patched {
    r#type: Option<String>,
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    polygon: Option<Option<Polygon>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    confidence: Option<Option<f64>>,
    rotation_angle: Option<i64>,
    mirrored: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    image: Option<Option<String>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewLinks)]
pub(in crate::dialects::arkindex) struct Children {
    children: Vec<String>,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct Linked {
    parent: String,
    child: String,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct LinkedChildren {
    children: Vec<String>,
}

#[derive(Serialize)]
pub(in crate::dialects::arkindex) struct Created {
    id: String,
}

fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

pub(in crate::dialects::arkindex) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Element>), Problem> {
    let mut errors = FieldErrors::default();
    let corpus = id::<CorpusId>(&mut errors, "corpus", &new.corpus);
    let image = optional_id::<ImageId>(&mut errors, "image", new.image.as_deref());
    let parent = optional_id::<ElementId>(&mut errors, "parent", new.parent.as_deref());
    let worker_run = optional_id(&mut errors, "worker_run_id", new.worker_run_id.as_deref());
    errors.finish(())?;
    let Some(corpus) = corpus else { return Err(Problem::fault("a wrong id without a message")) };
    let element = NewElement {
        of_type: new.r#type,
        name: new.name,
        parents: parent.iter().map(ToString::to_string).collect(),
        image: image.map(|id| NewImage { id: Some(id), ..NewImage::default() }),
        polygon: new.polygon,
        rotation_angle: new.rotation_angle.unwrap_or(0),
        mirrored: new.mirrored.unwrap_or(false),
        confidence: new.confidence,
        ..NewElement::default()
    };
    let batch = Batch { worker_run, elements: vec![element], create_types: false };
    let maker = actor.clone();
    let create =
        move |engine| async move { engine::element::create(&engine, &maker, corpus, batch, None).await };
    let made = app.command(create).await.single("elements", &[("parents", "parent")])?;
    let Some(id) = made.ids.first() else { return Err(Problem::fault("an element without an id")) };
    let row = engine::element::get(&app.engine, &actor, *id).await?;
    Ok((StatusCode::CREATED, Json(show_one(&app, &actor, row, Wanted::ALL).await?)))
}

pub(in crate::dialects::arkindex) async fn create_bulk(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(parent): Id<ElementId>,
    Valid(new): Valid<NewBulk, { limits::ELEMENTS }>,
) -> Result<(StatusCode, Json<Vec<Created>>), Problem> {
    let mut errors = FieldErrors::default();
    let worker_run = optional_id(&mut errors, "worker_run_id", new.worker_run_id.as_deref());
    errors.finish(())?;
    let element = |new: NewChild| NewElement {
        of_type: new.r#type,
        name: new.name,
        polygon: new.polygon,
        rotation_angle: new.rotation_angle.unwrap_or(0),
        mirrored: new.mirrored.unwrap_or(false),
        confidence: new.confidence,
        ..NewElement::default()
    };
    let elements = new.elements.into_iter().map(element).collect();
    let batch = Batch { worker_run, elements, create_types: false };
    let create = move |engine| async move { engine::element::children(&engine, &actor, parent, batch).await };
    let made = app.command(create).await?;
    let created = made.ids.iter().map(|id| Created { id: id.to_string() });
    Ok((StatusCode::CREATED, Json(created.collect())))
}

pub(in crate::dialects::arkindex) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<ElementId>,
    Valid(patched): Valid<Patched>,
) -> Result<Json<Element>, Problem> {
    let mut errors = FieldErrors::default();
    let image = patched.image.map(|text| optional_id::<ImageId>(&mut errors, "image", text.as_deref()));
    errors.finish(())?;
    let patch = Patch {
        of_type: patched.r#type,
        name: patched.name,
        payload: None,
        image,
        polygon: patched.polygon,
        rotation_angle: patched.rotation_angle,
        mirrored: patched.mirrored,
        confidence: patched.confidence,
    };
    let changer = actor.clone();
    let change = move |engine| async move { engine::element::patch(&engine, &changer, id, patch).await };
    let row = app.command(change).await?;
    Ok(Json(show_one(&app, &actor, row, Wanted::ALL).await?))
}

pub(in crate::dialects::arkindex) async fn link_parent(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((child, parent)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Linked>), Problem> {
    let (child, parent) = (parse_id::<ElementId>(&child)?, parse_id::<ElementId>(&parent)?);
    let link = move |engine| async move { engine::element::add_parent(&engine, &actor, child, parent).await };
    app.command(link).await?;
    Ok((StatusCode::CREATED, Json(Linked { parent: parent.to_string(), child: child.to_string() })))
}

pub(in crate::dialects::arkindex) async fn link_children(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(parent): Id<ElementId>,
    Valid(new): Valid<Children>,
) -> Result<(StatusCode, Json<LinkedChildren>), Problem> {
    let mut errors = FieldErrors::default();
    let each = new.children.iter().enumerate();
    let ids = each.filter_map(|(n, text)| id::<ElementId>(&mut errors, &format!("children.{n}"), text));
    let ids: Vec<ElementId> = ids.collect();
    errors.finish(())?;
    let link = move |engine| async move { engine::element::add_children(&engine, &actor, parent, ids).await };
    app.command(link).await?;
    Ok((StatusCode::CREATED, Json(LinkedChildren { children: new.children })))
}
