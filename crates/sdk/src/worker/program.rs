//! A worker as a program: its command line, its log, its exit code.

use std::{env, io, process::ExitCode};

use tokio::runtime::Builder;

use super::{Asked, Kind, Options, Stop, Summary, USAGE, stop};
use crate::{Environment, Error};

/// Reads the command line of this process and runs the work.
pub(super) fn run(
    kind: Kind,
    work: impl FnOnce(&Environment, &Options, Stop) -> Result<Summary, Error>,
) -> ExitCode {
    let mut args = env::args_os();
    let name = args.next().unwrap_or_default();
    let name = name.to_string_lossy();
    let options = match Options::parse(kind, args) {
        Ok(Asked::Work(options)) => options,
        Ok(Asked::Help) => {
            tell(true, &format!("{name} [options]\n\n{USAGE}"));
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            tell(false, &format!("{name}: {wrong}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    // When the program has said where its log goes, it goes there.
    let _ = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).try_init();
    match listen().and_then(|(_runtime, stop)| work(&Environment::of_job(), &options, stop)) {
        Ok(summary) => ExitCode::from(summary.exit_code()),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Hears signals on a thread of its own, for as long as the runtime lives.
fn listen() -> Result<(tokio::runtime::Runtime, Stop), Error> {
    let failed = |cause| Error::Local { what: "signals cannot be heard", cause };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let stop = runtime.block_on(async { stop::of_signals() }).map_err(failed)?;
    Ok((runtime, stop))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what a person asked for on the command line")]
fn tell(well: bool, text: &str) {
    if well {
        print!("{text}");
    } else {
        eprint!("{text}");
    }
}
