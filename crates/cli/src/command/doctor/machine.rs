//! The data folder, Python, GPUs, and what the machine can enforce.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use nix::sys::{statfs, statvfs};

use super::Check;
use crate::source;

/// Below this a server soon cannot write any more.
const FREE_MIN: i64 = 100 << 20;
const FREE_WANTED: i64 = 2 << 30;

/// `(magic number, name, network)`: see statfs(2).
const FILESYSTEMS: [(i64, &str, bool); 15] = [
    (0xEF53, "ext4", false),
    (0x5846_5342, "XFS", false),
    (0x9123_683E, "Btrfs", false),
    (0x2FC1_2FC1, "ZFS", false),
    (0xF2F5_2010, "F2FS", false),
    (0x794C_7630, "overlayfs", false),
    (0x0102_1994, "tmpfs", false),
    (0x6969, "NFS", true),
    (0x517B, "SMB", true),
    (0xFE53_4D42, "SMB2", true),
    (0xFF53_4D42, "CIFS", true),
    (0x0BD0_0BD0, "Lustre", true),
    (0x00C3_6400, "Ceph", true),
    (0x4750_4653, "GPFS", true),
    (0x1983_0326, "BeeGFS", true),
];

/// The data folder: can it be written, on what is it, is there room, is the token private.
pub(super) fn folder(data: &Path) -> Vec<Check> {
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let mut checks = vec![writable(data, existing), filesystem(existing), room(existing)];
    checks.extend(token(&data.join("token")));
    checks
}

fn writable(data: &Path, existing: &Path) -> Check {
    let name = "data folder";
    match tempfile::tempfile_in(existing) {
        Ok(_) if data == existing => Check::ok(name, format!("{} can be written", data.display())),
        Ok(_) => Check::ok(name, format!("{} will be made by the first `runyard serve`", data.display())),
        Err(error) => Check::fail(
            name,
            format!("{} cannot be written: {error}", existing.display()),
            "choose another folder with --data or RUNYARD_DATA, or change its owner",
        ),
    }
}

fn filesystem(folder: &Path) -> Check {
    let name = "filesystem";
    let magic = match statfs::statfs(folder) {
        Ok(found) => found.filesystem_type().0 & 0xFFFF_FFFF,
        Err(error) => return Check::warn(name, format!("cannot be asked: {error}"), "choose a local disk"),
    };
    match FILESYSTEMS.iter().find(|known| known.0 == magic) {
        Some((_, kind, true)) => Check::fail(
            name,
            format!("{kind} is a network filesystem: SQLite's locks are not to be trusted on it"),
            "choose a folder on a local disk with --data, or keep the database in PostgreSQL with --database",
        ),
        Some((_, kind @ "tmpfs", _)) => Check::warn(
            name,
            format!("{kind}: everything is gone when the machine restarts"),
            "choose a folder on a disk with --data",
        ),
        Some((_, kind, _)) => Check::ok(name, *kind),
        None => Check::ok(name, format!("of type {magic:#x}")),
    }
}

fn room(folder: &Path) -> Check {
    let name = "disk space";
    let free = match statvfs::statvfs(folder) {
        Ok(found) => (found.blocks_available() as i64).saturating_mul(found.fragment_size() as i64),
        Err(error) => return Check::warn(name, format!("cannot be asked: {error}"), "look at it with `df`"),
    };
    let found = format!("{} free at {}", source::bytes(free), folder.display());
    let fix = "delete what is not needed (`runyard rm`), or choose another disk with --data";
    match free {
        free if free < FREE_MIN => Check::fail(name, found, fix),
        free if free < FREE_WANTED => Check::warn(name, found, fix),
        _ => Check::ok(name, found),
    }
}

fn token(file: &Path) -> Option<Check> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let others = mode & 0o077;
    Some(if others == 0 {
        Check::ok("token", format!("only its owner can read it ({mode:o})"))
    } else {
        Check::fail(
            "token",
            format!("others can read {} ({mode:o}): they are admins of the server", file.display()),
            format!("chmod 600 {}, and revoke it if it may have been read", file.display()),
        )
    })
}

/// Jobs with requirements need Python with its venv module.
pub(super) fn python() -> Vec<Check> {
    let version = match output("python3", &["--version"]) {
        Ok(version) => version,
        Err(why) => {
            return vec![Check::warn(
                "python3",
                format!("{why}: jobs with Python requirements cannot run here"),
                "install it, on Debian with `apt-get install python3 python3-venv`",
            )];
        }
    };
    let venv = match output("python3", &["-c", "import venv, ensurepip"]) {
        Ok(_) => Check::ok("python3 venv", "there"),
        Err(_) => Check::warn(
            "python3 venv",
            "the module is missing: jobs with Python requirements cannot run here",
            "install it, on Debian with `apt-get install python3-venv`",
        ),
    };
    vec![Check::ok("python3", version), venv]
}

pub(super) fn gpus() -> Check {
    let name = "GPUs";
    match output("nvidia-smi", &["-L"]) {
        Ok(list) if !list.is_empty() => Check::ok(
            name,
            list.lines()
                .map(|line| line.split(" (UUID").next().unwrap_or(line))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Ok(_) => Check::ok(name, "none"),
        Err(why) if why.contains("not found") => Check::ok(name, "none: there is no nvidia-smi"),
        Err(why) => Check::warn(name, why, "mend the driver until `nvidia-smi -L` lists the GPUs"),
    }
}

/// Which limits of a job this machine can enforce.
pub(super) fn limits() -> Vec<Check> {
    let fix = "start the server as root, or as a systemd service with Delegate=yes";
    runyard_runner::probe()
        .into_iter()
        .map(|found| {
            if found.enforced {
                Check::ok(found.name, found.detail)
            } else {
                Check::warn(found.name, found.detail, fix)
            }
        })
        .collect()
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(arguments).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("`{program}` was not found"),
        _ => format!("`{program}` cannot be started: {error}"),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() {
        Ok(text(&done.stdout))
    } else {
        let said = [text(&done.stderr), text(&done.stdout)].into_iter().find(|said| !said.is_empty());
        Err(format!("`{program}` failed: {}", said.unwrap_or_else(|| done.status.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    fn level(checks: &[Check], name: &str) -> Option<Level> {
        checks.iter().find(|check| check.name == name).map(|check| check.level)
    }

    #[test]
    fn a_token_that_others_can_read_is_a_failure() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(level(&folder(data.path()), "token"), None, "none was written yet");
        let token = data.path().join("token");
        for (mode, expected) in [(0o600, Level::Ok), (0o644, Level::Fail), (0o660, Level::Fail)] {
            std::fs::write(&token, "ryd_x").unwrap();
            std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(level(&folder(data.path()), "token"), Some(expected), "{mode:o}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_where_it_will_be() {
        let data = tempfile::tempdir().unwrap();
        let checks = folder(&data.path().join("a/b"));
        assert_eq!(level(&checks, "data folder"), Some(Level::Ok));
        assert!(checks[0].found.contains("a/b will be made"), "{checks:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_said_to_be_so() {
        assert_eq!(
            output("runyard-no-such-program", &[]),
            Err("`runyard-no-such-program` was not found".into())
        );
        assert!(output("sh", &["-c", "echo no >&2; exit 3"]).unwrap_err().ends_with("failed: no"));
        assert_eq!(output("echo", &["hi"]), Ok("hi".into()));
    }
}
