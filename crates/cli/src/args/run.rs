//! Commands about runs that exist.

use clap::Args;
use runyard_domain::run::Status;

use super::{submit::Resources, value};
use crate::time;

const RUN: &str = "Id, the beginning or end of one (6 characters or more), or name";

/// One run.
#[derive(Debug, Args)]
pub(crate) struct One {
    #[arg(value_name = "RUN", help = RUN)]
    pub(crate) run: String,
    /// Where several runs have the name, take the newest
    #[arg(long)]
    pub(crate) newest: bool,
}

/// Several runs.
#[derive(Debug, Args)]
pub(crate) struct Several {
    #[arg(value_name = "RUN", help = RUN, required = true)]
    pub(crate) runs: Vec<String>,
    /// Where several runs have a name, take the newest
    #[arg(long)]
    pub(crate) newest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Only these statuses, with or without `job_`: running, failed; may be repeated
    #[arg(long, short, value_name = "STATUS", value_delimiter = ',', value_parser = value::status)]
    pub(crate) status: Vec<Status>,
    /// Only names that contain this; with % or _ it is an ILIKE pattern
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Only runs with this label; may be repeated
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub(crate) labels: Vec<String>,
    /// Only runs of this blueprint
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) blueprint: Option<String>,
    /// Only this task type
    #[arg(long, value_name = "TYPE")]
    pub(crate) task_type: Vec<String>,
    /// Only runs created so long ago at most: 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = time::parse)]
    pub(crate) since: Option<std::time::Duration>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) limit: i64,
    /// Order: created_at, id; `:desc` or `:asc` behind it
    #[arg(long, value_name = "FIELD", default_value = "created_at:desc")]
    pub(crate) sort: String,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) run: One,
    /// Go on until the run has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last so many lines
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) tail: Option<i64>,
    /// Only lines with this text, with their numbers
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["follow", "tail"])]
    pub(crate) grep: Option<String>,
    /// The text of --grep is a regular expression
    #[arg(long, requires = "grep")]
    pub(crate) regex: bool,
    /// For --grep, capital and small letters are the same
    #[arg(long, short, requires = "grep")]
    pub(crate) ignore_case: bool,
    /// Only what this instance printed, from 0
    #[arg(long, value_name = "RANK", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) instance: Option<i64>,
    /// Output of this attempt, from 1 [default: the newest]
    #[arg(long, value_name = "EPOCH", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) job: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) run: One,
    /// At most so many, the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) limit: i64,
}

#[derive(Debug, Args)]
pub(crate) struct Metrics {
    #[command(flatten)]
    pub(crate) run: One,
    /// All points of this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Draw them; without --tag all tags, except those of the system
    #[arg(long)]
    pub(crate) plot: bool,
    /// With --plot: values on a logarithmic scale
    #[arg(long, requires = "plot")]
    pub(crate) log: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub(crate) runs: Several,
    /// Time between SIGTERM and SIGKILL; a second stop can only shorten it [default: 10m]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = time::parse_seconds)]
    pub(crate) grace: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    pub(crate) run: One,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    pub(crate) runs: Several,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Stop runs that have not ended, then delete them
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Grace of --force
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = time::parse_seconds)]
    pub(crate) grace: i64,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: that of the first run, in the order given, that did not complete; 0 when all did; 124 after --timeout."
)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) runs: Several,
    /// Give up after this time
    #[arg(long, value_name = "DURATION", value_parser = time::parse)]
    pub(crate) timeout: Option<std::time::Duration>,
}
