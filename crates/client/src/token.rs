//! Tokens.

use reqwest::Method;
use runyard_wire::token::{CreatedToken, NewToken, Token};

use crate::{Client, Error};

impl Client {
    /// Creates a token. Never tried twice: its secret is shown once.
    pub async fn create_token(&self, new: &NewToken) -> Result<CreatedToken, Error> {
        self.http.send_json(Method::POST, self.http.api(&["tokens"])?, new).await
    }

    /// All tokens that this one may see, without their secrets.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        self.http.get(self.http.api(&["tokens"])?).await
    }

    /// Revokes a token: it stops working at once.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        let url = self.http.api(&["tokens", id])?;
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }
}
