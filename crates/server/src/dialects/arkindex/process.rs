//! Processes: what a worker run works through. The process of a worker run has its id.

use std::collections::HashMap;

use axum::{Json, extract::State};
use runyard_domain::{ElementId, FieldErrors, WorkerRunId};
use runyard_engine::{
    self as engine, Actor, activity,
    element::{Element as Row, Filter, With, Within},
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    dataset::{self, Dataset},
    page::{self, Cursor, Numbered},
    site::Site,
    wanted::flag,
};
use crate::{
    app::{App, Id},
    auth::Caller,
    error::Problem,
    query::{self, Lenient},
};

#[derive(Serialize)]
pub(super) struct ProcessElement {
    id: String,
    r#type: Option<String>,
    name: Option<String>,
    confidence: Option<f64>,
    image_id: Option<String>,
    image_url: Option<String>,
    image_width: Option<i64>,
    image_height: Option<i64>,
    polygon: Option<Vec<[i64; 2]>>,
    rotation_angle: i64,
    mirrored: bool,
}

#[derive(Serialize)]
pub(super) struct ProcessSet {
    id: String,
    set_name: String,
    dataset: Dataset,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    with_count: Option<String>,
    #[param(nullable = false)]
    with_image: Option<String>,
    #[param(nullable = false)]
    cursor: Option<String>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

pub(super) async fn elements(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<WorkerRunId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Cursor<ProcessElement>>, Problem> {
    let limit = page::large(asked.page_size);
    let mut errors = FieldErrors::default();
    let with_count = flag(&mut errors, "with_count", asked.with_count).unwrap_or(false);
    let with_image = flag(&mut errors, "with_image", asked.with_image).unwrap_or(false);
    let id_after = query::one(&mut errors, "cursor", asked.cursor, str::parse::<ElementId>);
    errors.finish(())?;
    let run = engine::worker_run::get(&app.engine, &actor, id).await?;
    let filter = activity::Filter { id_after, limit: limit + 1, ..activity::Filter::default() };
    let mut found = activity::list(&app.engine, &actor, id, filter).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.element_id.to_string());
    let count = (with_count && id_after.is_none()).then(|| run.counts.total());
    let ids: Vec<ElementId> = found.iter().map(|one| one.element_id).collect();
    let mut rows = match run.corpus_id {
        Some(corpus) => by_ids(&app, &actor, Within::Corpus(corpus), ids).await?,
        None => HashMap::new(),
    };
    let there: Vec<Row> = rows.values().cloned().collect();
    let with = With { images: with_image, ..With::default() };
    let images = engine::element::details(&app.engine, &there, with).await?.images;
    let shown = found.into_iter().map(|one| {
        let row = rows.remove(&one.element_id);
        let image = row.as_ref().and_then(|row| images.get(&row.image_id?));
        ProcessElement {
            id: one.element_id.to_string(),
            r#type: row.as_ref().map(|row| row.of_type.clone()),
            name: row.as_ref().map(|row| row.name.clone()),
            confidence: row.as_ref().and_then(|row| row.confidence),
            image_id: row.as_ref().and_then(|row| row.image_id).map(|id| id.to_string()),
            image_url: image.map(|image| image.url.clone()),
            image_width: image.and_then(|image| image.width),
            image_height: image.and_then(|image| image.height),
            rotation_angle: row.as_ref().map_or(0, |row| row.rotation_angle),
            mirrored: row.as_ref().is_some_and(|row| row.mirrored),
            polygon: row.and_then(|row| row.polygon).map(|polygon| polygon.0),
        }
    });
    Ok(Json(page::cursor(&site, count, next, shown.collect())))
}

/// Elements by their ids; those that are gone are not among them.
pub(super) async fn by_ids(
    app: &App,
    actor: &Actor,
    within: Within,
    ids: Vec<ElementId>,
) -> Result<HashMap<ElementId, Row>, Problem> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let filter = Filter { limit: ids.len() as i64, ids, ..Filter::within(within) };
    let rows = engine::element::list(&app.engine, actor, filter).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub(super) async fn sets(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<WorkerRunId>,
    Lenient(asked): Lenient<page::Asked>,
) -> Result<Json<Numbered<ProcessSet>>, Problem> {
    let run = engine::worker_run::get(&app.engine, &actor, id).await?;
    let mut sets = Vec::with_capacity(run.selection.sets.len());
    for wanted in run.selection.sets {
        match engine::dataset::get(&app.engine, &actor, wanted.dataset).await {
            Ok(whole) => sets.push(ProcessSet {
                id: dataset::set_id(wanted.dataset, &wanted.set),
                set_name: wanted.set,
                dataset: dataset::show(whole),
            }),
            // It was deleted since.
            Err(engine::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let window = page::window(asked.page, asked.page_size);
    Ok(Json(page::whole(&site, window, sets)?))
}
