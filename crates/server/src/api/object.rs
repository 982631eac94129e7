//! What the store of objects wants of those who send to it.

use axum::extract::State;
use runyard_wire::{Data, object::ObjectStore};

use super::{Answer, data};
use crate::{
    app::App,
    auth::Caller,
    openapi::Refused,
    query::{Nothing, Query},
};

/// Says how objects are sent
///
/// Which digest of a file or part must be announced with it.
#[utoipa::path(get, path = "/objects", operation_id = "get_object_store", tag = "system",
    responses((status = 200, description = "The store of objects.", body = Data<ObjectStore>), Refused))]
pub(super) async fn info(
    State(app): State<App>,
    _caller: Caller,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<ObjectStore> {
    data(ObjectStore { checksum: app.engine.objects.checksum().word().to_owned() })
}
