//! The runner alone, as the tests of this crate start it: `cargo run -p runyard-runner --example runner -- FOLDER`.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let folder: PathBuf = std::env::args_os().nth(1).expect("the folder of a job").into();
    runyard_runner::run(&folder, &runyard_runner::Inside::default())
}
