//! The content MD5 as Arkindex has it: all contents in the order of their paths. An archive may bring them in any other order, and
//! MD5 takes no order but one: then they wait in a scratch file.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use md5::{Digest, Md5};
use tempfile::SpooledTempFile;

use crate::hex;

/// So many bytes wait in memory.
const MEMORY: usize = 32 << 20;
const BUFFER: usize = 256 << 10;

/// Contents as they come.
pub(super) struct Contents {
    running: Md5,
    /// Where each one ends, among all.
    ends: Vec<u64>,
    at: u64,
    scratch: Option<SpooledTempFile>,
}

impl Contents {
    /// With a folder for what must wait.
    pub(super) fn new(scratch: Option<&Path>) -> Self {
        let scratch = scratch.map(|folder| tempfile::spooled_tempfile_in(MEMORY, folder));
        Self { running: Md5::new(), ends: Vec::new(), at: 0, scratch }
    }

    /// Nothing need wait: the archive says so.
    pub(super) fn in_order(&mut self) {
        self.scratch = None;
    }

    /// Takes bytes of the current content. `ordered`: as far as one knows, all of them came in the order that is hashed.
    pub(super) fn take(&mut self, bytes: &[u8], ordered: bool) -> io::Result<()> {
        self.at += bytes.len() as u64;
        if ordered {
            self.running.update(bytes);
        }
        self.scratch.as_mut().map_or(Ok(()), |scratch| scratch.write_all(bytes))
    }

    /// The current content is whole.
    pub(super) fn end(&mut self) {
        self.ends.push(self.at);
    }

    /// The MD5 of these contents in this order; nothing when they came in another and there is no scratch file.
    pub(super) fn finish(mut self, hashed: &[usize], ordered: bool) -> io::Result<Option<String>> {
        if ordered && hashed.iter().copied().eq(0..self.ends.len()) {
            return Ok(Some(hex(&self.running.finalize())));
        }
        let Some(scratch) = &mut self.scratch else { return Ok(None) };
        let (mut digest, mut buffer) = (Md5::new(), vec![0; BUFFER]);
        for content in hashed {
            let start = content.checked_sub(1).map_or(0, |before| self.ends[before]);
            scratch.seek(SeekFrom::Start(start))?;
            let mut left = self.ends[*content] - start;
            while left > 0 {
                let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                scratch.read_exact(&mut buffer[..most])?;
                digest.update(&buffer[..most]);
                left -= most as u64;
            }
        }
        Ok(Some(hex(&digest.finalize())))
    }
}
