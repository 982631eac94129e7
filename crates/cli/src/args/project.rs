//! `runyard project`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    /// Create a project
    Create {
        /// Unique name
        name: String,
        /// For people
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// List projects
    #[command(visible_alias = "list")]
    Ls,
    /// Show a project
    Show {
        /// Id or name
        #[arg(value_name = "PROJECT")]
        name: String,
    },
    /// Delete a project that has no runs, with its blueprints and tokens
    Rm {
        /// Id or name
        #[arg(value_name = "PROJECT")]
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
