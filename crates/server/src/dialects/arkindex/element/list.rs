//! Lists of elements: of a corpus, below an element, above one. Pages go on behind an element, so that each costs the same.

use axum::{
    Json,
    extract::{Path, State},
};
use runyard_domain::{CorpusId, ElementId, FieldErrors};
use runyard_engine::{
    self as engine, Actor,
    element::{Depth, Filter, MadeBy, Within},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Element, Wanted, show};
use crate::{
    app::{App, Id, parse_id},
    auth::Caller,
    dialects::arkindex::{
        page::{self, Cursor},
        site::Site,
        wanted::{containing, flag, made_by},
    },
    error::Problem,
    query::{self, Lenient},
};

/// Booleans come as Python writes them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::dialects::arkindex) struct Asked {
    #[param(nullable = false)]
    folder: Option<String>,
    #[param(nullable = false)]
    name: Option<String>,
    #[param(nullable = false)]
    r#type: Option<String>,
    #[param(nullable = false)]
    top_level: Option<String>,
    #[param(nullable = false)]
    recursive: Option<String>,
    #[param(nullable = false)]
    with_classes: Option<String>,
    #[param(nullable = false)]
    with_corpus: Option<String>,
    #[param(nullable = false)]
    with_metadata: Option<String>,
    #[param(nullable = false)]
    with_has_children: Option<String>,
    #[param(nullable = false)]
    with_zone: Option<String>,
    #[param(nullable = false)]
    transcription_worker_version: Option<String>,
    #[param(nullable = false)]
    transcription_worker_run: Option<String>,
    #[param(nullable = false)]
    worker_version: Option<String>,
    #[param(nullable = false)]
    worker_run: Option<String>,
    #[param(nullable = false)]
    cursor: Option<String>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

/// Where a list looks.
enum Place {
    Corpus(CorpusId),
    Below(ElementId),
    Above(ElementId),
}

pub(in crate::dialects::arkindex) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Id(id): Id<CorpusId>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Cursor<Element>>, Problem> {
    answer(&app, &actor, &site, &Place::Corpus(id), asked).await
}

pub(in crate::dialects::arkindex) async fn children(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Path(id): Path<String>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Cursor<Element>>, Problem> {
    answer(&app, &actor, &site, &Place::Below(parse_id(&id)?), asked).await
}

pub(in crate::dialects::arkindex) async fn parents(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Path(id): Path<String>,
    Lenient(asked): Lenient<Asked>,
) -> Result<Json<Cursor<Element>>, Problem> {
    answer(&app, &actor, &site, &Place::Above(parse_id(&id)?), asked).await
}

async fn answer(
    app: &App,
    actor: &Actor,
    site: &Site,
    place: &Place,
    asked: Asked,
) -> Result<Json<Cursor<Element>>, Problem> {
    let limit = page::large(asked.page_size);
    let (mut filter, wanted, folder) = read(place, asked, limit)?;
    if let Some(folder) = folder {
        folders(app, actor, place, folder, &mut filter).await?;
    }
    let count = match filter.id_after {
        None => Some(engine::element::count(&app.engine, actor, filter.clone()).await?),
        Some(_) => None,
    };
    let mut rows = engine::element::list(&app.engine, actor, filter).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(page::cursor(site, count, next, show(app, actor, rows, wanted).await?)))
}

/// What was asked for: the filter, what is shown, and whether it is folders.
fn read(place: &Place, asked: Asked, limit: i64) -> Result<(Filter, Wanted, Option<bool>), Problem> {
    let mut errors = FieldErrors::default();
    let mut yes = |name: &str, text: Option<String>| flag(&mut errors, name, text);
    let recursive = yes("recursive", asked.recursive) == Some(true);
    let depth = if recursive { Depth::All } else { Depth::One };
    let within = match *place {
        Place::Corpus(id) => Within::Corpus(id),
        Place::Below(id) => Within::Below(id, depth),
        Place::Above(id) => Within::Above(id, depth),
    };
    let top_level = yes("top_level", asked.top_level);
    let folder = yes("folder", asked.folder);
    let usual = Wanted::USUAL;
    let wanted = Wanted {
        corpus: yes("with_corpus", asked.with_corpus).unwrap_or(usual.corpus),
        zone: yes("with_zone", asked.with_zone).unwrap_or(usual.zone),
        classes: yes("with_classes", asked.with_classes).unwrap_or(usual.classes),
        metadata: yes("with_metadata", asked.with_metadata).unwrap_or(usual.metadata),
        has_children: yes("with_has_children", asked.with_has_children).unwrap_or(usual.has_children),
    };
    let filter = Filter {
        types: asked.r#type.into_iter().collect(),
        name_ilikes: asked.name.iter().map(|name| containing(name)).collect(),
        top_level,
        made_by: made_by(
            &mut errors,
            ("worker_version", asked.worker_version),
            ("worker_run", asked.worker_run),
        ),
        transcribed_by: made_by(
            &mut errors,
            ("transcription_worker_version", asked.transcription_worker_version),
            ("transcription_worker_run", asked.transcription_worker_run),
        ),
        id_after: query::one(&mut errors, "cursor", asked.cursor, str::parse),
        limit: limit + 1,
        ..Filter::within(within)
    };
    Ok(errors.finish((filter, wanted, folder))?)
}

/// Narrows a list to folders, or to what is none.
async fn folders(
    app: &App,
    actor: &Actor,
    place: &Place,
    folder: bool,
    filter: &mut Filter,
) -> Result<(), Problem> {
    let corpus = match *place {
        Place::Corpus(id) => id,
        Place::Below(id) | Place::Above(id) => engine::element::get(&app.engine, actor, id).await?.corpus_id,
    };
    let types = engine::corpus::types(&app.engine, actor, corpus).await?;
    let folders: Vec<String> = types.into_iter().filter(|one| one.folder).map(|one| one.slug).collect();
    if !folder {
        filter.not_types = folders;
        return Ok(());
    }
    match filter.types.first() {
        None => filter.types = folders,
        Some(of_type) if folders.contains(of_type) => return Ok(()),
        Some(_) => filter.types = Vec::new(),
    }
    if filter.types.is_empty() {
        filter.made_by = Some(MadeBy::WorkerRuns(Vec::new()));
    }
    Ok(())
}
