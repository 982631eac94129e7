//! `runyard runner`: the process inside every job.

use std::process::ExitCode;

use runyard_runner::Inside;

use crate::args::server::Runner;

pub(super) fn run(args: Runner) -> ExitCode {
    let Runner { folder, ml, cache, server_file, server_url } = args;
    runyard_runner::run(&folder, &Inside { ml, cache, server_file, server_url })
}
