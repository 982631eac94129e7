//! Datasets and their sets. The archive of a dataset is an artifact of the task that built it, which is this server's own.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use runyard_domain::{CorpusId, DatasetId, ElementId, FieldErrors, worker_run::Selection};
use runyard_engine::{
    self as engine,
    dataset::{NewDataset, Patch, State as Of, Whole},
    element::Within,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    element::{self, Element, Wanted},
    model::time,
    page::{self, Cursor},
    process::by_ids,
    refusal::Renamed,
    site::Site,
    wanted::{flag, id},
};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    body::Valid,
    error::Problem,
    query::{self, Lenient},
};

#[derive(Serialize)]
pub(super) struct Dataset {
    id: String,
    name: String,
    description: String,
    sets: Vec<String>,
    set_elements: BTreeMap<String, i64>,
    state: &'static str,
    corpus_id: String,
    creator: Option<String>,
    task_id: Option<String>,
    unique_elements: bool,
    created: String,
    updated: String,
}

/// A set of a dataset.
#[derive(Serialize)]
pub(super) struct DatasetSet {
    id: String,
    name: String,
}

#[derive(Serialize)]
pub(super) struct DatasetElement {
    set: String,
    element: Element,
}

#[derive(Serialize)]
pub(super) struct Added {
    set: String,
    element_id: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    #[param(nullable = false)]
    set: Option<String>,
    #[param(nullable = false)]
    with_count: Option<String>,
    #[param(nullable = false)]
    cursor: Option<String>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSet {
    set: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexPatchedDataset)]
pub(super) struct Patched {
    name: Option<String>,
    description: Option<String>,
    sets: Option<Vec<String>>,
    set_names: Option<Vec<String>>,
    state: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewDataset)]
pub(super) struct New {
    name: String,
    description: Option<String>,
    set_names: Option<Vec<String>>,
    unique_elements: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewDatasetElement)]
pub(super) struct NewElement {
    set: String,
    element_id: String,
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
) -> Result<Json<Dataset>, Problem> {
    Ok(Json(show(engine::dataset::get(&app.engine, &actor, id).await?)))
}

pub(super) async fn set(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((dataset, name)): Path<(String, String)>,
) -> Result<Json<DatasetSet>, Problem> {
    let id = parse_id::<DatasetId>(&dataset)?;
    let whole = engine::dataset::get(&app.engine, &actor, id).await?;
    if !whole.sets.iter().any(|set| set.name == name) {
        let name: String = name.chars().take(200).collect();
        return Err(Problem::not_found(format!("dataset `{}` has no set `{name}`", whole.dataset.name)));
    }
    Ok(Json(DatasetSet { id: set_id(id, &name), name }))
}

pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(corpus): Id<CorpusId>,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Dataset>), Problem> {
    if new.unique_elements == Some(true) && new.set_names.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::field("set_names", "This list may not be empty."));
    }
    let new = NewDataset {
        id: None,
        corpus: Some(corpus),
        name: new.name,
        description: new.description.unwrap_or_default(),
        sets: new.set_names,
    };
    let create = move |engine| async move { engine::dataset::create(&engine, &actor, new).await };
    let made = app.command(create).await.fields(&[("sets", "set_names")])?;
    Ok((StatusCode::CREATED, Json(show(made))))
}

/// `building` has this server make the archive; that it is made, and that it cannot be, only the server says.
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Valid(patched): Valid<Patched>,
) -> Result<Json<Dataset>, Problem> {
    let mut errors = FieldErrors::default();
    let wanted = query::one(&mut errors, "state", patched.state, str::parse::<Of>);
    errors.finish(())?;
    let patch = Patch {
        name: patched.name,
        description: patched.description,
        sets: patched.sets.or(patched.set_names),
        reopen: wanted == Some(Of::Open),
    };
    let change = move |engine: engine::Engine| async move {
        let whole = engine::dataset::patch(&engine, &actor, id, patch).await?;
        match wanted {
            Some(Of::Building) if whole.dataset.state != Of::Building => {
                engine::dataset::build::build(&engine, &actor, id).await
            }
            _ => Ok(whole),
        }
    };
    let whole = app.command(change).await?;
    match wanted {
        Some(wanted @ (Of::Complete | Of::Error)) if whole.dataset.state != wanted => {
            let state = whole.dataset.state;
            let message = format!(
                "the dataset is {state}, not {wanted}: its archive is made here, when it is set to building"
            );
            Err(Problem::field("state", message))
        }
        _ => Ok(Json(show(whole))),
    }
}

pub(super) async fn elements(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<DatasetId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Cursor<DatasetElement>>, Problem> {
    let limit = page::large(asked.page_size);
    let mut errors = FieldErrors::default();
    let with_count = flag(&mut errors, "with_count", asked.with_count).unwrap_or(false);
    let after = query::one(&mut errors, "cursor", asked.cursor, place);
    errors.finish(())?;
    let whole = engine::dataset::get(&app.engine, &actor, id).await?;
    let counted = whole.sets.iter().filter(|set| asked.set.as_ref().is_none_or(|name| *name == set.name));
    let count = (with_count && after.is_none()).then(|| counted.map(|set| set.elements).sum());
    let mut members = engine::dataset::members(&app.engine, &actor, id, asked.set, after, limit + 1).await?;
    let more = members.len() as i64 > limit;
    members.truncate(limit as usize);
    let next = members.last().filter(|_| more).map(|last| mark(&last.set, last.element_id));
    let ids: Vec<ElementId> = members.iter().map(|member| member.element_id).collect();
    let within = Within::Corpus(whole.dataset.corpus_id);
    let rows = by_ids(&app, &actor, within, ids).await?;
    let there = members.iter().filter_map(|member| rows.get(&member.element_id).cloned()).collect();
    let shown = element::show(&app, &actor, there, Wanted { classes: true, ..Wanted::USUAL }).await?;
    let sets = members.iter().filter(|member| rows.contains_key(&member.element_id));
    let shown = sets.zip(shown).map(|(member, element)| DatasetElement { set: member.set.clone(), element });
    Ok(Json(page::cursor(&site, count, next, shown.collect())))
}

pub(super) async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(dataset): Id<DatasetId>,
    Valid(new): Valid<NewElement>,
) -> Result<(StatusCode, Json<Added>), Problem> {
    let mut errors = FieldErrors::default();
    let element = id::<ElementId>(&mut errors, "element_id", &new.element_id);
    errors.finish(())?;
    let selection = Selection { elements: element.into_iter().collect(), ..Selection::default() };
    let set = new.set.clone();
    let add =
        move |engine| async move { engine::dataset::add(&engine, &actor, dataset, set, selection).await };
    app.command(add).await.single("selection.elements", &[("", "element_id")])?;
    Ok((StatusCode::CREATED, Json(Added { set: new.set, element_id: new.element_id })))
}

pub(super) async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((dataset, element)): Path<(String, String)>,
    Lenient(asked): Lenient<OfSet>,
) -> Result<StatusCode, Problem> {
    let (dataset, element) = (parse_id::<DatasetId>(&dataset)?, parse_id::<ElementId>(&element)?);
    let remove = move |engine| async move {
        engine::dataset::remove(&engine, &actor, dataset, Some(asked.set), Some(vec![element])).await
    };
    match app.command(remove).await? {
        0 => Err(Problem::not_found(format!("element {element} is not in this set"))),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// A dataset.
pub(super) fn show(whole: Whole) -> Dataset {
    let Whole { dataset, sets } = whole;
    Dataset {
        id: dataset.id.to_string(),
        name: dataset.name,
        description: dataset.description,
        sets: sets.iter().map(|set| set.name.clone()).collect(),
        set_elements: sets.into_iter().map(|set| (set.name, set.elements)).collect(),
        state: dataset.state.word(),
        corpus_id: dataset.corpus_id.to_string(),
        creator: None,
        task_id: dataset.task_id,
        unique_elements: false,
        created: time(dataset.created_at),
        updated: time(dataset.updated_at),
    }
}

/// Sets have no ids of their own here: they are named as workers name them on their command line.
pub(super) fn set_id(dataset: DatasetId, set: &str) -> String {
    format!("{dataset}:{set}")
}

/// Where a page ended.
fn mark(set: &str, element: ElementId) -> String {
    URL_SAFE_NO_PAD.encode(format!("{element}:{set}"))
}

fn place(cursor: &str) -> Result<(String, ElementId), &'static str> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (element, set) = text.split_once(':')?;
        Some((set.to_owned(), element.parse().ok()?))
    };
    read().ok_or("is none that a page ended with: take it from `next`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_one_ended() {
        let id: ElementId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(place(&mark("the train & set", id)), Ok(("the train & set".to_owned(), id)));
        for wrong in ["", "x", "%", "YTpi"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
