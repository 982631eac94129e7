//! `runyard artifacts` and `runyard artifact`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::run::One;

#[derive(Debug, Args)]
pub(crate) struct Artifacts {
    #[command(flatten)]
    pub(crate) run: One,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) limit: i64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Artifact {
    /// Download an artifact (or all of a run), and check every byte; a download that was interrupted goes on
    Pull {
        #[arg(
            value_name = "RUN[/NAME]",
            help = "A run and the name of its artifact; without a name, all of them"
        )]
        artifact: String,
        /// Where to [default: NAME; for all of them, a folder for each in the current one]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Where several runs have the name, take the newest
        #[arg(long)]
        newest: bool,
    },
    /// Delete artifacts with their files
    Rm {
        #[arg(value_name = "ARTIFACT", help = "RUN/NAME, or the id of an artifact", required = true)]
        artifacts: Vec<String>,
        /// Where several runs have a name, take the newest
        #[arg(long)]
        newest: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
