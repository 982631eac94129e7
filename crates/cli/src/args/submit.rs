//! `runyard run` and `runyard submit`.

use std::path::PathBuf;

use clap::Args;
use runyard_domain::{instance::MAX, job::RetryOn, resources::Gpu};

use super::{checkpoint::Keep, value};
use crate::time;

pub(crate) const EXAMPLE: &str = "Example:
  runyard run --name digits --source examples/digits --requirement scikit-learn --config config.json \\
      --set lr=0.001 --cpu 2 --memory 2Gi --max-run-time 1h -- python train.py

Ctrl-C asks whether to detach from the run, to stop it or to go on; pressed twice it detaches.
Exit code: the program's; 128 + N when signal N ended it; 130 when the run was stopped; 1 for any other failure.";

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) submit: Submit,
    /// Do not follow the run
    #[arg(long, short)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// Name [default: that of the source folder, the blueprint or the program]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version, free text
    #[arg(long, default_value = "")]
    pub(crate) version: String,
    /// Make the run of this blueprint, by id or name; without a version, of its newest one
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) blueprint: Option<String>,
    /// One of the blueprint's task types
    #[arg(long, value_name = "TYPE")]
    pub(crate) task_type: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) config: Config,
    #[command(flatten)]
    pub(crate) resources: Resources,
    #[command(flatten)]
    pub(crate) instances: Instances,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// The program and its arguments; absent: the blueprint's
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<String>,
}

/// How many of the program, and on what.
#[derive(Debug, Default, Args)]
pub(crate) struct Instances {
    /// How many processes of the program start together, each with the resources; they find each other by MASTER_ADDR,
    /// MASTER_PORT, WORLD_SIZE and RANK
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX))]
    pub(crate) instances: Option<i64>,
    /// Resources under a name, see `runyard instance-types`; other options go before it
    #[arg(long, value_name = "NAME")]
    pub(crate) instance_type: Option<String>,
}

/// On what terms the run is executed, and what people note of it.
#[derive(Debug, Default, Args)]
pub(crate) struct Terms {
    /// Secret for the program, as a variable; may be repeated. See `runyard secret`
    #[arg(long = "secret", value_name = "VARIABLE=NAME", value_parser = value::pair)]
    pub(crate) secrets: Vec<(String, String)>,
    /// Time limit of the program: 30s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = time::parse_seconds, allow_hyphen_values = true)]
    pub(crate) max_run_time: Option<i64>,
    /// How often the run restarts itself after a failure
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) retries: Option<i64>,
    /// After which failures: failed, oom, lost [default: all three]
    #[arg(long, value_name = "WORDS", value_delimiter = ',', value_parser = value::retry_on, requires = "retries")]
    pub(crate) retry_on: Option<Vec<RetryOn>>,
    /// Label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::pair)]
    pub(crate) labels: Vec<(String, String)>,
    /// Notes
    #[arg(long, value_name = "TEXT")]
    pub(crate) notes: Option<String>,
    /// Higher goes first, from -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i64>,
}

/// What runs the program.
#[derive(Debug, Default, Args)]
pub(crate) struct Place {
    /// Container image: the program runs in it, if the server has a container engine
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Secret with `user:password` for the image's registry
    #[arg(long, value_name = "NAME", requires = "image")]
    pub(crate) registry_secret: Option<String>,
    /// Which executor: local, container [default: container with an image, else the server's own]
    #[arg(long, value_name = "WORD")]
    pub(crate) executor: Option<String>,
}

/// The program's code and surroundings.
#[derive(Debug, Args)]
pub(crate) struct Code {
    /// Folder of code: packed, uploaded once per content; the program starts in it
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
    /// Python requirement, as pip takes it; may be repeated
    #[arg(long = "requirement", value_name = "REQ")]
    pub(crate) requirements: Vec<String>,
    /// File of Python requirements
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements_file: Option<PathBuf>,
    /// Variable for the program; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = value::pair)]
    pub(crate) env: Vec<(String, String)>,
}

/// A config.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// JSON file, `-` for standard input, or the JSON object itself
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// Override in the config by dotted path: optimizer.lr=0.1; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Resources, each as a Kubernetes quantity.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Resources {
    /// Cores: 2, 500m
    #[arg(long, value_name = "Q", value_parser = value::quantity)]
    pub(crate) cpu: Option<String>,
    /// Memory: 2Gi
    #[arg(long, value_name = "Q", value_parser = value::quantity)]
    pub(crate) memory: Option<String>,
    /// Scratch disk: 20Gi
    #[arg(long, value_name = "Q", value_parser = value::quantity)]
    pub(crate) storage: Option<String>,
    /// Shared memory of the container: 8Gi [default: half of its memory]
    #[arg(long, value_name = "Q", value_parser = value::quantity)]
    pub(crate) shared_memory: Option<String>,
    /// GPUs: 1, or A100:2
    #[arg(long, value_name = "[TYPE:]N", value_parser = value::gpu_of)]
    pub(crate) gpu: Option<Gpu>,
}
