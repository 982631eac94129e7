//! Parts of uploads: sent, listed.

use axum::{body::Body, response::IntoResponse};
use runyard_engine::oss::{PARTS_MAX, multipart, multipart::Upload};

use super::{
    Answer,
    asked::Asked,
    headers::{md5, quoted, stored, xml_time},
    list::page,
    object::check_length,
    refusal::{invalid, refused},
    written,
    xml::Writer,
};
use crate::{app::App, error::Problem, object::discard};

/// Parts of one page.
const PAGE: i64 = 1_000;

/// The upload that is meant.
pub(super) fn upload(asked: &Asked, (bucket, key): (String, String)) -> Upload {
    Upload { bucket, key, id: asked.value("uploadId").unwrap_or_default().to_owned() }
}

/// The part that is meant, and its upload.
pub(super) fn named(asked: &Asked, place: (String, String)) -> Result<(Upload, i64), Problem> {
    let number = asked.number("partNumber", 1, PARTS_MAX)?;
    let number =
        number.ok_or_else(|| invalid("`partNumber` is missing: parts are sent with `uploadId` and it"))?;
    Ok((upload(asked, place), number))
}

pub(super) async fn put(app: &App, asked: &Asked, place: (String, String), body: Body) -> Answer {
    let said = check_length(&asked.headers).and_then(|()| Ok((named(asked, place)?, md5(asked)?)));
    let ((upload, number), md5) = match said {
        Ok(said) => said,
        Err(problem) => {
            discard(&asked.headers, body.into_data_stream()).await;
            return Err(problem);
        }
    };
    let mut body = body.into_data_stream();
    match multipart::put_part(&app.engine, &asked.actor, &upload, number, md5, &mut body).await {
        Ok(piece) => Ok(stored(&piece.etag, piece.crc64).into_response()),
        Err(error) => {
            discard(&asked.headers, body).await;
            Err(refused(error))
        }
    }
}

pub(super) async fn list(app: &App, asked: &Asked, place: (String, String)) -> Answer {
    let limit = asked.number("max-parts", 1, PAGE)?.unwrap_or(PAGE);
    let marker = asked.number("part-number-marker", 0, i64::MAX)?.unwrap_or(0);
    let (upload, encoded) = (upload(asked, place), asked.encoded()?);
    let (_, found) =
        multipart::parts(&app.engine, &asked.actor, &upload, marker, limit).await.map_err(refused)?;
    let (parts, truncated) = page(&found, limit);
    let mut xml = Writer::new("ListPartsResult");
    xml.text("Bucket", &upload.bucket);
    xml.key("Key", &upload.key, encoded);
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.text("UploadId", &upload.id);
    xml.text("PartNumberMarker", marker);
    xml.text("NextPartNumberMarker", parts.last().map_or(marker, |part| part.number));
    xml.text("MaxParts", limit);
    xml.text("IsTruncated", truncated);
    for part in parts {
        xml.begin("Part");
        xml.text("PartNumber", part.number);
        xml.text("LastModified", xml_time(part.modified_at));
        xml.text("ETag", quoted(&part.etag));
        xml.text("HashCrc64ecma", part.crc64.map(|crc64| crc64.to_string()).unwrap_or_default());
        xml.text("Size", part.size);
        xml.close();
    }
    Ok(written(xml.end()))
}
