//! Opens an engine on a data folder: database, files, executors.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use runyard_domain::{
    ProjectId,
    instance_type::{self, InstanceType},
};
use runyard_executors::{
    Executor, LocalOptions,
    container::{self, Container, ContainerOptions},
    local::Local,
};
use runyard_objects::{Credentials, FolderSigning, Location, Objects};
use runyard_store::{self as store, Db, project::Project};

use crate::{
    Clock, Engine, Error, Options, Parts, Result, Signals, SystemClock, arkindex_import, garbage,
    idempotent::hex, project,
};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The data folder. The caller holds its lock.
    pub data: PathBuf,
    /// `postgres://...`; `None`: SQLite in the data folder.
    pub database: Option<String>,
    /// Where files go; `None`: the data folder.
    pub objects: Option<Location>,
    /// The binary that jobs are started with.
    pub runner: PathBuf,
    /// Offer no more than this to jobs, in thousandths of a core.
    pub cpu_milli: Option<i64>,
    /// Offer no more than this to jobs, in bytes.
    pub memory_bytes: Option<i64>,
    /// How much output of a job is kept; what is over it is dropped from the middle.
    pub max_log_bytes: i64,
    /// How long is kept what jobs leave on this machine.
    pub keep: garbage::gc::Keep,
    /// Instance types besides those that every server has.
    pub instance_types: Vec<InstanceType>,
    /// Put SQLite on a network filesystem all the same.
    pub allow_network_filesystem: bool,
    /// How containers are run; `None`: they are not.
    pub containers: Option<Containers>,
    /// Filled in once the server listens.
    pub url: Arc<OnceLock<String>>,
}

/// How containers are run.
#[derive(Debug, Clone)]
pub struct Containers {
    /// Addresses of engines on this machine, `unix:///PATH` or `tcp://HOST:PORT`; the first that answers is used.
    pub engines: Vec<String>,
    /// The static runner; `None`: the server's own binary if it is static, else the one beside it.
    pub runner: Option<PathBuf>,
    /// Their network: `host`, `bridge`, or the name of one.
    pub network: String,
    /// `UID:GID` inside; `None`: the server's own.
    pub user: Option<String>,
    /// Address of the server as it is seen from that network; `None`: its own.
    pub url: Option<String>,
}

/// Opens the database (and migrates it), the objects and the local executor; makes sure that the project
/// `default` is there.
pub async fn open(options: OpenOptions) -> Result<Engine> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opening = options.clone();
    let db = tokio::task::spawn_blocking(move || open_database(&opening)).await;
    let db = db.map_err(|error| Error::Internal(format!("opening the database: {error}")))??;
    let key = key(&options.data, clock.as_ref())?;
    // Whoever was reading one is dead.
    let _ = std::fs::remove_dir_all(options.data.join("cache").join(arkindex_import::FOLDER));
    let executor = Local::new(LocalOptions {
        jobs: options.data.join("jobs"),
        cache: options.data.join("cache"),
        runner: options.runner.clone(),
        cpu_milli: options.cpu_milli,
        memory_bytes: options.memory_bytes,
        // Whoever has the account of all objects can read those of every run.
        hidden: match &options.objects {
            Some(Location::S3 { .. }) => Credentials::VARIABLES.map(str::to_owned).to_vec(),
            _ => Vec::new(),
        },
    })
    .map_err(|error| Error::Internal(format!("opening the local executor: {error}")))?;
    let server_id = server_id(&key);
    let container = options.containers.as_ref().map(|how| containers(how, &options, &server_id, &executor));
    let mut executors: Vec<Arc<dyn Executor>> = vec![Arc::new(executor)];
    if let Some(container) = container {
        executors.push(Arc::new(container?));
    }
    let engine = Engine::new(Parts {
        db,
        objects: open_objects(&options, key).await?,
        executors,
        clock,
        signals: Signals::default(),
        options: Options {
            url: Arc::clone(&options.url),
            server_file: Some(options.data.join("server.json")),
            cache_dir: options.data.join("cache"),
            server_id,
            key,
            max_log_bytes: options.max_log_bytes,
            keep: options.keep,
            instance_types: instance_type::with_built_in(options.instance_types.clone()),
        },
        waiting: std::sync::Mutex::default(),
        last_id: std::sync::Mutex::default(),
        uploads: tokio::sync::Mutex::default(),
        models: crate::model::Verifications::default(),
        backup: Arc::default(),
    });
    ensure_default_project(&engine).await?;
    Ok(engine)
}

/// The id of this data folder; it must not give the key away.
fn server_id(key: &[u8; 32]) -> String {
    hex(&<sha2::Sha256 as sha2::Digest>::digest([&b"server id "[..], key].concat()))[..32].to_owned()
}

fn containers(how: &Containers, options: &OpenOptions, server_id: &str, local: &Local) -> Result<Container> {
    let runner = container::runner::find(how.runner.as_deref(), &options.runner);
    let wrong = |why: String| Error::Internal(format!("opening the executor for containers: {why}"));
    if let (Err(why), Some(_)) = (&runner, &how.runner) {
        return Err(wrong(why.clone()));
    }
    let options = ContainerOptions {
        engines: how.engines.clone(),
        runner,
        server_id: server_id.to_owned(),
        network: how.network.clone(),
        user: how.user.clone(),
        url: how.url.clone(),
        server_url: Arc::clone(&options.url),
    };
    Container::new(options, local).map_err(|error| wrong(error.to_string()))
}

async fn open_objects(options: &OpenOptions, key: [u8; 32]) -> Result<Objects> {
    let folder = || Location::Folder {
        path: options.data.join("objects"),
        signing: FolderSigning { key, url: Arc::clone(&options.url) },
    };
    let location = options.objects.clone().unwrap_or_else(folder);
    let objects = Objects::open(&location)?;
    match objects.check().await {
        // Runs are served all the same; what needs files is told to come again.
        Err(error) if error.is_temporary() => tracing::warn!("{error}"),
        checked => checked?,
    }
    Ok(objects)
}

/// Makes sure that the project `default` is there.
pub async fn ensure_default_project(engine: &Engine) -> Result<()> {
    let fresh = Project {
        id: engine.id(ProjectId::new),
        name: project::DEFAULT.to_owned(),
        description: "Where runs go when no project is named.".to_owned(),
        created_at: engine.now(),
    };
    let there = engine.db.read(|tx| Ok::<_, Error>(store::project::by_name(tx, project::DEFAULT)?)).await?;
    if there.is_some() {
        return Ok(());
    }
    let made = engine.db.write(move |tx| store::project::insert(tx, &fresh)).await;
    match made {
        // Another server that shares the database was faster.
        Err(error) if error.is_unique_violation() => Ok(()),
        other => Ok(other?),
    }
}

fn open_database(options: &OpenOptions) -> Result<Db> {
    let store_options = store::Options {
        allow_network_filesystem: options.allow_network_filesystem,
        ..store::Options::default()
    };
    Ok(match &options.database {
        Some(url) => Db::open_postgres(url, &store_options)?,
        None => Db::open_sqlite(options.data.join("runyard.db"), &store_options)?,
    })
}

/// The key of this data folder: 32 random bytes that only the owner can read, made at the first start.
fn key(data: &Path, clock: &dyn Clock) -> Result<[u8; 32]> {
    let path = data.join("key");
    let failed = |error: std::io::Error| Error::Internal(format!("{}: {error}", path.display()));
    match std::fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            Error::Internal(format!("{} has {} bytes instead of 32: restore it", path.display(), bytes.len()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            clock.fill(&mut bytes);
            write_private(&path, &bytes).map_err(failed)?;
            Ok(bytes)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner can read: whole and durable, or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let temporary = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
