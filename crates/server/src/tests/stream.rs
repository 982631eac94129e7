//! Whoever follows a run misses nothing and hears nothing twice, wherever the connection broke.

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::Server;

/// A server-sent event: name, id, data.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

fn parse(text: &str) -> Vec<Event> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
        Some(line.to_owned())
    };
    text.split("\n\n")
        .filter(|block| block.contains("event:"))
        .map(|block| Event {
            name: field(block, "event").unwrap(),
            id: field(block, "id").unwrap(),
            data: serde_json::from_str(&field(block, "data").unwrap()).unwrap(),
        })
        .collect()
}

async fn follow(server: &Server, run: &str, cursor: Option<&str>) -> Vec<Event> {
    let request = Request::get(format!("/api/v2/runs/{run}/stream?logs=true&metrics=true"))
        .header("authorization", format!("Bearer {}", server.admin));
    let request = match cursor {
        Some(cursor) => request.header("last-event-id", cursor),
        None => request,
    };
    let reply = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    parse(&reply.text())
}

/// Plays the runner of a job: output, a metric and progress, then its end.
async fn play(server: &Server, run: &str, epoch: i64, output: &[u8], reason: &str) {
    let job = format!("/api/v2/jobs/{}", server.job(run, epoch).await);
    server.post(&format!("{job}/start"), json!({})).await;
    let put = async |stream: &str, bytes: &[u8]| {
        // Ten bytes at a time, so that characters are cut.
        for (index, chunk) in bytes.chunks(if stream == "logs" { 10 } else { bytes.len() }).enumerate() {
            let request = Request::put(format!("{job}/streams/{stream}?offset={}", index * 10))
                .header("authorization", format!("Bearer {}", server.admin));
            server.send(request.body(Body::from(chunk.to_vec())).unwrap()).await.data();
        }
    };
    put("logs", output).await;
    let records = format!(
        "{{\"metric\":{{\"tag\":\"loss\",\"global_step\":{epoch},\"value\":0.5}}}}\n\
         {{\"progress\":[{{\"operation\":\"train\",\"value\":{epoch},\"final_value\":2,\"units\":\"runs\"}}]}}\n"
    );
    put("records", records.as_bytes()).await;
    let lengths = json!({"logs": output.len(), "records": records.len(), "system": 0});
    server
        .post(&format!("{job}/end"), json!({"exit": {"reason": reason, "ended_at": 1}, "lengths": lengths}))
        .await;
}

/// A run with two jobs that has ended.
async fn ended(server: &Server) -> String {
    let run = server.submit("n").await;
    play(server, &run, 1, "первый job\nschöne grüße 😀\n".as_bytes(), "Error").await;
    server.post(&format!("/api/v2/runs/{run}/restart"), json!({})).await;
    play(server, &run, 2, b"second\xff job, cut in \xe2\x82", "Completed").await;
    run
}

fn of<'e>(events: &'e [Event], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event.name == name).map(|event| &event.data).collect()
}

fn output(events: &[Event], epoch: i64) -> String {
    of(events, "log")
        .iter()
        .filter(|log| log["epoch"] == epoch)
        .map(|log| log["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn all_of_an_ended_run_is_told_in_order() {
    let server = Server::start().await;
    let run = ended(&server).await;
    let events = follow(&server, &run, None).await;
    let sequences: Vec<i64> =
        of(&events, "status").iter().map(|it| it["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
    assert_eq!(output(&events, 1), "первый job\nschöne grüße 😀\n");
    assert_eq!(output(&events, 2), "second\u{fffd} job, cut in \u{fffd}");
    let last = of(&events, "log").last().unwrap()["next_offset"].clone();
    assert_eq!(last, b"second\xff job, cut in \xe2\x82".len());
    let points: Vec<&Value> =
        of(&events, "metric").into_iter().flat_map(|it| it.as_array().unwrap()).collect();
    assert_eq!(points.iter().map(|point| &point["global_step"]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(of(&events, "progress").last().unwrap()[0]["value"], 2);
    let end = events.last().unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data["status"], &end.data["exit"]["reason"]),
        ("end", &json!("job_completed"), &json!("Completed"))
    );

    // The output of a job is told before the status that ends it.
    let place = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let failed = place(&|event| event.name == "status" && event.data["status"] == "job_failed");
    let second = place(&|event| event.name == "log" && event.data["epoch"] == 2);
    let first = events.iter().rposition(|event| event.name == "log" && event.data["epoch"] == 1).unwrap();
    assert!(first < failed && failed < second, "{first} {failed} {second}");
}

#[tokio::test]
async fn from_every_cursor_exactly_the_rest_is_told() {
    let server = Server::start().await;
    let run = ended(&server).await;
    let all = follow(&server, &run, None).await;
    for (index, event) in all.iter().enumerate() {
        let rest = follow(&server, &run, Some(&event.id)).await;
        for name in ["status", "metric", "progress", "end"] {
            let told = of(&all[..=index], name);
            let told = if name == "end" { vec![] } else { told };
            assert_eq!([told, of(&rest, name)].concat(), of(&all, name), "{name} after {index}");
        }
        for epoch in [1, 2] {
            assert_eq!(
                output(&all[..=index], epoch) + &output(&rest, epoch),
                output(&all, epoch),
                "after {index}"
            );
        }
    }
    server.call("GET", &format!("/api/v2/runs/{run}/stream?cursor=x"), None).await.invalid(&["cursor"]);
}

/// The next bytes of a stream, which must come within half a minute.
async fn next(body: &mut Body) -> Option<Bytes> {
    let frame = tokio::time::timeout(std::time::Duration::from_secs(30), body.frame());
    Some(frame.await.expect("news within 30 s")?.unwrap().into_data().unwrap())
}

async fn open(server: &Server, run: &str, secret: &str) -> Body {
    use tower::ServiceExt;
    let request = Request::get(format!("/api/v2/runs/{run}/stream?logs=true"))
        .header("authorization", format!("Bearer {secret}"));
    server.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_body()
}

async fn read_until(body: &mut Body, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        text += std::str::from_utf8(&next(body).await.unwrap_or_else(|| panic!("it ended after {text}")))
            .unwrap();
    }
    text
}

#[tokio::test]
async fn news_of_a_running_job_come_as_they_happen() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let mut body = open(&server, &run, &server.admin).await;
    read_until(&mut body, "run_created").await;
    let job = format!("/api/v2/jobs/{}", server.job(&run, 1).await);
    server.post(&format!("{job}/start"), json!({})).await;
    read_until(&mut body, "job_running").await;
    server.call("PUT", &format!("{job}/streams/logs?offset=0"), json!("hello")).await.data();
    let text = read_until(&mut body, "\"hello\"").await;
    assert!(!text.contains("event: end"));
}

#[tokio::test]
async fn a_shutdown_ends_streams() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let mut body = open(&server, &run, &server.admin).await;
    read_until(&mut body, "run_created").await;
    server.shutdown.cancel();
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn a_stream_of_a_run_that_is_deleted_ends() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let mut body = open(&server, &run, &server.admin).await;
    read_until(&mut body, "run_created").await;
    server.post(&format!("/api/v2/runs/{run}/stop"), json!({})).await;
    server.call("DELETE", &format!("/api/v2/runs/{run}"), None).await.data();
    while next(&mut body).await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let made = server.post("/api/v2/tokens", json!({"name": "t", "scope": "admin"})).await;
    let mut body = open(&server, &run, made["secret"].as_str().unwrap()).await;
    read_until(&mut body, "run_created").await;
    let path = format!("/api/v2/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, None).await.status, 204);
    while next(&mut body).await.is_some() {}
}
