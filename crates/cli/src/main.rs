//! The binary `runyard`: reads the command line and the environment (nothing else in the house does), and says in
//! words what went wrong. No rule of the product lives here.

mod address;
mod args;
mod command;
mod config;
mod containers;
mod context;
mod failure;
mod follow;
mod instance_types;
mod job_file;
mod output;
mod place;
mod plot;
mod pull;
mod selection;
mod show;
mod source;
mod submission;
mod time;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The result only says whether another provider was there before: none can be, this is the first line.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = args::Args::parse();
    match command::run(args) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
