//! A worker as a job: Runyard starts it, and it trains and publishes with the job's own token.

use std::fs;

use runyard_domain::run::Status;
use serde_json::json;

use crate::site::{Site, publish, text};

#[test]
fn a_worker_that_runyard_runs_publishes_with_the_token_of_its_job() {
    let Some(site) = Site::start() else { return };
    let server = &site.server;
    let model = site.model("digits");
    for (generation, again) in [("0.4.0", false), ("0.4.0", true), ("0.6.0", false)] {
        let folder = site.folder(&format!("job-{generation}"), &[("model.bin", generation.as_bytes())]);
        let tag = if again { "again".to_owned() } else { format!("v-{generation}") };
        let steps = json!([publish(&folder, &model, &json!({"tag": tag}))]).to_string();
        let script = runyard_tests::repository().join("tests/arkindex/worker.py");
        let home = server.home().join("scratch");
        fs::create_dir_all(&home).expect("a folder");
        // What is the job's own is in its environment; what workers call it, its command says.
        let command = "ARKINDEX_WORKER_RUN_ID=$RUN_ID ARKINDEX_TASK_TOKEN=$RUNYARD_TOKEN exec \"$0\" \"$@\"";
        let run = json!({
            "name": "trainer", "version": generation, "config": {"lr": 0.1},
            "spec": {
                "command": ["sh", "-c", command, site.python(generation), script, "--steps", steps],
                "env": {"ARKINDEX_API_URL": server.url(), "HOME": home, "TMPDIR": home},
            },
        });
        let run = text(&server.call("POST", "/api/v2/runs").json(&run).send().data(200)["id"]);
        assert_eq!(server.wait_for_end(&run), Status::JobCompleted, "{}", server.output(&run));
        let output = server.output(&run);
        assert!(output.contains(&format!("Loaded Worker trainer @ {generation} from API")), "{output}");
        assert!(!output.contains("ERROR"), "{output}");
        let versions = site.versions(&model);
        if again {
            assert!(output.contains("Removing the pending model version."), "{output}");
            assert_eq!((versions.len(), &versions[0]["tag"]), (1, &json!("again")), "{versions:#?}");
        } else {
            let version = versions.last().expect("a version");
            assert_eq!(version["state"], "available", "{version:#}");
            assert_eq!(version["run_id"], json!(run));
            assert_eq!(version["job_id"], json!(server.job(&run)));
            assert_eq!(version["run_config"], json!({"lr": 0.1}));
        }
    }
}
