//! Series for charts over HTTP.

use serde_json::{Value, json};

use super::Server;

const SERIES: &str = "/api/v2/metrics/series";

/// A run with a job, and these points of these tags.
async fn run_with(server: &Server, points: Vec<(&str, i64, Value)>) -> String {
    let run = server.submit("n").await;
    server.job(&run, 1).await;
    write(server, &run, points).await;
    run
}

async fn write(server: &Server, run: &str, points: Vec<(&str, i64, Value)>) {
    let point = |(tag, step, value): &(&str, i64, Value)| json!({"tag": tag, "global_step": step, "value": value, "created_at": 1_700_000_000_000_i64 + step * 1000});
    for part in points.chunks(5000) {
        let metrics: Vec<Value> = part.iter().map(point).collect();
        server.post("/api/v2/metrics", json!({"run_id": run, "metrics": metrics})).await;
    }
}

#[tokio::test]
async fn a_chart_has_minimum_maximum_last_and_count_of_each_bucket() {
    let server = Server::start().await;
    let points = (0..10_000).map(|i| ("loss", i, json!((i % 10) as f64))).collect();
    let run = run_with(&server, points).await;
    let chart = server.get(&format!("{SERIES}?run_id={run}&tag=loss&buckets=100")).await;
    assert_eq!(
        (&chart["x"], &chart["from"], &chart["to"], &chart["width"]),
        (&json!("step"), &json!(0), &json!(9999), &json!(100))
    );
    let series = &chart["series"][0];
    assert_eq!((&series["run_id"], &series["tag"]), (&json!(run), &json!("loss")));
    assert_eq!((&series["points"], &series["gaps"]), (&json!(10_000), &json!(0)));
    for (column, value) in
        [("min", json!(0.0)), ("max", json!(9.0)), ("last", json!(9.0)), ("count", json!(100))]
    {
        assert_eq!(series[column].as_array().unwrap(), &vec![value; 100], "{column}");
    }
    assert_eq!((&series["x"][0], &series["x"][99]), (&json!(99), &json!(9999)));

    let part = server.get(&format!("{SERIES}?run_id={run}&from=20&to=29&buckets=1000")).await;
    assert_eq!(part["width"], 1);
    assert_eq!(part["series"][0]["x"], json!((20..30).collect::<Vec<_>>()));

    let by_time = server
        .get(&format!("{SERIES}?run_id={run}&x=time&buckets=1&from=1700000000000&to=1700000009999"))
        .await;
    assert_eq!(
        (&by_time["series"][0]["count"], &by_time["series"][0]["x"]),
        (&json!([10]), &json!([1_700_000_009_000_i64]))
    );
}

#[tokio::test]
async fn several_runs_and_tags_share_an_axis_and_gaps_are_said() {
    let server = Server::start().await;
    let a = run_with(&server, vec![("x", 0, json!(1)), ("x", 50, json!("NaN")), ("y", 10, json!(2.5))]).await;
    let b = run_with(&server, vec![("x", 100, json!("-Infinity")), ("z", 3, json!(1))]).await;
    let chart = server.get(&format!("{SERIES}?run_id={a},{b}&tag=x&tag=y&buckets=2")).await;
    assert_eq!((&chart["from"], &chart["to"], &chart["width"]), (&json!(0), &json!(100), &json!(51)));
    let shown: Vec<(&Value, &Value)> = chart["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| (&series["run_id"], &series["tag"]))
        .collect();
    assert_eq!(shown, [(&json!(a), &json!("x")), (&json!(a), &json!("y")), (&json!(b), &json!("x"))]);
    let first = &chart["series"][0];
    assert_eq!((&first["points"], &first["gaps"], &first["nan"]), (&json!(2), &json!(1), &json!([1])));
    assert_eq!(
        (&first["min"], &first["max"], &first["last"]),
        (&json!([1.0]), &json!([1.0]), &json!(["NaN"]))
    );
    let infinite = &chart["series"][2];
    assert_eq!(
        (&infinite["min"], &infinite["last"], &infinite["x"]),
        (&json!([null]), &json!(["-Infinity"]), &json!([100]))
    );
    assert_eq!((&infinite["minus_infinity"], &infinite["nan"]), (&json!([1]), &Value::Null));
}

#[tokio::test]
async fn a_chart_shows_the_newest_job() {
    let server = Server::start().await;
    let run = run_with(&server, (0..100).map(|i| ("loss", i, json!(1))).collect()).await;
    server.post(&format!("/api/v2/runs/{run}/stop"), json!({})).await;
    let job = server.get(&format!("/api/v2/runs/{run}/jobs")).await[0]["id"].as_str().unwrap().to_owned();
    let end = json!({"exit": {"reason": "Error", "ended_at": 1}, "lengths": {"logs": 0, "records": 0, "system": 0}});
    server.post(&format!("/api/v2/jobs/{job}/end"), end).await;
    server.post(&format!("/api/v2/runs/{run}/restart"), json!({})).await;
    server.job(&run, 2).await;
    write(&server, &run, (80..90).map(|i| ("loss", i, json!(2))).collect()).await;
    let series = server.get(&format!("{SERIES}?run_id={run}&buckets=10")).await["series"][0].clone();
    assert_eq!(series["points"], 90);
    assert_eq!(series["last"].as_array().unwrap().last().unwrap(), &json!(2.0));
    assert_eq!(series["x"].as_array().unwrap().last().unwrap(), &json!(89));
}

#[tokio::test]
async fn a_chart_of_nothing_is_empty() {
    let server = Server::start().await;
    let run = run_with(&server, vec![("x", 5, json!(1))]).await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for query in [format!("run_id={unknown}"), format!("run_id={run}&tag=y"), format!("run_id={run}&from=6")]
    {
        let chart = server.get(&format!("{SERIES}?{query}")).await;
        assert_eq!((&chart["series"], chart.get("from")), (&json!([]), None), "{query}");
    }
    let chart = server.get(&format!("{SERIES}?run_id={run}&from=6&to=9")).await;
    assert_eq!((&chart["series"][0]["points"], &chart["series"][0]["x"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn wrong_charts_are_refused_by_the_parameter() {
    let server = Server::start().await;
    let run = run_with(&server, (0..200).map(|i| ("x", i, json!(1))).collect()).await;
    for (query, field) in [
        ("buckets=0", "buckets"),
        ("buckets=-1", "buckets"),
        ("buckets=10001", "buckets"),
        ("buckets=many", "buckets"),
        ("x=tag", "x"),
        ("from=1.5", "from"),
        ("x=time&to=yesterday", "to"),
        ("from=9&to=3", "to"),
        ("run_id=abc", "run_id"),
        ("step=3", "step"),
    ] {
        server.call("GET", &format!("{SERIES}?run_id={run}&{query}"), None).await.invalid(&[field]);
    }
    server.call("GET", SERIES, None).await.invalid(&["run_id"]);
    let tags: Vec<String> = (0..51).map(|i| format!("tag {i}")).collect();
    write(&server, &run, tags.iter().map(|tag| (tag.as_str(), 1, json!(1))).collect()).await;
    let error =
        server.call("GET", &format!("{SERIES}?run_id={run}&buckets=10000"), None).await.invalid(&["tag"]);
    assert!(error.errors.unwrap()["tag"][0].contains("at most 50 of 10000 buckets"));
    server.get(&format!("{SERIES}?run_id={run}&buckets=9000")).await;
}
