//! The native API: a file per noun. Handlers turn wire into engine and back, and do nothing else.

mod activity;
mod arkindex;
mod artifact;
mod blueprint;
mod channel;
mod checkpoint;
mod corpus;
mod dataset;
mod element;
mod event;
mod file;
mod image;
mod instance_type;
mod job;
mod log;
mod metric;
mod model;
mod model_version;
mod object;
mod project;
mod result;
mod run;
mod secret;
mod source;
mod stream;
mod system;
mod token;
mod worker_run;

use axum::Json;
use runyard_wire::Data;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    error::Problem,
    query::{pattern, sort_by_creation},
};

/// What most handlers answer.
type Answer<T> = Result<Json<Data<T>>, Problem>;

#[expect(clippy::unnecessary_wraps, reason = "it is what handlers end with")]
fn data<T>(data: T) -> Answer<T> {
    Ok(Json(Data { data }))
}

/// Routes that answer soon; below `/api/v2`.
pub(crate) fn soon() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(project::list, project::create))
        .routes(routes!(project::get, project::patch, project::delete))
        .routes(routes!(token::list, token::create))
        .routes(routes!(token::revoke))
        .routes(routes!(blueprint::list, blueprint::create))
        .routes(routes!(blueprint::get, blueprint::delete))
        .routes(routes!(blueprint::validate))
        .routes(routes!(run::list, run::create))
        .routes(routes!(run::get, run::patch, run::delete))
        .routes(routes!(run::progress, run::put_progress))
        .routes(routes!(run::stop))
        .routes(routes!(run::restart))
        .routes(routes!(event::list))
        .routes(routes!(secret::list))
        .routes(routes!(secret::put, secret::delete))
        .routes(routes!(job::list))
        .routes(routes!(channel::lineage))
        .routes(routes!(log::read))
        .routes(routes!(log::search))
        .routes(routes!(stream::follow))
        .routes(routes!(metric::list, metric::post))
        .routes(routes!(metric::tags))
        .routes(routes!(metric::series))
        .routes(routes!(checkpoint::list, checkpoint::create))
        .routes(routes!(checkpoint::read))
        .routes(routes!(artifact::list, artifact::create))
        .routes(routes!(artifact::read))
        .routes(routes!(model::list, model::create))
        .routes(routes!(model::get, model::patch))
        .routes(routes!(model_version::begin))
        .routes(routes!(model_version::list))
        .routes(routes!(model_version::get, model_version::patch))
        .routes(routes!(model_version::files))
        .routes(routes!(model_version::archive))
        .routes(routes!(job::start))
        .routes(routes!(job::heartbeat))
        .routes(routes!(job::append))
        .routes(routes!(job::end))
        .routes(routes!(channel::inputs))
        .routes(routes!(channel::input_files))
        .routes(routes!(worker_run::list))
        .routes(routes!(worker_run::get, worker_run::delete))
        .routes(routes!(activity::list))
        .routes(routes!(activity::set_state))
        .routes(routes!(activity::claim))
        .routes(routes!(activity::renew))
        .routes(routes!(activity::release))
        .routes(routes!(activity::commit))
        .routes(routes!(activity::retry))
        .routes(routes!(dataset::list, dataset::create))
        .routes(routes!(dataset::get, dataset::patch, dataset::delete))
        .routes(routes!(dataset::elements))
        .routes(routes!(dataset::build))
        .routes(routes!(corpus::list, corpus::create))
        .routes(routes!(corpus::get, corpus::patch))
        .routes(routes!(corpus::types, corpus::add_type))
        .routes(routes!(corpus::delete_type))
        .routes(routes!(corpus::classes, corpus::create_class))
        .routes(routes!(corpus::entity_types, corpus::create_entity_type))
        .routes(routes!(corpus::entities))
        .routes(routes!(image::list, image::put))
        .routes(routes!(image::get))
        .routes(routes!(element::list))
        .routes(routes!(element::get, element::patch))
        .routes(routes!(element::children, element::add_children))
        .routes(routes!(element::parents))
        .routes(routes!(element::remove_parent))
        .routes(routes!(result::get))
        .routes(routes!(object::info))
        .routes(routes!(system::info))
        .routes(routes!(system::resources))
        .routes(routes!(instance_type::list))
}

/// Routes whose bodies may take long, or what they ask of the object store; below `/api/v2`.
pub(crate) fn long() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(system::backup))
        .routes(routes!(system::collect_garbage))
        .routes(routes!(source::put))
        .routes(routes!(corpus::delete))
        .routes(routes!(arkindex::import))
        .routes(routes!(element::create))
        .routes(routes!(element::delete))
        .routes(routes!(result::add))
        .routes(routes!(source::get, source::head))
        .routes(routes!(checkpoint::get, checkpoint::delete))
        .routes(routes!(checkpoint::files, checkpoint::announce))
        .routes(routes!(checkpoint::complete))
        .routes(routes!(checkpoint::abandon))
        .routes(routes!(artifact::get, artifact::delete))
        .routes(routes!(artifact::files, artifact::announce))
        .routes(routes!(artifact::complete))
        .routes(routes!(channel::announce))
        .routes(routes!(channel::complete))
        .routes(routes!(artifact::abandon))
        .routes(routes!(worker_run::create))
        .routes(routes!(worker_run::select))
        .routes(routes!(dataset::add))
        .routes(routes!(dataset::remove))
        .routes(routes!(dataset::split))
        .routes(routes!(dataset::archive))
        .routes(routes!(model::delete))
        .routes(routes!(model_version::delete))
        .routes(routes!(model_version::parts))
        .routes(routes!(model_version::complete))
        .routes(routes!(model_version::of_checkpoint))
}

/// Routes that need no token.
pub(crate) fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(system::document))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
}
