//! `runyard worker`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use runyard_domain::worker_run::WorkerType;

use super::{
    submit::{Code, Place, Resources, Terms},
    value,
};

const RUN: &str =
    "Id, the beginning or end of one (6 characters or more), or name of the run; or the id of a worker run";

pub(crate) const EXAMPLE: &str = "Examples:
  runyard worker run --corpus books --type page -n 8 --source . -- python worker.py
  runyard worker run --corpus books --set letters:test --worker-type arkindex -- worker-generic

Each process claims elements for itself (RUNYARD_WORKER_RUN_ID, RUNYARD_WORKER_HOLDER, RUNYARD_WORKER_BATCH). One that dies is
started again while elements are left; an element whose worker died --max-attempts times is set aside as an error.
A restart of the run goes on with what is left. Exit code: 0 unless all elements failed, or the run did.";

#[derive(Debug, Subcommand)]
pub(crate) enum Worker {
    /// Work through elements with several processes, and follow them
    #[command(after_help = EXAMPLE)]
    Run(Box<Run>),
    /// List worker runs, newest first
    #[command(visible_alias = "list")]
    Ls {
        /// Only on this corpus, by name or id
        #[arg(long, value_name = "CORPUS")]
        corpus: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show one worker run: what it works through, and how far it is
    Show {
        #[arg(value_name = "RUN", help = RUN)]
        run: String,
        /// Of several runs with this name, the newest
        #[arg(long)]
        newest: bool,
    },
    /// List the elements that failed, each with its message
    Errors {
        #[arg(value_name = "RUN", help = RUN)]
        run: String,
        /// Of several runs with this name, the newest
        #[arg(long)]
        newest: bool,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Queue elements again
    Retry {
        #[arg(value_name = "RUN", help = RUN)]
        run: String,
        /// Which: those that failed, or those that are done
        #[arg(long, value_enum, default_value_t = Ended::Error)]
        state: Ended,
        /// Only this element, by id; may be repeated
        #[arg(long = "element", value_name = "ELEMENT")]
        elements: Vec<String>,
        /// Go on counting how often their workers died
        #[arg(long)]
        keep_attempts: bool,
        /// Restart the run, if it has ended
        #[arg(long)]
        restart: bool,
        /// Of several runs with this name, the newest
        #[arg(long)]
        newest: bool,
    },
    /// Delete worker runs that no run executes; what they found stays
    Rm {
        /// Ids
        #[arg(value_name = "WORKER_RUN", required = true)]
        runs: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// How an element may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ended {
    Error,
    Processed,
}

/// What a worker is written against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Runyard,
    Arkindex,
}

impl From<Kind> for WorkerType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Runyard => Self::Runyard,
            Kind::Arkindex => Self::Arkindex,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Name or id of the corpus
    #[arg(long, value_name = "CORPUS")]
    pub(crate) corpus: String,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Processes of the program
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=256))]
    pub(crate) processes: i64,
    /// Elements that each process claims at once [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) batch: Option<i64>,
    /// How long a process that is not heard of keeps its elements [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = value::age_ms)]
    pub(crate) lease: Option<i64>,
    /// How often an element may lose its worker until it is set aside [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) max_attempts: Option<i64>,
    /// What the worker is written against
    #[arg(long, value_enum, default_value_t = Kind::Runyard)]
    pub(crate) worker_type: Kind,
    /// Name of the worker [default: that of the run]
    #[arg(long, value_name = "NAME")]
    pub(crate) worker: Option<String>,
    /// Name of the run [default: that of the source folder or the program]
    #[arg(long = "run-name", value_name = "NAME")]
    pub(crate) title: Option<String>,
    #[command(flatten)]
    pub(crate) code: Code,
    /// Config of the worker: JSON file, `-` for standard input, or the JSON object itself
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// Override in the config by dotted path: model.threshold=0.5; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) config_set: Vec<String>,
    #[command(flatten)]
    pub(crate) resources: Resources,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Do not follow the run
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM", required = true)]
    pub(crate) command: Vec<String>,
}

/// Which elements; without any of these, the whole corpus.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which elements")]
pub(crate) struct Which {
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) of_type: Option<String>,
    /// Only names with this text; with % and _ it is a pattern for all of the name
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Only what is below this element
    #[arg(long, value_name = "ELEMENT")]
    pub(crate) parent: Option<String>,
    /// With --parent: all levels
    #[arg(long, requires = "parent")]
    pub(crate) recursive: bool,
    /// Only what this worker run has not processed, and left no results for
    #[arg(long, value_name = "WORKER_RUN")]
    pub(crate) without_results_of: Option<String>,
    /// Those whose ids are in this file, one in each line; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["of_type", "name", "parent", "without_results_of", "set"])]
    pub(crate) ids: Option<PathBuf>,
    /// Those in this set of a dataset, by name or id of the dataset; may be repeated
    #[arg(long, value_name = "DATASET:NAME", conflicts_with_all = ["of_type", "name", "parent", "without_results_of"])]
    pub(crate) set: Vec<String>,
}
