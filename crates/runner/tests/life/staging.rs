//! Before the program: source, requirements, and commands that do not exist.

use std::{fs, process::Command};

use runyard_archive::{PackOptions, pack};
use runyard_domain::job::{Reason, folder};
use tempfile::TempDir;

use crate::bench::Bench;

#[test]
fn the_source_is_unpacked_and_the_program_starts_in_it() {
    let mut bench = Bench::new(&["./train.sh"]);
    let source = TempDir::new().unwrap();
    fs::write(source.path().join("train.sh"), "#!/bin/sh\ncat data/x\n").unwrap();
    Command::new("chmod").arg("+x").arg(source.path().join("train.sh")).status().unwrap();
    fs::create_dir(source.path().join("data")).unwrap();
    fs::write(source.path().join("data/x"), "from the source").unwrap();
    let mut bytes = Vec::new();
    let digest = pack(source.path(), &mut bytes, &PackOptions::default()).unwrap().digest;
    bench.server.state().sources.insert(digest.clone(), bytes);
    bench.spec.source = Some(digest);
    assert_eq!(bench.run().reason, Reason::Completed);
    assert_eq!(bench.logs(), "from the source");
}

#[test]
fn a_source_that_the_server_does_not_have_or_that_is_damaged_fails_the_staging() {
    let digest = "0".repeat(64);
    let mut bench = Bench::shell("echo launched");
    bench.spec.source = Some(digest.clone());
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::StagingFailed);
    assert!(exit.message.unwrap().contains(&digest));
    let mut bench = Bench::shell("echo launched");
    bench.spec.source = Some(digest.clone());
    bench.server.state().sources.insert(digest, b"something else".to_vec());
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::StagingFailed);
    assert!(exit.message.unwrap().contains("damaged"));
    assert!(!bench.has(folder::LAUNCHED));
}

#[test]
fn a_command_that_does_not_exist_is_explained() {
    let exit = Bench::new(&["no-such-program", "x"]).run();
    assert_eq!(exit.reason, Reason::LaunchFailed);
    assert!(exit.message.unwrap().contains("`no-such-program` was not found"));
    let mut bench = Bench::new(&["train.py"]);
    let source = TempDir::new().unwrap();
    fs::write(source.path().join("train.py"), "print()").unwrap();
    let mut bytes = Vec::new();
    let digest = pack(source.path(), &mut bytes, &PackOptions::default()).unwrap().digest;
    bench.server.state().sources.insert(digest.clone(), bytes);
    bench.spec.source = Some(digest);
    let message = bench.run().message.unwrap();
    assert!(message.contains("maybe you meant `./train.py` or `python train.py`?"), "{message}");
}

/// Writes a wheel by hand, so that nothing is fetched from anywhere.
const MAKE_WHEEL: &str = "
import zipfile, sys
with zipfile.ZipFile(sys.argv[1] + '/tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'word = \"from the wheel\"')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";

#[test]
fn requirements_are_installed_once_and_what_cannot_be_installed_is_said() {
    let mut bench = Bench::new(&["python", "-c", "import sys, tiny; print(tiny.word, sys.prefix)"]);
    let made = Command::new("python3").args(["-c", MAKE_WHEEL]).arg(bench.base.path()).status().unwrap();
    assert!(made.success());
    bench.spec.env.insert("PIP_NO_INDEX".into(), "1".into());
    bench.spec.env.insert("PIP_FIND_LINKS".into(), bench.base.path().display().to_string());
    bench.spec.requirements = vec![" tiny==1.0".into(), "tiny".into()];
    let exit = bench.run();
    assert_eq!(exit.reason, Reason::Completed, "{exit:?} {}", bench.logs());
    let first = bench.logs();
    assert!(first.contains("from the wheel") && first.contains("[runyard] installing"), "{first}");

    // The same in another order needs nothing: not even a place where packages are found.
    let mut again = Bench::new(&["python", "-c", "import tiny; print(tiny.word)"]);
    again.spec.cache_dir.clone_from(&bench.spec.cache_dir);
    again.spec.requirements = vec!["tiny".into(), "tiny==1.0".into(), "tiny".into()];
    assert_eq!(again.run().reason, Reason::Completed);
    assert_eq!(again.logs(), "from the wheel\n");

    let mut missing = Bench::shell("echo launched");
    missing.spec.cache_dir.clone_from(&bench.spec.cache_dir);
    missing.spec.env.insert("PIP_NO_INDEX".into(), "1".into());
    missing.spec.requirements = vec!["no-such-package".into()];
    let exit = missing.run();
    assert_eq!(exit.reason, Reason::RequirementsFailed);
    assert!(exit.message.unwrap().contains("No matching distribution found for no-such-package"));
    assert!(!missing.has(folder::LAUNCHED));
    assert!(missing.logs().contains("No matching distribution"), "pip's own words are in the log");
}
