//! `runyard process` and `runyard apply`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    submit::{Code, Instances, Place, Resources, Terms},
    value,
};

pub(crate) const EXAMPLE: &str = "Example:
  runyard process --image python:3.11 --source ./src --parameter lr=0.1 --requirement pandas \\
      --input train=s3://bucket/train/ --input ref=run://RUN/output/model --output result=s3://bucket/out/ \\
      --env K=V --max-run-time 2h --instances 2 --label team=ocr --spot -- python main.py

--output NAME[=TO] is an output: kept by Runyard without an address (of a word such as `json` it is how answers are shown).
Inputs are at $RUNYARD_ML/input/data/NAME (PAI_INPUT_NAME), outputs are written to $RUNYARD_ML/output/NAME (PAI_OUTPUT_NAME),
and uploaded also when the program fails. Without --image it is a process of the server's machine.
The same as a file: `runyard apply job.yaml`; what may be in it: `runyard schema job`.
Exit code: the program's; 128 + N when signal N ended it; 130 when the run was stopped; 1 for any other failure.";

pub(crate) const APPLY_EXAMPLE: &str = "Example:
  name: ocr
  image: python:3.11
  source: ./src                         # beside this file
  command: python main.py               # a line for the shell, or a list of words
  parameters: {lr: 0.1}
  inputs: {train: s3://bucket/train/, ref: ./ref.csv}
  outputs: {result: null}               # kept by Runyard
  max_run_time: 2h

Several documents (`---` between them) and several files are several jobs: all are looked at before the first is submitted.";

#[derive(Debug, Args)]
pub(crate) struct Process {
    /// Name [default: that of the source folder or the program]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) code: Code,
    /// Text for the program (PAI_HPS_NAME, PAI_USER_ARGS, input/config/hyperparameters.json); may be repeated
    #[arg(long = "parameter", value_name = "NAME=TEXT", value_parser = value::pair)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Input: a path here, or s3:// oss:// run:// model:// checkpoint:// dataset://; may be repeated
    #[arg(long = "input", value_name = "NAME=FROM", value_parser = value::pair)]
    pub(crate) inputs: Vec<(String, String)>,
    /// Where outputs go that name no address: a folder of their own below this one
    #[arg(long, value_name = "URI")]
    pub(crate) output_path: Option<String>,
    #[command(flatten)]
    pub(crate) resources: Resources,
    #[command(flatten)]
    pub(crate) instances: Instances,
    /// Metric that is read from each line of the output: an expression with one group, which holds the number; may be repeated
    #[arg(long = "metric", value_name = "NAME=REGEX", value_parser = value::pair)]
    pub(crate) metrics: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) terms: Terms,
    #[command(flatten)]
    pub(crate) foreign: Foreign,
    /// Do not follow the run
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// The program and its arguments; absent: what the image starts
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<String>,
}

/// What PAI can be asked for and nothing here can honour.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Recorded only: the run warns of it")]
pub(crate) struct Foreign {
    /// Machines that may be taken away
    #[arg(long)]
    pub(crate) spot: bool,
    /// What the program's frameworks expect, such as TFJob; PyTorchJob is what --instances gives
    #[arg(long, value_name = "TYPE")]
    pub(crate) job_type: Option<String>,
    /// Sort of machines
    #[arg(long, value_name = "TYPE")]
    pub(crate) resource_type: Option<String>,
    /// Id of a private network
    #[arg(long, value_name = "ID")]
    pub(crate) vpc: Option<String>,
    /// Id of an experiment
    #[arg(long, value_name = "ID")]
    pub(crate) experiment: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// YAML files with jobs; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Follow the runs, one after the other; the exit code is that of the first that did not end well
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only look: submit nothing
    #[arg(long, conflicts_with = "follow")]
    pub(crate) dry_run: bool,
}

/// Of what a schema is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The file that `runyard apply` reads
    Job,
}
