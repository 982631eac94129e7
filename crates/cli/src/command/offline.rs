//! Commands that need neither a server nor a network.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::{
    args::{Args, process::SchemaOf},
    failure::Failure,
    job_file, output,
};

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

/// The schema of this version, which is the one that this binary holds files against.
pub(super) fn schema(of: SchemaOf) -> Result<ExitCode, Failure> {
    match of {
        SchemaOf::Job => output::text(job_file::SCHEMA)?,
    }
    Ok(ExitCode::SUCCESS)
}
