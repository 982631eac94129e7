//! Where the SDK is.
//!
//! `RUNYARD_TEST_PAI` is a Python environment with `alipai` (tests/pai/requirements.txt); scripts/test makes it. Without it
//! these tests have nothing to run and say so, unless `RUNYARD_TEST_REQUIRE_CLIENTS` says that this must not happen.

use std::{env, path::PathBuf};

use runyard_tests::repository;

/// The environment's Python; `None`: there is none, and none is required.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn python() -> Option<PathBuf> {
    let Some(folder) = env::var_os("RUNYARD_TEST_PAI") else {
        assert!(
            env::var_os("RUNYARD_TEST_REQUIRE_CLIENTS").is_none(),
            "RUNYARD_TEST_PAI names no Python environment, and RUNYARD_TEST_REQUIRE_CLIENTS is set"
        );
        eprintln!("left out: RUNYARD_TEST_PAI names no Python environment (scripts/test makes one)");
        return None;
    };
    Some(repository().join(folder).join("bin/python"))
}
