//! A full disk while a job writes: the server and the other jobs survive it, and every end that is told is true.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use runyard_domain::run::Status;
use runyard_tests::{SOON, Server, Setup, wait_until};
use tempfile::TempDir;

/// A filesystem of its own, 24 MiB small; gone with this value.
struct SmallDisk {
    folder: TempDir,
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where we may not mount one: only root may.
    fn mount() -> Option<Self> {
        Self::mount_at(Path::to_path_buf)
    }

    /// The same at a place in a temporary folder.
    fn mount_at(place: impl Fn(&Path) -> PathBuf) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = place(folder.path());
        fs::create_dir_all(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&at).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self { folder, at })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = Command::new("umount").arg("--lazy").arg(&self.at).status();
        assert!(unmount.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_job_that_fills_the_disk_harms_neither_the_server_nor_the_others() {
    let Some(disk) = SmallDisk::mount() else { return };
    let server = Setup::default().data(&disk.path().join("data")).args(&["--cpu", "4"]).start();
    let gates = server.home();
    let wait_for = |name: &str| format!("until test -e {}/{name}; do sleep 0.05; done", gates.display());
    let quiet = server.submit(&["--cpu", "500m"], &format!("echo before; {}; echo after", wait_for("quiet")));
    server.wait_for_output(&quiet, "before");
    let greedy = server.submit(
        &["--cpu", "500m"],
        &format!(
            "echo filling; dd if=/dev/zero of=big bs=64k 2>/dev/null; touch {}/full; {}; rm big; exit 4",
            gates.display(),
            wait_for("free")
        ),
    );
    wait_until("the disk is full", SOON, || gates.join("full").exists());
    assert_eq!(server.call_as("", "GET", "/healthz").send().status, 200);
    assert_eq!(server.get("/runs").as_array().unwrap().len(), 2, "what was written can be read");
    let refused = wait_for_refusal(&server);
    assert!(refused.contains("disk") && refused.contains("full"), "{refused}");
    fs::write(gates.join("quiet"), "").unwrap();
    fs::write(gates.join("free"), "").unwrap();
    assert_eq!(server.wait_for_end(&greedy), Status::JobFailed);
    assert_eq!(server.run(&greedy)["exit"]["code"], 4, "how it ended is how it ended");
    assert_eq!(server.wait_for_end(&quiet), Status::JobCompleted);
    let after = server.submit(&[], "echo room again");
    assert_eq!(server.wait_for_end(&after), Status::JobCompleted);
    assert_eq!(server.output(&after), "room again\n");
    drop(server);
    drop(disk);
}

#[test]
fn a_checkpoint_waits_until_there_is_room_for_it() {
    let Some(disk) = SmallDisk::mount_at(|folder| folder.join("data/objects")) else { return };
    let server = Setup::default().data(&disk.path().join("data")).start();
    let full = disk.path().join("data/objects/.staging/filler");
    // As much as there is.
    let _ = fs::write(&full, vec![1; 24 << 20]);
    let run = super::checkpoints::counts(&server, &["--name", "counts"], "2");
    server.wait_for_output(&run, "saved 2");
    wait_until("the wait is said", 2 * SOON, || server.output(&run).contains("has no space left"));
    assert_eq!(server.status(&run), Status::JobRunning);
    assert!(super::checkpoints::complete(&server, &run).is_empty(), "nothing half written is visible");
    fs::remove_file(&full).unwrap();
    assert_eq!(server.wait_for_end(&run), Status::JobCompleted);
    assert_eq!(super::checkpoints::complete(&server, &run), [2, 1]);
    let pulled = server.home().join("pulled");
    server.cli(&["checkpoint", "pull", "counts", &pulled.display().to_string()]).ok();
    assert_eq!(super::checkpoints::content(&pulled.join("deep/state")), b"state 2");
    drop(server);
    drop(disk);
}

/// Writes until the database refuses for want of room: it has a little in reserve.
fn wait_for_refusal(server: &Server) -> String {
    runyard_tests::wait_for("a write is refused", SOON, || {
        let body = serde_json::json!({"name": "more", "notes": "x".repeat(90_000), "spec": {"command": ["true"]}, "resources": {"cpu": "64"}});
        let answer = server.call("POST", "/api/v2/runs").json(&body).send();
        (answer.status >= 400).then_some(answer.text)
    })
}
