//! The Python package, tested by Python: what programs may rely on when they `import runyard`.

use std::{path::Path, process::Command};

#[test]
fn point_16_programs_written_against_the_toolkit_find_its_names_and_behaviours() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let tests = Command::new("python3")
        .args(["-m", "unittest", "discover", "-s", "tests"])
        .env("PYTHONPATH", ".")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&python)
        .output()
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&tests.stderr);
    assert!(tests.status.success() && said.trim_end().ends_with("OK"), "{said}");
}
