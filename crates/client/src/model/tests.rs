use futures::TryStreamExt;

use super::*;
use crate::scripted_server;

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n{body}")
}

/// Leads to where the archive is.
fn found() -> String {
    answer("302 Found", "location: /objects/models/1/x?signature=s\r\ncontent-length: 0\r\n", "")
}

async fn archive(url: &str) -> Result<(u64, Vec<u8>), Error> {
    let (size, stream) = Client::new(url, "t").fetch_model_archive("v").await?;
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok((size, pieces.concat()))
}

#[tokio::test]
async fn a_version_that_is_being_read_is_asked_for_again_until_it_was() {
    let version =
        |state: &str| format!(r#"{{"data":{{"version":{{"id":"v","state":"{state}"}},"existing":false}}}}"#);
    let (url, asked) = scripted_server::start(vec![
        scripted_server::json("202 Accepted", &version("created")),
        scripted_server::json("202 Accepted", &version("created")),
        scripted_server::json("200 OK", &version("available")),
    ])
    .await;
    let said = CompleteModelVersion { archive_size: 5, ..CompleteModelVersion::default() };
    let done = Client::new(&url, "t").complete_model_version("v", &said).await.unwrap();
    assert_eq!(done.version.state.as_deref(), Some("available"));
    let asked = asked.await.unwrap();
    assert!(asked.iter().all(|request| request == &asked[0]), "the same each time: {asked:?}");
    assert!(asked[0].starts_with("post /api/v2/model_versions/v/complete "), "{}", asked[0]);
}

#[tokio::test]
async fn an_archive_is_read_without_the_token_and_goes_on_where_it_broke_off() {
    let (url, asked) = scripted_server::start(vec![
        found(),
        answer("200 OK", "content-length: 10\r\n", "hel"),
        scripted_server::json("503 Service Unavailable", "{}"),
        found(),
        answer("206 Partial Content", "content-length: 7\r\ncontent-range: bytes 3-9/10\r\n", "loworld"),
    ])
    .await;
    assert_eq!(archive(&url).await.unwrap(), (10, b"helloworld".to_vec()));
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("get /api/v2/model_versions/v/archive ") && asked[0].contains("bearer t"));
    assert!(
        asked[1].starts_with("get /objects/models/1/x?signature=s ") && !asked[1].contains("authorization")
    );
    assert!(asked[4].contains("range: bytes=3-\r\n"), "{asked:?}");
}

#[tokio::test]
async fn an_archive_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one() {
    for other in [
        answer("206 Partial Content", "content-length: 8\r\ncontent-range: bytes 3-10/11\r\n", "loworld!"),
        answer("200 OK", "content-length: 10\r\n", "helloworld"),
    ] {
        let cut = answer("200 OK", "content-length: 10\r\n", "hel");
        let (url, _) = scripted_server::start(vec![found(), cut, found(), other]).await;
        let error = archive(&url).await.unwrap_err();
        assert!(error.to_string().contains("was replaced while it was downloaded"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_the_servers_own() {
    let body = r#"{"error":"model version v is not available yet","code":"not_available","request_id":"q"}"#;
    let (url, _) = scripted_server::start(vec![scripted_server::json("409 Conflict", body)]).await;
    let error = Client::new(&url, "t").fetch_model_archive("v").await.map(drop).unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("not_available"), Some(409)));
    let (url, asked) = scripted_server::start(vec![scripted_server::json("200 OK", r#"{"data":[]}"#)]).await;
    let filter =
        Filter { model: vec!["a,b".into()], size: Some(5), select: vec!["id".into()], ..Filter::default() };
    assert_eq!(Client::new(&url, "t").model_versions(&filter).await.unwrap(), []);
    let line = "get /api/v2/model_versions?model=a%2cb&size=5&select=id ";
    assert!(asked.await.unwrap()[0].starts_with(line));
    let (url, asked) = scripted_server::start(vec![answer("200 OK", "", "")]).await;
    let error = Client::new(&url, "t").model("a/b", Some("team")).await.unwrap_err();
    assert_eq!(error.status(), Some(200));
    assert!(asked.await.unwrap()[0].starts_with("get /api/v2/models/a%2fb?project_id=team "));
}
