//! The document as the packages' own clients read it, and the calls that they make by it.

use serde_json::{Value, json};

use crate::site::{GENERATIONS, Site, text};

/// What workers of any generation call.
const CALLED: [&str; 65] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CreateArtifact",
    "CreateClassification",
    "CreateClassifications",
    "CreateDataset",
    "CreateDatasetElement",
    "CreateElement",
    "CreateElementChildren",
    "CreateElementParent",
    "CreateElementTranscriptions",
    "CreateElementType",
    "CreateElements",
    "CreateEmbedding",
    "CreateEntity",
    "CreateEntityType",
    "CreateIIIFURL",
    "CreateMLClass",
    "CreateMetaData",
    "CreateMetaDataBulk",
    "CreateModelVersion",
    "CreateMultipartUpload",
    "CreateMultipartUploadPart",
    "CreateTranscription",
    "CreateTranscriptionEntities",
    "CreateTranscriptionEntity",
    "CreateTranscriptions",
    "DestroyDatasetElement",
    "DestroyModelVersion",
    "DownloadArtifact",
    "DownloadExport",
    "ListArtifacts",
    "ListCorpusEntities",
    "ListCorpusEntityTypes",
    "ListCorpusMLClasses",
    "ListDatasetElements",
    "ListElementChildren",
    "ListElementMetaData",
    "ListElementParents",
    "ListElements",
    "ListEmbeddings",
    "ListExports",
    "ListProcessElements",
    "ListProcessSets",
    "ListTranscriptionEntities",
    "ListTranscriptions",
    "PartialUpdateDataset",
    "PartialUpdateElement",
    "PartialUpdateModelVersion",
    "RetrieveCorpus",
    "RetrieveDataset",
    "RetrieveDatasetSet",
    "RetrieveElement",
    "RetrieveModelVersion",
    "RetrieveSecret",
    "RetrieveTask",
    "RetrieveTaskFromAgent",
    "RetrieveWorkerRun",
    "RetrieveWorkerRunConfiguration",
    "RetrieveWorkerVersion",
    "StartExport",
    "StartWorkerActivity",
    "UpdateModelVersion",
    "UpdateWorkerActivity",
    "ValidateModelVersion",
];

#[test]
fn every_client_reads_the_document() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let said = site.ask(generation, &json!([]));
        let known: Vec<&str> =
            said[0]["operations"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for operation in CALLED {
            assert!(known.contains(&operation), "{generation} does not find {operation} among {known:?}");
        }
    }
}

#[test]
fn every_client_gets_every_page_of_a_list() {
    let Some(site) = Site::start() else { return };
    let mut models: Vec<String> = (0..5).map(|number| site.model(&format!("model-{number}"))).collect();
    let model = models[0].clone();
    let begun = |tag: &str| {
        let path = format!("/api/v1/model/{model}/versions/");
        let answer = site.server.call("POST", &path).json(&json!({"tag": tag})).send();
        assert_eq!(answer.status, 201, "{}", answer.text);
        text(&answer.body["id"])
    };
    let mut versions: Vec<String> = ["a", "b", "c", "d", "e"].map(begun).into();
    models.sort();
    versions.sort();
    let list = |call: &str, arguments: Value| json!({"call": call, "arguments": arguments, "paginate": true});
    for generation in GENERATIONS {
        let said = site.ask(
            generation,
            &json!([
                list("ListModels", json!({"page_size": 2})),
                list("ListModels", json!({})),
                list("ListModels", json!({"name": "model-3"})),
                list("ListModels", json!({"name": "nobody"})),
                list("ListModelVersions", json!({"id": model, "page_size": 2})),
                list("ListModelVersions", json!({"id": model})),
                list("ListModelVersions", json!({"id": models[1]})),
            ]),
        );
        let ids = |at: usize| {
            let all = said[at]["all"].as_array().unwrap_or_else(|| panic!("{generation}: {}", said[at]));
            let mut ids: Vec<String> = all.iter().map(|one| text(&one["id"])).collect();
            ids.sort();
            ids
        };
        assert_eq!((ids(1), ids(2)), (models.clone(), models.clone()), "{generation}");
        assert_eq!((ids(3).len(), ids(4).len()), (1, 0), "{generation}");
        assert_eq!((ids(5), ids(6)), (versions.clone(), versions.clone()), "{generation}");
        assert!(ids(7).is_empty(), "{generation}");
    }
}

#[test]
fn every_client_understands_a_refusal() {
    let Some(site) = Site::start() else { return };
    let nobody = "00000000-0000-7000-8000-000000000000";
    let model = site.model("digits");
    for generation in GENERATIONS {
        let said = site.ask(
            generation,
            &json!([
                {"call": "RetrieveSecret", "arguments": {"name": "path/to/secret.json"}},
                {"call": "RetrieveModelVersion", "arguments": {"id": nobody}},
                {"call": "CreateModelVersion", "arguments": {"id": model, "body": {"parent": "x"}}},
                {"call": "CreateMultipartUpload",
                    "arguments": {"body": {"object_type": "artifact", "object_id": nobody}}},
            ]),
        );
        let refused = |at: usize, status: u16, word: &str| {
            assert_eq!(said[at]["status"], status, "{generation}: {}", said[at]);
            assert!(said[at]["content"].is_object(), "{generation}: {}", said[at]);
            assert!(said[at]["content"].to_string().contains(word), "{generation}: {}", said[at]);
        };
        refused(1, 404, "path/to/secret.json");
        refused(2, 404, nobody);
        refused(3, 400, "parent");
        refused(4, 400, "object_type");
    }
}

#[test]
fn a_command_line_makes_a_model_or_finds_it() {
    let Some(site) = Site::start() else { return };
    let create = json!({"call": "CreateModel", "arguments": {"body": {"name": "digits"}}});
    let said = site.ask("0.6.0", &json!([create, create]));
    let id = text(&said[1]["answer"]["id"]);
    assert_eq!(said[2]["status"], 400, "{}", said[2]);
    assert_eq!(said[2]["content"]["id"], json!(id), "{}", said[2]);
    let said = site.ask("0.4.0", &json!([{"call": "RetrieveModel", "arguments": {"id": id}}]));
    assert_eq!(said[1]["answer"]["name"], "digits", "{}", said[1]);
}

#[test]
fn an_archive_as_the_command_line_makes_it_is_taken() {
    let Some(site) = Site::start() else { return };
    let folder = site.folder("dotted", &[("model.bin", b"weights"), ("sub/labels.txt", b"0\n")]);
    let output = site.command("0.6.0", "command_line.py").arg(&folder).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let shown = site.server.cli(&["model", "show", "digits@v1", "--output", "json"]).ok().json();
    assert_eq!((&shown["state"], &shown["files"]), (&json!("available"), &json!(2)), "{shown:#}");
}
