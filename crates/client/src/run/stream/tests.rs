use super::*;
use crate::{Client, scripted_server};

fn log(id: u32, offset: i64, text: &str) -> String {
    let next = offset + text.len() as i64;
    format!(
        "event: log\nid: {id}\ndata: {{\"job_id\":\"j\",\"epoch\":1,\"offset\":{offset},\"text\":\"{text}\",\"next_offset\":{next}}}\n\n"
    )
}

const END: &str = "event: end\nid: 9\ndata: {\"status\":\"job_completed\",\"exit\":{\"code\":0}}\n\n";

async fn follow(url: &str) -> (Vec<String>, usize, Result<(), Error>) {
    let mut following = Client::new(url, "t").follow_run("r1", Want { logs: true, ..Want::default() });
    let (mut seen, mut lost) = (Vec::new(), 0);
    loop {
        match following.next().await {
            Ok(Some(Update::Log(part))) => seen.push(part.text),
            Ok(Some(Update::End(end))) => seen.push(end.status.to_string()),
            Ok(Some(Update::Lost(_))) => lost += 1,
            Ok(Some(_)) => {}
            Ok(None) => return (seen, lost, Ok(())),
            Err(error) => return (seen, lost, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_loses_and_repeats_nothing() {
    let cut = log(3, 3, "never whole");
    let first = format!("{}: alive\n\n{}{}", log(1, 0, "a"), log(2, 1, "bc"), &cut[..cut.len() / 2]);
    let (url, asked) = scripted_server::start(vec![
        scripted_server::events(&first),
        String::new(),
        scripted_server::json("503 Service Unavailable", "{}"),
        scripted_server::events(&format!("event: new\ndata: {{}}\n\n{}{END}", log(3, 3, "d"))),
    ])
    .await;
    let (seen, lost, result) = follow(&url).await;
    result.unwrap();
    assert_eq!(seen, ["a", "bc", "d", "job_completed"]);
    assert_eq!(lost, 3, "the cut, the connection without an answer, the busy server");
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("get /api/v2/runs/r1/stream?logs=true http"), "{}", asked[0]);
    assert!(!asked[0].contains("last-event-id"));
    assert!(asked[1..].iter().all(|request| request.contains("last-event-id: 2\r\n")), "{asked:?}");
}

#[tokio::test]
async fn a_run_that_does_not_exist_is_not_asked_for_again() {
    let body = r#"{"error":"there is no run r1","code":"not_found","request_id":"q"}"#;
    let (url, _) = scripted_server::start(vec![scripted_server::json("404 Not Found", body)]).await;
    let (seen, lost, result) = follow(&url).await;
    assert_eq!(result.unwrap_err().to_string(), "there is no run r1");
    assert_eq!((seen.len(), lost), (0, 0));
}
