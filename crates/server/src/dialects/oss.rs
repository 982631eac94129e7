//! Alibaba's object store as its Python SDK (oss2) and PAI's speak to it: buckets at `/BUCKET/KEY`, or at the host
//! `BUCKET.DOMAIN`. Its requests are told by how they are signed, so that a key may be any text and no address of ours is in
//! the way. What this store does not do is refused by name, never left out in silence.

mod address;
mod asked;
mod bucket;
mod condition;
mod copy;
mod delete;
mod headers;
mod list;
mod object;
mod part;
mod refusal;
mod upload;
mod xml;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::{
    app::App,
    error::{Form, Problem},
    limits,
    object::discard,
    observe::RequestId,
};
use asked::Asked;

const OSS_REQUEST_ID: HeaderName = HeaderName::from_static("x-oss-request-id");
const OSS_ERROR: HeaderName = HeaderName::from_static("x-oss-err");

/// What most handlers answer.
type Answer = Result<Response, Problem>;

/// All of the dialect, with its state: it stands beside all other routes. It must not be timed, and nothing of it is
/// compressed: the SDK compares lengths and checksums.
pub(crate) fn router(app: &App) -> Router {
    Router::new()
        .fallback(dispatch)
        .layer(RequestBodyTimeoutLayer::new(limits::BODY_IDLE))
        .with_state(app.clone())
}

/// What our own signed addresses lead to. No account of a client belongs to it.
pub(crate) fn addresses() -> Router<App> {
    Router::new().route("/oss-objects/{id}", get(address::read))
}

/// Answers here what a client of OSS asks, and lets everything else pass.
pub(crate) async fn divert(State(oss): State<Router>, request: Request, next: Next) -> Response {
    if !is_ours(&request) {
        return next.run(request).await;
    }
    let head = request.method() == Method::HEAD;
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let mut response = match tower::ServiceExt::oneshot(oss, request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    // The answer to a HEAD has no body to say it in.
    let said =
        response.extensions().get::<Problem>().filter(|_| head).map(|problem| refusal::said(problem, &id));
    if let Some(said) = said {
        response.headers_mut().insert(OSS_ERROR, said);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(OSS_REQUEST_ID, id);
    }
    response.extensions_mut().insert(refusal::written as Form);
    response
}

/// Whether a client of OSS sent it: it is signed as they sign, in a header or in its address.
fn is_ours(request: &Request) -> bool {
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if let Some(authorization) = authorization {
        return authorization.starts_with(b"OSS ") || authorization.starts_with(b"OSS4-");
    }
    let query = request.uri().query().unwrap_or_default();
    let names = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    (names("OSSAccessKeyId") && names("Signature")) || names("x-oss-signature-version")
}

async fn dispatch(State(app): State<App>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let asked = match asked::read(&app, parts).await {
        Ok(asked) => asked,
        Err(problem) => {
            discard(&headers, body.into_data_stream()).await;
            return Err(problem);
        }
    };
    match (&asked.bucket, &asked.key) {
        (None, _) => bucket::of_service(&app, &asked).await,
        (Some(bucket), None) => of_bucket(&app, &asked, bucket.clone(), body).await,
        (Some(bucket), Some(key)) => of_object(&app, &asked, (bucket.clone(), key.clone()), body).await,
    }
}

async fn of_bucket(app: &App, asked: &Asked, name: String, body: axum::body::Body) -> Answer {
    asked.only(&["acl", "bucketInfo", "continuation-token", "delete", "location", "uploads"])?;
    match (&asked.method, asked.has("delete")) {
        (&Method::GET, _) if asked.has("uploads") => upload::list(app, asked, name).await,
        (&Method::GET, _) if asked.has("bucketInfo") => bucket::info(app, asked, name).await,
        (&Method::GET, _) if asked.has("location") => bucket::location(app, asked, name).await,
        (&Method::GET, _) if asked.has("acl") => bucket::acl(app, asked, name).await,
        (&Method::GET, _) => list::list(app, asked, name).await,
        (&Method::HEAD, _) => bucket::head(app, asked, name).await,
        (&Method::PUT, false) => bucket::put(app, asked, name).await,
        (&Method::POST, true) => delete::many(app, asked, name, body).await,
        (&Method::DELETE, false) => bucket::delete(app, asked, name).await,
        _ => Err(asked.unknown()),
    }
}

async fn of_object(app: &App, asked: &Asked, place: (String, String), body: axum::body::Body) -> Answer {
    let mut known = vec!["acl", "objectMeta", "partNumber", "uploadId", "uploads"];
    known.extend(object::OVERRIDES.iter().map(|(name, _)| *name));
    asked.only(&known)?;
    let in_parts = asked.has("uploadId");
    let copied = asked.header("x-oss-copy-source")?;
    match asked.method {
        Method::PUT if asked.has("acl") => object::put_acl(app, asked, place).await,
        Method::PUT if in_parts && copied.is_some() => copy::part(app, asked, place).await,
        Method::PUT if in_parts => part::put(app, asked, place, body).await,
        Method::PUT if copied.is_some() => copy::object(app, asked, place).await,
        Method::PUT => object::put(app, asked, place, body).await,
        Method::GET if in_parts => part::list(app, asked, place).await,
        Method::GET if asked.has("acl") => object::acl(app, asked, place).await,
        Method::GET => object::get(app, asked, place).await,
        Method::HEAD => object::head(app, asked, place).await,
        Method::POST if asked.has("uploads") => upload::begin(app, asked, place).await,
        Method::POST if in_parts => upload::complete(app, asked, place, body).await,
        Method::DELETE if in_parts => upload::abort(app, asked, place).await,
        Method::DELETE => delete::one(app, asked, place).await,
        _ => Err(asked.unknown()),
    }
}

/// An answer in XML.
fn written(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"))], text).into_response()
}
