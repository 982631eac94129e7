//! What may be written on the command line. Only reading it: what it does is in `command/`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::output::Format;

pub(crate) mod arkindex;
pub(crate) mod artifact;
pub(crate) mod blueprint;
pub(crate) mod checkpoint;
pub(crate) mod corpus;
pub(crate) mod dataset;
pub(crate) mod element;
pub(crate) mod model;
pub(crate) mod process;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod submit;
pub(crate) mod token;
mod value;
pub(crate) mod worker;

pub(crate) use value::gpu_of;

/// Runs, tracks and ships machine-learning work.
#[derive(Debug, Parser)]
#[command(name = "runyard", version, max_term_width = 110, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Address of the server; found in the data folder of a local server when absent
    #[arg(long, global = true, env = "RUNYARD_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Token; found in the data folder of a local server when absent
    #[arg(long, global = true, env = "RUNYARD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Project to work in, by id or name
    #[arg(long, global = true, env = "RUNYARD_PROJECT", value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// Data folder of a local server [default: $XDG_DATA_HOME/runyard or ~/.local/share/runyard]
    #[arg(long, global = true, env = "RUNYARD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How answers are shown; of `process` also an output: NAME[=TO]
    #[arg(long, global = true, value_parser = value::Answers, default_value = "table", value_name = "FORMAT")]
    output: Vec<value::Answer>,
}

impl Global {
    /// How answers are shown.
    pub(crate) fn format(&self) -> Format {
        let format = |answer: &value::Answer| match answer {
            value::Answer::Format(format) => Some(*format),
            value::Answer::Channel(..) => None,
        };
        self.output.iter().rev().find_map(format).unwrap_or(Format::Table)
    }

    /// The outputs of a processing job: channels, each with where it goes.
    pub(crate) fn outputs(&self) -> Vec<(String, Option<String>)> {
        let channel = |answer: &value::Answer| match answer {
            value::Answer::Format(_) => None,
            value::Answer::Channel(name, to) => Some((name.clone(), to.clone())),
        };
        self.output.iter().filter_map(channel).collect()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server: SQLite and files in one folder, or PostgreSQL
    Serve(server::Serve),
    /// Write everything that the server keeps into one file, while it works
    Backup(server::Backup),
    /// Make a data folder of a backup
    Restore(server::Restore),
    /// Free what nobody needs, and say how much of what
    Gc(server::Gc),
    /// The process inside every job; started by executors
    #[command(hide = true)]
    Runner(server::Runner),
    /// Submit a run and follow it; the exit code is the program's
    #[command(after_help = submit::EXAMPLE)]
    Run(submit::Run),
    /// Submit a run and print its id
    Submit(submit::Submit),
    /// Submit a processing job with input and output channels, and follow it; the exit code is the program's
    #[command(after_help = process::EXAMPLE)]
    Process(Box<process::Process>),
    /// Submit the jobs that YAML files describe, and print their ids
    #[command(after_help = process::APPLY_EXAMPLE)]
    Apply(process::Apply),
    /// List runs, newest first
    #[command(visible_alias = "list")]
    Ls(run::Ls),
    /// Show one run: what it is, how it went, its newest metrics
    Show(run::One),
    /// Show the output of a run
    Logs(run::Logs),
    /// Show what happened to a run
    Events(run::Events),
    /// Show the metrics of a run: the newest of each tag, or all points of some tags
    Metrics(run::Metrics),
    /// List the checkpoints of a run, newest first
    Checkpoints(checkpoint::Checkpoints),
    /// Checkpoints: download, publish, delete
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
    /// List the artifacts of a run, newest first
    Artifacts(artifact::Artifacts),
    /// Artifacts: download, delete
    #[command(subcommand)]
    Artifact(artifact::Artifact),
    /// Models: publish, list, download, compare and delete their versions
    #[command(subcommand)]
    Model(model::Model),
    /// Corpora: hold elements
    #[command(subcommand)]
    Corpus(corpus::Corpus),
    /// Elements: import, list, show, delete
    #[command(subcommand)]
    Element(element::Element),
    /// Workers: work through elements, see what failed, try again
    #[command(subcommand)]
    Worker(worker::Worker),
    /// Datasets: elements in sets, split, built into an archive, downloaded
    #[command(subcommand)]
    Dataset(dataset::Dataset),
    /// Arkindex: import what it exports
    #[command(subcommand)]
    Arkindex(arkindex::Arkindex),
    /// Stop runs: SIGTERM now, SIGKILL after the grace
    Stop(run::Stop),
    /// Start a run that has ended once more
    Restart(run::Restart),
    /// Delete runs with everything they wrote
    Rm(run::Rm),
    /// Wait until runs have ended; the exit code says how
    Wait(run::Wait),
    /// Blueprints: named, versioned templates for runs
    #[command(subcommand)]
    Blueprint(blueprint::Blueprint),
    /// Projects: own runs and blueprints
    #[command(subcommand)]
    Project(project::Project),
    /// Tokens: who may speak to the server
    #[command(subcommand)]
    Token(token::Token),
    /// Secrets: values that runs get by name, kept encrypted and never shown
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Look for what is wrong with this machine and its server, and say how to mend it
    Doctor,
    /// List instance types: resources under a name, for --instance-type
    InstanceTypes,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the server's OpenAPI document
    Openapi,
    /// Print a JSON Schema, for editors and programs
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: process::SchemaOf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_nearest_one() {
        let error = Args::try_parse_from(["runyard", "sumbit"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'submit'"), "{error}");
        let error = Args::try_parse_from(["runyard", "ls", "--limt", "3"]).unwrap_err();
        assert!(error.to_string().contains("'--limit'"), "{error}");
    }

    #[test]
    fn a_wrong_quantity_is_answered_with_the_right_one() {
        let error = Args::try_parse_from(["runyard", "run", "--memory", "5GB", "--", "true"]).unwrap_err();
        assert!(error.to_string().contains("write 5Gi"), "{error}");
    }

    #[test]
    fn what_follows_two_dashes_is_the_program_and_not_ours() {
        let args =
            Args::try_parse_from(["runyard", "run", "--version", "2", "--", "python", "--version"]).unwrap();
        let Command::Run(run) = args.command else { panic!("{args:?}") };
        assert_eq!(run.submit.version, "2");
        assert_eq!(run.submit.command, ["python", "--version"]);
    }
}
