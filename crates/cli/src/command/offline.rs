//! Commands that need neither a server nor a network.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::{args::Args, failure::Failure, output};

pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "runyard", &mut script);
    output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The document of this version, which is the one that its server serves.
pub(super) fn openapi() -> Result<ExitCode, Failure> {
    output::text(&runyard_server::openapi())?;
    Ok(ExitCode::SUCCESS)
}
