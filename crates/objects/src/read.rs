//! Reading an object piece by piece, never more than one piece in memory.

use std::{io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::{ByteStream, Error, blocking, folder::Folder};

const PIECE_BYTES: u64 = 256 << 10;

/// Opens the object: its whole size, and the bytes of `range` as far as they exist.
pub(crate) async fn open(
    folder: &Arc<Folder>,
    key: &str,
    range: Range<u64>,
) -> Result<(u64, ByteStream), Error> {
    let (opened, name) = (Arc::clone(folder), key.to_owned());
    let (file, size) = blocking(move || opened.open_object(&name)).await?;
    let (file, folder, key) = (Arc::new(file), Arc::clone(folder), Arc::<str>::from(key));
    let end = range.end.min(size);
    let bytes = stream::try_unfold(range.start, move |at| {
        let (file, folder, key) = (Arc::clone(&file), Arc::clone(&folder), Arc::clone(&key));
        async move {
            if at >= end {
                return Ok(None);
            }
            let length = (end - at).min(PIECE_BYTES);
            let piece = blocking(move || read(&file, at, length)).await;
            let piece = piece.map_err(|error| folder.fail("read", &key, error))?;
            Ok(Some((piece, at + length)))
        }
    });
    Ok((size, bytes.boxed()))
}

fn read(file: &std::fs::File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}
