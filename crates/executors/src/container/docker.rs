//! The engine's API in our words: find it, and tell what went wrong with it from what it refuses. The only file that names
//! the client. Decides nothing about jobs.

use std::{collections::HashMap, time::Duration};

use bollard::{
    ClientVersion, Docker,
    auth::DockerCredentials,
    errors::Error as Cause,
    models::{ContainerCreateBody, ContainerState, ContainerStateStatusEnum},
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
        KillContainerOptionsBuilder, ListContainersOptions, LogsOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions,
    },
};
use futures::{Stream, StreamExt as _};

/// How long an engine may take for an answer that costs it nothing.
const QUICK: Duration = Duration::from_secs(5);
/// How long for one that starts processes or unpacks files.
const SLOW: Duration = Duration::from_mins(2);
/// What every engine of these years understands; it is raised to what this one speaks.
const VERSION: &ClientVersion = &ClientVersion { major_version: 1, minor_version: 40 };
const LOG_LINES: &str = "100";

/// What to do about an engine that is not there.
pub(crate) const HOW_TO_START: &str = "start Docker or Podman (`podman system service --time=0`), or name its socket with \
    `runyard serve --container-engine unix:///PATH`";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The engine does not answer.
    #[error("{0}")]
    Away(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// It answers, and does not do it.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    /// Whether a full disk is the reason.
    pub(crate) fn is_no_space(&self) -> bool {
        is_no_space(&self.to_string())
    }
}

/// Whether a sentence of an engine says that a disk is full.
pub(crate) fn is_no_space(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("no space left on device") || text.contains("disk quota exceeded")
}

/// A container as its engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Made, never started.
    Created,
    /// Its runner lives.
    Running,
    /// Over.
    Ended(Ended),
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i64,
    /// The kernel killed something in it for memory.
    pub(crate) oom: bool,
    /// What the engine says of it.
    pub(crate) error: String,
}

/// An image that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// What identifies its content.
    pub(crate) id: String,
    /// What it runs when nobody says what.
    pub(crate) command: Vec<String>,
    /// Whether it says where programs have their home.
    pub(crate) has_home: bool,
}

/// How far a pull has come, in percent, when that is known.
pub(crate) type Percent = Option<u8>;

/// Connects to the first of `addresses` that answers.
pub(crate) async fn connect(addresses: &[String]) -> Result<(Docker, String), Trouble> {
    let mut wrong = Vec::new();
    for address in addresses {
        match open(address).await {
            Ok(docker) => return Ok((docker, address.clone())),
            Err(why) => wrong.push(format!("{address}: {why}")),
        }
    }
    Err(Trouble::Away(format!(
        "no container engine answers ({}): {HOW_TO_START}",
        if wrong.is_empty() { "none is named, and none was found".to_owned() } else { wrong.join("; ") }
    )))
}

async fn open(address: &str) -> Result<Docker, String> {
    let seconds = SLOW.as_secs();
    let docker = match address.split_once("://") {
        Some(("unix", path)) => Docker::connect_with_unix(path, seconds, VERSION),
        Some(("tcp" | "http", _)) => Docker::connect_with_http(address, seconds, VERSION),
        _ => return Err("is no address of an engine: unix:///PATH or tcp://HOST:PORT".to_owned()),
    };
    let docker = docker.map_err(|cause| say(&cause))?;
    match tokio::time::timeout(QUICK, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(cause)) => Err(say(&cause)),
        Err(_) => Err(format!("no answer within {} s", QUICK.as_secs())),
    }
}

/// Whether it answers.
pub(crate) async fn ping(docker: &Docker) -> Result<(), Trouble> {
    quickly(docker.ping()).await.map(|_| ())
}

/// Whether its containers run as the server's own user, who is root inside.
pub(crate) async fn is_rootless(docker: &Docker) -> Result<bool, Trouble> {
    let info = quickly(docker.info()).await?;
    Ok(info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")))
}

/// What is seen of a container; `None`: there is none of this name.
pub(crate) async fn inspect(docker: &Docker, name: &str) -> Result<Option<Sight>, Trouble> {
    match quickly(docker.inspect_container(name, None::<InspectContainerOptions>)).await {
        Ok(found) => Ok(Some(sight(found.state.unwrap_or_default()))),
        Err(Trouble::Missing(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn sight(state: ContainerState) -> Sight {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING) => Sight::Running,
        Some(Status::EXITED | Status::DEAD | Status::REMOVING | Status::STOPPING) => Sight::Ended(Ended {
            code: state.exit_code.unwrap_or(0),
            oom: state.oom_killed.unwrap_or(false),
            error: state.error.unwrap_or_default(),
        }),
        // Podman has words of its own between these (`initialized`, `configured`), and they do not last.
        Some(Status::EMPTY) | None if state.running == Some(true) => Sight::Running,
        Some(Status::CREATED | Status::EMPTY) | None => Sight::Created,
    }
}

/// Makes a container; one of this name that is there is taken for it.
pub(crate) async fn create(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<(), Trouble> {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let made = within(SLOW, docker.create_container(Some(options), body)).await;
    let Err(trouble) = made else { return Ok(()) };
    match inspect(docker, name).await? {
        Some(_) => Ok(()),
        None => Err(trouble),
    }
}

/// Starts a container; one that runs is left as it is.
pub(crate) async fn start(docker: &Docker, name: &str) -> Result<(), Trouble> {
    within(SLOW, docker.start_container(name, None::<StartContainerOptions>)).await
}

/// Sends a signal; one that does not run gets none.
pub(crate) async fn signal(docker: &Docker, name: &str, signal: &str) -> Result<(), Trouble> {
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    match quickly(docker.kill_container(name, Some(options))).await {
        // 404: there is none; 409 (Podman: 500): it does not run.
        Err(Trouble::Missing(_) | Trouble::Refused(_)) => Ok(()),
        other => other,
    }
}

/// Removes a container, whatever it does; one that is gone is no error.
pub(crate) async fn remove(docker: &Docker, name: &str) -> Result<(), Trouble> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match within(SLOW, docker.remove_container(name, Some(options))).await {
        Err(Trouble::Missing(_)) => Ok(()),
        other => other,
    }
}

/// Labels of all containers that carry this one, by the id of the container.
pub(crate) async fn labelled(
    docker: &Docker,
    label: &str,
) -> Result<Vec<(String, HashMap<String, String>)>, Trouble> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options =
        ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
    let found = within(SLOW, docker.list_containers(Some(options))).await?;
    let named = found.into_iter().filter_map(|one| Some((one.id?, one.labels.unwrap_or_default())));
    Ok(named.collect())
}

/// What its runner wrote last.
pub(crate) async fn log(docker: &Docker, name: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LOG_LINES).build();
    let mut lines = docker.logs(name, Some(options));
    let mut text = String::new();
    while let Ok(Some(Ok(line))) = tokio::time::timeout(QUICK, lines.next()).await {
        text.push_str(&line.to_string());
    }
    text
}

/// An image on this machine; `None`: it is not here.
pub(crate) async fn image(docker: &Docker, name: &str) -> Result<Option<Image>, Trouble> {
    let found = match quickly(docker.inspect_image(name)).await {
        Ok(found) => found,
        Err(Trouble::Missing(_)) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let config = found.config.unwrap_or_default();
    let mut command = config.entrypoint.unwrap_or_default();
    command.extend(config.cmd.unwrap_or_default());
    let has_home = config.env.unwrap_or_default().iter().any(|variable| variable.starts_with("HOME="));
    Ok(Some(Image { id: found.id.unwrap_or_default(), command, has_home }))
}

/// Fetches an image, and says how far it has come.
pub(crate) fn pull(
    docker: &Docker,
    name: &str,
    account: Option<&str>,
) -> impl Stream<Item = Result<Percent, Trouble>> + use<> {
    // Without a tag an engine would fetch all of them.
    let last = name.rsplit('/').next().unwrap_or_default();
    let name = if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") };
    let credentials = account.map(|account| {
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()),
            ..DockerCredentials::default()
        }
    });
    let options = CreateImageOptionsBuilder::new().from_image(&name).build();
    let mut layers: HashMap<String, (i64, i64)> = HashMap::new();
    docker.create_image(Some(options), None, credentials).map(move |news| {
        let news = news.map_err(|cause| trouble(&cause))?;
        if let (Some(layer), Some(done)) = (news.id, news.progress_detail)
            && let (Some(current), Some(total)) = (done.current, done.total.filter(|total| *total > 0))
            && news.status.as_deref() != Some("Extracting")
        {
            layers.insert(layer, (current, total));
        }
        let (current, total) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        Ok((total > 0).then(|| (current.saturating_mul(100) / total).clamp(0, 100) as u8))
    })
}

async fn quickly<T>(call: impl Future<Output = Result<T, Cause>>) -> Result<T, Trouble> {
    within(QUICK, call).await
}

async fn within<T>(patience: Duration, call: impl Future<Output = Result<T, Cause>>) -> Result<T, Trouble> {
    match tokio::time::timeout(patience, call).await {
        Ok(answer) => answer.map_err(|cause| trouble(&cause)),
        Err(_) => {
            Err(Trouble::Away(format!("the container engine did not answer within {} s", patience.as_secs())))
        }
    }
}

fn trouble(cause: &Cause) -> Trouble {
    match cause {
        Cause::DockerResponseServerError { status_code: 404, .. } => Trouble::Missing(say(cause)),
        Cause::DockerResponseServerError { .. } | Cause::DockerStreamError { .. } => {
            Trouble::Refused(say(cause))
        }
        _ => Trouble::Away(format!("the container engine does not answer: {}", say(cause))),
    }
}

/// What an engine says, without what its client puts around it.
fn say(cause: &Cause) -> String {
    match cause {
        Cause::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Cause::DockerStreamError { error } => error.trim().to_owned(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(deeper) = source {
                let said = deeper.to_string();
                if !text.contains(&said) {
                    text = format!("{text}: {said}");
                }
                source = deeper.source();
            }
            text
        }
    }
}
