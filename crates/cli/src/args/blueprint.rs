//! `runyard blueprint`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::submit::{Code, Config, Resources};

#[derive(Debug, Subcommand)]
pub(crate) enum Blueprint {
    /// Create a blueprint from options, from a JSON file, or both
    Create(Box<Create>),
    /// List blueprints, newest first
    #[command(visible_alias = "list")]
    Ls {
        /// Only this name
        #[arg(long)]
        name: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a blueprint
    Show(One),
    /// Check a config against a blueprint's schema: names every wrong field
    Validate {
        #[command(flatten)]
        blueprint: One,
        #[command(flatten)]
        config: Config,
    },
    /// Delete a blueprint; runs made of it stay
    Rm {
        #[command(flatten)]
        blueprint: One,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id or name; without a version, its newest one
    #[arg(value_name = "NAME[@VERSION]")]
    pub(crate) blueprint: String,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name [default: that in the file]
    pub(crate) name: Option<String>,
    /// Version [default: that in the file]
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// JSON file with the blueprint (`-`: standard input); options override it
    #[arg(long, short, value_name = "JSON")]
    pub(crate) file: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// JSON Schema of the config: a file, or the JSON object itself
    #[arg(long, value_name = "JSON")]
    pub(crate) schema: Option<String>,
    /// Container image, for executors that run containers
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// A task type that it serves; may be repeated
    #[arg(long = "task-type", value_name = "TYPE")]
    pub(crate) task_types: Vec<String>,
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) resources: Resources,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<String>,
}

impl Create {
    /// The source folder, if one was given.
    pub(crate) fn source(&self) -> Option<&PathBuf> {
        self.code.source.as_ref()
    }
}
