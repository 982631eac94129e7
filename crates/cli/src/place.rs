//! Where a local server keeps its files, and how its address and token are found there.

use std::{
    env,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::failure::Failure;

/// A server and the token for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) token: String,
}

/// What a server writes into its data folder at every start.
#[derive(Debug, Deserialize)]
struct ServerFile {
    url: String,
}

/// The data folder: as given, or `$XDG_DATA_HOME/runyard`, or `~/.local/share/runyard`.
pub(crate) fn data(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given.filter(|path| !path.as_os_str().is_empty()) {
        return std::path::absolute(given)
            .map_err(|error| Failure::new(format!("cannot use the folder {}: {error}", given.display())));
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("runyard"))
        .ok_or_else(|| {
            Failure::new("there is no home folder to keep data in")
                .hint("name a folder with --data or RUNYARD_DATA")
        })
}

/// The address that a local server wrote when it started; it takes it back when it ends well.
pub(crate) fn local_url(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data.join("server.json")).ok()?;
    serde_json::from_str(&text).ok().map(|file: ServerFile| file.url)
}

/// The server to speak to. The token of a local server is given to that server, and to no other address.
pub(crate) fn find(url: Option<&str>, token: Option<&str>, data: &Path) -> Result<Server, Failure> {
    let local = local_url(data);
    let url = match (filled(url), &local) {
        (Some(url), _) => url.to_owned(),
        (None, Some(local)) => local.clone(),
        (None, None) => {
            return Err(Failure::new(format!("no server runs on {}", data.display())).hint(
                "start one with `runyard serve`, or name one with RUNYARD_URL and RUNYARD_TOKEN (or --url and --token)",
            ));
        }
    };
    if let Some(token) = filled(token) {
        return Ok(Server { url, token: token.trim().to_owned() });
    }
    if local.is_none_or(|local| !same_server(&local, &url)) {
        return Err(Failure::new(format!("there is no token for {url}"))
            .hint("set RUNYARD_TOKEN, or give --token; an admin makes one with `runyard token create`"));
    }
    let file = data.join("token");
    match std::fs::read_to_string(&file) {
        Ok(token) => Ok(Server { url, token: token.trim().to_owned() }),
        Err(error) => Err(Failure::new(format!("cannot read the token {}: {error}", file.display()))
            .hint("only the owner of the server can read it: ask them for a token of your own, and set RUNYARD_TOKEN")),
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn same_server(one: &str, other: &str) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').replace("//localhost:", "//127.0.0.1:");
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(url: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.json"), format!(r#"{{"url":"{url}","pid":1}}"#)).unwrap();
        std::fs::write(folder.path().join("token"), "ryd_x\n").unwrap();
        folder
    }

    #[test]
    fn a_local_server_is_found_with_its_token() {
        let folder = folder("http://127.0.0.1:7878");
        let server = Server { url: "http://127.0.0.1:7878".into(), token: "ryd_x".into() };
        assert_eq!(find(None, None, folder.path()).unwrap(), server);
        assert_eq!(find(Some(""), Some(""), folder.path()).unwrap(), server);
        assert_eq!(find(Some("http://localhost:7878/"), None, folder.path()).unwrap().token, "ryd_x");
    }

    #[test]
    fn the_local_token_goes_to_no_other_server() {
        let folder = folder("http://127.0.0.1:7878");
        let error = find(Some("http://elsewhere:7878"), None, folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("no token for http://elsewhere:7878") && error.contains("RUNYARD_TOKEN"),
            "{error}"
        );
    }

    #[test]
    fn without_any_server_the_error_says_how_to_start_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(None, None, folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(folder.path().to_str().unwrap()) && error.contains("`runyard serve`"),
            "{error}"
        );
    }
}
