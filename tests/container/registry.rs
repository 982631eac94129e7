//! A registry on loopback, with one image, that asks for an account and gives the image's bytes when the test lets it.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use runyard_domain::run::Status;
use runyard_tests::{SOON, containers, sha256, wait_until};
use serde_json::json;

use super::nothing_is_left;

/// `me:s3cret-word`.
const ACCOUNT: &str = "me:s3cret-word";
const HEADER: &str = "Basic bWU6czNjcmV0LXdvcmQ=";

struct Registry {
    address: String,
    /// Whether all of the image may go out.
    open: Arc<AtomicBool>,
}

/// What it answers, by path: type and bytes.
type Contents = HashMap<String, (&'static str, Vec<u8>)>;

impl Registry {
    fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, contents) = (Arc::new(AtomicBool::new(false)), Arc::new(contents(folder)));
        let gate = Arc::clone(&open);
        thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                let (gate, contents) = (Arc::clone(&gate), Arc::clone(&contents));
                thread::spawn(move || serve(visitor, &contents, &gate));
            }
        });
        Self { address, open }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// The small image of the tests and a file that no engine has seen before.
fn contents(folder: &Path) -> Contents {
    let layer = folder.join("layer.tar");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-images/busybox.tar");
    fs::copy(&base, &layer).unwrap_or_else(|error| panic!("{}: {error}", base.display()));
    // As large as takes an engine a moment, and new every time.
    let random = Command::new("head").args(["-c", "8M", "/dev/urandom"]).output().unwrap().stdout;
    fs::write(folder.join("fresh"), random).unwrap();
    let appended =
        Command::new("tar").arg("-rf").arg(&layer).arg("-C").arg(folder).arg("fresh").status().unwrap();
    assert!(appended.success());
    let layer = fs::read(layer).unwrap();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh", "-c", "echo from the image"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
    let config = config.to_string().into_bytes();
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(&layer), "size": layer.len()}]});
    let manifest = manifest.to_string().into_bytes();
    let blob = |bytes: &[u8]| format!("/v2/digits/blobs/{}", digest(bytes));
    HashMap::from([
        ("/v2/".to_owned(), ("application/json", b"{}".to_vec())),
        (blob(&config), ("application/octet-stream", config)),
        (blob(&layer), ("application/octet-stream", layer)),
        (format!("/v2/digits/manifests/{}", digest(&manifest)), (MANIFEST, manifest.clone())),
        ("/v2/digits/manifests/1".to_owned(), (MANIFEST, manifest)),
    ])
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Answers one request.
fn serve(mut visitor: TcpStream, contents: &Contents, open: &AtomicBool) {
    let mut lines = BufReader::new(visitor.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let known =
        head.iter().any(|line| line.to_lowercase().starts_with("authorization:") && line.ends_with(HEADER));
    let path = first.split(' ').nth(1).unwrap_or_default();
    let close = "Connection: close\r\n";
    let (status, kind, bytes) = match contents.get(path) {
        _ if !known => {
            let asks = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"";
            (
                asks,
                "application/json",
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#.to_vec(),
            )
        }
        Some((kind, bytes)) => ("200 OK", *kind, bytes.clone()),
        None => (
            "404 Not Found",
            "application/json",
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#.to_vec(),
        ),
    };
    let head =
        format!("HTTP/1.1 {status}\r\n{close}Content-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len());
    let digest = format!("Docker-Content-Digest: {}\r\n\r\n", digest(&bytes));
    if visitor.write_all((head + &digest).as_bytes()).is_err() || first.starts_with("HEAD") {
        return;
    }
    // Little by little, and never all, until the test lets it.
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let slowly = bytes.len() > 1 << 20 && !open.load(Ordering::SeqCst);
        let size = if slowly { 16 << 10 } else { rest.len() };
        let (piece, later) = rest.split_at(size.min(rest.len()));
        if slowly {
            thread::sleep(Duration::from_millis(50));
            if later.is_empty() {
                continue;
            }
        }
        if visitor.write_all(piece).is_err() {
            return;
        }
        rest = later;
    }
}

fn folder(server: &runyard_tests::Server) -> PathBuf {
    let folder = server.home().join("image");
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn an_image_is_pulled_with_the_account_of_its_secret_and_that_is_seen() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let registry = Registry::start(&folder(&server));
    let image = format!("{}/digits:1", registry.address);
    server.cli(&["secret", "set", "registry", ACCOUNT]).ok();
    let body = json!({"name": "pulled", "spec": {"image": image, "registry_secret": "registry"}});
    let id =
        server.call("POST", "/api/v2/runs").json(&body).send().data(200)["id"].as_str().unwrap().to_owned();
    wait_until("the pull is under way", SOON, || {
        let waits = server.run(&id)["waiting_for"].as_str().unwrap_or_default().to_owned();
        waits.starts_with("pulling image: ") && waits.ends_with(" %")
    });
    assert_eq!(server.status(&id), Status::JobPending);
    registry.open.store(true, Ordering::SeqCst);
    assert_eq!(server.wait_for_end(&id), Status::JobCompleted, "{:#}", server.run(&id));
    assert_eq!(server.output(&id), "from the image\n", "what it runs when nobody says what");
    let word = ACCOUNT.split_once(':').unwrap().1;
    let spec = fs::read_to_string(server.job_folder(&id).join("spec.json")).unwrap();
    assert!(!spec.contains(word) && !server.log().contains(word), "the account is the engine's alone");
    containers::call("DELETE", &format!("/images/{image}?force=true"));
    nothing_is_left(&server);
}

#[test]
fn a_registry_that_refuses_is_named_with_what_to_do() {
    let Some(setup) = containers::setup() else { return };
    let server = setup.start();
    let registry = Registry::start(&folder(&server));
    let image = format!("{}/digits:1", registry.address);
    let id = server.submit(&["--image", &image], "echo begun");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    assert_eq!(server.reason(&id), "ImageMissing");
    let message = server.run(&id)["exit"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("registry_secret") && message.contains(&image), "{message}");
    server.cli(&["secret", "set", "registry", ACCOUNT]).ok();
    let other = format!("{}/digits:2", registry.address);
    let id = server.submit(&["--image", &other, "--registry-secret", "registry"], "echo begun");
    assert_eq!(server.wait_for_end(&id), Status::JobFailed);
    let exit = server.run(&id)["exit"].clone();
    assert_eq!(exit["reason"], "ImageMissing");
    assert!(exit["message"].as_str().unwrap().contains("check its name"), "{exit}");
}
