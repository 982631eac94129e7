//! The instances of a job: how each finds the others, what of the machine is its own, and how the end of all is told. Starts and
//! ends nothing.

use std::{
    ffi::OsStr,
    io,
    net::{Ipv4Addr, TcpListener},
    process::ExitStatus,
};

use runyard_domain::job::JobSpec;

use crate::{
    environment::{self, Environment},
    launch,
};

/// Ports for instances to meet at: below those that systems hand out by themselves, so that nobody takes one by chance between
/// the look at it and the program's own use.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Variables that a run may set itself.
const MEETING: [&str; 2] = ["MASTER_ADDR", "MASTER_PORT"];

/// What all instances of a job have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gang {
    /// How many there are, 2 or more.
    pub(crate) size: usize,
    port: u16,
}

impl Gang {
    /// `None`: the job has one process, or those of a worker run.
    ///
    /// # Errors
    /// A sentence: there is no port where they could meet.
    pub(crate) fn of(spec: &JobSpec) -> Result<Option<Self>, String> {
        let size = size(spec);
        if size < 2 {
            return Ok(None);
        }
        let [.., high, low] = *spec.job_id.0.as_bytes();
        let port = free_port(u16::from_be_bytes([high, low])).ok_or_else(|| {
            format!("no port from {} to {} is free for the instances to meet at", PORTS.start, PORTS.end - 1)
        })?;
        Ok(Some(Self { size, port }))
    }

    /// What the instance `rank` sees. Each is a node of its own with its own GPUs, whose numbers begin with 0 in it.
    pub(crate) fn environment(&self, mut env: Environment, spec: &JobSpec, rank: usize) -> Environment {
        let each = spec.gpus.len() / self.size;
        let gpus = spec.gpus.get(rank * each..(rank + 1) * each).unwrap_or_default();
        let meeting = [Ipv4Addr::LOCALHOST.to_string(), self.port.to_string()];
        for (name, value) in MEETING.into_iter().zip(meeting) {
            if !env.contains_key(OsStr::new(name)) {
                environment::set(&mut env, name, value);
            }
        }
        let mut set = |name: &str, value: String| environment::set(&mut env, name, value);
        set("WORLD_SIZE", self.size.to_string());
        set("RANK", rank.to_string());
        set("NODE_RANK", rank.to_string());
        set("LOCAL_RANK", "0".to_owned());
        set("NPROC_PER_NODE", each.max(1).to_string());
        set("RUNYARD_INSTANCE", rank.to_string());
        set("RUNYARD_INSTANCES", self.size.to_string());
        set("CUDA_VISIBLE_DEVICES", gpus.join(","));
        env
    }
}

/// How many instances the job has.
pub(crate) fn size(spec: &JobSpec) -> usize {
    if spec.worker.is_some() { 1 } else { usize::try_from(spec.instances).unwrap_or(1).max(1) }
}

/// A port at which nobody listens, on any address.
fn free_port(seed: u16) -> Option<u16> {
    let count = PORTS.end - PORTS.start;
    (0..count)
        .map(|step| PORTS.start + (u32::from(seed % count) + u32::from(step)).rem_euclid(count.into()) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
}

/// `exited with code 3`, `was ended by SIGTERM`.
pub(crate) fn describe(end: &io::Result<ExitStatus>) -> String {
    match end {
        Ok(status) => match (launch::signal_name(*status), status.code()) {
            (Some((_, name)), _) => format!("was ended by {name}"),
            (None, Some(code)) => format!("exited with code {code}"),
            (None, None) => format!("ended ({status})"),
        },
        Err(error) => format!("was lost ({error})"),
    }
}

/// How all instances ended, the one first that failed first: `instance 1 exited with code 3; of the others 0, 2 ended by SIGTERM`.
pub(crate) fn story(first: usize, ends: &[(usize, String)]) -> String {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    let mut own = "ended";
    for (rank, how) in ends {
        if *rank == first {
            own = how;
            continue;
        }
        let how = how.trim_start_matches("was ");
        match groups.iter_mut().find(|(known, _)| *known == how) {
            Some((_, ranks)) => ranks.push(rank.to_string()),
            None => groups.push((how, vec![rank.to_string()])),
        }
    }
    let others: Vec<String> =
        groups.iter().map(|(how, ranks)| format!("{} {how}", ranks.join(", "))).collect();
    format!("instance {first} {own}; of the others {}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use runyard_domain::{JobId, Millis, ProjectId, RunId, resources::Resources};

    use super::*;

    fn spec(instances: i64, gpus: &[&str]) -> JobSpec {
        let text = serde_json::json!({
            "job_id": JobId::new(Millis(1), [7; 10]), "run_id": RunId::new(Millis(1), [7; 10]),
            "project_id": ProjectId::new(Millis(1), [7; 10]), "epoch": 1, "run_name": "r", "url": "http://127.0.0.1:1",
            "token": "t", "command": ["true"], "config": {}, "resources": Resources::default(), "grace_ms": 1,
            "cache_dir": "c", "gpus": gpus, "instances": instances,
        });
        serde_json::from_value(text).unwrap()
    }

    fn seen(spec: &JobSpec, env: &Environment, rank: usize, name: &str) -> String {
        let gang = Gang::of(spec).unwrap().unwrap();
        let env = gang.environment(env.clone(), spec, rank);
        env.get(OsStr::new(name)).unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn each_instance_has_its_own_gpus_and_its_place_among_the_others() {
        let spec = spec(2, &["a", "b", "c", "d"]);
        let env = Environment::default();
        for (rank, gpus) in ["a,b", "c,d"].into_iter().enumerate() {
            let of = |name| seen(&spec, &env, rank, name);
            assert_eq!(of("CUDA_VISIBLE_DEVICES"), gpus);
            assert_eq!((of("RANK"), of("NODE_RANK")), (rank.to_string(), rank.to_string()));
            assert_eq!(
                (of("WORLD_SIZE"), of("LOCAL_RANK"), of("NPROC_PER_NODE")),
                ("2".into(), "0".into(), "2".into())
            );
            assert_eq!(of("MASTER_ADDR"), "127.0.0.1");
            assert!(PORTS.contains(&of("MASTER_PORT").parse().unwrap()));
        }
        let without = spec_of_two();
        assert_eq!(seen(&without, &env, 1, "CUDA_VISIBLE_DEVICES"), "");
        assert_eq!(seen(&without, &env, 1, "NPROC_PER_NODE"), "1");
    }

    fn spec_of_two() -> JobSpec {
        spec(2, &[])
    }

    #[test]
    fn where_instances_meet_may_be_said_by_the_run() {
        let spec = spec_of_two();
        let env = Environment::from([("MASTER_PORT".into(), "29500".into()), ("RANK".into(), "7".into())]);
        assert_eq!(seen(&spec, &env, 0, "MASTER_PORT"), "29500");
        assert_eq!(seen(&spec, &env, 1, "RANK"), "1");
    }

    #[test]
    fn a_port_at_which_somebody_listens_is_not_chosen() {
        let port = free_port(0).unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let other = free_port(port - PORTS.start).unwrap();
        assert_ne!(other, port);
        drop(taken);
    }

    #[test]
    fn a_job_with_one_process_is_no_gang() {
        assert!(Gang::of(&spec(1, &[])).unwrap().is_none());
    }

    #[test]
    fn the_end_of_all_instances_is_told_with_the_one_first_that_failed_first() {
        let ends: Vec<(usize, String)> =
            ["was ended by SIGTERM", "exited with code 3", "was ended by SIGTERM", "exited with code 0"]
                .into_iter()
                .map(str::to_owned)
                .enumerate()
                .collect();
        assert_eq!(
            story(1, &ends),
            "instance 1 exited with code 3; of the others 0, 2 ended by SIGTERM, 3 exited with code 0"
        );
    }
}
