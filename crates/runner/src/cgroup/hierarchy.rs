//! Where the control groups of this machine are: the v2 tree, the v1 hierarchies, or both side by side (hybrid).
//! Nothing is assumed: everything is read from /proc.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a hierarchy is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The v2 tree, with or without the memory and cpu controllers.
    Unified,
    /// v1 `memory`.
    Memory,
    /// v1 `cpu`.
    Cpu,
    /// v1 `cpuacct`.
    CpuAccounting,
}

impl Kind {
    /// The file through which a process with one thread enters. For v1 `tasks`: moving a thread, unlike moving a process,
    /// makes the kernel wait for nobody.
    pub(super) fn door(self) -> &'static str {
        if self == Self::Unified { "cgroup.procs" } else { "tasks" }
    }
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) kind: Kind,
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// The group of this process, below `mount`.
    pub(crate) own: PathBuf,
}

impl Hierarchy {
    /// The groups below which a job's group may be made, the best first: the own one, so that limits from above hold
    /// for jobs too, then those above it.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Path> {
        let mount = self.mount.as_path();
        self.own.ancestors().take_while(move |place| place.starts_with(mount))
    }
}

/// The hierarchies of this machine that matter here.
pub(crate) fn all() -> Vec<Hierarchy> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn find(mounts: &str, groups: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
        let (Some(root), Some(mount), Some(fs_type)) = (left.get(3), left.get(4), right.first()) else {
            continue;
        };
        let kinds: Vec<Kind> = match *fs_type {
            "cgroup2" => vec![Kind::Unified],
            "cgroup" => right.get(2).unwrap_or(&"").split(',').filter_map(kind_of).collect(),
            _ => continue,
        };
        for kind in kinds {
            if found.iter().all(|hierarchy| hierarchy.kind != kind) {
                let own = own_group(groups, kind).unwrap_or("/");
                // In a container the mount shows a part of the tree only, and the own path may be the host's.
                let below = Path::new(own).strip_prefix(root).unwrap_or(Path::new(""));
                let mount = PathBuf::from(mount);
                let own = Some(mount.join(below)).filter(|own| own.is_dir()).unwrap_or(mount.clone());
                found.push(Hierarchy { kind, mount, own });
            }
        }
    }
    found.sort_by_key(|hierarchy| hierarchy.kind);
    found
}

fn kind_of(controller: &str) -> Option<Kind> {
    match controller {
        "memory" => Some(Kind::Memory),
        "cpu" => Some(Kind::Cpu),
        "cpuacct" => Some(Kind::CpuAccounting),
        _ => None,
    }
}

/// From /proc/self/cgroup, whose lines are `id:controllers:path`; v2 has no controllers there.
fn own_group(groups: &str, kind: Kind) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let own = match kind {
            Kind::Unified => controllers.is_empty(),
            other => controllers.split(',').any(|controller| kind_of(controller) == Some(other)),
        };
        own.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v2_machine_has_one_tree() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        let found = find(mounts, "0::/does/not/exist/here");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].own.as_path()), (Kind::Unified, Path::new("/sys/fs/cgroup")));
    }

    #[test]
    fn a_hybrid_machine_has_both() {
        let mounts = "1 0 0:1 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
            2 1 0:2 / /c/unified rw - cgroup2 cgroup2 rw\n\
            3 1 0:3 / /c/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
            4 1 0:4 / /c/memory rw - cgroup cgroup rw,memory";
        let kinds: Vec<_> = find(mounts, "").into_iter().map(|found| (found.kind, found.mount)).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Unified, "/c/unified".into()),
                (Kind::Memory, "/c/memory".into()),
                (Kind::Cpu, "/c/cpu,cpuacct".into()),
                (Kind::CpuAccounting, "/c/cpu,cpuacct".into()),
            ]
        );
    }

    #[test]
    fn the_own_group_comes_first_and_the_mount_last() {
        let hierarchy =
            Hierarchy { kind: Kind::Memory, mount: "/c/memory".into(), own: "/c/memory/a/b".into() };
        let places: Vec<_> = hierarchy.places().map(|place| place.display().to_string()).collect();
        assert_eq!(places, ["/c/memory/a/b", "/c/memory/a", "/c/memory"]);
        assert_eq!(own_group("4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/", Kind::CpuAccounting), Some("/c"));
        assert_eq!(own_group("4:memory:/a/b\n0::/d", Kind::Unified), Some("/d"));
    }
}
