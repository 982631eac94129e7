//! A disk that fills, for real: a file system of one megabyte, in a mount namespace of the test's own.

use std::{path::PathBuf, process::Command};

use runyard_objects::{Error, Objects, PART_MIN};

use crate::{NO_LIMIT, folder::until_files, noise, read, stream_of};

const SMALL_DISK: &str = "RUNYARD_TEST_SMALL_DISK";

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_what_is_there() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return on_a_small_disk(disk.into()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$1\" || exit 77; shift; exec \"$@\"";
    let mut command = Command::new("unshare");
    // Root needs no user namespace, and may be forbidden to make one.
    command.args(if nix::unistd::geteuid().is_root() {
        &["--mount"][..]
    } else {
        &["--mount", "--map-root-user"]
    });
    command.args(["sh", "-c", script, "sh"]).arg(folder.path()).arg(std::env::current_exe().unwrap());
    let test = "full_disk::a_full_disk_refuses_what_does_not_fit_and_keeps_what_is_there";
    let output = command.args(["--exact", test, "--nocapture"]).env(SMALL_DISK, folder.path()).output();
    let output = match output {
        Ok(output) if output.status.code() != Some(77) && !output.stderr.starts_with(b"unshare:") => output,
        // A machine that lets nobody mount cannot show this; the unit test of `from_io` still holds.
        _ => return,
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn on_a_small_disk(disk: PathBuf) {
    let objects = Objects::open_folder(disk.join("objects")).unwrap();
    let old = noise(400_000, 1);
    objects.put_stream("kept", stream_of(&old), NO_LIMIT).await.unwrap();
    let error = objects.put_stream("kept", stream_of(&noise(4_000_000, 2)), NO_LIMIT).await.unwrap_err();
    assert!(matches!(&error, Error::NoSpace(_)), "{error}");
    assert!(error.is_temporary(), "once there is space, it will succeed");
    until_files(&disk, 1).await;
    assert!(read(&objects, "kept").await == old);

    let upload = objects.begin_multipart("big", PART_MIN).await.unwrap();
    let part = runyard_objects::SignedPart { upload: upload.clone(), number: 1 };
    let big = noise(4_000_000, 3);
    let put = runyard_objects::SignedPut {
        key: "big".to_owned(),
        size: runyard_objects::Size::Exactly(big.len() as u64),
        checksum: Some(crate::sha256(&big)),
        part: Some(part),
    };
    let error = objects.put_signed(&put, stream_of(&big)).await.unwrap_err();
    assert!(matches!(&error, Error::NoSpace(_)), "{error}");
    objects.abort_multipart("big", &upload).await.unwrap();
    // All of the space is there again.
    objects.put_stream("after", stream_of(&noise(400_000, 4)), NO_LIMIT).await.unwrap();
}
