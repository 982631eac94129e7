//! A real S3 protocol server over a folder, which checks every signature; it can go away and come back at its address.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::Setup;

/// A store with the bucket `models`.
pub struct Store {
    folder: TempDir,
    address: SocketAddr,
    running: Option<Runtime>,
}

impl Store {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("runyard-s3-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("models")).expect("an empty folder");
        let mut store = Self { folder, address: ([127, 0, 0, 1], 0).into(), running: None };
        store.come_back();
        store
    }

    /// It is away: nobody answers at its address.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_timeout(crate::SOON);
        }
    }

    /// It answers again, with all that it had.
    pub fn come_back(&mut self) {
        let mut service = S3ServiceBuilder::new(FileSystem::new(self.folder.path()).expect("a folder"));
        service.set_auth(SimpleAuth::from_single("me", "s3cret"));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(self.address)).expect("its port is free");
        self.address = listener.local_addr().expect("it is bound");
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service.clone()));
            }
        });
        self.running = Some(runtime);
    }

    /// What `--objects` takes for a place in it.
    pub fn place(&self, place: &str) -> String {
        format!("s3://{place}?endpoint=http://{}", self.address)
    }

    /// A server whose objects are in its bucket, below `team/`.
    pub fn setup(&self) -> Setup {
        let objects = self.place("models/team");
        let setup = Setup::default().args(&["--objects", &objects]);
        setup.env("AWS_ACCESS_KEY_ID", "me").env("AWS_SECRET_ACCESS_KEY", "s3cret")
    }

    /// The variables by which a job reaches it.
    pub fn account(&self) -> Value {
        json!({"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "s3cret",
            "AWS_ENDPOINT_URL": format!("http://{}", self.address)})
    }

    /// Puts an object there, as `BUCKET/KEY`.
    pub fn put(&self, place: &str, content: &str) {
        let path = self.folder.path().join(place);
        fs::create_dir_all(path.parent().expect("it has a bucket")).expect("a folder");
        fs::write(path, content).expect("it is written");
    }

    /// What is in an object, as `BUCKET/KEY`; `None`: there is none.
    pub fn get(&self, place: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(place)).ok()
    }

    /// The objects of the bucket, as files; the store's own notes are left out.
    pub fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("models"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(_) if !hidden => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
