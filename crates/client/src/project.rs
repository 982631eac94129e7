//! Projects.

use reqwest::Method;
use runyard_wire::project::{NewProject, Project, ProjectPatch};

use crate::{Client, Error};

impl Client {
    /// Creates a project.
    pub async fn create_project(&self, new: &NewProject) -> Result<Project, Error> {
        self.http.create(self.http.api(&["projects"])?, new).await
    }

    /// All projects that the token may read.
    pub async fn projects(&self) -> Result<Vec<Project>, Error> {
        self.http.get(self.http.api(&["projects"])?).await
    }

    /// The project with this id or name.
    pub async fn project(&self, id_or_name: &str) -> Result<Project, Error> {
        self.http.get(self.http.api(&["projects", id_or_name])?).await
    }

    /// Changes a project.
    pub async fn patch_project(&self, id_or_name: &str, patch: &ProjectPatch) -> Result<Project, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["projects", id_or_name])?, patch).await
    }

    /// Deletes a project that has no runs.
    pub async fn delete_project(&self, id_or_name: &str) -> Result<(), Error> {
        let url = self.http.api(&["projects", id_or_name])?;
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }
}
