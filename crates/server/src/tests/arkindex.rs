//! Arkindex's dialect: every answer, of every operation, is held against the document that is served.

mod activities;
mod books;
mod datasets;
mod elements;
mod judge;
mod publishing;
mod refusals;
mod results;

use axum::{body::Body, http::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Reply, Server};
use judge::Judge;

/// Archives that arkindex-base-worker 0.4.0 made of one file, `model.txt`, with these words and a line feed in it.
const HELLO: Archive = Archive {
    base64: "KLUv/WAAA5UCAJQDLi8uL0BQYXhIZWFkZXIAMDAwMjYAADAxMDIxMwAgeAB1c3RhcgAwMAAyMiBtdGltZT0xNzAuMAoACQDmQBHgpjmg\
        DgDJAQbQ6goIgF0ygTootS/9YAAD5QIAhANtb2RlbC50eHQAMDAwMDY0NDAwMAAxNDUyNDc3MDQxMTQ1NAAgMHVzdGFyADAwcm9vdGhlbGxvCg\
        0AQKACGtBQRQMUAAy5FwCaEAOrmOFDGQZlAYBj5TI3ASQotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+yuABSi1L/1gAANNAAA\
        QAAABAPsrgAUotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+yuABSi1L/1gAANNAAAQAAABAPsrgAUotS/9YAADTQAAEAAAAQD7\
        K4AFKLUv/WAAA00AABAAAAEA+yuABQ==",
    md5: "c99ba4dcc8135a2b8c052f330c709eb3",
    content_md5: "b1946ac92492d2347c6235b4d2611184",
};
const WORLD: Archive = Archive {
    base64: "KLUv/WAAA5UCAJQDLi8uL0BQYXhIZWFkZXIAMDAwMjYAADAxMDIxMwAgeAB1c3RhcgAwMAAyMiBtdGltZT0xNzAuMAoACQDmQBHgpjmg\
        DgDJAQbQ6goIgF0ygTootS/9YAAD5QIAhANtb2RlbC50eHQAMDAwMDY0NDAwMAAxNDUyNDc3MDQxMTQ1NAAgMHVzdGFyADAwcm9vdHdvcmxkCg\
        0AQKACGtBQRQMUAAy5FwCaEAOrmOFDGQZlAYBj5TI3ASQotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+yuABSi1L/1gAANNAAA\
        QAAABAPsrgAUotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+yuABSi1L/1gAANNAAAQAAABAPsrgAUotS/9YAADTQAAEAAAAQD7\
        K4AFKLUv/WAAA00AABAAAAEA+yuABQ==",
    md5: "894d1ed58b2b03646581d30c10bbaef5",
    content_md5: "591785b794601e212b260e25925636fd",
};
/// The words of [`HELLO`] in another file, `renamed.txt`.
const RENAMED: Archive = Archive {
    base64: "KLUv/WAAA5UCAJQDLi8uL0BQYXhIZWFkZXIAMDAwMjYAADAxMDIxMwAgeAB1c3RhcgAwMAAyMiBtdGltZT0xNzAuMAoACQDmQBHgpjmgDgDJAQb\
        Q6goIgF0ygTootS/9YAAD9QIApANyZW5hbWVkLnR4dAAwMDAwNjQ0MDAwADE0NTI0NzcwNDExNzY3ACAwdXN0YXIAMDByb290aGVsbG8KDQBAoA\
        Ia0FBFAxQADLkXADrhADQxw4cyDMoCAMfKZWoCSSi1L/1gAANNAAAQAAABAPsrgAUotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+\
        yuABSi1L/1gAANNAAAQAAABAPsrgAUotS/9YAADTQAAEAAAAQD7K4AFKLUv/WAAA00AABAAAAEA+yuABSi1L/1gAANNAAAQAAABAPsrgAUotS/9\
        YAADTQAAEAAAAQD7K4AF",
    md5: "719af512aaef091bc74735c055bf51c1",
    content_md5: HELLO.content_md5,
};

struct Archive {
    base64: &'static str,
    md5: &'static str,
    content_md5: &'static str,
}

impl Archive {
    fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(self.base64).unwrap()
    }

    /// What a worker says of it once it is sent.
    fn said(&self) -> Value {
        json!({"size": self.bytes().len(), "hash": self.content_md5, "archive_hash": self.md5})
    }

    fn available(&self) -> Value {
        let mut said = self.said();
        said["state"] = json!("available");
        said
    }
}

/// A server as Arkindex's clients see it.
struct Site {
    server: Server,
    judge: Judge,
}

impl Site {
    async fn start() -> Self {
        let server = Server::start().await;
        let served =
            server.send(Request::get("/api/v1/openapi/?format=json").body(Body::empty()).unwrap()).await;
        assert_eq!(served.headers["content-type"], "application/json");
        Self { server, judge: Judge::new(&served.json()) }
    }

    /// A call by the name of its operation; `id` stands for whatever its path names, one after the other, and a query may follow.
    async fn call(&self, operation: &str, id: &str, body: impl Into<Option<Value>>) -> Reply {
        self.call_as(&format!("Token {}", self.server.admin), operation, id, body).await
    }

    async fn call_as(
        &self,
        authorization: &str,
        operation: &str,
        id: &str,
        body: impl Into<Option<Value>>,
    ) -> Reply {
        let (method, path) = self.judge.address(operation, id);
        let mut request = Request::builder().method(method.as_str()).uri(path).header("host", "ark.test:81");
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let request = match body.into() {
            None => request.body(Body::empty()),
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
        };
        let reply = self.server.send(request.unwrap()).await;
        self.judge.check(operation, &reply);
        reply
    }

    /// A call that goes well, and its answer.
    async fn ok(&self, operation: &str, id: &str, body: impl Into<Option<Value>>) -> Value {
        let reply = self.call(operation, id, body).await;
        assert!(reply.status.is_success(), "{operation}: {} {}", reply.status, reply.text());
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }

    /// A call that is refused with this status, and its answer.
    async fn refused(&self, operation: &str, id: &str, body: impl Into<Option<Value>>, status: u16) -> Value {
        let reply = self.call(operation, id, body).await;
        assert_eq!(reply.status.as_u16(), status, "{operation}: {}", reply.text());
        reply.json()
    }

    /// Sends bytes to an address that was answered, as workers do, with a token that nobody asked for.
    async fn put(&self, address: &Value, bytes: Vec<u8>) -> Reply {
        let path =
            address.as_str().unwrap().strip_prefix("http://ark.test:81").expect("an address for this client");
        let request = Request::put(path)
            .header("content-type", "application/zstd")
            .header("content-length", bytes.len())
            .header("authorization", "Token whatever");
        self.server.send(request.body(Body::from(bytes)).unwrap()).await
    }

    async fn model(&self, name: &str) -> String {
        text(&self.ok("CreateModel", "", json!({"name": name})).await["id"])
    }

    /// A version that has this content.
    async fn published(&self, model: &str, archive: &Archive, attributes: Value) -> Value {
        let begun = self.ok("CreateModelVersion", model, attributes).await;
        assert_eq!(self.put(&begun["s3_put_url"], archive.bytes()).await.status, 200);
        self.ok("PartialUpdateModelVersion", &text(&begun["id"]), archive.available()).await
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
