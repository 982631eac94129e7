//! What the user is told when something went wrong: the error, and a hint at what to do.

use std::{fmt::Display, io, io::Write, process::ExitCode};

use runyard_client::Error as ClientError;

/// Why a command ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is something to say.
    Told {
        /// What is wrong.
        error: String,
        /// What to do.
        hint: Option<String>,
        /// 2: the command line is wrong; 1: anything else.
        code: u8,
    },
    /// Whoever read our output has had enough (`| head`): there is nobody to tell anything.
    NobodyReads,
}

impl Failure {
    /// What is wrong with a call, without the advice for a person who has to mend it.
    pub(crate) fn from_error(error: &ClientError) -> String {
        match error {
            ClientError::Connect { cause, .. } | ClientError::Broken { cause, .. } => cause.clone(),
            other => other.to_string(),
        }
    }

    /// Something went wrong.
    pub(crate) fn new(error: impl Display) -> Self {
        Self::Told { error: error.to_string(), hint: None, code: 1 }
    }

    /// The command line asks for something that makes no sense.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Told { error: error.to_string(), hint: None, code: 2 }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, text: impl Display) -> Self {
        match self {
            Self::Told { error, code, .. } => Self::Told { error, hint: Some(text.to_string()), code },
            Self::NobodyReads => self,
        }
    }

    /// The same with another exit code.
    pub(crate) fn code(self, code: u8) -> Self {
        match self {
            Self::Told { error, hint, .. } => Self::Told { error, hint, code },
            Self::NobodyReads => self,
        }
    }

    /// Tells it on stderr; answers the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let Self::Told { code, .. } = self else { return ExitCode::SUCCESS };
        // With stderr closed, the exit code still says it.
        let _ = write!(io::stderr(), "{self}");
        ExitCode::from(*code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Told { error, hint, .. } = self else { return Ok(()) };
        writeln!(f, "error: {error}")?;
        match hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<runyard_sdk::Error> for Failure {
    fn from(error: runyard_sdk::Error) -> Self {
        match error {
            runyard_sdk::Error::Server(error) => error.into(),
            fields @ runyard_sdk::Error::Fields(_) => Self::usage(fields),
            other => Self::new(other),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Connect { url, cause } => Self::new(format!("no server answers at {url} ({cause})"))
                .hint("start one with `runyard serve`, or name another with --url or RUNYARD_URL"),
            ClientError::Api { status: 401, .. } => {
                Self::new(&error).hint("name a good token with --token or RUNYARD_TOKEN; an admin makes one with `runyard token create`")
            }
            ClientError::Api { status: 500.., body } => Self::new(&error)
                .hint(format!("look for request {} in the server's log", body.request_id)),
            _ => Self::new(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_with_its_hint() {
        let failure = Failure::usage("no run is named `x`").hint("see `runyard ls`");
        assert_eq!(failure.to_string(), "error: no run is named `x`\nhint: see `runyard ls`\n");
    }

    #[test]
    fn an_absent_server_is_an_error_with_a_way_out() {
        let error = ClientError::Connect { url: "http://h:1".into(), cause: "Connection refused".into() };
        let text = Failure::from(error).to_string();
        assert!(
            text.starts_with("error: no server answers at http://h:1 (Connection refused)\nhint: "),
            "{text}"
        );
        assert!(text.contains("`runyard serve`"), "{text}");
    }
}
