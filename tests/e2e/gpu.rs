//! GPUs, with a stand-in for nvidia-smi: each GPU to one job, and what is free is told.

use std::{env, fs, os::unix::fs::PermissionsExt};

use runyard_domain::run::Status;
use runyard_tests::{Server, Setup};
use serde_json::json;

const NVIDIA_SMI: &str = "#!/bin/sh
echo '0, GPU-a, NVIDIA T4, 15360, 12, 3'
echo '1, GPU-b, NVIDIA T4, 15360, 12, 3'
echo '2, GPU-c, NVIDIA A100, 40960, 12, 3'
";

fn with_gpus() -> (Server, tempfile::TempDir) {
    let bin = tempfile::tempdir().unwrap();
    let file = bin.path().join("nvidia-smi");
    fs::write(&file, NVIDIA_SMI).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), env::var("PATH").unwrap());
    (Setup::default().env("PATH", path).args(&["--cpu", "8"]).start(), bin)
}

#[test]
fn each_gpu_is_given_to_one_job_and_what_is_free_is_counted() {
    let (server, _bin) = with_gpus();
    let gate = server.home().join("gate");
    let script = format!(
        "echo [$CUDA_VISIBLE_DEVICES] $REQUESTED_GPU_COUNT; until test -e {}; do sleep 0.05; done",
        gate.display()
    );
    let all =
        json!([{"type": "NVIDIA A100", "total": 1, "free": 1}, {"type": "NVIDIA T4", "total": 2, "free": 2}]);
    assert_eq!(gpus(&server), all);
    let one = server.submit(&["--cpu", "100m", "--gpu", "NVIDIA T4:1"], &script);
    let two = server.submit(&["--cpu", "100m", "--gpu", "NVIDIA T4:1"], &script);
    let none = server.submit(&["--cpu", "100m"], &script);
    let third = server.submit(&["--cpu", "100m", "--gpu", "NVIDIA T4:1"], &script);
    for run in [&one, &two, &none] {
        server.wait_for_output(run, "\n");
    }
    let mut given = [server.output(&one), server.output(&two)];
    given.sort();
    assert_eq!(given, ["[GPU-a] 1\n", "[GPU-b] 1\n"]);
    assert_eq!(server.output(&none), "[] 0\n", "who asked for none sees none");
    server.wait_for_status(&third, Status::JobPending);
    let free =
        json!([{"type": "NVIDIA A100", "total": 1, "free": 1}, {"type": "NVIDIA T4", "total": 2, "free": 0}]);
    assert_eq!(gpus(&server), free);
    let any = server.submit(&["--cpu", "100m", "--gpu", "1"], &script);
    server.wait_for_output(&any, "[GPU-c] 1");
    fs::write(gate, "").unwrap();
    for run in [&one, &two, &none, &third, &any] {
        assert_eq!(server.wait_for_end(run), Status::JobCompleted);
    }
    assert!(["[GPU-a] 1\n", "[GPU-b] 1\n"].contains(&server.output(&third).as_str()));
}

#[test]
fn more_gpus_than_there_are_of_a_type_are_refused_with_the_types_that_are_there() {
    let (server, _bin) = with_gpus();
    for gpu in ["NVIDIA A100:2", "H100:1", "4"] {
        let output = server.cli(&["run", "--gpu", gpu, "--", "true"]);
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains("job_create_failed"), "{}", output.stderr);
        assert!(output.stderr.contains("NVIDIA T4") || gpu == "NVIDIA A100:2", "{}", output.stderr);
    }
}

fn gpus(server: &Server) -> serde_json::Value {
    let mut gpus = server.get("/system/resources")[0]["gpus"].take();
    gpus.as_array_mut().unwrap().sort_by_key(|gpu| gpu["type"].to_string());
    gpus
}
