//! Which digest binds bytes that are sent to where objects are. Names them, and computes none.

/// A kind of digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// What every S3 store checks.
    Md5,
    /// Several times faster than MD5 where the processor knows it; what a folder checks.
    Sha256,
}

impl ChecksumKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Md5, Self::Sha256];

    /// As it is written on the wire: `md5`, `sha256`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        }
    }

    /// As people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// How many hexadecimal digits it has.
    pub const fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }

    /// The kind that is written so.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in ChecksumKind::ALL {
            assert_eq!(ChecksumKind::read(kind.word()), Some(kind));
        }
        assert_eq!(ChecksumKind::read("SHA-256"), None);
    }
}
