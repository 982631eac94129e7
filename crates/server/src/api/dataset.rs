//! Datasets over HTTP: make, list, read, change, delete; their elements, splits and archives.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use runyard_domain::{CorpusId, DatasetId, ElementId, FieldErrors, dataset::Share};
use runyard_engine::{
    self as engine,
    dataset::{Patch, Stratify, Whole},
};
use runyard_wire::{
    Data,
    dataset::{
        AddElements, Archive, Dataset, DatasetElement, DatasetPatch, NewDataset, RemoveElements, Set, Split,
    },
    run::Deleted,
    worker_run::Changed,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, data};
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
    limits,
    openapi::{BadBody, Conflicting, Missing, Refused},
    query::{self, Nothing, Query},
};

/// Which datasets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Any of these ids.
    #[serde(default)]
    #[param(required = false)]
    id: Vec<String>,
    /// Of any of these corpora, by id.
    #[serde(default)]
    #[param(required = false)]
    corpus_id: Vec<String>,
    /// Any of these names.
    #[serde(default)]
    #[param(required = false)]
    name: Vec<String>,
    /// `open`, `building`, `complete`, `error`.
    #[serde(default)]
    #[param(required = false)]
    state: Vec<String>,
    /// What follows this id.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// At most so many; 10 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists datasets
///
/// The oldest first, with the sizes of their sets.
#[utoipa::path(get, path = "/datasets", operation_id = "list_datasets", tag = "datasets", params(Wanted),
    responses((status = 200, description = "Datasets.", body = Data<Vec<Dataset>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Dataset>> {
    let mut errors = FieldErrors::default();
    let filter = engine::dataset::Filter {
        ids: query::each(&mut errors, "id", wanted.id, str::parse),
        corpus_ids: query::each(&mut errors, "corpus_id", wanted.corpus_id, str::parse),
        names: wanted.name,
        states: query::each(&mut errors, "state", wanted.state, str::parse),
        project_id: None,
        id_after: query::one(&mut errors, "id_after", wanted.id_after, str::parse),
        limit: wanted.limit.unwrap_or(10),
    };
    errors.finish(())?;
    let found = engine::dataset::list(&app.engine, &actor, filter).await?;
    data(found.into_iter().map(wire).collect())
}

/// Makes a dataset
///
/// With empty sets. A repeat with the same id and name answers the same dataset.
#[utoipa::path(post, path = "/datasets", operation_id = "create_dataset", tag = "datasets", request_body = NewDataset,
    responses((status = 200, description = "The dataset.", body = Data<Dataset>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
    Valid(new): Valid<NewDataset>,
) -> Answer<Dataset> {
    let mut errors = FieldErrors::default();
    let new = engine::dataset::NewDataset {
        id: query::one(&mut errors, "id", new.id, str::parse),
        corpus: query::one(&mut errors, "corpus", Some(new.corpus), str::parse::<CorpusId>),
        name: new.name,
        description: new.description,
        sets: new.sets,
    };
    errors.finish(())?;
    let create = move |engine| async move { engine::dataset::create(&engine, &actor, new).await };
    data(wire(app.command(create).await?))
}

/// Reads a dataset
#[utoipa::path(get, path = "/datasets/{dataset_id}", operation_id = "get_dataset", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")),
    responses((status = 200, description = "The dataset.", body = Data<Dataset>), Missing, Refused))]
pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Dataset> {
    data(wire(engine::dataset::get(&app.engine, &actor, id).await?))
}

/// Changes a dataset
///
/// Name, description, sets; `state: open` opens one that is complete again, and deletes its archive.
#[utoipa::path(patch, path = "/datasets/{dataset_id}", operation_id = "patch_dataset", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")), request_body = DatasetPatch,
    responses((status = 200, description = "The dataset.", body = Data<Dataset>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn patch(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<DatasetPatch>,
) -> Answer<Dataset> {
    if let Some(state) = body.state.as_deref().filter(|state| *state != "open") {
        let message = format!("`{state}` cannot be set: only open; an archive is made by `POST .../build`");
        return Err(Problem::field("state", message));
    }
    let patch = Patch {
        name: body.name,
        description: body.description,
        sets: body.sets,
        reopen: body.state.is_some(),
    };
    let change = move |engine| async move { engine::dataset::patch(&engine, &actor, id, patch).await };
    data(wire(app.command(change).await?))
}

/// Deletes a dataset
///
/// With its archive; the elements stay.
#[utoipa::path(delete, path = "/datasets/{dataset_id}", operation_id = "delete_dataset", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")),
    responses((status = 200, description = "What was deleted.", body = Data<Deleted>), Missing, Refused))]
pub(super) async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Deleted> {
    let dataset = engine::dataset::get(&app.engine, &actor, id).await?.dataset;
    let delete = move |engine| async move { engine::dataset::delete(&engine, &actor, id).await };
    app.command(delete).await?;
    let freed_bytes = dataset.archive.map_or(0, |archive| archive.size);
    data(Deleted { id: id.to_string(), freed_bytes })
}

/// Which elements of a dataset.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedMembers {
    /// Only of this set.
    #[param(nullable = false)]
    set: Option<String>,
    /// What follows this element; with `set_after`: in that set.
    #[param(nullable = false)]
    id_after: Option<String>,
    /// The set of `id_after`; absent: `set`.
    #[param(nullable = false)]
    set_after: Option<String>,
    /// At most so many; 100 when nothing was said.
    #[param(minimum = 0, maximum = 1000, nullable = false)]
    limit: Option<i64>,
}

/// Lists the elements of a dataset
///
/// By set and id.
#[utoipa::path(get, path = "/datasets/{dataset_id}/elements", operation_id = "list_dataset_elements", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset."), WantedMembers),
    responses((status = 200, description = "Elements.", body = Data<Vec<DatasetElement>>), Missing, Refused))]
pub(super) async fn elements(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(wanted): Query<WantedMembers>,
) -> Answer<Vec<DatasetElement>> {
    let mut errors = FieldErrors::default();
    let after = query::one(&mut errors, "id_after", wanted.id_after, str::parse::<ElementId>);
    let set_after = wanted.set_after.or_else(|| wanted.set.clone());
    if after.is_some() && set_after.is_none() {
        errors.add("set_after", "is needed with id_after: name the set that the last element was in");
    }
    errors.finish(())?;
    let (limit, after) = (wanted.limit.unwrap_or(100), set_after.zip(after));
    let found = engine::dataset::members(&app.engine, &actor, id, wanted.set, after, limit).await?;
    let all = found.into_iter().map(|one| DatasetElement {
        set: one.set,
        element_id: one.element_id.to_string(),
        of_type: one.of_type,
        name: one.name,
    });
    data(all.collect())
}

/// Adds elements to a set
///
/// Those that are there stay; answers how many are new.
#[utoipa::path(post, path = "/datasets/{dataset_id}/elements", operation_id = "add_dataset_elements", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")), request_body = AddElements,
    responses((status = 200, description = "How many are new.", body = Data<Changed>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<AddElements, { limits::SELECTION }>,
) -> Answer<Changed> {
    let add = move |engine| async move {
        engine::dataset::add(&engine, &actor, id, body.set, body.selection).await
    };
    data(Changed { count: app.command(add).await? })
}

/// Takes elements out of a dataset
///
/// Answers how many places are free by that.
#[utoipa::path(post, path = "/datasets/{dataset_id}/elements/remove", operation_id = "remove_dataset_elements",
    tag = "datasets", params(("dataset_id" = String, Path, description = "Id of the dataset.")),
    request_body = RemoveElements,
    responses((status = 200, description = "How many were taken out.", body = Data<Changed>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<RemoveElements, { limits::SELECTION }>,
) -> Answer<Changed> {
    let mut errors = FieldErrors::default();
    let elements = body.elements.map(|texts| query::each(&mut errors, "elements", texts, str::parse));
    errors.finish(())?;
    let remove =
        move |engine| async move { engine::dataset::remove(&engine, &actor, id, body.set, elements).await };
    data(Changed { count: app.command(remove).await? })
}

/// Splits a dataset anew
///
/// Each of its elements goes to one of the sets named. The same elements, shares and seed give the same split, anywhere.
#[utoipa::path(post, path = "/datasets/{dataset_id}/split", operation_id = "split_dataset", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")), request_body = Split,
    responses((status = 200, description = "The dataset.", body = Data<Dataset>),
        Missing, Conflicting, BadBody, Refused))]
pub(super) async fn split(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
    Valid(body): Valid<Split, { limits::SELECTION }>,
) -> Answer<Dataset> {
    let mut errors = FieldErrors::default();
    let run = query::one(&mut errors, "worker_run_id", body.worker_run_id, str::parse);
    let stratify = match body.stratify.as_deref() {
        None => None,
        Some("class") => Some(Stratify::Class(run)),
        Some("type") => Some(Stratify::Type),
        Some(other) => {
            errors.add("stratify", format!("`{other}` is no way to stratify: it is class or type"));
            None
        }
    };
    if run.is_some() && !matches!(stratify, Some(Stratify::Class(_))) {
        errors.add("worker_run_id", "goes with stratify: class");
    }
    errors.finish(())?;
    let how = engine::dataset::Split {
        shares: body.shares.into_iter().map(|(set, share)| Share { set, share }).collect(),
        seed: body.seed,
        selection: body.selection,
        stratify,
    };
    let split = move |engine| async move { engine::dataset::split(&engine, &actor, id, how).await };
    data(wire(app.command(split).await?))
}

/// Builds the archive of a dataset
///
/// It is `building` from now on, then `complete`, or `error` with the reason.
#[utoipa::path(post, path = "/datasets/{dataset_id}/build", operation_id = "build_dataset", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")),
    responses((status = 200, description = "The dataset.", body = Data<Dataset>), Missing, Conflicting, Refused))]
pub(super) async fn build(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Dataset> {
    let build = move |engine| async move { engine::dataset::build::build(&engine, &actor, id).await };
    data(wire(app.command(build).await?))
}

/// Reads the archive of a dataset
///
/// Leads to an address that needs no token, expires, and knows ranges.
#[utoipa::path(get, path = "/datasets/{dataset_id}/archive", operation_id = "read_dataset_archive", tag = "datasets",
    params(("dataset_id" = String, Path, description = "Id of the dataset.")),
    responses((status = 302, description = "Where the bytes are.",
        headers(("Location" = String, description = "The address; one that begins with `/` is on this server."))),
        Missing, Conflicting, Refused))]
pub(super) async fn archive(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<DatasetId>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    let signed = engine::dataset::archive(&app.engine, &actor, id).await?;
    let headers = [
        (header::LOCATION, crate::object::reference(&app, signed.url)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

fn wire(whole: Whole) -> Dataset {
    let Whole { dataset, sets } = whole;
    let name = format!("{}.tar.zst", dataset.id);
    Dataset {
        id: dataset.id.to_string(),
        corpus_id: dataset.corpus_id.to_string(),
        name: dataset.name,
        description: dataset.description,
        state: dataset.state.word().to_owned(),
        error: dataset.error,
        sets: sets.into_iter().map(|set| Set { name: set.name, elements: set.elements }).collect(),
        seed: dataset.seed,
        task_id: dataset.task_id,
        archive: dataset.archive.map(|archive| Archive {
            name,
            size: archive.size,
            sha256: archive.sha256,
            files: archive.files,
        }),
        created_at: dataset.created_at.0,
        updated_at: dataset.updated_at.0,
    }
}
