//! The output of jobs over HTTP: by lines, searched, capped, and followed from any point.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Reply, Server};

/// A run whose job has printed this; answers the run and the job.
async fn printed(server: &Server, output: &[u8]) -> (String, String) {
    let run = server.submit("n").await;
    let job = server.job(&run, 1).await;
    print(server, &job, 0, output).await;
    (run, job)
}

async fn print(server: &Server, job: &str, offset: usize, output: &[u8]) {
    for (index, chunk) in output.chunks(1 << 18).enumerate() {
        let at = offset + (index << 18);
        put(server, job, at, chunk).await.data();
    }
}

async fn put(server: &Server, job: &str, offset: usize, chunk: &[u8]) -> Reply {
    let request = Request::put(format!("/api/v2/jobs/{job}/streams/logs?offset={offset}"))
        .header("authorization", format!("Bearer {}", server.admin));
    server.send(request.body(Body::from(chunk.to_vec())).unwrap()).await
}

async fn read(server: &Server, run: &str, query: &str) -> Reply {
    let reply = server.call("GET", &format!("/api/v2/runs/{run}/logs?{query}"), None).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn number(reply: &Reply, header: &str) -> i64 {
    reply.headers[header].to_str().unwrap().parse().unwrap()
}

fn lines(range: std::ops::Range<i64>) -> String {
    range.fold(String::new(), |all, i| all + &format!("line {i:06} of the output\n"))
}

#[tokio::test]
async fn output_is_read_by_lines_from_both_ends() {
    let server = Server::start().await;
    let (run, _) = printed(&server, b"one\ntwo\nthree\nfour").await;
    for (query, text) in [
        ("line_from=2&lines=2", "two\nthree\n"),
        ("line_from=1&lines=1", "one\n"),
        ("lines=2", "one\ntwo\n"),
        ("line_from=-1", "four"),
        ("line_from=-2", "three\nfour"),
        ("line_from=-99", "one\ntwo\nthree\nfour"),
        ("line_from=5", ""),
        ("line_from=2&lines=0", ""),
        ("line_from=2&limit=3", "two"),
        ("offset=-4", "four"),
    ] {
        assert_eq!(read(&server, &run, query).await.text(), text, "{query}");
    }
    let reply = read(&server, &run, "line_from=2&lines=1").await;
    assert_eq!(number(&reply, "x-runyard-offset"), 4);
    assert_eq!(number(&reply, "x-runyard-next-offset"), 8);
    assert_eq!(number(&reply, "x-runyard-lines"), 4);
    for (query, field) in [
        ("line_from=0", "line_from"),
        ("offset=3&line_from=1", "line_from"),
        ("offset=3&lines=1", "lines"),
        ("lines=-1", "lines"),
    ] {
        server.call("GET", &format!("/api/v2/runs/{run}/logs?{query}"), None).await.invalid(&[field]);
    }
}

#[tokio::test]
async fn a_job_that_prints_more_than_is_kept_loses_the_middle_visibly() {
    let server = Server::start().await;
    let output = lines(0..100_000);
    let (run, job) = printed(&server, output.as_bytes()).await;
    let (mut offset, mut all, mut dropped) = (0, String::new(), 0);
    loop {
        let reply = read(&server, &run, &format!("offset={offset}")).await;
        assert_eq!(number(&reply, "x-runyard-total"), output.len() as i64);
        if reply.body.is_empty() {
            break;
        }
        if reply.headers.contains_key("x-runyard-dropped") {
            dropped += number(&reply, "x-runyard-dropped");
        }
        all.push_str(&reply.text());
        offset = number(&reply, "x-runyard-next-offset");
    }
    assert!(all.len() < (1 << 20) + 100 && all.len() > 900_000, "{}", all.len());
    assert!(all.starts_with(&lines(0..3_500)) && all.ends_with(&lines(90_000..100_000)));
    assert!(all.contains(&format!("[runyard] {dropped} bytes were dropped here\n")), "{dropped}");
    // Offsets and line numbers are those of the whole output.
    assert_eq!(read(&server, &run, "line_from=99000&lines=1").await.text(), lines(98_999..99_000));
    assert_eq!(read(&server, &run, &format!("offset={}", 26 * 99_000)).await.text(), lines(99_000..100_000));
    let mark = read(&server, &run, "line_from=50000&lines=1").await.text();
    assert!(
        mark.trim_start().starts_with("[runyard] ") && mark.ends_with("bytes were dropped here\n"),
        "{mark}"
    );
    // A gap in what a runner sends is still refused, and what was dropped is not asked for again.
    put(&server, &job, output.len() + 1, b"x").await.refused(409, "offset_gap");
    let repeated = put(&server, &job, 26 * 50_000, &output.as_bytes()[26 * 50_000..26 * 60_000]).await.data();
    assert_eq!(repeated["next_offset"], output.len());

    let found = server.get(&format!("/api/v2/runs/{run}/logs/search?q=line+099999&limit=5")).await;
    assert_eq!(
        found["matches"],
        json!([{"offset": 26 * 99_999, "line": 100_000, "text": "line 099999 of the output"}])
    );
    assert_eq!(found["complete"], true);
    let in_gap = server.get(&format!("/api/v2/runs/{run}/logs/search?q=line+050000")).await;
    assert_eq!(in_gap["matches"], json!([]));

    // A follower from the beginning hears the mark as well.
    let end = json!({"exit": {"reason": "Completed", "ended_at": 1}, "lengths": {"logs": output.len(), "records": 0, "system": 0}});
    server.post(&format!("/api/v2/jobs/{job}/end"), end).await;
    let text = follow(&server, &run, "").await;
    assert_eq!(text, all);
}

#[tokio::test]
async fn output_is_searched_page_by_page() {
    let server = Server::start().await;
    let (run, _) = printed(&server, b"Epoch 1\nloss 0.5\nERROR: nan\nepoch 2\nerror: inf").await;
    let search = async |query: &str| server.get(&format!("/api/v2/runs/{run}/logs/search?{query}")).await;
    let numbers = |found: &Value| -> Vec<i64> {
        found["matches"].as_array().unwrap().iter().map(|one| one["line"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers(&search("q=error").await), [5]);
    assert_eq!(numbers(&search("q=error&ignore_case=true").await), [3, 5]);
    assert_eq!(numbers(&search("q=%5E%5Cw%2B+%5Cd&regex=true").await), [1, 2, 4]);
    assert_eq!(numbers(&search("q=%5E%5Cw%2B+%5Cd").await), [0i64; 0]);
    let first = search("q=e&limit=2").await;
    assert_eq!((numbers(&first), &first["complete"]), (vec![4, 5], &json!(false)));
    let (mut offset, mut all) = (json!(0), Vec::new());
    loop {
        let page = search(&format!("q=e&ignore_case=true&limit=1&offset={offset}")).await;
        all.extend(numbers(&page));
        if page["complete"] == true {
            break;
        }
        offset = page["next_offset"].clone();
    }
    assert_eq!(all, [1, 3, 4, 5]);
}

#[tokio::test]
async fn wrong_searches_are_refused_by_the_parameter() {
    let server = Server::start().await;
    let (run, _) = printed(&server, b"x\n").await;
    let path = format!("/api/v2/runs/{run}/logs/search");
    server.call("GET", &path, None).await.invalid(&["q"]);
    for (query, field) in [
        ("q=", "q".to_owned()),
        (&*format!("q={}", "x".repeat(1001)), "q".to_owned()),
        ("q=(&regex=true", "q".to_owned()),
        ("q=a%7B1000%7D%7B1000%7D&regex=true", "q".to_owned()),
        ("q=x&regex=maybe", "regex".to_owned()),
        ("q=x&limit=0", "limit".to_owned()),
        ("q=x&limit=1001", "limit".to_owned()),
        ("q=x&offset=-1", "offset".to_owned()),
    ] {
        server.call("GET", &format!("{path}?{query}"), None).await.invalid(&[&field]);
    }
    server.call("GET", &format!("{path}?q=x&epoch=7"), None).await.refused(404, "not_found");
    let waiting = server.submit("m").await;
    let found = server.get(&format!("/api/v2/runs/{waiting}/logs/search?q=x")).await;
    assert_eq!((&found["matches"], &found["complete"]), (&json!([]), &json!(true)));
}

/// The output that a follower hears.
async fn follow(server: &Server, run: &str, query: &str) -> String {
    let reply = server.call("GET", &format!("/api/v2/runs/{run}/stream?logs=true&{query}"), None).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    assert!(text.contains("event: end"), "it ends well");
    let logs = text.split("\n\n").filter(|block| block.contains("event: log"));
    logs.map(|block| {
        let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str::<Value>(data).unwrap()["text"].as_str().unwrap().to_owned()
    })
    .collect()
}

#[tokio::test]
async fn output_is_followed_from_any_point_of_any_attempt() {
    let server = Server::start().await;
    let (run, first) = printed(&server, b"a1\na2\na3\n").await;
    let end = |reason: &str, length: usize| json!({"exit": {"reason": reason, "ended_at": 1}, "lengths": {"logs": length, "records": 0, "system": 0}});
    server.post(&format!("/api/v2/jobs/{first}/end"), end("Error", 9)).await;
    server.post(&format!("/api/v2/runs/{run}/restart"), json!({})).await;
    let second = server.job(&run, 2).await;
    print(&server, &second, 0, b"b1\nb2\nb3").await;
    server.post(&format!("/api/v2/jobs/{second}/end"), end("Completed", 8)).await;
    for (query, heard) in [
        ("", "a1\na2\na3\nb1\nb2\nb3"),
        ("epoch=2", "b1\nb2\nb3"),
        ("log_tail=2", "b2\nb3"),
        ("log_tail=0", ""),
        ("log_tail=99", "b1\nb2\nb3"),
        ("log_offset=3", "b2\nb3"),
        ("log_offset=-2", "b3"),
        ("epoch=1&log_tail=1", "a3\nb1\nb2\nb3"),
        ("epoch=1&log_offset=6", "a3\nb1\nb2\nb3"),
    ] {
        assert_eq!(follow(&server, &run, query).await, heard, "{query}");
    }
    // What an event said of where it stands goes before where it began.
    let reply =
        server.call("GET", &format!("/api/v2/runs/{run}/stream?logs=true&log_tail=1"), None).await.text();
    let id = reply.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert_eq!(follow(&server, &run, &format!("log_tail=3&cursor={id}")).await, "b3");
    let stream = format!("/api/v2/runs/{run}/stream");
    server.call("GET", &format!("{stream}?log_tail=1&log_offset=1"), None).await.invalid(&["log_tail"]);
    server.call("GET", &format!("{stream}?log_tail=-1"), None).await.invalid(&["log_tail"]);
    server.call("GET", &format!("{stream}?epoch=9&log_tail=1"), None).await.refused(404, "not_found");
}

#[tokio::test]
async fn progress_says_since_when_how_fast_and_how_long_still() {
    let server = Server::start().await;
    let run = server.submit("n").await;
    let path = format!("/api/v2/runs/{run}/progress");
    let report = |value: i64| json!({"progress": [{"operation": "train", "value": value, "final_value": 100, "units": "epochs"}]});
    let first = server.call("PUT", &path, report(10)).await.data();
    assert!(first[0]["started_at"].is_i64());
    assert_eq!((first[0].get("rate_per_s"), first[0].get("seconds_left")), (None, None));
    let begun = first[0]["started_at"].as_i64().unwrap();
    super::poll(async || (server.engine.now().0 > begun + 10).then_some(())).await;
    server.call("PUT", &path, report(20)).await.data();
    let now = server.get(&format!("/api/v2/runs/{run}")).await;
    let train = &now["progress"][0];
    assert_eq!(train["started_at"], begun);
    let seconds = (now["progress_updated_at"].as_i64().unwrap() - begun) as f64 / 1000.0;
    assert!((train["rate_per_s"].as_f64().unwrap() * seconds - 10.0).abs() < 1e-6, "{train}");
    assert!((train["seconds_left"].as_f64().unwrap() - 8.0 * seconds).abs() < 1e-6, "{train}");
    assert_eq!(server.get(&path).await[0], *train);
    let done = server.call("PUT", &path, report(100)).await.data();
    assert_eq!(done[0]["seconds_left"], 0.0);
}

#[tokio::test]
async fn the_lines_of_one_instance_are_read_from_anywhere_in_the_output_of_all() {
    let server = Server::start().await;
    let body =
        json!({"name": "n", "resources": {"cpu": "100m"}, "spec": {"command": ["true"], "instances": 3}});
    let run = server.post("/api/v2/runs", body).await["id"].as_str().unwrap().to_owned();
    let job = server.job(&run, 1).await;
    let text = "[runyard] installing\n[0] a\n[1] b\n[1] \n[2] c\n[1] [0] d\n[10] e\n[1] not whole";
    print(&server, &job, 0, text.as_bytes()).await;
    for (query, own, next) in [
        ("instance=1", "b\n\n[0] d\n", 61),
        ("instance=0", "a\n", 61),
        ("instance=2", "c\n", 61),
        ("instance=1&offset=22", "b\n\n[0] d\n", 61),
        ("instance=1&offset=30", "\n[0] d\n", 61),
        ("instance=1&offset=-1", "", 73),
        ("instance=1&limit=1", "b\n", 33),
        ("instance=1&limit=0", "", 0),
        ("instance=1&line_from=2", "\n[0] d\n", 61),
        ("instance=1&line_from=2&lines=1", "\n", 38),
        ("instance=1&line_from=-1", "[0] d\n", 61),
        ("instance=1&line_from=-99", "b\n\n[0] d\n", 61),
        ("instance=1&line_from=4", "", 61),
    ] {
        let reply = read(&server, &run, query).await;
        assert_eq!(reply.text(), own, "{query}");
        assert_eq!(number(&reply, "x-runyard-next-offset"), next, "{query}");
    }
    let found = server.get(&format!("/api/v2/runs/{run}/logs/search?q=d&instance=1")).await;
    assert_eq!(found["matches"], json!([{"offset": 44, "line": 6, "text": "[0] d"}]));
    for query in ["logs?instance=3", "logs?instance=-1", "logs/search?q=x&instance=3"] {
        server.call("GET", &format!("/api/v2/runs/{run}/{query}"), None).await.invalid(&["instance"]);
    }
    let said = server.call("GET", &format!("/api/v2/runs/{run}/logs?instance=3"), None).await.text();
    assert!(said.contains("the run has no instance 3: it has 0 to 2"), "{said}");
    // What a job that has ended wrote last is whole, however it ends.
    let end = json!({"exit": {"reason": "Completed", "ended_at": 1},
        "lengths": {"logs": text.len(), "records": 0, "system": 0}});
    server.post(&format!("/api/v2/jobs/{job}/end"), end).await;
    assert_eq!(read(&server, &run, "instance=1&line_from=-1").await.text(), "not whole");
    // A run of one instance has its whole output.
    let (single, _) = printed(&server, b"plain\n").await;
    assert_eq!(read(&server, &single, "instance=0").await.text(), "plain\n");
    server.call("GET", &format!("/api/v2/runs/{single}/logs?instance=1"), None).await.invalid(&["instance"]);
}

#[tokio::test]
async fn the_output_of_an_instance_says_where_the_output_of_all_lost_its_middle() {
    let server = Server::start().await;
    let body =
        json!({"name": "n", "resources": {"cpu": "100m"}, "spec": {"command": ["true"], "instances": 2}});
    let run = server.post("/api/v2/runs", body).await["id"].as_str().unwrap().to_owned();
    let job = server.job(&run, 1).await;
    let all = (0..100_000).fold(String::new(), |all, n| all + &format!("[{}] line {n:06}\n", n % 2));
    print(&server, &job, 0, all.as_bytes()).await;
    let (mut offset, mut own, mut marks) = (0, String::new(), 0);
    loop {
        let reply = read(&server, &run, &format!("instance=1&offset={offset}")).await;
        marks += i64::from(reply.headers.contains_key("x-runyard-dropped"));
        own.push_str(&reply.text());
        let next = number(&reply, "x-runyard-next-offset");
        if next >= all.len() as i64 {
            break;
        }
        assert!(next > offset, "{offset}");
        offset = next;
    }
    assert_eq!(marks, 1);
    assert!(own.starts_with("line 000001\nline 000003\n") && own.ends_with("line 099997\nline 099999\n"));
    let said = own.lines().find(|line| line.starts_with("[runyard] ")).expect("a line about what is missing");
    assert!(said.ends_with("bytes were dropped here"), "{said}");
    let lines = own.lines().filter(|line| line.starts_with("line ") && line.len() == 11);
    assert!(lines.clone().all(|line| line.ends_with(['1', '3', '5', '7', '9'])));
    assert_eq!(read(&server, &run, "instance=0&line_from=-2&lines=1").await.text(), "line 099996\n");
}
