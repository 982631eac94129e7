//! `runyard corpus`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Corpus {
    /// List corpora, the oldest first
    #[command(visible_alias = "list")]
    Ls,
    /// Create a corpus
    Create {
        /// Name, unique in its project
        name: String,
        /// For people
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Type of its elements; may be repeated, and imports make more
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
    },
    /// Delete corpora with all that is in them: elements, results, datasets, worker runs
    Rm {
        /// Names or ids
        #[arg(value_name = "CORPUS", required = true)]
        corpora: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
