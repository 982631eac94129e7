//! `runyard serve`, and what keeps a server safe and small: `backup`, `restore`, `gc`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::value;

/// How the server writes its log on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// In what unit Chariot's clients read times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChariotEpoch {
    /// Seconds, with decimals.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

/// Which executor runs the jobs of PAI's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PaiExecutor {
    /// Containers where there is an engine, else processes.
    Auto,
    /// Containers of the image that the client names.
    Container,
    /// Processes of this machine; the image is only recorded.
    Local,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; anything but loopback is open to the network
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878", value_parser = value::listen)]
    pub(crate) listen: SocketAddr,
    /// postgres://USER:PASSWORD@HOST/DATABASE [default: SQLite in the data folder]
    #[arg(long, env = "RUNYARD_DATABASE", hide_env_values = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Where files go: s3://BUCKET/PREFIX?endpoint=URL&region=NAME, with the account in AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY [default: the data folder]
    #[arg(long, env = "RUNYARD_OBJECTS", value_name = "URL")]
    pub(crate) objects: Option<String>,
    /// Cores that local jobs may use together [default: all]
    #[arg(long, value_name = "N", value_parser = value::cpu_milli)]
    pub(crate) cpu: Option<i64>,
    /// Memory that local jobs may use together [default: all]
    #[arg(long, value_name = "Q", value_parser = value::bytes)]
    pub(crate) memory: Option<i64>,
    /// What runs containers: `auto` (the first of DOCKER_HOST, Docker's socket, and Podman's), `off`, or an address on this
    /// machine, unix:///PATH or tcp://HOST:PORT
    #[arg(long, env = "RUNYARD_CONTAINER_ENGINE", value_name = "ENGINE", default_value = "auto", value_parser = value::engine)]
    pub(crate) container_engine: String,
    /// Network of containers: host, bridge, or the name of one
    #[arg(long, value_name = "NETWORK", default_value = "host")]
    pub(crate) container_network: String,
    /// User in containers [default: the one that the server runs as]
    #[arg(long, value_name = "UID:GID", value_parser = value::user)]
    pub(crate) container_user: Option<String>,
    /// Address of this server as containers see it, when their network is not the host's
    #[arg(long, value_name = "URL")]
    pub(crate) container_url: Option<String>,
    /// The static binary that is brought into containers [default: this one if it is static, else `runyard-static` beside it]
    #[arg(long, value_name = "FILE")]
    pub(crate) container_runner: Option<PathBuf>,
    /// Output that is kept of each job, 1Mi or more; of more, the first tenth and the newest rest
    #[arg(long, value_name = "Q", default_value = "1Gi", value_parser = value::log_bytes)]
    pub(crate) max_log_bytes: i64,
    /// TOML file of instance types, resources under a name: `"gpu.large" = {cpu = 8, memory = "64Gi", gpu = 2}`
    #[arg(long, value_name = "FILE")]
    pub(crate) instance_types: Option<PathBuf>,
    /// How long the folder of a job that has ended stays on this machine, once all of it is on the server
    #[arg(long, value_name = "D", default_value = "7d", value_parser = value::age_ms)]
    pub(crate) keep_jobs: i64,
    /// How long a virtual environment stays that no job uses any more
    #[arg(long, value_name = "D", default_value = "30d", value_parser = value::age_ms)]
    pub(crate) keep_environments: i64,
    /// Keep SQLite on a network filesystem, although its locks are not to be trusted there
    #[arg(long)]
    pub(crate) allow_network_filesystem: bool,
    /// Unit of times in answers to Chariot's clients
    #[arg(long, value_enum, default_value_t = ChariotEpoch::Ms, value_name = "UNIT")]
    pub(crate) chariot_epoch: ChariotEpoch,
    /// Status that Chariot's clients expect when something was created
    #[arg(long, default_value = "200", value_name = "STATUS", value_parser = ["200", "201"])]
    pub(crate) chariot_create_status: String,
    /// How long an element that an Arkindex worker has started is its own: when the worker was killed, others may take the
    /// element then, or as soon as its job has ended when it was a job of this server. Longer than any element takes
    #[arg(long, value_name = "D", default_value = "1h", value_parser = lease_ms)]
    pub(crate) arkindex_lease: i64,
    /// What runs the jobs of PAI's clients, who always name an image
    #[arg(long, value_enum, default_value_t = PaiExecutor::Auto, value_name = "EXECUTOR")]
    pub(crate) pai_executor: PaiExecutor,
    /// Form of the log on stderr; RUNYARD_LOG filters it (`info`, `debug`, `runyard_engine=trace`)
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// What the log holds
    #[arg(long, env = "RUNYARD_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct Runner {
    /// The job's folder
    pub(crate) folder: PathBuf,
    /// The program's folders, inside of a container
    #[arg(long, value_name = "DIR")]
    pub(crate) ml: Option<PathBuf>,
    /// What jobs share, inside of a container
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// The file that says where the server is, inside of a container
    #[arg(long, value_name = "FILE")]
    pub(crate) server_file: Option<PathBuf>,
    /// Where the server is, as seen from a container
    #[arg(long, value_name = "URL")]
    pub(crate) server_url: Option<String>,
}

/// How long a lease lives, in milliseconds.
fn lease_ms(text: &str) -> Result<i64, String> {
    let lease = value::age_ms(text)?;
    if runyard_domain::activity::LEASE_MS_RANGE.contains(&lease) {
        return Ok(lease);
    }
    Err(format!("`{text}` is not from 1s to 7d: it is how long a worker that says nothing keeps an element"))
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write: everything that the server keeps, its secrets too
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `runyard backup` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// postgres://USER:PASSWORD@HOST/DATABASE, an empty one, for the rows [default: SQLite in the data folder]
    #[arg(long, env = "RUNYARD_DATABASE", hide_env_values = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Keep SQLite on a network filesystem, although its locks are not to be trusted there
    #[arg(long)]
    pub(crate) allow_network_filesystem: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Free nothing, only say what would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Free folders of jobs that ended longer ago than this [default: as the server was started]
    #[arg(long, value_name = "D", value_parser = value::age_ms)]
    pub(crate) keep_jobs: Option<i64>,
    /// Free virtual environments that no job has used for longer than this [default: as the server was started]
    #[arg(long, value_name = "D", value_parser = value::age_ms)]
    pub(crate) keep_environments: Option<i64>,
}
