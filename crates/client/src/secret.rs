//! Secrets: set, list, delete.

use reqwest::Method;
use runyard_wire::secret::{PutSecret, Secret};

use crate::{Client, Error, query::Query};

impl Client {
    /// Sets a secret of a project (`None`: the token's own, or `default`), in place of the value that it had.
    pub async fn put_secret(
        &self,
        project: Option<&str>,
        name: &str,
        value: String,
    ) -> Result<Secret, Error> {
        let url = Query::default().one("project_id", project).on(self.http.api(&["secrets", name])?);
        self.http.send_json(Method::PUT, url, &PutSecret { value }).await
    }

    /// The secrets of a project, by name, without their values.
    pub async fn secrets(&self, project: Option<&str>) -> Result<Vec<Secret>, Error> {
        let url = Query::default().one("project_id", project).on(self.http.api(&["secrets"])?);
        self.http.get(url).await
    }

    /// Deletes a secret of a project.
    pub async fn delete_secret(&self, project: Option<&str>, name: &str) -> Result<(), Error> {
        let url = Query::default().one("project_id", project).on(self.http.api(&["secrets", name])?);
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }
}
