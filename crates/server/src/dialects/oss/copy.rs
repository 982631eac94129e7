//! Copies of objects and of their ranges.

use std::ops::Range;

use axum::{http::StatusCode, response::IntoResponse};
use runyard_engine::oss::{Object, multipart, put};

use super::{
    Answer,
    asked::{Asked, cut, named},
    condition::{self, COPYING, Met},
    headers::{quoted, stored, xml_time},
    refusal::{invalid, refused},
    written,
    xml::Writer,
};
use crate::{app::App, error::Problem};

pub(super) async fn object(app: &App, asked: &Asked, place: (String, String)) -> Answer {
    let with_headers = match asked.header("x-oss-metadata-directive")? {
        None | Some("COPY") => true,
        Some("REPLACE") => false,
        Some(other) => {
            let message =
                format!("`x-oss-metadata-directive` is `{}`: it is `COPY` or `REPLACE`", cut(other));
            return Err(invalid(message));
        }
    };
    let new = super::object::new(asked, place)?;
    let source = source(app, asked).await?;
    let copied = put::copy(&app.engine, &asked.actor, &source, new, with_headers).await.map_err(refused)?;
    let mut xml = Writer::new("CopyObjectResult");
    xml.text("ETag", quoted(&copied.etag));
    xml.text("LastModified", xml_time(copied.modified_at));
    Ok((stored(&copied.etag, copied.crc64), written(xml.end())).into_response())
}

pub(super) async fn part(app: &App, asked: &Asked, place: (String, String)) -> Answer {
    let (upload, number) = super::part::named(asked, place)?;
    let source = source(app, asked).await?;
    let range = asked.header("x-oss-copy-source-range")?.map(range).transpose()?;
    let piece = multipart::copy_part(&app.engine, &asked.actor, &upload, number, &source, range)
        .await
        .map_err(refused)?;
    let mut xml = Writer::new("CopyPartResult");
    xml.text("LastModified", xml_time(piece.modified_at));
    xml.text("ETag", quoted(&piece.etag));
    Ok((stored(&piece.etag, piece.crc64), written(xml.end())).into_response())
}

/// What is to be copied, if it is what the client thinks it is.
async fn source(app: &App, asked: &Asked) -> Result<Object, Problem> {
    let (bucket, key) = named(asked.header("x-oss-copy-source")?.unwrap_or_default())?;
    let source = put::source(&app.engine, &asked.actor, &bucket, &key).await.map_err(refused)?;
    match condition::check(asked, COPYING, &source)? {
        Met::Yes => Ok(source),
        Met::NotModified => {
            let message = "the object is the one that is not to be copied";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message))
        }
    }
}

fn range(text: &str) -> Result<Range<u64>, Problem> {
    let read = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(first..last.checked_add(1)?)
    };
    read().ok_or_else(|| {
        invalid(format!("`x-oss-copy-source-range` is `{}`: it is `bytes=FIRST-LAST`", cut(text)))
    })
}
