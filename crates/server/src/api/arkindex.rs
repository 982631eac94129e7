//! Imports from Arkindex over HTTP: streamed in, never in memory as a whole.

use axum::extract::{Request, State};
use runyard_engine as engine;
use runyard_wire::{Data, corpus::ImportedCorpus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, corpus, data};
use crate::{
    app::App,
    auth::Caller,
    openapi::{BadBytes, Conflicting, Missing, Refused},
    query::Query,
};

/// Where an export goes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Where {
    /// Name of the corpus; made when there is none.
    name: String,
    /// Id or name of its project; absent: `default`.
    #[param(nullable = false)]
    project_id: Option<String>,
}

/// Imports an Arkindex export
///
/// A SQLite export as a corpus; every id is kept. The file is looked at as a whole first: when something is wrong with it, nothing
/// is written. The same import again completes one that was interrupted, and changes nothing that is there.
#[utoipa::path(post, path = "/arkindex/import", operation_id = "import_arkindex_export", tag = "corpora", params(Where),
    request_body(content = Vec<u8>, content_type = "application/vnd.sqlite3", description = "The export."),
    responses((status = 200, description = "The corpus, and how many elements the export has.", body = Data<ImportedCorpus>),
        Missing, Conflicting, BadBytes, Refused))]
pub(super) async fn import(
    State(app): State<App>,
    Caller(actor): Caller,
    Query(place): Query<Where>,
    request: Request,
) -> Answer<ImportedCorpus> {
    let bytes = request.into_body().into_data_stream();
    let import = move |engine| async move {
        engine::arkindex_import::import(&engine, &actor, place.project_id, place.name, bytes).await
    };
    let imported = app.command(import).await?;
    data(ImportedCorpus { corpus: corpus::wire(imported.corpus), elements: imported.elements })
}
