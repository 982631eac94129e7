//! What a store of objects promises: whole or not at all, under its root, and gone when deleted.

mod folder;
mod full_disk;
mod parts;
mod s3;

use std::io;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use md5::{Digest, Md5};
use runyard_objects::{Checksum, Objects};
use sha2::Sha256;

const NO_LIMIT: u64 = u64::MAX;

/// A stream of these texts.
fn chunks(texts: &[&str]) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + use<> {
    let chunks: Vec<_> = texts.iter().map(|text| Ok(Bytes::copy_from_slice(text.as_bytes()))).collect();
    stream::iter(chunks)
}

/// A stream of these bytes, in chunks as the network would cut them.
fn stream_of(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + use<> {
    let chunks: Vec<_> = bytes.chunks(70_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

/// Bytes that do not repeat soon.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn md5(bytes: &[u8]) -> Checksum {
    Checksum::Md5(Md5::digest(bytes).into())
}

fn sha256(bytes: &[u8]) -> Checksum {
    Checksum::Sha256(Sha256::digest(bytes).into())
}

async fn read(objects: &Objects, key: &str) -> Vec<u8> {
    let (size, bytes) = objects.get_stream(key).await.unwrap();
    let bytes: Vec<Bytes> = bytes.try_collect().await.unwrap();
    let bytes = bytes.concat();
    assert_eq!(bytes.len() as u64, size, "the stream has the length that was said");
    bytes
}
