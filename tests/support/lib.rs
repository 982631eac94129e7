//! Drives the real binary from outside, as a user would: starts a server on a folder of its own, kills it, restarts it,
//! calls its CLI and its HTTP API, and leaves nothing running. Knows nothing of the product's insides but the job folder.

pub mod cli;
pub mod containers;
pub mod http;
pub mod processes;
pub mod runs;
pub mod s3;
pub mod server;
pub mod state;
pub mod wire;

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

pub use cli::{Cli, Output};
pub use server::{Server, Setup};
use sha2::{Digest as _, Sha256};
pub use wire::Wire;

/// Long enough for anything that does not install packages, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(30);

/// How often conditions are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `condition` holds, by looking at it again and again.
///
/// # Panics
/// When it does not hold within `deadline`; the message names `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    assert!(holds_within(deadline, &mut condition), "waited {deadline:?} in vain: {what}");
}

/// Waits until `look` finds something, and answers it.
///
/// # Panics
/// When it finds nothing within `deadline`.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(what, deadline, || {
        found = look();
        found.is_some()
    });
    found.expect("it was just found")
}

/// Whether `condition` comes to hold within `deadline`.
pub fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// Runs a call of the typed client to its end.
pub fn block_on<F: Future>(call: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    });
    runtime.block_on(call)
}

/// The binary `runyard` of the build that this test belongs to.
///
/// # Panics
/// When it was not built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().find(|path| path.join("deps").is_dir()).expect("a folder of cargo");
    let binary = folder.join("runyard");
    assert!(binary.is_file(), "{} is not there: run `cargo build --workspace` first", binary.display());
    binary
}

/// SHA-256 in hex.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_owned()
}
