//! Ending an upload in parts to an S3 store.

use reqwest::Method;

use super::{
    S3, md5_of,
    request::{Ask, sign},
};
use crate::{Error, checksum, hex};

impl S3 {
    /// See [`crate::Objects::complete_multipart`]. `etags` are without quotes.
    pub(crate) async fn complete_multipart(
        &self,
        key: &str,
        upload: &str,
        etags: &[String],
    ) -> Result<(), Error> {
        let full = self.full(key);
        let quoted: Vec<String> = etags.iter().map(|etag| format!("\"{etag}\"")).collect();
        let action = self.bucket.complete_multipart_upload(
            Some(&self.account),
            &full,
            upload,
            quoted.iter().map(String::as_str),
        );
        let ask = Ask::new("complete", key, sign(&action)).body(action.body());
        let Err(failed) = self.send_for_text(Method::POST, ask).await else { return Ok(()) };
        // An earlier call may have done it, and its answer was lost: then the object is there. Stores that make the
        // ETag as Amazon does show even whether it is this very one.
        match self.head(key).await {
            Ok(Some(head)) if Some(&head.etag) == etag_of(etags).as_ref() => Ok(()),
            Ok(Some(_)) if matches!(failed, Error::NoUpload { .. }) => Ok(()),
            _ => Err(with_upload(failed, upload)),
        }
    }

    /// See [`crate::Objects::abort_multipart`].
    pub(crate) async fn abort_multipart(&self, key: &str, upload: &str) -> Result<(), Error> {
        let full = self.full(key);
        let url = sign(&self.bucket.abort_multipart_upload(Some(&self.account), &full, upload));
        match self.send(Method::DELETE, Ask::new("give up", key, url)).await {
            Err(Error::NoUpload { .. } | Error::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The `ETag` of an object made of these parts, where `ETag`s are MD5s.
fn etag_of(etags: &[String]) -> Option<String> {
    let digests: Option<Vec<_>> = etags.iter().map(|etag| checksum::bytes::<16>(etag)).collect();
    let digests = digests?.concat();
    Some(format!("{}-{}", hex(&md5_of(&[digests.into()])), etags.len()))
}

fn with_upload(error: Error, upload: &str) -> Error {
    match error {
        Error::NoUpload { key, .. } => Error::NoUpload { key, upload: upload.to_owned() },
        other => other,
    }
}
