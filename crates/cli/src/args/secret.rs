//! `runyard secret`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Set a secret, in place of the value that it had; runs get it with --secret VARIABLE=NAME
    Set {
        /// Letters, digits, `_`, `.` and `-`
        name: String,
        /// The value, or `-` for standard input, which is better: what is written here stays in the shell's history
        #[arg(allow_hyphen_values = true, conflicts_with = "from_file")]
        value: Option<String>,
        /// Take the value from a file, without the line end that it ends with
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// List secrets, without their values
    #[command(visible_alias = "list")]
    Ls,
    /// Delete secrets
    Rm {
        /// Name
        #[arg(value_name = "SECRET", required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
