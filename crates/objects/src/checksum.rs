//! Digests that say which bytes are meant. Compares nothing by itself.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use runyard_domain::ChecksumKind;
use sha2::Sha256;

use crate::hex;

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// MD5.
    Md5([u8; 16]),
    /// SHA-256.
    Sha256([u8; 32]),
}

impl Checksum {
    /// Its kind.
    pub const fn kind(&self) -> ChecksumKind {
        match self {
            Self::Md5(_) => ChecksumKind::Md5,
            Self::Sha256(_) => ChecksumKind::Sha256,
        }
    }

    /// The digest that is written so, in either case of letters.
    pub fn from_hex(kind: ChecksumKind, text: &str) -> Option<Self> {
        match kind {
            ChecksumKind::Md5 => bytes(text).map(Self::Md5),
            ChecksumKind::Sha256 => bytes(text).map(Self::Sha256),
        }
    }

    /// In lower case.
    pub fn hex(&self) -> String {
        hex(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// The header that an S3 store reads it from.
    pub(crate) fn header(&self) -> (&'static str, String) {
        let name = match self {
            Self::Md5(_) => "content-md5",
            Self::Sha256(_) => "x-amz-checksum-sha256",
        };
        (name, STANDARD.encode(self.bytes()))
    }
}

/// The bytes that are written in `2 * N` hexadecimal digits.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A digest that is being made.
#[derive(Clone)]
pub(crate) enum Hash {
    Md5(Md5),
    Sha256(Sha256),
}

impl Hash {
    pub(crate) fn new(kind: ChecksumKind) -> Self {
        match kind {
            ChecksumKind::Md5 => Self::Md5(Md5::new()),
            ChecksumKind::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        match self {
            Self::Md5(hash) => Checksum::Md5(hash.finalize().into()),
            Self::Sha256(hash) => Checksum::Sha256(hash.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        for kind in ChecksumKind::ALL {
            let mut hash = Hash::new(kind);
            hash.update(b"foo");
            let checksum = hash.finish();
            assert_eq!(checksum.hex().len(), kind.digits());
            assert_eq!(Checksum::from_hex(kind, &checksum.hex()), Some(checksum));
            assert_eq!(Checksum::from_hex(kind, &checksum.hex().to_uppercase()), Some(checksum));
        }
        for wrong in ["", "x", "+1", &"g".repeat(32), &"é".repeat(16), &"0".repeat(33)] {
            assert_eq!(Checksum::from_hex(ChecksumKind::Md5, wrong), None, "{wrong}");
        }
        assert_eq!(Checksum::from_hex(ChecksumKind::Sha256, &"0".repeat(32)), None);
    }
}
