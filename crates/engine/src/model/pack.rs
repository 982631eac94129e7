//! Packs objects into an archive while it is read: read, compressed and handed on at the same time, never in memory as a whole.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use runyard_archive::model::{self as archive, Checksum, Packed, PartOptions, StreamFile, pack_streams};
use runyard_domain::model::MAX_BYTES;
use runyard_objects::ByteStream;
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use crate::{Engine, Error, Result, model::read::pipe};

/// Bytes that are handed on at once.
const PIECE: u64 = 4 << 20;
/// Pieces that wait to be taken.
const WAITING: usize = 2;

/// Opens the object that a file is made of.
pub(crate) type Open = Box<dyn Fn(&StreamFile) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// The archive of these files as it is made, and what became of it. An error ends the stream as an error, so that its end is
/// never taken for that of the archive.
pub(crate) fn packing(
    files: Vec<StreamFile>,
    open: Open,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    JoinHandle<Result<Packed, archive::Error>>,
) {
    let (sender, mut pieces) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    let runtime = Handle::current();
    let packing = tokio::task::spawn_blocking(move || {
        let open = |file: &StreamFile| {
            let opened = runtime.block_on(open(file));
            let stream = opened.map_err(|error| io::Error::other(error.to_string()))?;
            let _entered = runtime.enter();
            Ok(pipe(stream).0)
        };
        let gone = || io::Error::other("the archive cannot be stored");
        let hand_on = |part: archive::Part| sender.blocking_send(Ok(part.bytes)).map_err(|_| gone());
        let packed =
            pack_streams(&files, open, PartOptions { part_size: PIECE, checksum: Checksum::Sha256 }, hand_on);
        if packed.is_err() {
            let _ = sender.blocking_send(Err(io::Error::other("the archive could not be made")));
        }
        packed
    });
    (stream::poll_fn(move |context| pieces.poll_recv(context)).boxed(), packing)
}

/// Packs the files into the object `key`. `what` they are is for the words of a failure.
pub(super) async fn pack(
    engine: &Engine,
    what: &str,
    files: Vec<StreamFile>,
    open: Open,
    key: &str,
) -> Result<Packed> {
    let (stream, packing) = packing(files, open);
    let stored = engine.objects.put_stream(key, stream, MAX_BYTES.cast_unsigned()).await;
    let packed = packing.await.map_err(|error| Error::Internal(format!("packing did not end: {error}")))?;
    match (packed, stored) {
        (Ok(packed), Ok(_)) => Ok(packed),
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(_), Err(error)) if error.is_temporary() => Err(error.into()),
        (Err(error), _) => Err(Error::Busy(format!("{what} cannot be packed: {error}"))),
    }
}
