//! `runyard model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const VERSION: &str = "NAME@TAG, NAME for its newest version, or the id of a version";

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Publish a folder or file as a version of a model; content that is there already is not sent
    Publish(Publish),
    /// List models, or the versions of one; newest first
    #[command(visible_alias = "list")]
    Ls {
        /// Show the versions of this model
        #[arg(value_name = "NAME")]
        model: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a version: what it is, where it comes from, its files
    Show {
        #[arg(value_name = "VERSION", help = VERSION)]
        version: String,
    },
    /// Download a version and verify every digest while it is extracted: it is there as a whole or not at all
    Pull {
        #[arg(value_name = "VERSION", help = VERSION)]
        version: String,
        /// Where to; must be missing, empty, or hold this version [default: NAME, or NAME-TAG]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Delete versions, or models with all of their versions
    Rm {
        /// NAME@TAG or the id of a version; NAME for a model with all of its versions
        #[arg(value_name = "VERSION|NAME", required = true)]
        what: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Compare the files of two versions; exit code 0: the same, 1: different, 2: trouble
    Diff {
        #[arg(value_name = "FROM", help = VERSION)]
        from: String,
        #[arg(value_name = "TO", help = VERSION)]
        to: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  runyard model publish ./model --name digits --tag v3 --description 'Wider' --config classes=10 --parent digits@v2

An interrupted publish goes on where it stopped when the same command is given again.")]
pub(crate) struct Publish {
    /// Folder, or one file
    pub(crate) path: PathBuf,
    /// The model; made when there is none
    #[arg(long)]
    pub(crate) name: String,
    /// Tag, unique in the model
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Take the tag from the version that has it
    #[arg(long, requires = "tag")]
    pub(crate) move_tag: bool,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// What a program that uses it should know; the value is JSON, or text; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) config: Vec<String>,
    #[arg(
        long,
        value_name = "VERSION",
        help = "The version it was made from: NAME@TAG, NAME for the newest, or the id of a version"
    )]
    pub(crate) parent: Option<String>,
}
