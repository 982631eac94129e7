//! What a container is made of: a pure function of the job, the image and how containers are run.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, Mount, MountType};
use runyard_domain::job::folder;

use super::{ContainerOptions, docker::Image};
use crate::Job;

/// Label with the job's id.
pub(super) const JOB: &str = "runyard.job";
/// Label with the server's.
pub(super) const SERVER: &str = "runyard.server";

/// Where things are inside.
const RUNNER: &str = "/runyard/bin/runyard";
const FOLDER: &str = "/runyard/job";
const CACHE: &str = "/runyard/cache";
/// The file in the job's folder that says where the server is.
pub(super) const ADDRESS: &str = "server.json";

/// The runner needs memory too, and it is inside: the program gets what it asked for.
const RUNNER_MEMORY: i64 = 128 << 20;

/// What it takes besides job and image.
pub(super) struct Surroundings<'a> {
    pub(super) options: &'a ContainerOptions,
    /// Static, on this machine.
    pub(super) runner: &'a str,
    /// The job's folder on this machine.
    pub(super) folder: &'a str,
    /// What jobs share, on this machine.
    pub(super) cache: &'a str,
    pub(super) gpus: &'a [String],
    /// All the memory of this machine.
    pub(super) memory_bytes: i64,
    pub(super) rootless: bool,
    /// `UID:GID` of this server.
    pub(super) own_user: String,
}

/// The container of a job.
pub(super) fn body(job: &Job, image: &Image, around: &Surroundings<'_>) -> ContainerCreateBody {
    let user = match &around.options.user {
        Some(user) => user.clone(),
        // Of such an engine, root inside is the server's user outside.
        None if around.rootless => "0:0".to_owned(),
        None => around.own_user.clone(),
    };
    let mut command: Vec<String> =
        ["runner", FOLDER, "--ml", folder::ML_INSIDE, "--cache", CACHE, "--server-file"]
            .map(str::to_owned)
            .to_vec();
    command.push(format!("{FOLDER}/{ADDRESS}"));
    if let Some(url) = &around.options.url {
        command.extend(["--server-url".to_owned(), url.clone()]);
    }
    // A user that the image does not know would have no home.
    let homeless = !image.has_home && !user.starts_with("0:") && user != "0" && user != "root";
    ContainerCreateBody {
        image: Some(image.id.clone()).filter(|id| !id.is_empty()).or_else(|| job.image.clone()),
        entrypoint: Some(vec![RUNNER.to_owned()]),
        cmd: Some(command),
        env: homeless.then(|| vec!["HOME=/tmp".to_owned()]),
        user: Some(user),
        working_dir: Some("/".to_owned()),
        // A runner whose container is removed had its time.
        stop_timeout: Some(1),
        labels: Some(HashMap::from([
            (JOB.to_owned(), job.spec.job_id.to_string()),
            (SERVER.to_owned(), around.options.server_id.clone()),
        ])),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(host(job, around)),
        ..ContainerCreateBody::default()
    }
}

fn host(job: &Job, around: &Surroundings<'_>) -> HostConfig {
    let demand = &job.demand;
    let memory = demand.memory_bytes.map(|bytes| bytes.saturating_add(RUNNER_MEMORY));
    // What an engine gives by itself, 64 MiB, is too little for data loaders; pages count only once they are used.
    let shared = demand.shared_memory_bytes.unwrap_or(demand.memory_bytes.unwrap_or(around.memory_bytes) / 2);
    let gpus = DeviceRequest {
        device_ids: Some(around.gpus.to_vec()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    };
    HostConfig {
        mounts: Some(vec![
            mount(around.runner, RUNNER, true),
            mount(around.folder, FOLDER, false),
            mount(&format!("{}/{}", around.folder, folder::ML), folder::ML_INSIDE, false),
            mount(around.cache, CACHE, false),
        ]),
        network_mode: Some(around.options.network.clone()),
        memory,
        // No swap: a job that needs more than it asked for ends, and does not crawl.
        memory_swap: memory,
        nano_cpus: Some(demand.cpu_milli.saturating_mul(1_000_000)).filter(|cpus| *cpus > 0),
        shm_size: Some(shared),
        device_requests: (!around.gpus.is_empty()).then(|| vec![gpus]),
        // What is mounted belongs to the server and keeps its labels.
        security_opt: Some(vec!["label=disable".to_owned()]),
        ..HostConfig::default()
    }
}

fn mount(source: &str, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests;
