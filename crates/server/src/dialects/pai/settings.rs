//! How PAI's clients are served.

/// Which executor runs their jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Executor {
    /// `container` where there is an engine, else `local`.
    #[default]
    Auto,
    /// Containers of the image that the client named.
    Container,
    /// Processes of this machine; the image is recorded, and a warning says that it was not used.
    Local,
}

/// How PAI's clients are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which executor runs their jobs.
    pub executor: Executor,
}

impl Settings {
    /// The word of the executor, of those that this server has.
    pub(super) fn executor(self, known: &[&str]) -> &'static str {
        match self.executor {
            Executor::Auto if known.contains(&"container") => "container",
            Executor::Container => "container",
            Executor::Auto | Executor::Local => "local",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_taken_where_there_are_some_unless_the_operator_said_otherwise() {
        let word = |executor, known| Settings { executor }.executor(known);
        assert_eq!(word(Executor::Auto, &["local", "container"]), "container");
        assert_eq!(word(Executor::Auto, &["local"]), "local");
        assert_eq!(word(Executor::Local, &["local", "container"]), "local");
        assert_eq!(word(Executor::Container, &["local"]), "container");
    }
}
