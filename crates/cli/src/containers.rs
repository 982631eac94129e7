//! Where a container engine may be on this machine. Only looks at the environment; connecting is the server's.

/// Docker's socket, and Podman's for everybody.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The addresses that a word of `--container-engine` means; `None`: no containers are run.
pub(crate) fn engines(word: &str) -> Option<Vec<String>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match word {
        "off" => None,
        "auto" => Some(all(variable("DOCKER_HOST"), variable("XDG_RUNTIME_DIR"))),
        address => Some(vec![address.to_owned()]),
    }
}

/// Who names an engine means that one. Without, Docker's, the user's own Podman, and that of everybody.
fn all(host: Option<String>, runtime: Option<String>) -> Vec<String> {
    if let Some(host) = host {
        return vec![host];
    }
    let own = runtime.map(|folder| format!("{folder}/podman/podman.sock"));
    let paths = SOCKETS[..1].iter().map(ToString::to_string).chain(own).chain([SOCKETS[1].to_owned()]);
    paths.map(|path| format!("unix://{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_named_goes_before_all_sockets() {
        assert_eq!(
            all(Some("tcp://127.0.0.1:2375".into()), Some("/run/user/7".into())),
            ["tcp://127.0.0.1:2375"]
        );
        let found = all(None, Some("/run/user/7".into()));
        let expected = [
            "unix:///var/run/docker.sock",
            "unix:///run/user/7/podman/podman.sock",
            "unix:///run/podman/podman.sock",
        ];
        assert_eq!(found, expected);
        assert_eq!(all(None, None).len(), 2);
        assert_eq!(engines("off"), None);
        assert_eq!(engines("unix:///x.sock").unwrap(), ["unix:///x.sock"]);
    }
}
