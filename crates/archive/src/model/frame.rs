//! A chunk of the tar as one zstd frame: compressed, or as it is when that saves too little for its time. Which of them depends
//! on the bytes alone.

use std::io;

use zstd::{bulk::Compressor, zstd_safe::compress_bound};

/// Beyond this level zstd costs far more time than it saves.
const LEVEL: i32 = 3;
/// Enough to see whether there is anything to save.
const PROBE_LEVEL: i32 = 1;
/// So many samples of a chunk are looked at, each of so many bytes.
const SAMPLES: usize = 8;
const SAMPLE: usize = 4 << 10;
/// Weights in 32-bit floats save 7 %, and cost more time than sending or storing those: less than this part is not saved.
const WORTH: usize = 10;
/// The largest block of a frame.
const BLOCK: usize = 128 << 10;

/// Makes frames, one after the other.
pub(super) struct Framer {
    probe: Compressor<'static>,
    packer: Compressor<'static>,
    sample: Vec<u8>,
    out: Vec<u8>,
}

impl Framer {
    pub(super) fn new() -> io::Result<Self> {
        let mut packer = Compressor::new(LEVEL)?;
        packer.include_checksum(true)?;
        Ok(Self { probe: Compressor::new(PROBE_LEVEL)?, packer, sample: Vec::new(), out: Vec::new() })
    }

    /// Compresses `chunk` into `frame`, or leaves it empty: then the chunk goes as it is.
    pub(super) fn compress(&mut self, chunk: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
        frame.clear();
        if !self.worth(chunk)? {
            return Ok(());
        }
        frame.reserve(compress_bound(chunk.len()));
        self.packer.compress_to_buffer(chunk, frame)?;
        if frame.len() >= chunk.len() {
            frame.clear();
        }
        Ok(())
    }

    fn worth(&mut self, chunk: &[u8]) -> io::Result<bool> {
        if chunk.len() <= SAMPLES * SAMPLE {
            return Ok(true);
        }
        self.sample.clear();
        for n in 0..SAMPLES {
            let at = (chunk.len() - SAMPLE) / (SAMPLES - 1) * n;
            self.sample.extend_from_slice(&chunk[at..at + SAMPLE]);
        }
        self.out.clear();
        self.out.reserve(compress_bound(self.sample.len()));
        self.probe.compress_to_buffer(&self.sample, &mut self.out)?;
        Ok(self.out.len() + self.sample.len() / WORTH <= self.sample.len())
    }
}

/// The frame of a chunk that goes as it is, in pieces: magic number, a header that says the size in four bytes, and blocks.
pub(super) fn raw<E>(chunk: &[u8], mut push: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
    /// The size in four bytes; the frame is its own window.
    const DESCRIPTOR: u8 = 0b1010_0000;
    push(&MAGIC)?;
    push(&[DESCRIPTOR])?;
    push(&(chunk.len() as u32).to_le_bytes())?;
    let blocks = chunk.len().div_ceil(BLOCK);
    for (n, block) in chunk.chunks(BLOCK).enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(n + 1 == blocks);
        push(&header.to_le_bytes()[..3])?;
        push(block)?;
    }
    Ok(())
}
