//! The server and its machine.

use reqwest::Method;
use runyard_wire::system::{SystemInfo, SystemResources};

use crate::{Client, Error, http::CALL_TIMEOUT};

impl Client {
    /// Version, database and executors of the server.
    pub async fn system(&self) -> Result<SystemInfo, Error> {
        self.http.get(self.http.api(&["system"])?).await
    }

    /// What there is and what is free.
    pub async fn resources(&self) -> Result<Vec<SystemResources>, Error> {
        self.http.get(self.http.api(&["system", "resources"])?).await
    }

    /// The server's OpenAPI document, as it is.
    pub async fn openapi(&self) -> Result<String, Error> {
        let url = self.http.api(&["openapi.json"])?;
        let response = self.http.send(self.http.request(Method::GET, url)?.timeout(CALL_TIMEOUT)).await?;
        response.text().await.map_err(|error| Error::from_reqwest(&error, self.url(), CALL_TIMEOUT))
    }
}
