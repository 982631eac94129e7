//! `runyard arkindex`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Arkindex {
    /// Import a corpus: an Arkindex SQLite export, or a JSON description; every id is kept
    #[command(
        after_help = "The file is looked at as a whole first: when something is wrong with it, nothing is written. The same import again
completes one that was interrupted, and changes nothing that is there."
    )]
    Import {
        /// EXPORT.sqlite or DESCRIPTION.json
        file: PathBuf,
        /// Name of the corpus; made when there is none
        #[arg(long, value_name = "NAME")]
        corpus: String,
    },
}
