//! `runyard token`.

use clap::{Subcommand, ValueEnum};

use crate::time;

/// The reach of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// Everything
    Admin,
    /// The project that --project names
    Project,
    /// The run that --run names
    Run,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Create a token and print its secret, this one time
    Create {
        /// For people; becomes the user of what is done with it
        #[arg(required_unless_present = "named")]
        name: Option<String>,
        /// The same
        #[arg(long = "name", id = "named", value_name = "NAME", conflicts_with = "name")]
        named: Option<String>,
        /// Its reach [with --access-key: project]
        #[arg(long, value_enum, required_unless_present = "access_key")]
        scope: Option<Scope>,
        /// Also print an access key id, for clients that sign their requests (PAI, OSS); of --project, or of the project `default`
        #[arg(long)]
        access_key: bool,
        /// The run of --scope run
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// When it stops working: 12h, 30d [default: never]
        #[arg(long, value_name = "DURATION", value_parser = time::parse_seconds)]
        expires: Option<i64>,
    },
    /// List tokens, without their secrets
    #[command(visible_alias = "list")]
    Ls,
    /// Revoke tokens: they stop working at once
    Revoke {
        /// Id or name
        #[arg(value_name = "TOKEN", required = true)]
        tokens: Vec<String>,
    },
}
