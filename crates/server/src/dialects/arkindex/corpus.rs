//! Corpora, and the types of their elements.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{CorpusId, FieldErrors};
use runyard_engine::{
    self as engine,
    corpus::{ElementType, NewType},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wanted::id;
use crate::{
    app::{App, Id},
    auth::Caller,
    body::Valid,
    error::Problem,
};

#[derive(Serialize)]
pub(super) struct Corpus {
    id: String,
    name: String,
    description: String,
    public: bool,
    indexable: bool,
    top_level_type: Option<String>,
    rights: [&'static str; 2],
    created: String,
    types: Vec<Type>,
}

#[derive(Serialize)]
pub(super) struct Type {
    id: String,
    slug: String,
    display_name: String,
    folder: bool,
    indexable: bool,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewElementType)]
pub(super) struct New {
    slug: String,
    display_name: Option<String>,
    folder: Option<bool>,
    corpus: String,
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Id(id): Id<CorpusId>,
) -> Result<Json<Corpus>, Problem> {
    let corpus = engine::corpus::get(&app.engine, &actor, id).await?;
    let types = engine::corpus::types(&app.engine, &actor, id).await?;
    Ok(Json(Corpus {
        id: corpus.id.to_string(),
        name: corpus.name,
        description: corpus.description,
        public: false,
        indexable: false,
        top_level_type: None,
        rights: ["read", "write"],
        created: super::model::time(corpus.created_at),
        types: types.into_iter().map(show).collect(),
    }))
}

pub(super) async fn create_type(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<New>,
) -> Result<(StatusCode, Json<Type>), Problem> {
    let mut errors = FieldErrors::default();
    let corpus = id::<CorpusId>(&mut errors, "corpus", &new.corpus);
    errors.finish(())?;
    let Some(corpus) = corpus else { return Err(Problem::fault("a wrong id without a message")) };
    let new = NewType {
        id: None,
        slug: new.slug,
        display_name: new.display_name.filter(|name| !name.is_empty()),
        folder: new.folder.unwrap_or(false),
    };
    let create = move |engine| async move { engine::corpus::add_type(&engine, &actor, corpus, new).await };
    let made = app.command(create).await?;
    Ok((StatusCode::CREATED, Json(show(made))))
}

fn show(one: ElementType) -> Type {
    Type {
        id: one.id.to_string(),
        slug: one.slug,
        display_name: one.display_name,
        folder: one.folder,
        indexable: false,
    }
}
