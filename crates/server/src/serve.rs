//! Starts and ends a server: folder, port, engine, controller. A shutdown never stops a job.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::serve::ListenerExt;
use runyard_engine::{self as engine, Engine};
use runyard_objects::{Credentials, Location};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    data::Folder,
    dialects::{arkindex, chariot, pai},
    limits, router,
};

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; made when it is not there.
    pub data: PathBuf,
    /// Where to listen; port 0: the system chooses.
    pub listen: SocketAddr,
    /// `postgres://...`; `None`: SQLite in the data folder.
    pub database: Option<String>,
    /// Where files go: `s3://bucket/prefix?endpoint=...`, and the account there. `None`: the data folder.
    pub objects: Option<(String, Credentials)>,
    /// The binary that jobs are started with.
    pub runner: PathBuf,
    /// Offer no more than this to jobs, in thousandths of a core.
    pub cpu_milli: Option<i64>,
    /// Offer no more than this to jobs, in bytes.
    pub memory_bytes: Option<i64>,
    /// How much output of a job is kept.
    pub max_log_bytes: i64,
    /// How long is kept what jobs leave on this machine.
    pub keep: engine::garbage::gc::Keep,
    /// Instance types besides those that every server has.
    pub instance_types: Vec<runyard_domain::instance_type::InstanceType>,
    /// How containers are run; `None`: they are not.
    pub containers: Option<engine::Containers>,
    /// Put SQLite on a network filesystem all the same.
    pub allow_network_filesystem: bool,
    /// How Chariot's clients are spoken to.
    pub chariot: chariot::Settings,
    /// How Arkindex's workers are spoken to.
    pub arkindex: arkindex::Settings,
    /// How PAI's clients are served.
    pub pai: pai::Settings,
}

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("cannot use {}: {cause}; choose another data folder with `--data DIR`", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another server has the folder.
    #[error("the data folder {} is held by another server{}: stop it, or choose another folder with `--data DIR`",
        path.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// The folder.
        path: PathBuf,
        /// The other server.
        pid: Option<u32>,
    },
    /// The token's file is there, but has no token in it.
    #[error("{} holds no token: delete the file, and the next start writes a new one", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// Something else listens there.
    #[error(
        "the address {0} is in use: stop what listens there, or let the system choose a port with `--listen 127.0.0.1:0`"
    )]
    InUse(SocketAddr),
    /// The address is not for us.
    #[error(
        "cannot listen on {address}: {cause}; choose an address of this machine with `--listen ADDR:PORT`"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// It cannot be read where files go.
    #[error(transparent)]
    Objects(#[from] runyard_objects::Error),
    /// The engine cannot be opened.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

/// Serves until `shutdown`. `ready` is called with the address once requests are answered.
///
/// # Errors
/// What keeps the server from starting; nothing is left behind but the folder.
pub async fn serve(
    options: Options,
    ready: impl FnOnce(&str) + Send,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let objects = options.objects.map(|(place, account)| Location::parse(&place, account)).transpose()?;
    let folder = Folder::open(&options.data)?;
    // From here on connections wait for their answer instead of being refused.
    let listener = bind(options.listen).await?;
    let address = listener.local_addr().map_err(|cause| Error::Listen { address: options.listen, cause })?;
    let url = url(address);
    let engine = engine::open(engine::OpenOptions {
        data: folder.path().to_owned(),
        database: options.database,
        objects,
        runner: options.runner,
        cpu_milli: options.cpu_milli,
        memory_bytes: options.memory_bytes,
        max_log_bytes: options.max_log_bytes,
        keep: options.keep,
        instance_types: options.instance_types,
        containers: options.containers,
        allow_network_filesystem: options.allow_network_filesystem,
        url: Arc::new(OnceLock::from(url.clone())),
    })
    .await?;
    let secret = folder.token(|| engine::token::new_secret(&engine))?;
    engine::token::ensure_admin(&engine, &secret).await?;
    folder.announce(&url)?;

    let stop_controller = CancellationToken::new();
    let controller = tokio::spawn(drive(engine.clone(), stop_controller.clone()));
    let app = App::new(engine.clone(), shutdown.clone())
        .with_chariot(options.chariot)
        .with_arkindex(options.arkindex)
        .with_pai(options.pai);
    let router = router::router(app);
    // Without this, small answers wait for the client's acknowledgement of the ones before.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let mut serving = tokio::spawn(serving.into_future());
    ready(&url);
    tracing::info!("listening on {url}");

    shutdown.cancelled().await;
    // Event streams end by themselves on the same signal.
    if tokio::time::timeout(limits::DRAIN_REQUESTS, &mut serving).await.is_err() {
        tracing::warn!("some requests did not end within {:?}", limits::DRAIN_REQUESTS);
        serving.abort();
    }
    stop_controller.cancel();
    if tokio::time::timeout(limits::DRAIN_CONTROLLER, controller).await.is_err() {
        tracing::warn!("the controller did not end within {:?}", limits::DRAIN_CONTROLLER);
    }
    if tokio::time::timeout(limits::DRAIN_CONTROLLER, engine.db.close()).await.is_err() {
        tracing::warn!("the database did not close within {:?}", limits::DRAIN_CONTROLLER);
    }
    folder.withdraw();
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => Error::InUse(address),
        _ => Error::Listen { address, cause },
    })
}

/// How those on this machine reach the address.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Keeps the controller going: a fault of it may cost a second, not the server.
async fn drive(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let controller = engine::reconcile::run(engine.clone(), stop.clone().cancelled_owned());
        if let Err(error) = tokio::spawn(controller).await {
            tracing::error!("the controller failed and starts again: {error}");
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), stop.cancelled()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_fix() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen 127.0.0.1:0"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        let error = bind("192.0.2.1:80".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:80") && error.contains("--listen"), "{error}");
    }

    #[test]
    fn jobs_on_this_machine_reach_a_server_that_listens_everywhere() {
        assert_eq!(url("0.0.0.0:7878".parse().unwrap()), "http://127.0.0.1:7878");
        assert_eq!(url("[::]:7878".parse().unwrap()), "http://[::1]:7878");
        assert_eq!(url("10.1.2.3:80".parse().unwrap()), "http://10.1.2.3:80");
    }
}
