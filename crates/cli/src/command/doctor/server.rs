//! The server: does it answer, is it of this version, and if there is none, can one start.

use std::{net::TcpListener, path::Path};

use runyard_client::{Client, Error};

use super::{Check, containers};
use crate::{args::Global, failure::Failure, place};

/// Where `runyard serve` listens when nothing else is said.
const ADDRESS: &str = "127.0.0.1:7878";

pub(super) async fn look(global: &Global, data: &Path) -> Vec<Check> {
    let name = "server";
    let named = global.url.as_deref().is_some_and(|url| !url.is_empty());
    if !named && place::local_url(data).is_none() {
        let check =
            Check::warn(name, format!("none runs on {}", data.display()), "start one with `runyard serve`");
        return vec![check, port()];
    }
    let server = match place::find(global.url.as_deref(), global.token.as_deref(), data) {
        Ok(server) => server,
        Err(Failure::Told { error, hint, .. }) => {
            return vec![Check::fail(name, error, hint.unwrap_or_default())];
        }
        Err(Failure::NobodyReads) => return Vec::new(),
    };
    let client = Client::new(&server.url, &server.token);
    match client.system().await {
        Ok(info) => {
            let own = env!("CARGO_PKG_VERSION");
            let version = if info.version == own {
                Check::ok("version", own)
            } else {
                Check::warn(
                    "version",
                    format!("this is {own}, the server is {}", info.version),
                    "use the same version on both sides",
                )
            };
            let found = format!(
                "{} answers ({}, executors: {})",
                server.url,
                info.database,
                info.executors.join(", ")
            );
            let mut checks = vec![Check::ok(name, found), version];
            checks.extend(containers::engine(&client).await);
            checks
        }
        Err(error @ Error::Connect { .. }) if !named => {
            let found = format!("it ended without taking leave: {}", Failure::from_error(&error));
            vec![
                Check::fail(
                    name,
                    found,
                    "start it again with `runyard serve`: jobs that run are found again",
                ),
                port(),
            ]
        }
        Err(error) => match Failure::from(error) {
            Failure::Told { error, hint, .. } => {
                let fix = hint.unwrap_or_else(|| "look at the server's log".to_owned());
                vec![Check::fail(name, error, fix)]
            }
            Failure::NobodyReads => Vec::new(),
        },
    }
}

fn port() -> Check {
    match TcpListener::bind(ADDRESS) {
        Ok(_) => Check::ok("port", format!("{ADDRESS} is free")),
        Err(error) => Check::warn(
            "port",
            format!("{ADDRESS} cannot be had: {error}"),
            "start the server elsewhere: `runyard serve --listen 127.0.0.1:0`",
        ),
    }
}
