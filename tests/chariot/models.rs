//! The checklist of the contract, point by point: models that are made of checkpoints.

use serde_json::{Value, json};

use crate::site::{Site, text};

/// Saves one checkpoint for each case: what its catalog file says decides what becomes of it.
const SAVING: &str = r#"
    save() {
        mkdir -p "$RUNYARD_ML/output/checkpoints/$1/deep"; cd "$RUNYARD_ML/output/checkpoints/$1"
        echo "weights $1" > model.pt; echo "state" > optimizer.pt; echo "words" > deep/vocab.txt
        [ -z "$2" ] || echo "$2" > chariot_model_config.json
        echo "{\"checkpoint\":{\"global_step\":$1,\"path\":\"output/checkpoints/$1\"}}" >> "$RUNYARD_RECORDS"
    }
    save 1 '{"artifact_type":"pytorch","class_labels":{"one":1},"copy_key_suffixes":["model.pt","deep/vocab.txt"]}'
    save 2 '{"artifact_type":"pytorch","copy_key_suffixes":["model.pt","../../../input/secret","/etc/passwd","gone.pt"]}'
    save 3 ''
"#;

fn request(name: &str, version: &str) -> Value {
    json!({"name": name, "version": version, "summary": "the best of them"})
}

#[test]
fn point_17_a_checkpoint_becomes_a_model_of_what_its_catalog_file_names_and_nothing_outside_of_it() {
    let site = Site::start();
    let run = site.ended(SAVING);
    let checkpoint = |step: i64| {
        text(&site.get(&format!("/v2/checkpoints?run_id={run}&global_step={step}&status=complete"))[0]["id"])
    };
    let make = |step: i64, body: &Value| {
        site.ask("POST", &format!("/v2/checkpoints/{}/model", checkpoint(step)), Some(body))
    };
    let ours = |path: &str| site.server.call("GET", &format!("/api/v2{path}")).send().data(200);
    let paths = |id: &str| {
        let files = ours(&format!("/model_versions/{id}/files"));
        files.as_array().expect("a list").iter().map(|file| text(&file["path"])).collect::<Vec<_>>()
    };

    let id = text(&make(1, &request("digits", "1.0.0")).data(200)["id"]);
    let model = ours(&format!("/model_versions/{id}"));
    assert_eq!(
        (&model["model"], &model["tag"], &model["state"]),
        (&json!("digits"), &json!("1.0.0"), &json!("available"))
    );
    assert_eq!((&model["run_id"], &model["checkpoint_id"]), (&json!(run), &json!(checkpoint(1))));
    assert_eq!(model["description"], "the best of them");
    assert_eq!(model["config"]["chariot_model_config"]["class_labels"], json!({"one": 1}));
    assert_eq!(paths(&id), ["chariot_model_config.json", "deep", "deep/vocab.txt", "model.pt"]);
    assert_eq!(text(&make(1, &request("digits", "1.0.0")).data(200)["id"]), id, "a repeat makes nothing new");

    let refused = make(2, &request("digits", "1.1.0"));
    assert_eq!(refused.status, 422, "{}", refused.text);
    let errors = refused.body["errors"].as_object().expect("named fields");
    let named: Vec<&str> = errors.keys().map(String::as_str).collect();
    assert_eq!(named, ["copy_key_suffixes.1", "copy_key_suffixes.2", "copy_key_suffixes.3"]);
    for (field, word) in named.iter().zip(["`../../../input/secret`", "`/etc/passwd`", "`gone.pt`"]) {
        assert!(errors[*field][0].as_str().is_some_and(|text| text.contains(word)), "{}", refused.text);
    }

    let whole = text(&make(3, &request("everything", "0.1.0-rc.1")).data(200)["id"]);
    assert_eq!(paths(&whole), ["deep", "deep/vocab.txt", "model.pt", "optimizer.pt"]);
    let taken = make(3, &request("digits", "1.0.0"));
    assert_eq!(taken.status, 409, "another model has the version: {}", taken.text);
    for version in ["1.0", "v1.0.0", "one"] {
        let refused = make(1, &request("digits", version));
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.body["errors"]["version"][0].as_str().is_some_and(|text| text.contains("SemVer")));
    }
    assert_eq!(make(1, &json!({"name": "digits", "version": "1.2.0"})).status, 422, "a summary is needed");
    let elsewhere = json!({"name": "digits", "version": "1.0.0", "summary": "", "project_id": "nowhere"});
    assert_eq!(make(1, &elsewhere).status, 422);
    let nobody = "/v2/checkpoints/01890a5d-ac96-774b-bcce-b302099a8057/model";
    assert_eq!(site.ask("POST", nobody, Some(&request("digits", "1.0.0"))).status, 404);

    let made = ours("/models");
    let names: Vec<String> =
        made.as_array().expect("a list").iter().map(|model| text(&model["name"])).collect();
    assert_eq!(names, ["everything", "digits"], "what was refused made nothing");
}
