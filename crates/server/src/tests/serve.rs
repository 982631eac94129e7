//! A server from outside: its folder, its port, its end.

use std::{net::SocketAddr, path::Path};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{Error, Options, serve};

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), Error>>,
}

fn options(data: &Path) -> Options {
    Options {
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        database: None,
        objects: None,
        runner: "/bin/true".into(),
        cpu_milli: None,
        memory_bytes: None,
        max_log_bytes: runyard_engine::log::DEFAULT_MAX_BYTES,
        instance_types: Vec::new(),
        keep: runyard_engine::garbage::gc::Keep::default(),
        containers: None,
        allow_network_filesystem: false,
        chariot: crate::chariot::Settings::default(),
        arkindex: crate::arkindex::Settings::default(),
        pai: crate::pai::Settings::default(),
    }
}

async fn start(data: &Path) -> Running {
    let shutdown = CancellationToken::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    let ready = |url: &str| tell.send(url.to_owned()).unwrap();
    let (options, token) = (options(data), shutdown.clone());
    let served = tokio::spawn(async move { serve(options, ready, token).await });
    let url = told.await.expect("it becomes ready");
    Running { address: url.strip_prefix("http://").unwrap().parse().unwrap(), shutdown, served }
}

impl Running {
    /// Sends all of `request`, then reads until the server closes the connection or `wanted` was read.
    async fn exchange(&self, request: &[u8], wanted: &str) -> (TcpStream, String) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request).await.unwrap();
        let text = read_until(&mut socket, wanted).await;
        (socket, text)
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.served.await.unwrap().unwrap();
    }
}

async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(wanted) {
            let count = socket.read(&mut chunk).await.unwrap();
            if count == 0 {
                break;
            }
            read.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.expect("an answer within 30 s");
    String::from_utf8_lossy(&read).into_owned()
}

fn get(path: &str, secret: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_server_can_be_found_answers_and_leaves_the_folder_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let running = start(&data).await;
    let secret = std::fs::read_to_string(data.join("token")).unwrap().trim().to_owned();
    let server: Value = serde_json::from_slice(&std::fs::read(data.join("server.json")).unwrap()).unwrap();
    assert_eq!(server["url"], format!("http://{}", running.address));
    let (_socket, answer) = running.exchange(&get("/api/v2/projects", &secret), "}]}").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"default\""), "{answer}");
    running.end().await;
    assert!(!data.join("server.json").exists());

    let again = start(&data).await;
    let (_socket, answer) = again.exchange(&get("/api/v2/projects", &secret), "}]}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "the token is as good as before: {answer}");
    again.end().await;
}

#[tokio::test]
async fn a_second_server_on_the_folder_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let refused =
        serve(options(folder.path()), |_| panic!("it must not start"), CancellationToken::new()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("held by another server") && error.contains("--data"), "{error}");
    let (_socket, answer) = running.exchange(&get("/healthz", "none"), "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(folder.path().join("server.json").exists());
    running.end().await;
}

#[tokio::test]
async fn a_port_in_use_leaves_no_server_behind() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = start(one.path()).await;
    let options = Options { listen: running.address, ..options(other.path()) };
    let refused = serve(options, |_| panic!("it must not start"), CancellationToken::new()).await;
    assert!(matches!(refused, Err(Error::InUse(address)) if address == running.address));
    assert!(!other.path().join("server.json").exists());
    start(other.path()).await.end().await;
    running.end().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_those_who_follow_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let secret = std::fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
    let body = "{\"name\":\"n\",\"spec\":{\"command\":[\"true\"]}}";
    let submit = format!(
        "POST /api/v2/runs HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_socket, answer) = running.exchange(submit.as_bytes(), "}}").await;
    let id = answer.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (mut socket, _) =
        running.exchange(&get(&format!("/api/v2/runs/{id}/stream"), &secret), "run_created").await;
    running.shutdown.cancel();
    // The stream says its own end: the terminating chunk of the body.
    let rest = read_until(&mut socket, "0\r\n\r\n").await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    running.end().await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_why() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let secret = std::fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
    let length = 6 << 20;
    let mut request = format!(
        "POST /api/v2/runs HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {secret}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.resize(request.len() + length, b' ');
    let (_socket, answer) = running.exchange(&request, "too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    running.end().await;
}
