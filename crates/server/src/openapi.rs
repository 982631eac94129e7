//! The OpenAPI 3.1 document: what is common to all operations. The operations document themselves.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        Content, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
        schema::Type,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use runyard_wire::error::Error;

/// `(status, name, when)` of every refusal.
const REFUSALS: [(&str, &str, &str); 10] = [
    ("400", "BadRequest", "The request cannot be read: broken JSON, a body that ended early."),
    ("401", "Unauthorized", "No token, or one that is bad, expired or revoked."),
    ("403", "Forbidden", "The token's scope does not reach so far."),
    ("404", "NotFound", "There is no such thing, or it is not for this token to know."),
    ("409", "Conflict", "The state of the thing forbids it; `code` says how."),
    ("413", "TooLarge", "The body is over its limit."),
    ("415", "UnsupportedMediaType", "The body is not of the content type that is needed."),
    ("422", "Invalid", "Wrong fields: `errors` has all of them by their paths."),
    ("500", "Internal", "A fault of the server; its log has the reason under the request id."),
    ("503", "Busy", "The server has too much to do: try again after `Retry-After` seconds."),
];

fn refusals(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let named = |(status, name, _): &(&str, &str, &str)| {
        ((*status).to_owned(), RefOr::Ref(Ref::from_response_name(*name)))
    };
    REFUSALS.iter().filter(|(status, ..)| statuses.contains(status)).map(named).collect()
}

/// Refusals of every operation that needs a token.
pub(crate) struct Refused;
/// Refusals of operations on one thing.
pub(crate) struct Missing;
/// Refusals by the state of a thing.
pub(crate) struct Conflicting;
/// Refusals of what the operator asks.
pub(crate) struct Unready;
/// Refusals of bodies of bytes.
pub(crate) struct BadBytes;
/// Refusals of JSON bodies.
pub(crate) struct BadBody;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["401", "403", "422", "500", "503"])
    }
}

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["404"])
    }
}

impl IntoResponses for Conflicting {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["409"])
    }
}

impl IntoResponses for Unready {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["500", "503"])
    }
}

impl IntoResponses for BadBytes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["400", "413"])
    }
}

impl IntoResponses for BadBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&["400", "413", "415"])
    }
}

/// The document says `{path}` where the router needs `{*path}` for what may have `/` in it.
pub(crate) fn plain_wildcards(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document
}

/// The document without its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Runyard",
        description = "Runs, tracks and ships machine-learning work. Answers are `{\"data\": ...}`, refusals `{\"error\", \
            \"code\", \"request_id\"}`; times are epoch milliseconds, ids are UUIDs that sort by creation. Lists take \
            repeated keys, or values joined by commas (a comma inside a value is `%2C`); unknown parameters and \
            fields are refused.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Error)),
    security(("token" = [])),
    modifiers(&Common),
    tags(
        (name = "projects", description = "Own everything below them."),
        (name = "tokens", description = "Random, stored hashed, scoped, revocable."),
        (name = "secrets", description = "Values that runs get by name: kept encrypted, never shown."),
        (name = "blueprints", description = "Named, versioned templates for runs."),
        (name = "sources", description = "Packed folders of code, stored once per content."),
        (name = "runs", description = "Work that someone asked for: submit, follow, stop, restart."),
        (name = "metrics", description = "Numbers by run, tag and step."),
        (name = "checkpoints", description = "The state of a training at a step, as files."),
        (name = "artifacts", description = "Any file or folder of a run."),
        (name = "corpora", description = "Elements that belong together, with their types, classes and entities."),
        (name = "elements", description = "Items of a corpus: pages, images, rows; above and below each other."),
        (name = "images", description = "Where images are, and how large."),
        (name = "models", description = "Published files, stored once per content and verified before anyone may use them."),
        (name = "jobs", description = "What runners say to the server."),
        (name = "system", description = "The server and its machine.")
    )
)]
pub(crate) struct Document;

struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description =
            Some("A token: `ryd_...`; a local server writes one to `token` in its data folder.".into());
        components.security_schemes.insert("token".into(), SecurityScheme::Http(scheme).into());
        for (status, name, when) in REFUSALS {
            components.responses.insert(name.into(), refusal(status, when).into());
        }
    }
}

fn refusal(status: &str, when: &str) -> Response {
    let body = Content::new(Some(Ref::from_schema_name(Error::name())));
    let mut response = ResponseBuilder::new()
        .description(when)
        .content("application/json", body)
        .header("x-request-id", text_header("The id to quote to the operator."));
    if status == "401" {
        response = response.header("WWW-Authenticate", text_header("`Bearer`."));
    }
    if status == "503" {
        response = response.header("Retry-After", text_header("Seconds to wait."));
    }
    response.build()
}

fn text_header(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
