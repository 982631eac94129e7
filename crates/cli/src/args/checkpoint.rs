//! `runyard checkpoints`, `runyard checkpoint`, and which checkpoints a run keeps.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use runyard_domain::checkpoint::{KeepBest, Retention};

use super::{run::One, value};

const CHECKPOINT: &str = "RUN@STEP, RUN for its newest complete one, or the id of a checkpoint";

#[derive(Debug, Args)]
pub(crate) struct Checkpoints {
    #[command(flatten)]
    pub(crate) run: One,
    /// Only complete ones
    #[arg(long)]
    pub(crate) complete: bool,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) limit: i64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Checkpoint {
    /// Download a checkpoint, and check every byte; a download that was interrupted goes on
    Pull {
        #[arg(value_name = "CHECKPOINT", help = CHECKPOINT)]
        checkpoint: String,
        /// Where to [default: checkpoint-STEP]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Where several runs have the name, take the newest
        #[arg(long)]
        newest: bool,
    },
    /// Publish a checkpoint as a version of a model; the server makes it, nothing is sent
    Publish {
        #[arg(value_name = "CHECKPOINT", help = CHECKPOINT)]
        checkpoint: String,
        /// The model; made when there is none
        #[arg(long)]
        name: String,
        /// Version as SemVer writes it, such as 1.0.0; becomes the tag
        #[arg(long)]
        version: String,
        /// For people; becomes the description
        #[arg(long, value_name = "TEXT", default_value = "")]
        summary: String,
        /// Where several runs have the name, take the newest
        #[arg(long)]
        newest: bool,
    },
    /// Delete checkpoints with their files
    Rm {
        #[arg(value_name = "CHECKPOINT", help = "RUN@STEP, or the id of a checkpoint", required = true)]
        checkpoints: Vec<String>,
        /// Where several runs have a name, take the newest
        #[arg(long)]
        newest: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Which checkpoints are kept: those that any of these wants, and always the newest.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Checkpoints to keep (default: all; the newest always)")]
pub(crate) struct Keep {
    /// Keep the newest N
    #[arg(long = "keep-last", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    last: Option<i64>,
    /// Keep the best by a metric at their step: val/loss:min, val/accuracy:max:3
    #[arg(long = "keep-best", value_name = "TAG:min|max[:N]", value_parser = value::keep_best)]
    best: Option<KeepBest>,
    /// Keep those whose step is a multiple of K
    #[arg(long = "keep-every", value_name = "K", value_parser = clap::value_parser!(i64).range(1..))]
    every: Option<i64>,
}

impl Keep {
    /// The rules; `None`: none was given.
    pub(crate) fn retention(self) -> Option<Retention> {
        let Self { last: keep_last, best: keep_best, every: keep_every } = self;
        let retention = Retention { keep_last, keep_best, keep_every };
        (retention != Retention::default()).then_some(retention)
    }
}
