//! `runyard runner`: the process inside every job.

use std::{path::Path, process::ExitCode};

pub(super) fn run(folder: &Path) -> ExitCode {
    runyard_runner::run(folder)
}
