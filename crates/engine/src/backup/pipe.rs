//! Between threads that write and read as files do, and streams: the bytes of a backup on their way out, and those of an
//! object on their way in. For threads that may block.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use runyard_objects::ByteStream;
use tokio::{runtime::Handle, sync::mpsc::Sender};

/// Bytes that are sent at once.
const CHUNK: usize = 256 << 10;
/// Whoever takes nothing for so long is gone: neither the database nor the objects wait for them.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a backup goes.
pub(super) struct Pipe {
    sender: Sender<io::Result<Bytes>>,
    handle: Handle,
    waiting: BytesMut,
}

impl Pipe {
    pub(super) fn new(sender: Sender<io::Result<Bytes>>, handle: Handle) -> Self {
        Self { sender, handle, waiting: BytesMut::with_capacity(CHUNK) }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.waiting, BytesMut::with_capacity(CHUNK)).freeze();
        let sent = async { tokio::time::timeout(PATIENCE, self.sender.send(Ok(bytes))).await };
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "whoever asked for the backup is gone"))
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes the backup any more")),
        }
    }
}

/// The bytes of an object.
pub(super) struct Streamed {
    stream: ByteStream,
    handle: Handle,
    rest: Bytes,
}

impl Streamed {
    pub(super) fn new(stream: ByteStream, handle: Handle) -> Self {
        Self { stream, handle, rest: Bytes::new() }
    }
}

impl Read for Streamed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.handle.block_on(self.stream.next()) {
                Some(chunk) => self.rest = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let taken = self.rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&self.rest.split_to(taken));
        Ok(taken)
    }
}
