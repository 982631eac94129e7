//! Containers: which runner is brought into them, and whether the server has an engine for them. Neither is needed by runs without
//! an image.

use runyard_client::Client;
use runyard_server::container_runner;

use super::Check;

/// The runner that `runyard serve` would bring into containers.
pub(super) fn runner() -> Check {
    let name = "container runner";
    let Ok(own) = std::env::current_exe() else {
        return Check::warn(name, "this binary cannot be found", "start it by its path");
    };
    match container_runner::find(None, &own) {
        Ok(path) if own.canonicalize().is_ok_and(|own| own == path) => {
            Check::ok(name, "this binary: it is static, and runs in any image")
        }
        Ok(path) => Check::ok(name, format!("{}: it is static, and runs in any image", path.display())),
        Err(_) => Check::warn(
            name,
            format!(
                "{} is not static, and there is no {} beside it: containers cannot be run",
                own.display(),
                container_runner::NAME
            ),
            "build one with `scripts/static-runner`, or name one with `runyard serve --container-runner FILE`",
        ),
    }
}

/// What the server says of its executor for containers.
pub(super) async fn engine(client: &Client) -> Option<Check> {
    let name = "containers";
    let resources = client.resources().await.ok()?;
    let Some(found) = resources.into_iter().find(|one| one.executor == "container") else {
        return Some(Check::ok(name, "off (`runyard serve --container-engine auto` looks for an engine)"));
    };
    Some(match found.unavailable {
        None => Check::ok(name, "the server has an engine for them"),
        Some(why) => Check::warn(name, "the server has no engine for them", why),
    })
}
