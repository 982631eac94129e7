//! Objects that are stored with all the digests that other systems' clients want to see. Reads nothing twice.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use crc_fast::CrcAlgorithm::Crc64Xz;
use futures::{Stream, TryStreamExt};
use md5::{Digest, Md5};

use crate::{Error, Objects, Put};

/// What was stored, and all its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summed {
    /// The object.
    pub put: Put,
    /// MD5 of the bytes.
    pub md5: [u8; 16],
    /// CRC-64 of the bytes (ECMA-182, reflected, all ones before and after: CRC-64/XZ).
    pub crc64: u64,
}

struct Sums {
    md5: Md5,
    crc64: crc_fast::Digest,
}

impl Objects {
    /// Like [`Objects::put_stream`], with digests of what came.
    pub async fn put_stream_summed<S, E>(&self, key: &str, stream: S, limit: u64) -> Result<Summed, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let sums = Mutex::new(Sums { md5: Md5::new(), crc64: crc_fast::Digest::new(Crc64Xz) });
        let counted = stream.inspect_ok(|chunk| {
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            sums.md5.update(chunk);
            sums.crc64.update(chunk);
        });
        let put = self.put_stream(key, counted, limit).await?;
        let Sums { md5, crc64 } = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Summed { put, md5: md5.finalize().into(), crc64: crc64.finalize() })
    }
}

/// The CRC-64 of bytes whose beginning and whose end (of `length` bytes) have these.
pub fn combine_crc64(beginning: u64, end: u64, length: u64) -> u64 {
    crc_fast::checksum_combine(Crc64Xz, beginning, end, length)
}

/// The MD5 of some pieces of bytes, one after the other.
pub fn md5<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> [u8; 16] {
    let mut md5 = Md5::new();
    for piece in pieces {
        md5.update(piece);
    }
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc64(bytes: &[u8]) -> u64 {
        let mut digest = crc_fast::Digest::new(Crc64Xz);
        digest.update(bytes);
        digest.finalize()
    }

    #[test]
    fn the_crc_is_the_one_that_oss_clients_compare_with() {
        assert_eq!(crc64(b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn the_crc_of_parts_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number * 31 % 251) as u8).collect();
        for at in [0, 1, 7, 4096, 99_999, 100_000] {
            let (beginning, end) = bytes.split_at(at);
            assert_eq!(combine_crc64(crc64(beginning), crc64(end), end.len() as u64), crc64(&bytes), "{at}");
        }
    }
}
