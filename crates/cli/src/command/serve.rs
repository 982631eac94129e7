//! `runyard serve`: starts a server, says where it is, and ends it well on a signal.

use std::{path::Path, process::ExitCode};

use runyard_server::{Containers, Credentials, Keep, Options, arkindex, chariot, pai};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{
        Global,
        server::{ChariotEpoch, LogFormat, PaiExecutor, Serve},
    },
    containers,
    failure::Failure,
    instance_types, output, place,
};

/// More threads than this do not make the server faster: the database has one writer.
const WORKERS_MAX: usize = 4;

pub(super) fn run(global: &Global, serve: Serve) -> Result<ExitCode, Failure> {
    log(&serve)?;
    let data = place::data(global.data.as_deref())?;
    let runner = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find this binary, which runs the jobs: {error}")))?;
    let options = Options {
        data: data.clone(),
        listen: serve.listen,
        database: serve.database.filter(|url| !url.is_empty()),
        objects: serve.objects.filter(|url| !url.is_empty()).map(|url| (url, account())),
        runner,
        cpu_milli: serve.cpu,
        memory_bytes: serve.memory,
        max_log_bytes: serve.max_log_bytes,
        instance_types: serve.instance_types.as_deref().map_or(Ok(Vec::new()), instance_types::read)?,
        keep: Keep { jobs_ms: serve.keep_jobs, environments_ms: serve.keep_environments },
        containers: containers::engines(&serve.container_engine).map(|engines| Containers {
            engines,
            runner: serve.container_runner,
            network: serve.container_network,
            user: serve.container_user,
            url: serve.container_url,
        }),
        allow_network_filesystem: serve.allow_network_filesystem,
        chariot: chariot::Settings {
            epoch: match serve.chariot_epoch {
                ChariotEpoch::S => chariot::Epoch::Seconds,
                ChariotEpoch::Ms => chariot::Epoch::Milliseconds,
                ChariotEpoch::Us => chariot::Epoch::Microseconds,
            },
            creates_answer_201: serve.chariot_create_status == "201",
        },
        arkindex: arkindex::Settings { lease_ms: serve.arkindex_lease },
        pai: pai::Settings {
            executor: match serve.pai_executor {
                PaiExecutor::Auto => pai::Executor::Auto,
                PaiExecutor::Container => pai::Executor::Container,
                PaiExecutor::Local => pai::Executor::Local,
            },
        },
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, WORKERS_MAX))
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let served = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        end_on_signal(shutdown.clone())?;
        let ready = |url: &str| announce(url, &data);
        runyard_server::serve(options, ready, shutdown).await.map_err(Failure::new)
    });
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

/// The account at an S3 store, as every tool for it reads it.
fn account() -> Credentials {
    let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Credentials {
        access_key: read("AWS_ACCESS_KEY_ID").unwrap_or_default(),
        secret_key: read("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
        session_token: read("AWS_SESSION_TOKEN"),
        region: read("AWS_REGION").or_else(|| read("AWS_DEFAULT_REGION")),
    }
}

fn announce(url: &str, data: &Path) {
    let line = format!(
        "Runyard {} listens on {url} · data in {} · token in {}",
        env!("CARGO_PKG_VERSION"),
        data.display(),
        data.join("token").display()
    );
    // A server whose starter has closed the pipe serves all the same.
    let _ = output::line(line);
}

/// The first signal asks the server to end, the second one ends the process at once.
fn end_on_signal(shutdown: CancellationToken) -> Result<(), Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("ending: requests are finished, jobs go on; a second signal ends at once");
        shutdown.cancel();
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(1);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn log(serve: &Serve) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&serve.log).map_err(|error| {
        Failure::usage(format!("`{}` is no log filter: {error}", serve.log))
            .hint("write info, debug, or runyard_engine=trace,info in --log or RUNYARD_LOG")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match serve.log_format {
        LogFormat::Text => {
            let color = crate::output::color_wanted() && std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(color).init();
        }
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
