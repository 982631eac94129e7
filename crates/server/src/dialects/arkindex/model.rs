//! Models: names for versions.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use runyard_domain::Millis;
use runyard_engine::{self as engine, model::ModelFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    page::{self, Numbered},
    site::Site,
};
use crate::{app::App, auth::Caller, body::Valid, error::Problem, query::Lenient};

#[derive(Serialize)]
pub(super) struct Model {
    id: String,
    name: String,
    description: String,
    created: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    #[param(nullable = false)]
    name: Option<String>,
    #[param(nullable = false)]
    page: Option<i64>,
    #[param(nullable = false)]
    page_size: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewModel)]
pub(super) struct NewModel {
    name: String,
    description: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    site: Site,
    Lenient(wanted): Lenient<Wanted>,
) -> Result<Json<Numbered<Model>>, Problem> {
    let window = page::window(wanted.page, wanted.page_size);
    let filter = ModelFilter {
        names: wanted.name.into_iter().collect(),
        limit: window.limit,
        offset: window.offset,
        ..ModelFilter::default()
    };
    let (count, models) = engine::model::list_counted(&app.engine, &actor, filter).await?;
    Ok(Json(page::numbered(&site, window, count, models.into_iter().map(show).collect())?))
}

pub(super) async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<Model>, Problem> {
    Ok(Json(show(engine::model::get(&app.engine, &actor, &id, None).await?)))
}

/// Its clients take a refusal with an id in it for the model that they wanted.
pub(super) async fn create(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewModel>,
) -> Result<(StatusCode, Json<Model>), Problem> {
    let (name, maker) = (new.name.clone(), actor.clone());
    let create = move |engine| async move {
        let description = new.description.unwrap_or_default();
        engine::model::create(&engine, &maker, None, new.name, None, description, None).await
    };
    match app.command(create).await {
        Ok(model) => Ok((StatusCode::CREATED, Json(show(model)))),
        Err(problem) if problem.code == "exists" => {
            let model = engine::model::get(&app.engine, &actor, &name, None).await?;
            let instead = json!({"id": model.id.to_string(), "name": [problem.message]});
            Err(Problem::new(StatusCode::BAD_REQUEST, "exists", "the model exists").instead(instead))
        }
        Err(problem) => Err(problem),
    }
}

fn show(model: engine::model::Model) -> Model {
    Model {
        id: model.id.to_string(),
        name: model.name,
        description: model.description,
        created: time(model.created_at),
    }
}

/// A time as Django writes it.
pub(super) fn time(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_zone() {
        assert_eq!(time(Millis(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(time(Millis(i64::MAX)), i64::MAX.to_string());
    }
}
