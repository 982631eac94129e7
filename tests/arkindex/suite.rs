//! The tests of arkindex-base-worker 0.4.0 as they are published in its source archive, with our document in the place of
//! Arkindex's: every call in them is answered by themselves, so what they hold us to is each path, parameter and body.

use runyard_tests::repository;

use crate::site::{Site, Worked};

/// What reads files that are not in the source archive: `tests/data` and `tests/samples` (images, archives, model files).
const LEFT_OUT: [&str; 17] = [
    "test_base_worker.py::test_extract_parent_archives",
    "test_dataset_worker.py::test_download_dataset_artifact",
    "test_dataset_worker.py::test_run",
    "test_dataset_worker.py::test_run_read_only",
    "test_elements_worker/test_task.py::test_download_artifact",
    "test_elements_worker/test_training.py::test_create_archive",
    "test_elements_worker/test_training.py::test_create_archive_with_subfolder",
    "test_elements_worker/test_training.py::test_handle_s3_uploading_errors",
    "test_image.py::test_download_tiles",
    "test_image.py::test_download_tiles_crop",
    "test_image.py::test_open_image_rotate_mirror",
    "test_image.py::test_download_image_retry_with_max",
    "test_image.py::test_upload_image_retries",
    "test_image.py::test_upload_image",
    "test_image.py::test_resized_images",
    "test_utils.py::test_extract_tar_zst_archive",
    "test_utils.py::test_close_delete_file",
];
/// These with all that they are parametrized by.
const LEFT_OUT_WITH_PARAMETERS: usize = 26;
/// All others in the same way.
const PASSED: usize = 586;

#[test]
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn the_tests_of_the_package_pass_with_our_document() {
    let Some(site) = Site::start() else { return };
    let suite =
        site.python("suite").parent().and_then(|bin| bin.parent()).map(|suite| repository().join(suite));
    let suite = suite.filter(|suite| suite.join("tests").is_dir());
    let Some(suite) = suite else {
        assert!(
            std::env::var_os("RUNYARD_TEST_REQUIRE_CLIENTS").is_none(),
            "the tests of the package are not there (scripts/test fetches them), and RUNYARD_TEST_REQUIRE_CLIENTS is set"
        );
        eprintln!("left out: the tests of the package are not there (scripts/test fetches them)");
        return;
    };
    for folder in ["data", "samples"] {
        assert!(
            !suite.join("tests").join(folder).exists(),
            "tests/{folder} is published by now: leave nothing out"
        );
    }
    for left_out in LEFT_OUT {
        eprintln!("left out, since it reads files that are not published: {left_out}");
    }
    let mut pytest = site.interpreter("0.4.0");
    pytest
        .env("ARKINDEX_API_SCHEMA_URL", format!("{}/api/v1/openapi/?format=json", site.server.url()))
        .env("PYTHONPATH", repository().join("tests/arkindex"))
        .env("LEFT_OUT", LEFT_OUT.join("\n"))
        // Two of them say what a temporary file is called, whole.
        .env("TMPDIR", "/tmp")
        .args([
            "-m",
            "pytest",
            "--quiet",
            "--tb=short",
            "-rfE",
            "-p",
            "no:cacheprovider",
            "-p",
            "leave_out",
            "tests",
        ])
        .current_dir(&suite);
    let worked = Worked::of(&mut pytest);
    let said = &worked.0.stdout;
    assert_eq!(worked.0.code, 0, "{said}\n{}", worked.0.stderr);
    assert!(said.contains(&format!("{PASSED} passed")), "{said}");
    assert!(said.contains(&format!("{LEFT_OUT_WITH_PARAMETERS} deselected")), "{said}");
}
