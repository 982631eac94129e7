//! Bad input: whatever comes is refused in Chariot's form, and the server goes on.

use serde_json::json;

use crate::site::Site;

#[test]
fn broken_requests_are_refused_in_the_form_of_the_dialect() {
    let site = Site::start();
    let call = |method: &str, path: &str| site.server.call(method, &format!("/api/training/v2{path}"));
    for (answer, status) in [
        (call("POST", "/runs").raw("{").send(), 400),
        (call("POST", "/runs").raw("[]").send(), 422),
        (call("POST", "/runs").form("a=b").send(), 415),
        (call("POST", "/runs").raw(vec![b' '; 3 << 20]).send(), 413),
        (call("PUT", "/runs").send(), 405),
        (call("GET", "/runs?limit=ten").send(), 422),
        (call("GET", "/runs?limit=1001").send(), 422),
        (call("GET", "/runs?limit=-1").send(), 422),
        (call("GET", "/runs?status=job_perhaps").send(), 422),
        (call("GET", "/runs?sort=colour").send(), 422),
        (call("GET", "/runs?created_after=yesterday").send(), 422),
        (call("GET", "/runs?name_ilike=%ff").send(), 422),
        (call("GET", "/metrics?run_id=x&global_step=1.0").send(), 422),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        let body = answer.body.as_object().unwrap_or_else(|| panic!("no JSON: {}", answer.text));
        assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text);
        assert_eq!(body.contains_key("errors"), status == 422, "{}", answer.text);
        assert_eq!(body.len(), 1 + usize::from(status == 422), "{}", answer.text);
    }
    assert_eq!(site.get("/v2/runs"), json!([]));
}

#[test]
fn a_login_that_cannot_be_read_is_refused_as_oauth_does() {
    let site = Site::start();
    let login =
        |form: &str| site.server.call_as("", "POST", "/auth/client/v2/chariot/login").form(form).send();
    let secret = site.server.token();
    for (form, status, error) in [
        (String::new(), 400, "invalid_request"),
        (format!("client_id=admin&client_secret={secret}"), 400, "invalid_request"),
        (format!("grant_type=client_credentials&client_secret={secret}"), 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=admin".to_owned(), 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=%&client_secret=x".to_owned(), 400, "invalid_request"),
        (
            format!("grant_type=password&client_id=admin&client_secret={secret}"),
            400,
            "unsupported_grant_type",
        ),
        (format!("grant_type=client_credentials&client_id=x&client_secret={secret}"), 401, "invalid_client"),
        ("x".repeat(65 << 10), 413, "too_large"),
    ] {
        let answer = login(&form);
        assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(error)), "{}", answer.text);
        assert!(answer.body["error_description"].as_str().is_some_and(|text| !text.contains(&secret)));
    }
    let answer = site.server.call_as("", "GET", "/auth/client/v2/chariot/login").send();
    assert_eq!(answer.status, 405, "{}", answer.text);
}

#[test]
fn a_token_sees_only_its_own_projects_runs_and_blueprints() {
    let site = Site::start();
    let server = &site.server;
    let run = site.create(&site.blueprint("b", "1", "true"), "mine");
    server.call("POST", "/api/v2/projects").json(&json!({"name": "other"})).send().data(200);
    let token = json!({"name": "foreign", "scope": "project", "project_id": "other"});
    let token = server.call("POST", "/api/v2/tokens").json(&token).send().data(200);
    let token = token["secret"].as_str().unwrap();
    let foreign = |path: &str| server.call_as(token, "GET", &format!("/api/training/v2{path}")).send();
    let lists = ["/runs", "/runs?project_id=default", "/blueprints", &format!("/metrics?run_id={run}")];
    for list in lists {
        assert_eq!(foreign(list).data(200), json!([]), "{list}");
    }
    assert_eq!(foreign(&format!("/runs/{run}")).status, 404);
    assert_eq!(foreign(&format!("/runs/{run}/events")).status, 404);
}
