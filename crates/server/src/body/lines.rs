//! Reads bodies of many rows: JSON lines are read while they arrive, so that no more than the rows is ever in memory. Every wrong
//! line is named by its number and fields.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
};
use http_body_util::BodyExt;
use runyard_domain::FieldErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::{broken, declared, from_value, over};
use crate::{error::Problem, schema};

/// Wrong lines that are named; what follows is not looked at.
const NAMED: usize = 100;

/// Whether the body says that it is JSON lines.
pub(crate) fn are_lines(request: &Request) -> bool {
    let given = request.headers().get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or(""));
    let mime = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"].contains(&mime.as_str())
}

/// Reads at most `rows` lines in at most `limit` bytes. `Row` is what a line looks like in the document; line N is called
/// `name.N`.
pub(crate) async fn read<T, Row>(
    request: Request,
    name: &str,
    rows: usize,
    limit: usize,
) -> Result<Vec<T>, Problem>
where
    T: DeserializeOwned,
    Row: ToSchema + 'static,
{
    let (parts, mut body) = request.into_parts();
    if declared(&parts.headers).is_some_and(|length| length > limit as u64) {
        return Err(over(&parts.headers, body, limit).await);
    }
    let mut lines =
        Lines { name, rows, seen: 0, read: Vec::new(), errors: FieldErrors::default(), rest: Vec::new() };
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        bytes += chunk.len();
        if bytes > limit {
            return Err(over(&parts.headers, body, limit).await);
        }
        lines.take::<Row>(&chunk);
        if lines.is_enough() {
            drain(body, limit - bytes).await;
            break;
        }
    }
    lines.end::<Row>()
}

struct Lines<'a, T> {
    name: &'a str,
    rows: usize,
    /// Lines until here, but for blank ones.
    seen: usize,
    read: Vec<T>,
    errors: FieldErrors,
    /// A line that is not complete yet.
    rest: Vec<u8>,
}

impl<T: DeserializeOwned> Lines<'_, T> {
    fn take<Row: ToSchema + 'static>(&mut self, chunk: &Bytes) {
        let mut left: &[u8] = chunk;
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&left[..end], &left[end + 1..]);
            if self.rest.is_empty() {
                self.line::<Row>(line);
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line::<Row>(&whole);
            }
            left = after;
        }
        self.rest.extend_from_slice(left);
    }

    fn line<Row: ToSchema + 'static>(&mut self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) || self.is_enough() {
            return;
        }
        if self.seen == self.rows {
            let message = format!("has more than {} lines: send them in several requests", self.rows);
            self.errors.add(self.name, message);
        }
        match serde_json::from_slice(line) {
            Ok(row) => self.read.push(row),
            Err(error) => {
                let wrong = why::<T, Row>(line, &error);
                self.errors.merge(&format!("{}.{}", self.name, self.seen), wrong);
            }
        }
        self.seen += 1;
    }

    /// Whether what follows would change nothing any more.
    fn is_enough(&self) -> bool {
        self.errors.0.len() >= NAMED || self.seen > self.rows
    }

    fn end<Row: ToSchema + 'static>(mut self) -> Result<Vec<T>, Problem> {
        let rest = std::mem::take(&mut self.rest);
        self.line::<Row>(&rest);
        if self.errors.0.len() >= NAMED {
            let message = format!("{NAMED} fields are wrong: what follows was not looked at");
            self.errors.add(self.name, message);
        }
        Ok(self.errors.finish(self.read)?)
    }
}

/// What is wrong with a line.
fn why<T: DeserializeOwned, Row: ToSchema + 'static>(line: &[u8], error: &serde_json::Error) -> FieldErrors {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return FieldErrors::one("", format!("is not JSON: {error}"));
    };
    let errors = schema::of::<Row>().check(&value);
    if errors.0.is_empty() { from_value::<T>(value).err().unwrap_or_default() } else { errors }
}

/// Reads on, for clients that read the answer only when everything is sent.
async fn drain(mut body: Body, mut left: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// The refusal of a body that is neither JSON nor JSON lines.
pub(crate) fn neither(error: Problem) -> Problem {
    match error.status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let message = "send JSON with `Content-Type: application/json`, or a line of JSON for each row with \
                `Content-Type: application/x-ndjson`";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use axum::http;
    use futures::stream;
    use runyard_domain::element::NewElement;
    use runyard_wire::element::NewElementSchema;

    use super::*;

    /// Sends a text in pieces of this many bytes.
    async fn sent(text: &str, piece: usize, rows: usize, limit: usize) -> Result<Vec<String>, Problem> {
        let pieces: Vec<_> = text.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::convert::Infallible>)));
        let request = http::Request::builder().body(body).unwrap();
        let read = read::<NewElement, NewElementSchema>(request, "elements", rows, limit).await?;
        Ok(read.into_iter().map(|one| one.name).collect())
    }

    const TWO: &str = "{\"type\":\"page\",\"name\":\"a\"}\r\n\n{\"type\":\"page\",\"name\":\"b\"}";

    #[tokio::test]
    async fn lines_are_read_wherever_the_network_cuts_them() {
        for piece in 1..TWO.len() {
            assert_eq!(sent(TWO, piece, 2, 1000).await.unwrap(), ["a", "b"]);
        }
        assert_eq!(sent("", 1, 2, 10).await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn wrong_lines_are_named_by_number_and_field() {
        let text = format!(
            "{TWO}\n{{\"type\":\"page\"}}\nnothing\n{{\"type\":\"p\",\"name\":\"x\",\"id\":\"y\",\"no\":1}}\n"
        );
        let errors = sent(&text, 7, 9, 1000).await.unwrap_err().errors.unwrap();
        let paths: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(paths, ["elements.2.name", "elements.3", "elements.4.no"]);
        assert!(errors["elements.3"][0].starts_with("is not JSON: expected"), "{errors:?}");
        let bad_id = sent("{\"type\":\"p\",\"name\":\"x\",\"id\":\"y\"}", 99, 9, 99).await.unwrap_err();
        let errors = bad_id.errors.unwrap();
        assert!(errors["elements.0.id"][0].contains("`y` is not an element id"), "{errors:?}");
    }

    #[tokio::test]
    async fn lines_and_bytes_have_limits() {
        let errors = sent(TWO, 5, 1, 1000).await.unwrap_err().errors.unwrap();
        assert_eq!(errors["elements"], ["has more than 1 lines: send them in several requests"]);
        assert_eq!(sent(TWO, 5, 2, 20).await.unwrap_err().code, "too_large");
        let errors = sent(&"{}\n".repeat(500), 50, 1000, 10_000).await.unwrap_err().errors.unwrap();
        assert!(errors["elements"][0].contains("what follows was not looked at"), "{errors:?}");
        assert!(errors.len() < 2 * NAMED);
    }
}
