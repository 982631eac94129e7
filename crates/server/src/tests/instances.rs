//! Instances and instance types over HTTP: what comes of a type, what goes before it, and every refusal's words.

use serde_json::{Value, json};

use super::Server;

/// The resources of a run with these, and with this in its spec.
async fn resources(server: &Server, resources: Value, spec: Value) -> Value {
    let mut body = json!({"name": "n", "spec": {"command": ["true"]}});
    body["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    if !resources.is_null() {
        body["resources"] = resources;
    }
    server.post("/api/v2/runs", body).await["resources"].clone()
}

#[tokio::test]
async fn what_a_run_names_goes_before_its_instance_type_and_both_before_the_blueprint() {
    let server = Server::start().await;
    let medium = json!({"instance_type": "cpu.medium"});
    assert_eq!(resources(&server, Value::Null, medium.clone()).await, json!({"cpu": "2", "memory": "4Gi"}));
    let memory = json!({"memory": "1Gi"});
    assert_eq!(
        resources(&server, memory.clone(), medium.clone()).await,
        json!({"cpu": "2", "memory": "1Gi"})
    );
    let gpu = json!({"cpu": "500m", "gpu": {"count": 2, "type": "T4"}});
    let all = json!({"cpu": "500m", "memory": "4Gi", "gpu": {"count": 2, "type": "T4"}});
    assert_eq!(resources(&server, gpu, medium.clone()).await, all);
    assert_eq!(resources(&server, memory, json!({})).await, json!({"cpu": "1", "memory": "1Gi"}), "one core");

    let own = json!({"project_id": "default", "name": "b", "version": "1", "command": ["true"], "resources": {"memory": "3Gi"}});
    let blueprint = server.post("/api/v2/blueprints", own).await;
    assert_eq!(blueprint["resources"], json!({"cpu": "1", "memory": "3Gi"}));
    let run = async |spec: Value| {
        let body = json!({"name": "n", "blueprint_id": blueprint["id"], "spec": spec});
        server.post("/api/v2/runs", body).await["resources"].clone()
    };
    assert_eq!(run(json!({})).await, blueprint["resources"]);
    assert_eq!(run(medium).await, json!({"cpu": "2", "memory": "4Gi"}));
}

#[tokio::test]
async fn a_restart_that_names_no_cores_keeps_them() {
    let server = Server::start().await;
    let body =
        json!({"name": "n", "resources": {"cpu": "250m"}, "spec": {"command": ["true"], "instances": 4}});
    let run = server.post("/api/v2/runs", body).await;
    let path = format!("/api/v2/runs/{}", run["id"].as_str().unwrap());
    server.post(&format!("{path}/stop"), json!({})).await;
    let again = server.post(&format!("{path}/restart"), json!({"resources": {"memory": "64Mi"}})).await;
    assert_eq!(again["resources"], json!({"cpu": "250m", "memory": "64Mi"}));
    assert_eq!(again["spec"]["instances"], 4);
}

#[tokio::test]
async fn instances_and_types_that_cannot_be_are_refused_by_their_field() {
    let server = Server::start().await;
    let refused = async |body: Value, field: &str, words: &str| {
        let error = server.call("POST", "/api/v2/runs", body).await.invalid(&[field]);
        let said = error.errors.iter().flatten().map(|(_, said)| said.join("; ")).collect::<String>();
        assert!(said.contains(words), "{said}");
    };
    let run = |spec: Value| {
        let mut body = json!({"name": "n", "spec": {"command": ["true"]}});
        body["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        body
    };
    let unknown = "there is no instance type `gpu.huge` here; there is cpu.large, cpu.medium, cpu.small, local, local_gpu";
    refused(run(json!({"instance_type": "gpu.huge"})), "spec.instance_type", unknown).await;
    refused(run(json!({"instances": 0})), "spec.instances", "1").await;
    refused(run(json!({"instances": 65})), "spec.instances", "64").await;
    let mut body = run(json!({"instance_type": "cpu.small"}));
    body["resources"] = json!({"memory": "5GB"});
    refused(body.clone(), "resources.memory", "write 5Gi").await;
    body["resources"] = json!({"cpu": ""});
    refused(body, "resources.cpu", "shorter than 1").await;
    let worker = json!({"corpus": "c", "worker": "w", "selection": {"query": {}}});
    let mut body = run(json!({"instances": 2, "worker": worker}));
    body["kind"] = "worker".into();
    let error = server.call("POST", "/api/v2/runs", body).await.refused(422, "invalid");
    let said =
        error.errors.iter().flatten().find(|(path, _)| *path == "spec.instances").expect("it is named").1;
    assert!(said.join("").contains("`spec.worker.processes`"), "{said:?}");
}

#[tokio::test]
async fn instance_types_are_listed_with_what_this_machine_never_has() {
    let server = Server::start().await;
    let types = server.get("/api/v2/instance-types").await;
    let names: Vec<&str> =
        types.as_array().unwrap().iter().map(|own| own["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu.large", "cpu.medium", "cpu.small", "local", "local_gpu"]);
    let local = json!({"name": "local", "resources": {"cpu": "1"}, "executor": "local"});
    assert_eq!(types[3], local);
    let request = axum::http::Request::get("/api/v2/instance-types").body(axum::body::Body::empty()).unwrap();
    server.send(request).await.refused(401, "unauthorized");
}
