//! What this machine enforces, found out by doing it with a group of its own. For `runyard doctor`.

use std::process::{Command, Stdio};

use super::{Group, Kind, Limits, hierarchy};

/// One thing that Runyard would like the machine to enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What: `memory limit`, `cpu limit`, `kill of everything in a job`.
    pub name: &'static str,
    /// Whether the machine does it.
    pub enforced: bool,
    /// By what, or why not and what happens instead.
    pub detail: String,
}

/// Makes a group as for a job, sets limits, moves a process into it, removes it, and says what worked. Blocks for some
/// milliseconds.
pub fn probe() -> Vec<Finding> {
    let name = format!("probe-{}", std::process::id());
    let limits = Limits { memory_bytes: Some(256 << 20), cpu_milli: Some(1000) };
    let mut group = Group::make(&name, 1, limits);
    if let Some(why) = enter(&mut group) {
        return findings(&group, &why);
    }
    let found = findings(&group, &why_not());
    for dir in &group.dirs {
        let _ = std::fs::remove_dir(&dir.path);
    }
    found
}

/// Lets a process that waits for the end of its input enter the group; says what is wrong with the attempt itself.
fn enter(group: &mut Group) -> Option<String> {
    let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Some(format!("`cat` could not be started to try it: {error}")),
    };
    let pid = child.id().cast_signed();
    for dir in &group.dirs {
        let _ = super::write(&dir.path.join("cgroup.procs"), &pid.to_string());
    }
    group.keep_entered(0, pid);
    drop(child.stdin.take());
    let _ = child.wait();
    None
}

fn findings(group: &Group, why_not: &str) -> Vec<Finding> {
    let by = |v1: Kind| if group.has(0, v1) { "control groups v1" } else { "control groups v2" };
    let finding = |name, enforced, by: &str, instead: &str| Finding {
        name,
        enforced,
        detail: if enforced { format!("by {by}") } else { format!("{why_not}; {instead}") },
    };
    vec![
        finding(
            "memory limit",
            group.memory_limited,
            by(Kind::Memory),
            "memory is measured twice a second instead, and a job over its limit is ended",
        ),
        finding("cpu limit", group.cpu_limited, by(Kind::Cpu), "a job can use more cores than it asked for"),
        finding(
            "kill of everything in a job",
            !group.dirs.is_empty(),
            if group.has(0, Kind::Unified) { "control groups v2" } else { "control groups v1" },
            "the processes below the runner are killed instead",
        ),
    ]
}

fn why_not() -> String {
    let all = hierarchy::all();
    if all.is_empty() {
        return "no control groups are mounted".into();
    }
    let places: Vec<String> = all.iter().map(|found| found.own.display().to_string()).collect();
    format!(
        "this user may not make groups with these controllers and move processes into them below {} \
         (start the server with `systemd-run --user --scope -p Delegate=yes`, or as a service with Delegate=yes)",
        places.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_explained_and_nothing_is_left_behind() {
        let found = probe();
        assert_eq!(found.len(), 3);
        for finding in found {
            assert!(!finding.detail.is_empty(), "{finding:?}");
        }
        let name = format!("runyard/probe-{}", std::process::id());
        for hierarchy in hierarchy::all() {
            assert!(hierarchy.places().all(|place| !place.join(&name).exists()));
        }
    }

    #[test]
    fn a_machine_that_allows_nothing_is_told_what_happens_instead() {
        let found = findings(&Group::default(), "no control groups are mounted");
        assert!(found.iter().all(|finding| !finding.enforced));
        assert!(found[0].detail.contains("measured twice a second"), "{found:?}");
    }
}
