use std::sync::atomic::{AtomicU64, Ordering};

use runyard_wire::file::SignedUrl;

use super::*;
use crate::scripted_server;

const SHA256: &str = "936a185caaa266bb9cbe981e9e05cb78cd732b0b3280eb944412bb6f8f8f07af";

/// `helloworld`, to be read at a path of the server that was asked.
fn wanted(path: &str) -> File {
    File {
        mode: None,
        path: path.into(),
        size: 10,
        sha256: SHA256.into(),
        url: Some("/objects/runs/1/x?signature=s".into()),
    }
}

fn answer(status: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

async fn fetch(url: &str, to: &Path) -> Result<u64, Error> {
    let moved = AtomicU64::new(0);
    let count = |bytes| {
        moved.fetch_add(bytes, Ordering::Relaxed);
    };
    Client::new(url, "t").fetch_file(&wanted("x"), to, &count).await?;
    Ok(moved.into_inner())
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped_and_carries_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("deep/er/x");
    let (url, asked) = scripted_server::start(vec![
        answer("200 OK", 10, "hel"),
        scripted_server::json("503 Service Unavailable", "{}"),
        answer("206 Partial Content", 7, "loworld"),
    ])
    .await;
    assert_eq!(fetch(&url, &to).await.unwrap(), 10);
    assert_eq!(std::fs::read(&to).unwrap(), b"helloworld");
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("get /objects/runs/1/x?signature=s http/1.1"), "{}", asked[0]);
    assert!(!asked[0].contains("range:") && asked[2].contains("range: bytes=3-\r\n"), "{asked:?}");
    assert!(asked.iter().all(|request| !request.contains("authorization")), "{asked:?}");
    assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test]
async fn a_later_download_goes_on_too_and_what_is_right_is_not_downloaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x");
    std::fs::write(folder.path().join("x.runyard-part"), "hello").unwrap();
    let (url, asked) = scripted_server::start(vec![answer("206 Partial Content", 5, "world")]).await;
    assert_eq!(fetch(&url, &to).await.unwrap(), 10);
    assert!(asked.await.unwrap()[0].contains("range: bytes=5-"));
    assert_eq!(fetch("http://127.0.0.1:1", &to).await.unwrap(), 10, "nobody was asked");
}

#[tokio::test]
async fn a_store_that_knows_no_ranges_is_read_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x");
    std::fs::write(folder.path().join("x.runyard-part"), "rubbish").unwrap();
    let (url, _) = scripted_server::start(vec![answer("200 OK", 10, "helloworld")]).await;
    fetch(&url, &to).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), b"helloworld");
}

#[tokio::test]
async fn other_bytes_than_were_uploaded_never_get_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x");
    let (url, _) = scripted_server::start(vec![answer("200 OK", 10, "HELLOWORLD")]).await;
    let error = fetch(&url, &to).await.unwrap_err();
    assert!(matches!(error, Error::Damaged(_)) && error.to_string().contains("other bytes"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_expired_address_is_the_callers_to_renew() {
    let folder = tempfile::tempdir().unwrap();
    let body = r#"{"error":"expired","code":"forbidden","request_id":"q"}"#;
    let (url, _) = scripted_server::start(vec![scripted_server::json("403 Forbidden", body)]).await;
    let error = fetch(&url, &folder.path().join("x")).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
}

#[tokio::test]
async fn files_come_into_their_folder_with_a_new_address_when_one_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let listed = serde_json::json!({"data": [wanted("a/b")]}).to_string();
    let expired = r#"{"error":"expired","code":"forbidden","request_id":"q"}"#;
    let (url, asked) = scripted_server::start(vec![
        scripted_server::json("200 OK", &listed),
        scripted_server::json("403 Forbidden", expired),
        scripted_server::json("200 OK", &listed),
        answer("200 OK", 10, "helloworld"),
        scripted_server::json("200 OK", r#"{"data":[]}"#),
    ])
    .await;
    let to = folder.path().join("new");
    let bytes = Client::new(&url, "t").fetch_files(Kind::Checkpoint, "c", &to, &|_| ()).await.unwrap();
    assert_eq!((bytes, std::fs::read(to.join("a/b")).unwrap().as_slice()), (10, &b"helloworld"[..]));
    let asked = asked.await.unwrap();
    assert!(asked[2].starts_with("get /api/v2/checkpoints/c/files?path=a%2fb "), "{}", asked[2]);
    assert!(asked[4].contains("path_after=a%2fb"), "{}", asked[4]);
}

#[tokio::test]
async fn a_server_cannot_name_a_file_outside_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let listed = serde_json::json!({"data": [wanted("../x")]}).to_string();
    let (url, _) = scripted_server::start(vec![scripted_server::json("200 OK", &listed)]).await;
    let error = Client::new(&url, "t").fetch_files(Kind::Checkpoint, "c", folder.path(), &|_| ()).await;
    assert!(error.unwrap_err().to_string().contains("`../x`"));
}

#[tokio::test]
async fn an_input_keeps_modes_and_folders_and_asks_for_new_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let files = |signature: &str| {
        let url = format!("/objects/x?signature={signature}");
        let file = |path: &str, size: i64, mode: Option<i64>| File {
            path: path.into(),
            size,
            // Of what others put into a bucket, nobody may have said it.
            sha256: String::new(),
            mode,
            url: Some(url.clone()),
        };
        let all = [file("", 0, None), file("sub/", 0, None), file("tool", 10, Some(0o750))];
        let body = serde_json::json!({ "data": all }).to_string();
        scripted_server::json("200 OK", &body)
    };
    let (url, asked) = scripted_server::start(vec![
        files("old"),
        answer("403 Forbidden", 7, "expired"),
        files("new"),
        answer("200 OK", 10, "helloworld"),
        scripted_server::json("200 OK", r#"{"data":[]}"#),
    ])
    .await;
    let brought = Client::new(&url, "t").fetch_input("j", "train", folder.path()).await.unwrap();
    assert_eq!(brought, 10);
    assert_eq!(std::fs::read(folder.path().join("tool")).unwrap(), b"helloworld");
    let mode = std::fs::metadata(folder.path().join("tool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    assert!(folder.path().join("sub").is_dir());
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("get /api/v2/jobs/j/inputs/train/files?limit=1000 "), "{}", asked[0]);
    assert!(asked[3].starts_with("get /objects/x?signature=new "), "{}", asked[3]);
    assert!(asked[4].contains("path_after=tool&limit=1000"), "{}", asked[4]);
}

#[tokio::test]
async fn a_part_is_sent_from_its_place_with_exactly_the_signed_headers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, "helloworld").unwrap();
    let stored = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (url, asked) = scripted_server::start(vec![stored.into()]).await;
    let put = SignedUrl {
        url: format!("{url}/objects/x?part=2"),
        method: "PUT".into(),
        headers: vec![("content-length".into(), "5".into()), ("content-md5".into(), "Q==".into())],
        expires_at: 0,
    };
    let client = Client::new("http://127.0.0.1:1", "t");
    let file = tokio::fs::File::open(&path).await.unwrap();
    assert_eq!(client.put_signed(&put, file, 5, 5).await.unwrap(), "\"e\"");
    let asked = asked.await.unwrap().remove(0);
    assert!(asked.starts_with("put /objects/x?part=2 ") && asked.ends_with("\r\n\r\nworld"), "{asked}");
    assert!(asked.contains("content-md5: q==\r\n") && asked.contains("content-length: 5\r\n"), "{asked}");
    assert!(!asked.contains("transfer-encoding") && !asked.contains("authorization"), "{asked}");
}

#[tokio::test]
async fn a_file_that_became_shorter_is_no_fault_of_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, "hello").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/objects/x", listener.local_addr().unwrap());
    let put = SignedUrl {
        url,
        method: "PUT".into(),
        headers: vec![("content-length".into(), "10".into())],
        expires_at: 0,
    };
    let file = tokio::fs::File::open(&path).await.unwrap();
    let error = Client::new("http://127.0.0.1:1", "t").put_signed(&put, file, 0, 10).await.unwrap_err();
    assert!(matches!(error, Error::Local { .. }) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("became shorter"), "{error}");
}

#[tokio::test]
async fn what_an_object_store_answers_is_shown_without_the_signature() {
    let (url, _) = scripted_server::start(vec![answer("403 Forbidden", 22, "<Error>Expired</Error>")]).await;
    let put = SignedUrl {
        url: format!("{url}/bucket/x?X-Amz-Signature=secret"),
        method: "PUT".into(),
        headers: vec![("content-length".into(), "0".into())],
        expires_at: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "").unwrap();
    let file = tokio::fs::File::open(folder.path().join("x")).await.unwrap();
    let error = Client::new("http://127.0.0.1:1", "t").put_signed(&put, file, 0, 0).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    assert!(error.to_string().contains("Expired") && !error.to_string().contains("secret"), "{error}");
}
