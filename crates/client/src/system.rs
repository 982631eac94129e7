//! The server and its machine.

use std::time::Duration;

use reqwest::Method;
use runyard_wire::{
    Data,
    instance_type::InstanceType,
    system::{CollectGarbage, Freed, SystemInfo, SystemResources},
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{Client, Error, http::CALL_TIMEOUT};

/// Objects are listed and deleted one after the other, perhaps in a store far away.
const GC_TIMEOUT: Duration = Duration::from_hours(6);

impl Client {
    /// Version, database and executors of the server.
    pub async fn system(&self) -> Result<SystemInfo, Error> {
        self.http.get(self.http.api(&["system"])?).await
    }

    /// What there is and what is free.
    pub async fn resources(&self) -> Result<Vec<SystemResources>, Error> {
        self.http.get(self.http.api(&["system", "resources"])?).await
    }

    /// Instance types, by name.
    pub async fn instance_types(&self) -> Result<Vec<InstanceType>, Error> {
        self.http.get(self.http.api(&["instance-types"])?).await
    }

    /// Writes a backup of the server to `out`; answers its bytes. After an error `out` holds no backup.
    pub async fn backup(&self, out: &mut (impl AsyncWrite + Unpin)) -> Result<u64, Error> {
        let local = |cause| Error::Local { what: "cannot write the backup".to_owned(), cause };
        let mut response =
            self.http.open(self.http.request(Method::GET, self.http.api(&["backup"])?)?).await?;
        let mut written = 0;
        while let Some(chunk) = self.http.chunk(&mut response).await? {
            out.write_all(&chunk).await.map_err(local)?;
            written += chunk.len() as u64;
        }
        out.flush().await.map_err(local)?;
        Ok(written)
    }

    /// Frees what nobody needs; answers how much by kind. May take long.
    pub async fn collect_garbage(&self, wanted: &CollectGarbage) -> Result<Vec<Freed>, Error> {
        let request = self.http.request(Method::POST, self.http.api(&["gc"])?)?.json(wanted);
        let response = self.http.send(request.timeout(GC_TIMEOUT)).await?;
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let body = response.bytes().await.map_err(|e| Error::from_reqwest(&e, self.url(), GC_TIMEOUT))?;
        let data: Result<Data<Vec<Freed>>, _> = serde_json::from_slice(&body);
        data.map(|data| data.data).map_err(|error| Error::Unexpected { url, status, why: error.to_string() })
    }

    /// The server's OpenAPI document, as it is.
    pub async fn openapi(&self) -> Result<String, Error> {
        let url = self.http.api(&["openapi.json"])?;
        let response = self.http.send(self.http.request(Method::GET, url)?.timeout(CALL_TIMEOUT)).await?;
        response.text().await.map_err(|error| Error::from_reqwest(&error, self.url(), CALL_TIMEOUT))
    }
}
