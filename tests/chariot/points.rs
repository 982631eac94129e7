//! The checklist of the contract, point by point: what is asked and answered about runs and blueprints.

use runyard_domain::run::Status;
use runyard_tests::http::Answer;
use serde_json::{Value, json};

use crate::site::{STUBBORN, Site, text};

const FIELDS: [&str; 12] = [
    "id",
    "project_id",
    "user_id",
    "created_at",
    "name",
    "version",
    "blueprint_id",
    "task_type",
    "config",
    "resources",
    "status",
    "status_updated_at",
];

/// Runs that never start, one for each name, in the order of their creation.
fn created(site: &Site, names: &[&str]) -> Vec<String> {
    let blueprint = site.blueprint("idle", "1", "true");
    let ids = names.iter().map(|name| site.create(&blueprint, name));
    ids.collect()
}

fn names(list: &[Value]) -> Vec<&str> {
    list.iter().map(|name| name.as_str().expect("a name")).collect()
}

#[test]
fn point_01_login_gives_a_bearer_token_and_everything_needs_one() {
    let site = Site::start();
    let server = &site.server;
    let login = |id: &str, secret: &str| {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=any");
        server.call_as("", "POST", "/auth/client/v2/chariot/login").form(&form).send()
    };
    let granted = login("admin", &server.token());
    assert_eq!(granted.status, 200, "{}", granted.text);
    assert_eq!(granted.body["token_type"], "bearer");
    assert_eq!(granted.body["expires_in"], 3600);
    let bearer = text(&granted.body["access_token"]);
    assert_eq!(server.call_as(&bearer, "GET", "/api/training/v2/runs").send().body, json!({"data": []}));

    let own = json!({"name": "ci", "scope": "project", "project_id": "default", "expires_in_s": 600});
    let own = server.call("POST", "/api/v2/tokens").json(&own).send().data(200);
    let (id, secret) = (text(&own["token"]["id"]), text(&own["secret"]));
    for name in ["ci", &id] {
        let granted = login(name, &secret);
        assert!((1..=600).contains(&granted.body["expires_in"].as_i64().unwrap()), "{}", granted.text);
    }
    for refused in [login("ci", "ryd_wrong"), login("admin", &secret), login("ci", &"x".repeat(1000))] {
        assert_eq!((refused.status, &refused.body["error"]), (401, &json!("invalid_client")));
    }
    server.call("DELETE", &format!("/api/v2/tokens/{id}")).send();

    let refusal = json!({"error": "invalid bearer token"});
    for path in ["runs", "runs/x", "metrics?run_id=x", "blueprints", "nothing/here"] {
        for token in ["", "rubbish", &secret] {
            let answer = server.call_as(token, "GET", &format!("/api/training/v2/{path}")).send();
            assert_eq!((answer.status, answer.body), (401, refusal.clone()), "{path} with `{token}`");
        }
    }
    for (token, path) in
        [("", "/api/nothing/v2/runs"), ("", "/api/training/v1/runs"), (&*bearer, "/api/training/v2/x")]
    {
        let answer = server.call_as(token, "GET", path).send();
        assert_eq!((answer.status, answer.text.trim_end()), (404, "404 page not found"), "{path}");
    }
}

#[test]
fn point_02_every_list_is_in_the_envelope() {
    let site = Site::start();
    let run = created(&site, &["one"]).remove(0);
    let lists = [
        "/v2/runs",
        &format!("/v2/runs/{run}/events"),
        &format!("/v2/metrics?run_id={run}"),
        "/v2/blueprints",
    ];
    for list in lists {
        assert!(site.get(list).is_array(), "{list}");
    }
    assert_eq!(site.get(&format!("/v2/metrics/tags?run_id={run}")), json!([]));
    assert!(site.get(&format!("/v2/runs/{run}")).is_object());
}

#[test]
fn point_03_lists_are_repeated_or_joined_by_raw_commas_and_the_unknown_is_left_out() {
    let site = Site::start();
    let ids = created(&site, &["a,b", "c", "d"]);
    let named = |query: &str| site.all(&format!("/v2/runs?sort=created_at&{query}"), "name");
    assert_eq!(names(&named("name_ilike=a%2Cb&name_ilike=c")), ["a,b", "c"]);
    assert_eq!(names(&named("name_ilike=a%2Cb,C")), ["a,b", "c"]);
    assert_eq!(names(&named("name_ilike=a,b")), [] as [&str; 0], "a raw comma separates");
    assert_eq!(names(&named(&format!("id={},{}", ids[0], ids[2]))), ["a,b", "d"]);
    assert_eq!(names(&named(&format!("id={}&id={}", ids[0], ids[2]))), ["a,b", "d"]);
    assert_eq!(names(&named("colour=red&_=1&name_ilike=%63")), ["c"], "what is not known is left out");
}

#[test]
fn point_04_defaults_of_limits_and_orders() {
    let site = Site::start();
    let all: Vec<String> = (0..12).map(|n| format!("run {n}")).collect();
    created(&site, &all.iter().map(String::as_str).collect::<Vec<_>>());
    let newest: Vec<&str> = all.iter().rev().take(10).map(String::as_str).collect();
    assert_eq!(names(&site.all("/v2/runs", "name")), newest);
    assert_eq!(names(&site.all("/v2/runs?sort=created_at&limit=2", "name")), ["run 0", "run 1"]);
    assert_eq!(names(&site.all("/v2/runs?sort=id&limit=1&offset=2", "name")), ["run 2"]);
    assert_eq!(names(&site.all("/v2/runs?sort=id:desc&limit=1", "name")), ["run 11"]);
}

#[test]
fn point_04_events_are_the_newest_100_when_nothing_was_said() {
    let site = Site::start();
    let run = site.create(&site.blueprint("stubborn", "1", STUBBORN), "stubborn");
    site.server.wait_for_output(&run, "ready");
    // Every stop that shortens the grace is an entry.
    for grace in (1000..1110).rev() {
        site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds={grace}"), None);
    }
    let events = site.all(&format!("/v2/runs/{run}/events"), "sequence");
    let sequences: Vec<i64> = events.iter().map(|number| number.as_i64().unwrap()).collect();
    let newest = sequences[0];
    assert!(newest > 110, "{newest}");
    assert_eq!(sequences, (newest - 99..=newest).rev().collect::<Vec<_>>());
    let oldest = site.all(&format!("/v2/runs/{run}/events?sort=sequence&limit=2"), "status");
    assert_eq!(oldest, ["run_created", "job_created"]);
    assert_eq!(
        site.all(&format!("/v2/runs/{run}/events?sort=sequence:asc&limit=1&offset=1"), "sequence"),
        [2]
    );
    site.ask("POST", &format!("/v2/runs/{run}/stop?grace_period_seconds=1"), None);
    assert_eq!(site.server.wait_for_end(&run), Status::JobTerminated);
}

#[test]
fn point_05_only_selected_fields_are_there_and_all_of_them_when_nothing_was_said() {
    let site = Site::start();
    let blueprint = site.blueprint("idle", "1", "true");
    let mut submission = Site::submission(&blueprint, "noted");
    submission["notes"] = json!("for later");
    let id = text(&site.ask("POST", "/v2/runs", Some(&submission)).data(200)["id"]);
    let first = |select: &str| site.get(&format!("/v2/runs?id={id}{select}"))[0].clone();
    assert_eq!(first("&select=notes"), json!({"notes": "for later"}));
    // What `reload` asks for.
    let reloaded = first("&select=status,status_updated_at&select=progress,progress_updated_at,notes");
    assert_eq!(reloaded["progress"], json!([]));
    assert!(reloaded["id"].is_null() && reloaded["status"].is_string(), "{reloaded}");
    for all in ["", "&select=*", "&select=name,*"] {
        let run = first(all);
        for field in FIELDS.iter().chain(&["notes", "progress"]) {
            assert!(!run[field].is_null(), "{field} is not in {run}");
        }
    }
    let refused = site.ask("GET", "/v2/runs?select=colour", None);
    assert!(refused.status == 422 && refused.body["errors"]["select"].is_array(), "{}", refused.text);
}

#[test]
fn point_06_lists_and_objects_are_never_null_and_numbers_keep_their_kind() {
    let site = Site::start();
    let script = r#"
        report() { echo "{\"metric\":{\"tag\":\"t\",\"global_step\":$1,\"value\":$2}}" >> "$RUNYARD_RECORDS"; }
        report 1 7; report 2 7.0; report 3 '"NaN"'; report 4 '"-Infinity"'; report 5 1e300; report 6 null
    "#;
    let run = site.ended(script);
    let shown = site.get(&format!("/v2/runs/{run}"));
    assert_eq!(shown["progress"], json!([]));
    assert_eq!(shown["resources"], json!({"cpu": "100m", "memory": "0"}));
    let events = site.get(&format!("/v2/runs/{run}/events"));
    assert!(events.as_array().unwrap().iter().all(|event| event["details"].is_object()), "{events}");
    let metrics = site.get(&format!("/v2/metrics?run_id={run}"));
    let values: Vec<&Value> = metrics.as_array().unwrap().iter().map(|point| &point["value"]).collect();
    assert!(values[0].is_i64() && values[1].is_f64() && values[4].is_f64(), "{values:?}");
    assert_eq!(values, [&json!(7), &json!(7.0), &Value::Null, &Value::Null, &json!(1e300), &Value::Null]);
    assert_eq!(metrics[0]["job_id"], json!(site.server.job(&run)));
    let progress =
        json!({"progress": [{"operation": "epochs", "value": 3, "final_value": 10, "units": "epoch"}]});
    site.server.call("PUT", &format!("/api/v2/runs/{run}/progress")).json(&progress).send().data(200);
    let shown = site.get(&format!("/v2/runs/{run}"));
    assert_eq!(shown["progress"], progress["progress"]);
    assert!(shown["progress_updated_at"].is_i64(), "{shown}");
}

#[test]
fn point_07_names_are_matched_as_sql_does_with_escapes() {
    let site = Site::start();
    created(&site, &["50%_done", "50x-done", "DONE", r"back\slash"]);
    let named = |pattern: &str| site.all(&format!("/v2/runs?sort=id&name_ilike={pattern}"), "name");
    assert_eq!(names(&named("%25DONE")), ["50%_done", "50x-done", "DONE"]);
    assert_eq!(names(&named("50__done")), ["50%_done", "50x-done"]);
    assert_eq!(names(&named(r"50%5C%25%5C_done")), ["50%_done"]);
    assert_eq!(names(&named("done")), ["DONE"], "a plain text is the whole name in any case");
    assert_eq!(names(&named(r"back%5C%5Cslash")), [r"back\slash"]);
    let lone = site.ask("GET", "/v2/runs?name_ilike=a%5C", None);
    assert!(lone.status == 422 && lone.body["errors"]["name_ilike"].is_array(), "{}", lone.text);
}

#[test]
fn point_08_unknown_ids_match_nothing_in_lists_and_are_not_found_by_themselves() {
    let site = Site::start();
    created(&site, &["one"]);
    for id in ["01890a5d-ac96-774b-bcce-b302099a8057", "2N1bQ", "%20"] {
        for list in
            ["runs?id", "runs?blueprint_id", "runs?project_id", "metrics?run_id", "metrics/tags?run_id"]
        {
            assert_eq!(site.get(&format!("/v2/{list}={id}")), json!([]), "{list}={id}");
        }
        assert_eq!(site.get(&format!("/v2/blueprints?id={id}")), json!([]));
        let asked: [(&str, String); 4] = [
            ("GET", format!("/v2/runs/{id}")),
            ("DELETE", format!("/v2/runs/{id}")),
            ("POST", format!("/v2/runs/{id}/stop")),
            ("GET", format!("/v2/blueprints/{id}")),
        ];
        for (method, path) in asked {
            let answer = site.ask(method, &path, None);
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
            assert_eq!(answer.body.as_object().unwrap().len(), 1, "{}", answer.text);
        }
    }
}

#[test]
fn point_09_what_is_wrong_is_said_by_field_and_nothing_is_created() {
    let site = Site::start();
    let blueprint = site.blueprint("strict", "1", "true");
    let validate = format!("/v2/blueprints/{blueprint}/validate");
    assert_eq!(site.ask("POST", &validate, Some(&json!({"config": {"lr": 0.1}, "more": 1}))).status, 204);
    let wrong = |answer: Answer, fields: &[&str]| {
        assert_eq!(answer.status, 422, "{}", answer.text);
        let named: Vec<&String> = answer.body["errors"].as_object().unwrap().keys().collect();
        assert_eq!(named, fields, "{}", answer.text);
    };
    let bad = json!({"config": {"lr": -1, "epochs": "ten", "colour": 1}});
    wrong(site.ask("POST", &validate, Some(&bad)), &["config.colour", "config.epochs", "config.lr"]);
    wrong(site.ask("POST", &validate, Some(&json!({"config": 5}))), &["config"]);
    wrong(site.ask("POST", &validate, Some(&json!({}))), &["config"]);

    let mut submission = Site::submission(&blueprint, "");
    submission["config"] = bad["config"].clone();
    submission["resources"] =
        json!({"cpu": "two", "memory": "5Gi", "gpu": {"count": 0, "type": "any"}, "more": 1});
    submission["blueprint_ids"] = json!("not known, and nothing to us");
    let fields =
        ["config.colour", "config.epochs", "config.lr", "name", "resources.cpu", "resources.gpu.count"];
    wrong(site.ask("POST", "/v2/runs", Some(&submission)), &fields);
    let fields = ["blueprint_id", "config", "name", "project_id", "resources", "task_type", "version"];
    wrong(site.ask("POST", "/v2/runs", Some(&json!({}))), &fields);
    let mut elsewhere = Site::submission("01890a5d-ac96-774b-bcce-b302099a8057", "x");
    elsewhere["task_type"] = json!("translation");
    wrong(site.ask("POST", "/v2/runs", Some(&elsewhere)), &["blueprint_id"]);
    assert_eq!(site.get("/v2/runs"), json!([]));
}

#[test]
fn point_10_creates_answer_200_or_what_the_operator_says() {
    let site = Site::start();
    let blueprint = site.blueprint("idle", "1", "true");
    let answer = site.ask("POST", "/v2/runs", Some(&Site::submission(&blueprint, "a")));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.as_object().unwrap().len(), 1, "{}", answer.text);
    let site = Site::with(&["--chariot-create-status", "201"]);
    let blueprint = site.blueprint("idle", "1", "true");
    let id = site.ask("POST", "/v2/runs", Some(&Site::submission(&blueprint, "a"))).data(201)["id"].clone();
    assert_eq!(site.all("/v2/runs", "id"), [id]);
    assert_eq!(site.get("/v2/runs").as_array().unwrap().len(), 1, "reads answer 200 all the same");
}

#[test]
fn point_11_the_unit_of_times_is_a_setting_and_pages_by_time_lose_nothing() {
    for (unit, per_second) in [("s", 1.0), ("ms", 1e3), ("us", 1e6)] {
        let site = Site::with(&["--chariot-epoch", unit]);
        let ids = created(&site, &["first", "second", "third"]);
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(sorted, ids, "ids sort by creation");
        let (ours, theirs) = (site.server.run(&ids[1]), site.get(&format!("/v2/runs/{}", ids[1])));
        let seconds = ours["created_at"].as_f64().unwrap() / 1000.0;
        assert!((theirs["created_at"].as_f64().unwrap() / per_second - seconds).abs() < 1e-6, "{theirs}");
        assert_eq!(theirs["created_at"].is_i64(), unit != "s", "{theirs}");
        // As a client pages: by the time that it was given, strictly before or after.
        let times = site.all("/v2/runs?sort=id", "created_at");
        for (place, time) in times.iter().enumerate() {
            let same = times.iter().filter(|other| *other == time).count();
            let before = site.all(&format!("/v2/runs?created_before={time}"), "id").len();
            let after = site.all(&format!("/v2/runs?created_after={time}"), "id").len();
            assert_eq!(before + same + after, 3, "{unit}: {time} at {place} of {times:?}");
        }
        let at = site.all("/v2/runs?sort=id&created_after=2020-01-01T00:00:00Z", "id");
        assert_eq!(at, ids, "people may write RFC 3339");
        assert_eq!(site.all(&format!("/v2/runs?sort=id&id_after={}", ids[0]), "id"), ids[1..]);
    }
}

#[test]
fn lookups_find_the_newest_version_that_matches_and_nothing_that_was_deleted() {
    let site = Site::start();
    let ids = ["1.0", "1.1", "2.0"].map(|version| site.blueprint("teddy", version, "true"));
    site.blueprint("teddy_wizard", "9", "true");
    let lookup =
        |query: &str| site.all(&format!("/v2/blueprints?limit=1&sort=created_at:desc&{query}"), "id");
    assert_eq!(lookup("name=teddy"), [&*ids[2]]);
    assert_eq!(lookup("name=teddy&version_ilike=1.%25"), [&*ids[1]]);
    assert_eq!(lookup("name=teddy&version=1.0"), [&*ids[0]]);
    assert_eq!(lookup("name_ilike=TEDDY&version_ilike=2._"), [&*ids[2]]);
    site.server.call("DELETE", &format!("/api/v2/blueprints/{}", ids[2])).send();
    assert_eq!(lookup("name=teddy"), [&*ids[1]]);
    assert_eq!(lookup("name=nobody"), [] as [&str; 0]);
    assert_eq!(site.ask("GET", &format!("/v2/blueprints/{}", ids[2]), None).status, 404);
    let gone = site.ask("POST", &format!("/v2/blueprints/{}/validate", ids[2]), Some(&json!({"config": {}})));
    assert_eq!(gone.status, 404);
}
