//! Instance types over HTTP.

use axum::extract::State;
use runyard_engine as engine;
use runyard_wire::{Data, instance_type::InstanceType};

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    openapi::Refused,
    query::{Nothing, Query},
};

/// Lists instance types
///
/// Resources under a name, by name: those that every server has, and those that this one was started with.
#[utoipa::path(get, path = "/instance-types", operation_id = "list_instance_types", tag = "system",
    responses((status = 200, description = "Instance types.", body = Data<Vec<InstanceType>>), Refused))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<InstanceType>> {
    let wire = |offer: engine::instance_type::Offer| InstanceType {
        name: offer.instance_type.name,
        resources: offer.instance_type.resources,
        executor: offer.executor,
        unavailable: offer.unavailable,
    };
    data(engine::instance_type::list(&app.engine, &actor).into_iter().map(wire).collect())
}
