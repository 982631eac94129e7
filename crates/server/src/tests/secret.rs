//! Secrets over HTTP: no answer has a value in it, whatever was sent.

use serde_json::json;

use super::Server;

const VALUE: &str = "h4nter2-Zq7-swordfish";

#[tokio::test]
async fn a_secret_is_set_listed_and_deleted_and_never_shown() {
    let server = Server::start().await;
    let put = server.call("PUT", "/api/v2/secrets/hf", json!({"value": VALUE})).await;
    let first = put.data();
    assert_eq!(first["name"], "hf");
    assert!(!put.text().contains(VALUE));
    let again = server.call("PUT", "/api/v2/secrets/hf", json!({"value": "another"})).await.data();
    assert_eq!(again["created_at"], first["created_at"]);
    let listed = server.get("/api/v2/secrets").await;
    assert_eq!(listed, json!([again]));
    let other = server.post("/api/v2/projects", json!({"name": "other"})).await;
    let id = other["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v2/secrets?project_id={id}")).await, json!([]));
    let gone = server.call("DELETE", "/api/v2/secrets/hf", None).await;
    assert_eq!(gone.status.as_u16(), 204);
    server.call("DELETE", "/api/v2/secrets/hf", None).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_is_no_secret_is_refused_without_its_value() {
    let server = Server::start().await;
    let path = "/api/v2/secrets/hf";
    let long = format!("{VALUE}{}", "x".repeat(70_000));
    let wrong = [
        (json!({"value": [VALUE]}), "value"),
        (json!({"value": {"k": VALUE}}), "value"),
        (json!({"value": 12_345_678}), "value"),
        (json!({"value": ""}), "value"),
        (json!({"value": long}), "value"),
        (json!({"value": format!("{VALUE}\0")}), "value"),
        (json!({}), "value"),
        (json!({"value": VALUE, "kind": "x"}), "kind"),
        (json!([VALUE]), ""),
    ];
    for (body, field) in wrong {
        let reply = server.call("PUT", path, body.clone()).await;
        reply.invalid(&[field]);
        let said = reply.text();
        assert!(!said.contains(VALUE) && !said.contains("12345678"), "{said}");
    }
    let broken = server.call("PUT", path, json!(format!("{{\"value\": \"{VALUE}"))).await;
    broken.refused(400, "invalid_json");
    assert!(!broken.text().contains(VALUE), "{}", broken.text());
    server.call("PUT", "/api/v2/secrets/a%20b", json!({"value": "x"})).await.invalid(&["name"]);
    server
        .call("PUT", "/api/v2/secrets/hf?project_id=nobody", json!({"value": "x"}))
        .await
        .refused(404, "not_found");
    assert_eq!(server.get("/api/v2/secrets").await, json!([]));
}

#[tokio::test]
async fn a_token_of_a_project_has_its_own_secrets_and_one_of_a_run_has_none() {
    let server = Server::start().await;
    let other = server.post("/api/v2/projects", json!({"name": "other"})).await["id"].clone();
    let run = server.submit("r").await;
    let token = async |body| server.post("/api/v2/tokens", body).await["secret"].as_str().unwrap().to_owned();
    let own = token(json!({"name": "o", "scope": "project", "project_id": other})).await;
    let job = token(json!({"name": "j", "scope": "run", "run_id": run})).await;
    server.call_as(&own, "PUT", "/api/v2/secrets/hf", json!({"value": VALUE})).await.data();
    let listed = server.get(&format!("/api/v2/secrets?project_id={}", other.as_str().unwrap())).await;
    assert_eq!(listed[0]["name"], "hf");
    server.call_as(&own, "GET", "/api/v2/secrets?project_id=default", None).await.refused(404, "not_found");
    for (method, path) in [("GET", "/api/v2/secrets"), ("DELETE", "/api/v2/secrets/hf")] {
        server.call_as(&job, method, path, None).await.refused(403, "forbidden");
    }
    server.call_as(&job, "PUT", "/api/v2/secrets/hf", json!({"value": "x"})).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_access_key_is_in_the_list_and_its_secret_is_not() {
    let server = Server::start().await;
    let new = json!({"name": "pai", "scope": "admin", "access_key": true});
    let created = server.post("/api/v2/tokens", new).await;
    let (id, secret) = (&created["token"]["access_key_id"], created["secret"].as_str().unwrap());
    assert!(id.as_str().unwrap().starts_with("RYD"), "{created}");
    let listed = server.call("GET", "/api/v2/tokens", None).await;
    assert!(listed.data().as_array().unwrap().iter().any(|token| token["access_key_id"] == *id));
    assert!(!listed.text().contains(secret));
    let plain = server.post("/api/v2/tokens", json!({"name": "ci", "scope": "admin"})).await;
    assert!(plain["token"].get("access_key_id").is_none(), "{plain}");
}
