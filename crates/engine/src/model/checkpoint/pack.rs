//! Packs objects into an archive that is an object: read, compressed and written at the same time, never in memory as a whole.

use std::io;

use futures::{StreamExt, stream};
use runyard_archive::model::{Checksum, Packed, PartOptions, StreamFile, pack_streams};
use runyard_domain::model::MAX_BYTES;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{Engine, Error, Result, model::read::pipe};

/// Bytes that are handed on at once.
const PIECE: u64 = 4 << 20;
/// Pieces that wait to be written.
const WAITING: usize = 2;

/// Packs the objects below `prefix`, by their paths, into the object `key`.
pub(super) async fn pack(engine: &Engine, prefix: &str, files: Vec<StreamFile>, key: &str) -> Result<Packed> {
    let (sender, mut pieces) = mpsc::channel::<io::Result<bytes::Bytes>>(WAITING);
    let (objects, prefix, runtime) = (engine.objects.clone(), prefix.to_owned(), Handle::current());
    let packing = tokio::task::spawn_blocking(move || {
        let open = |file: &StreamFile| {
            let opened = runtime.block_on(objects.get_stream(&format!("{prefix}{}", file.path)));
            let (_, stream) = opened.map_err(|error| io::Error::other(error.to_string()))?;
            let _entered = runtime.enter();
            Ok(pipe(stream).0)
        };
        let gone = || io::Error::other("the archive cannot be stored");
        let hand_on =
            |part: runyard_archive::model::Part| sender.blocking_send(Ok(part.bytes)).map_err(|_| gone());
        let options = PartOptions { part_size: PIECE, checksum: Checksum::Sha256 };
        let packed = pack_streams(&files, open, options, hand_on);
        if packed.is_err() {
            // The end of the stream must not be taken for the end of an archive.
            let _ = sender.blocking_send(Err(io::Error::other("the archive could not be made")));
        }
        packed
    });
    let stream = stream::poll_fn(move |context| pieces.poll_recv(context)).boxed();
    let stored = engine.objects.put_stream(key, stream, MAX_BYTES.cast_unsigned()).await;
    let packed = packing.await.map_err(|error| Error::Internal(format!("packing did not end: {error}")))?;
    match (packed, stored) {
        (Ok(packed), Ok(_)) => Ok(packed),
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(_), Err(error)) if error.is_temporary() => Err(error.into()),
        (Err(error), _) => Err(Error::Busy(format!("the checkpoint cannot be packed: {error}"))),
    }
}
