//! Uploads in parts: begun, completed, given up, listed.

use axum::{body::Body, http::StatusCode, response::IntoResponse};
use runyard_engine::oss::{PARTS_MAX, multipart};

use super::{
    Answer,
    asked::{Asked, cut},
    delete::body_of,
    headers::{flag, quoted, stored, xml_time},
    list::page,
    part::upload,
    refusal::{invalid, malformed, not_implemented, refused},
    written, xml,
    xml::Writer,
};
use crate::{app::App, error::Problem};

/// Uploads of one page.
const PAGE: i64 = 1_000;

pub(super) async fn begin(app: &App, asked: &Asked, place: (String, String)) -> Answer {
    let (new, encoded) = (super::object::new(asked, place.clone())?, asked.encoded()?);
    let begun = multipart::begin(&app.engine, &asked.actor, new).await.map_err(refused)?;
    let mut xml = Writer::new("InitiateMultipartUploadResult");
    xml.text("Bucket", &place.0);
    xml.key("Key", &place.1, encoded);
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.text("UploadId", begun.id);
    Ok(written(xml.end()))
}

pub(super) async fn complete(app: &App, asked: &Asked, place: (String, String), body: Body) -> Answer {
    let text = body_of(asked, body).await?;
    let parts = match asked.header("x-oss-complete-all")? {
        Some("yes") if text.trim().is_empty() => None,
        Some("yes") => return Err(invalid("with `x-oss-complete-all: yes` the body is empty")),
        Some(other) => return Err(invalid(format!("`x-oss-complete-all` is `{}`: it is `yes`", cut(other)))),
        None => Some(parts(&text)?),
    };
    let (forbid, encoded) = (flag(asked, "x-oss-forbid-overwrite")?, asked.encoded()?);
    let wanted = upload(asked, place.clone());
    let object =
        multipart::complete(&app.engine, &asked.actor, &wanted, parts, forbid).await.map_err(refused)?;
    let mut xml = Writer::new("CompleteMultipartUploadResult");
    xml.key("Location", &format!("http://{}/{}/{}", asked.host, place.0, place.1), true);
    xml.text("Bucket", &place.0);
    xml.key("Key", &place.1, encoded);
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.text("ETag", quoted(&object.etag));
    Ok((stored(&object.etag, object.crc64), written(xml.end())).into_response())
}

/// Number and `ETag` of every part that is named.
fn parts(text: &str) -> Result<Vec<(i64, String)>, Problem> {
    let (mut parts, mut number, mut etag) = (Vec::new(), None, None);
    xml::read(text, |path, text| {
        match path {
            "CompleteMultipartUpload/Part/PartNumber" => {
                let wrong = || malformed(format!("`{}` is no number of a part", cut(&text)));
                number = Some(text.trim().parse().map_err(|_| wrong())?);
            }
            "CompleteMultipartUpload/Part/ETag" => etag = Some(text.trim().to_owned()),
            "CompleteMultipartUpload/Part" => match (number.take(), etag.take()) {
                (Some(number), Some(etag)) => parts.push((number, etag)),
                _ => return Err(malformed("a part is named by its `PartNumber` and its `ETag`")),
            },
            _ => {}
        }
        if parts.len() as i64 > PARTS_MAX {
            return Err(malformed(format!("more than {PARTS_MAX} parts are named")));
        }
        Ok(())
    })?;
    if parts.is_empty() {
        return Err(malformed("no part is named: the body is `<CompleteMultipartUpload><Part>...`"));
    }
    Ok(parts)
}

pub(super) async fn abort(app: &App, asked: &Asked, place: (String, String)) -> Answer {
    multipart::abort(&app.engine, &asked.actor, &upload(asked, place)).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn list(app: &App, asked: &Asked, bucket: String) -> Answer {
    if asked.value("delimiter").is_some() {
        return Err(not_implemented("uploads are not listed by prefixes: leave `delimiter` out"));
    }
    let limit = asked.number("max-uploads", 1, PAGE)?.unwrap_or(PAGE);
    let text = |name: &str| asked.value(name).unwrap_or_default().to_owned();
    let (prefix, key, id) = (text("prefix"), text("key-marker"), text("upload-id-marker"));
    let found = multipart::uploads(&app.engine, &asked.actor, &bucket, &prefix, (&key, &id), limit)
        .await
        .map_err(refused)?;
    let ((uploads, truncated), encoded) = (page(&found, limit), asked.encoded()?);
    let last = uploads.last().filter(|_| truncated);
    let mut xml = Writer::new("ListMultipartUploadsResult");
    xml.text("Bucket", &bucket);
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.key("KeyMarker", &key, encoded);
    xml.text("UploadIdMarker", &id);
    xml.key("NextKeyMarker", last.map_or("", |upload| &upload.key), encoded);
    xml.text("NextUploadIdMarker", last.map(|upload| upload.id.to_string()).unwrap_or_default());
    xml.key("Prefix", &prefix, encoded);
    xml.text("MaxUploads", limit);
    xml.text("IsTruncated", truncated);
    for upload in uploads {
        xml.begin("Upload");
        xml.key("Key", &upload.key, encoded);
        xml.text("UploadId", upload.id);
        xml.text("Initiated", xml_time(upload.id.time()));
        xml.text("StorageClass", "Standard");
        xml.close();
    }
    Ok(written(xml.end()))
}
