//! Uploads in parts, below ROOT/.multipart/.
use std::sync::Arc;
use bytes::Bytes;
use futures::Stream;
use crate::{Error, PART_MIN, PARTS_MAX, PUT_MAX, SignedPart, SignedPut, SignedRequest, folder::Folder};
fn no<T>() -> Result<T, Error> { Err(Error::Unavailable("parts come with the next commit".into())) }
pub(crate) fn check_part_size(size: u64) -> Result<(), Error> {
    if (PART_MIN..=PUT_MAX).contains(&size) { Ok(()) } else { Err(Error::InvalidPart(format!("{size}"))) }
}
pub(crate) fn check_number(number: i64) -> Result<(), Error> {
    if (1..=PARTS_MAX).contains(&number) { Ok(()) } else { Err(Error::InvalidPart(format!("{number}"))) }
}
pub(crate) fn in_order(_: &[(i64, String)]) -> Result<Vec<String>, Error> { no() }
pub(crate) fn check_signed(_: &Folder, _: &SignedRequest) -> Result<(), Error> { Ok(()) }
pub(crate) async fn begin(_: &Arc<Folder>, _: u64) -> Result<String, Error> { no() }
pub(crate) async fn complete(_: &Arc<Folder>, _: &str, _: &str, _: Vec<String>) -> Result<(), Error> { no() }
pub(crate) async fn abort(_: &Arc<Folder>, _: &str) -> Result<(), Error> { no() }
pub(crate) async fn put_part<S, E>(_: &Arc<Folder>, _: &SignedPut, _: &SignedPart, _: S) -> Result<(), Error> where S: Stream<Item = Result<Bytes, E>> + Send { no() }
