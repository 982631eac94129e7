//! One HTTP connection pool to one server: addresses, the token, timeouts, and what an answer means.
//! It never retries by itself except in [`Http::create`], whose calls carry an idempotency key.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::Stream;
use reqwest::{Method, RequestBuilder, Response, Url};
use runyard_wire::Data;
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// How long a connection may take to be made.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a small call may take as a whole.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call may take that the server may work at for long.
const LONG_CALL_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a stream of bytes, in either direction, may stand still.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a transient failure of a repeatable call is tried again, and how long the first pause is.
const RETRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A server's address, the token for it, and the connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Kept as a result so that making a client cannot fail: the first call says what is wrong.
    client: Result<reqwest::Client, String>,
    base: Result<Url, String>,
    url: String,
    token: String,
    /// Connections to where signed addresses lead, when that is not this server; by whether TLS and whether loopback.
    stores: Arc<Mutex<HashMap<(bool, bool), reqwest::Client>>>,
}

impl Http {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        let base = base(url);
        let client = match &base {
            Ok(base) => build(base).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        Self {
            client,
            base,
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            stores: Arc::default(),
        }
    }

    /// The server has moved. Connections are kept where they can be.
    pub(crate) fn set_url(&mut self, url: &str) {
        if self.url == url.trim_end_matches('/') {
            return;
        }
        let kept = |url: &Url| (url.scheme().to_owned(), is_loopback(url));
        let base = base(url);
        if self.client.is_err() || self.base.as_ref().map(kept) != base.as_ref().map(kept) {
            *self = Self::new(url, &self.token);
        } else {
            self.base = base;
            url.trim_end_matches('/').clone_into(&mut self.url);
        }
    }

    /// The server's address as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The address of `/api/v2/{segments}`, each segment encoded.
    pub(crate) fn api(&self, segments: &[&str]) -> Result<Url, Error> {
        self.path(&[&["api", "v2"], segments].concat())
    }

    pub(crate) fn path(&self, segments: &[&str]) -> Result<Url, Error> {
        let wrong = |why: &str| Error::Url { url: self.url.clone(), why: why.to_owned() };
        let mut url = self.base.clone().map_err(|why| wrong(&why))?;
        url.path_segments_mut().map_err(|()| wrong("it has no host"))?.pop_if_empty().extend(segments);
        Ok(url)
    }

    /// A request with the token, and without a time limit.
    pub(crate) fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Error> {
        match &self.client {
            Ok(client) => Ok(client.request(method, url).bearer_auth(&self.token)),
            Err(why) => Err(Error::Url { url: self.url.clone(), why: why.clone() }),
        }
    }

    /// A request to a signed address: without the token, which belongs to this server only, and without a time limit.
    pub(crate) fn signed(&self, method: Method, address: &str) -> Result<RequestBuilder, Error> {
        let wrong = |why: String| Error::Url { url: plain(address).to_owned(), why };
        let base =
            self.base.as_ref().map_err(|why| Error::Url { url: self.url.clone(), why: why.clone() })?;
        let url = if address.starts_with('/') {
            // A path of this server, by whatever name it is reached, and below whatever path a proxy put it.
            Url::parse(&format!("{}{address}", base.as_str().trim_end_matches('/')))
        } else {
            Url::parse(address)
        };
        let url = url.map_err(|error| wrong(error.to_string()))?;
        let kind = |url: &Url| (url.scheme() == "https", is_loopback(url));
        if kind(&url) == kind(base)
            && let Ok(client) = &self.client
        {
            return Ok(client.request(method, url));
        }
        let mut stores = self.stores.lock().expect("no holder panics");
        let client = match stores.get(&kind(&url)) {
            Some(client) => client.clone(),
            None => build(&url).map_err(|error| wrong(error.to_string()))?,
        };
        stores.insert(kind(&url), client.clone());
        Ok(client.request(method, url))
    }

    /// `GET url` for the `data` of the answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Error> {
        self.data(self.request(Method::GET, url)?).await
    }

    /// Sends `body` as JSON for the `data` of the answer.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.data(self.request(method, url)?.json(body)).await
    }

    /// `POST url` under a fresh idempotency key, so that a transient failure can be tried again without doing it twice.
    pub(crate) async fn create<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let key = uuid::Uuid::now_v7().to_string();
        let mut pause = FIRST_PAUSE;
        let mut round = 0;
        loop {
            let request = self.request(Method::POST, url.clone())?.json(body);
            let answer = self.data(request.header("idempotency-key", &key)).await;
            let Err(error) = &answer else { return answer };
            // Nothing listens there from the start: trying again would only delay the answer.
            let absent = round == 0 && matches!(error, Error::Connect { .. });
            if absent || round == RETRIES || !error.is_transient() {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            round += 1;
        }
    }

    /// A small call for the `data` of its answer.
    pub(crate) async fn data<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.data_within(request, CALL_TIMEOUT).await
    }

    /// The same for a call that the server may work at for long, such as a million rows.
    pub(crate) async fn long_data<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.data_within(request, LONG_CALL_TIMEOUT).await
    }

    /// A call that leads elsewhere, for the address there.
    pub(crate) async fn redirect(&self, request: RequestBuilder) -> Result<String, Error> {
        let response = request
            .timeout(CALL_TIMEOUT)
            .send()
            .await
            .map_err(|e| Error::from_reqwest(&e, &self.url, CALL_TIMEOUT))?;
        if !response.status().is_redirection() {
            let url = response.url().to_string();
            return match self.refusal(response).await {
                Error::Unexpected { status, .. } => {
                    Err(Error::Unexpected { url, status, why: "it leads nowhere".to_owned() })
                }
                refused => Err(refused),
            };
        }
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let why = || "a redirect without a location".to_owned();
        location.map(str::to_owned).ok_or_else(|| Error::Unexpected { url, status, why: why() })
    }

    async fn data_within<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        within: Duration,
    ) -> Result<T, Error> {
        let response = self.send(request.timeout(within)).await?;
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let body = response.bytes().await.map_err(|e| Error::from_reqwest(&e, &self.url, CALL_TIMEOUT))?;
        let data: Result<Data<T>, _> = serde_json::from_slice(&body);
        data.map(|data| data.data).map_err(|error| Error::Unexpected { url, status, why: error.to_string() })
    }

    /// A small call whose answer has nothing in it.
    pub(crate) async fn done(&self, request: RequestBuilder) -> Result<(), Error> {
        self.send(request.timeout(CALL_TIMEOUT)).await.map(drop)
    }

    /// Sends a request; an answer that is no success is an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|e| Error::from_reqwest(&e, &self.url, CALL_TIMEOUT))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// Starts a download: within the idle time there must be an answer.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response, Error> {
        let idle = || Error::Timeout { url: self.url.clone(), after: IDLE_TIMEOUT };
        tokio::time::timeout(IDLE_TIMEOUT, self.send(request)).await.unwrap_or_else(|_| Err(idle()))
    }

    /// The next piece of a download; `None` at its end.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|e| Error::from_reqwest(&e, &self.url, IDLE_TIMEOUT)),
            Err(_) => Err(Error::Timeout { url: self.url.clone(), after: IDLE_TIMEOUT }),
        }
    }

    /// Sends a large body: it may take as long as it takes, but may not stand still.
    pub(crate) async fn upload<S>(&self, request: RequestBuilder, body: S) -> Result<Response, Error>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let moved = Arc::new(Mutex::new(Instant::now()));
        let body = reqwest::Body::wrap_stream(Watched { body, moved: moved.clone() });
        let mut send = std::pin::pin!(self.send(request.body(body)));
        loop {
            let until = *moved.lock().expect("no holder panics") + IDLE_TIMEOUT;
            tokio::select! {
                answer = &mut send => return answer,
                () = tokio::time::sleep_until(until.into()) => {
                    if *moved.lock().expect("no holder panics") + IDLE_TIMEOUT <= Instant::now() {
                        return Err(Error::Timeout { url: self.url.clone(), after: IDLE_TIMEOUT });
                    }
                }
            }
        }
    }

    pub(crate) async fn refusal(&self, response: Response) -> Error {
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Error::from_reqwest(&error, &self.url, CALL_TIMEOUT),
        };
        match serde_json::from_slice(&body) {
            Ok(body) => Error::Api { status, body: Box::new(body) },
            Err(_) if !url.starts_with(&self.url) => {
                let why: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                Error::Store { url: plain(&url).to_owned(), status, why: why.trim().to_owned() }
            }
            Err(_) if body.is_empty() => Error::Unexpected { url, status, why: "an empty answer".into() },
            Err(_) => {
                let start: String = String::from_utf8_lossy(&body).chars().take(120).collect();
                Error::Unexpected { url, status, why: format!("it begins `{}`", start.trim()) }
            }
        }
    }
}

/// A body that notes when it was last asked for more.
struct Watched<S> {
    body: S,
    moved: Arc<Mutex<Instant>>,
}

impl<S: Stream + Unpin> Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        *self.moved.lock().expect("no holder panics") = Instant::now();
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// An address without its query, where the signature is.
fn plain(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn base(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("{error}: write http://HOST:PORT"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        other => Err(format!("`{other}` is no scheme that a server speaks: write http://HOST:PORT")),
    }
}

/// Redirects are not followed (the token must not travel), and a loopback server is never asked through a proxy.
fn build(base: &Url) -> reqwest::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost races are fine: somebody installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true);
    if base.scheme() == "http" {
        // No certificate will be looked at: do not spend milliseconds on loading the system's roots.
        builder = builder.tls_certs_only([]).http1_only();
    }
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, scripted_server};

    fn key(request: &str) -> &str {
        let line = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
        line.expect("a create carries a key")
    }

    #[tokio::test]
    async fn a_create_whose_answer_was_lost_is_tried_again_under_the_same_key() {
        let project = r#"{"data":{"id":"p","name":"n","description":"","created_at":1}}"#;
        let (url, asked) = scripted_server::start(vec![
            String::new(),
            scripted_server::json("503 Service Unavailable", "{}"),
            scripted_server::json("200 OK", project),
        ])
        .await;
        let new = runyard_wire::project::NewProject::default();
        assert_eq!(Client::new(&url, "t").create_project(&new).await.unwrap().id, "p");
        let asked = asked.await.unwrap();
        assert!(asked.iter().all(|request| key(request) == key(&asked[0])), "{asked:?}");
        assert!(asked[0].contains("authorization: bearer t\r\n"), "{}", asked[0]);
    }

    #[tokio::test]
    async fn what_is_no_runyard_server_is_said_to_be_none() {
        let (url, _) = scripted_server::start(vec![scripted_server::json("404 Not Found", "<html>")]).await;
        let error = Client::new(&url, "t").projects().await.unwrap_err();
        assert_eq!(error.status(), Some(404));
        assert!(error.to_string().contains("it begins `<html>`"), "{error}");
    }

    #[tokio::test]
    async fn a_gap_in_a_stream_says_where_to_go_on() {
        let body = r#"{"error":"gap","code":"offset_gap","request_id":"q","expected_offset":5}"#;
        let (url, asked) = scripted_server::start(vec![scripted_server::json("409 Conflict", body)]).await;
        let job = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let client = crate::job::JobClient::new(&url, "t", job);
        let chunk = Bytes::from_static(b"hello");
        let error = client.append(runyard_domain::job::Stream::Logs, 9, chunk).await.unwrap_err();
        assert_eq!((error.code(), error.expected_offset()), (Some("offset_gap"), Some(5)));
        let asked = asked.await.unwrap();
        assert!(asked[0].contains("/streams/logs?offset=9 ") && asked[0].ends_with("hello"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_source_is_sent_from_its_file() {
        let file = std::env::temp_dir().join(format!("runyard-client-{}", uuid::Uuid::now_v7()));
        std::fs::write(&file, "packed").unwrap();
        let answer = scripted_server::json("200 OK", r#"{"data":{"digest":"d","size":6}}"#);
        let (url, asked) = scripted_server::start(vec![answer]).await;
        let sent = Client::new(&url, "t").upload_source(&file).await;
        std::fs::remove_file(&file).unwrap();
        assert_eq!(sent.unwrap().size, 6);
        assert!(asked.await.unwrap()[0].ends_with("\r\n\r\npacked"));
        let missing = Client::new(&url, "t").upload_source(&file).await.unwrap_err();
        assert!(missing.to_string().contains("cannot read"), "{missing}");
    }

    #[test]
    fn addresses_are_joined_and_encoded() {
        let http = Http::new("http://127.0.0.1:7878/", "t");
        assert_eq!(
            http.api(&["projects", "a b/c"]).unwrap().as_str(),
            "http://127.0.0.1:7878/api/v2/projects/a%20b%2Fc"
        );
        let below = Http::new("https://host/runyard", "t");
        assert_eq!(below.api(&["runs"]).unwrap().as_str(), "https://host/runyard/api/v2/runs");
    }

    #[test]
    fn a_wrong_address_is_an_error_of_the_call() {
        for (url, word) in [("127.0.0.1:7878", "http://HOST:PORT"), ("ftp://x", "`ftp`"), ("", "HOST:PORT")] {
            let error = Http::new(url, "t").api(&["runs"]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_server_that_moved_is_called_at_its_new_address() {
        let mut http = Http::new("http://127.0.0.1:1", "t");
        http.set_url("http://127.0.0.1:2/");
        assert_eq!((http.url(), http.api(&[]).unwrap().port()), ("http://127.0.0.1:2", Some(2)));
        http.set_url("rubbish");
        assert!(http.api(&[]).is_err());
    }
}
