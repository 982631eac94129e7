//! Deletes objects: one, or those that a body names.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::IntoResponse,
};
use runyard_engine::oss::{KEYS_MAX, delete};

use super::{
    Answer,
    asked::Asked,
    headers::md5,
    refusal::{malformed, refused},
    written, xml,
    xml::Writer,
};
use crate::{app::App, body::Raw, error::Problem, limits};

pub(super) async fn one(app: &App, asked: &Asked, (bucket, key): (String, String)) -> Answer {
    delete::delete(&app.engine, &asked.actor, &bucket, vec![key]).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn many(app: &App, asked: &Asked, bucket: String, body: Body) -> Answer {
    let text = body_of(asked, body).await?;
    let (mut keys, mut quiet) = (Vec::new(), false);
    xml::read(&text, |path, text| {
        match path {
            "Delete/Quiet" => quiet = text.trim() == "true",
            "Delete/Object/Key" => keys.push(text),
            "Delete/Object/VersionId" => return Err(malformed("objects have no versions here")),
            _ => {}
        }
        if keys.len() > KEYS_MAX {
            return Err(malformed(format!(
                "more than {KEYS_MAX} keys are named: send them in several requests"
            )));
        }
        Ok(())
    })?;
    if keys.is_empty() {
        return Err(malformed(
            "no key is named: the body is `<Delete><Object><Key>...</Key></Object></Delete>`",
        ));
    }
    delete::delete(&app.engine, &asked.actor, &bucket, keys.clone()).await.map_err(refused)?;
    let encoded = asked.encoded()?;
    let mut xml = Writer::new("DeleteResult");
    if encoded {
        xml.text("EncodingType", "url");
    }
    for key in keys.iter().filter(|_| !quiet) {
        xml.begin("Deleted");
        xml.key("Key", key, encoded);
        xml.close();
    }
    Ok(written(xml.end()))
}

/// A small body as text, if it is what its MD5 says.
pub(super) async fn body_of(asked: &Asked, body: Body) -> Result<String, Problem> {
    let mut request = Request::new(body);
    *request.headers_mut() = asked.headers.clone();
    let Raw(bytes) = Raw::<{ limits::XML }>::from_request(request, &()).await?;
    if let Some(said) = md5(asked)?
        && said != runyard_objects::md5([&bytes])
    {
        let message = "the body has another MD5 than `Content-MD5` says: nothing was done";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "InvalidDigest", message));
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed("the body is not in UTF-8"))
}
