//! `runyard dataset`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::worker::Which;

const DATASET: &str = "Name or id";
const CORPUS: &str = "Name or id of its corpus; needed only when several have a dataset of that name";

#[derive(Debug, Subcommand)]
pub(crate) enum Dataset {
    /// Make a dataset with empty sets
    Create {
        /// Name, unique in its corpus
        name: String,
        /// Name or id of the corpus
        #[arg(long, value_name = "CORPUS")]
        corpus: String,
        /// For people
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Names of its sets [default: train,dev,test]
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        sets: Option<Vec<String>>,
    },
    /// Add elements to a set
    Add {
        #[arg(value_name = "DATASET", help = DATASET)]
        dataset: String,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
        /// Which set
        #[arg(long = "to", value_name = "SET")]
        to: String,
        #[command(flatten)]
        which: Which,
    },
    /// Split elements into sets anew, by chance or so that every class is in every set in proportion
    #[command(after_help = "Example:
  runyard dataset split letters train=0.8 dev=0.1 test=0.1 --type page --seed 1 --stratify class

Without options that say which elements, those that are in the dataset already. The same seed gives the same split.")]
    Split(Split),
    /// Make its archive: the files, and a database of the elements
    Build {
        #[arg(value_name = "DATASET", help = DATASET)]
        dataset: String,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
        /// Do not wait for it
        #[arg(long, short)]
        detach: bool,
    },
    /// Open a dataset again that was built: its archive is deleted
    Reopen {
        #[arg(value_name = "DATASET", help = DATASET)]
        dataset: String,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
    },
    /// List datasets, the oldest first
    #[command(visible_alias = "list")]
    Ls {
        /// Only of this corpus, by name or id
        #[arg(long, value_name = "CORPUS")]
        corpus: Option<String>,
    },
    /// Show a dataset: its sets, its state, its archive
    Show {
        #[arg(value_name = "DATASET", help = DATASET)]
        dataset: String,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
    },
    /// Download the archive, verify its digest and extract it: all of it is there, or nothing
    Pull {
        #[arg(value_name = "DATASET", help = DATASET)]
        dataset: String,
        /// Where to; must be missing or empty [default: the dataset's name]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
    },
    /// Delete datasets; their elements stay
    Rm {
        #[arg(value_name = "DATASET", required = true, help = DATASET)]
        datasets: Vec<String>,
        #[arg(long, value_name = "CORPUS", help = CORPUS)]
        corpus: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Split {
    #[arg(value_name = "DATASET", help = DATASET)]
    pub(crate) dataset: String,
    /// The part of each set, all together 1: train=0.8
    #[arg(value_name = "SET=PART", required = true, value_parser = super::value::share)]
    pub(crate) shares: Vec<(String, f64)>,
    #[arg(long, value_name = "CORPUS", help = CORPUS)]
    pub(crate) corpus: Option<String>,
    /// Another seed, another split
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: i64,
    /// Keep the proportions of what in every set
    #[arg(long, value_enum)]
    pub(crate) stratify: Option<Stratify>,
    /// With --stratify class: only classifications of this worker run
    #[arg(long, value_name = "WORKER_RUN", requires = "stratify")]
    pub(crate) worker_run: Option<String>,
    /// Add all elements of the corpus first
    #[arg(long, conflicts_with_all = ["of_type", "name", "parent", "without_results_of", "ids", "set"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) which: Which,
}

/// What is kept in proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stratify {
    Class,
    Type,
}
