//! Blueprints.

use reqwest::Method;
use runyard_wire::blueprint::{Blueprint, NewBlueprint, ValidateBlueprint};

use crate::{Client, Error, query::Query};

/// Which blueprints to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Exact names.
    pub name: Vec<String>,
    /// Exact versions.
    pub version: Vec<String>,
    /// `field` or `field:desc`.
    pub sort: Option<String>,
    /// At most so many; the server's default is 10.
    pub limit: Option<i64>,
    /// Skip so many.
    pub offset: Option<i64>,
}

impl Client {
    /// Creates a blueprint.
    pub async fn create_blueprint(&self, new: &NewBlueprint) -> Result<Blueprint, Error> {
        self.http.create(self.http.api(&["blueprints"])?, new).await
    }

    /// Blueprints that match.
    pub async fn blueprints(&self, filter: &Filter) -> Result<Vec<Blueprint>, Error> {
        let query = Query::default()
            .each("project_id", &filter.project_id)
            .each("name", &filter.name)
            .each("version", &filter.version)
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit)
            .one("offset", filter.offset);
        self.http.get(query.on(self.http.api(&["blueprints"])?)).await
    }

    /// The blueprint with this id.
    pub async fn blueprint(&self, id: &str) -> Result<Blueprint, Error> {
        self.http.get(self.http.api(&["blueprints", id])?).await
    }

    /// Whether a config would be accepted; the error names every wrong field.
    pub async fn validate_blueprint(&self, id: &str, config: serde_json::Value) -> Result<(), Error> {
        let url = self.http.api(&["blueprints", id, "validate"])?;
        let body = ValidateBlueprint { config };
        self.http.done(self.http.request(Method::POST, url)?.json(&body)).await
    }

    /// Deletes a blueprint; runs made of it stay.
    pub async fn delete_blueprint(&self, id: &str) -> Result<(), Error> {
        let url = self.http.api(&["blueprints", id])?;
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }
}
