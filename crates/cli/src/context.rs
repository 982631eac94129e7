//! What every command that speaks to a server has: the client, the output, the project.

use std::path::PathBuf;

use runyard_client::Client;

use crate::{args::Global, failure::Failure, output::Output, place};

/// Made once per command.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) out: Output,
    /// Id or name of the project to work in, where one was named.
    pub(crate) project: Option<String>,
    /// Where to look for a local server that came back at another address; `None` when the address was given.
    moved: Option<PathBuf>,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let data = place::data(global.data.as_deref())?;
        let server = place::find(global.url.as_deref(), global.token.as_deref(), &data)?;
        Ok(Self {
            client: Client::new(&server.url, &server.token),
            out: Output::new(global.format()),
            project: global.project.clone().filter(|name| !name.is_empty()),
            moved: global.url.is_none().then_some(data),
        })
    }

    /// The client, for a server that may have been restarted since the command began.
    pub(crate) fn client_now(&self) -> Client {
        let mut client = self.client.clone();
        if let Some(url) = self.url_now() {
            client.set_url(&url);
        }
        client
    }

    /// The address that a restarted local server has now.
    pub(crate) fn url_now(&self) -> Option<String> {
        place::local_url(self.moved.as_deref()?)
    }
}
