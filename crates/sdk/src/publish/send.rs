//! Packs and sends in one pass: the archive is never on a disk, and never as a whole in memory. A part that does not arrive is
//! sent again, to a new address; parts that arrived when the same was tried before are not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use runyard_archive::model::{self, Checksum, Part, PartOptions, Survey};
use runyard_client::Client;
use runyard_domain::ChecksumKind;
use runyard_wire::model::{BegunModelVersion, CompleteModelVersion, NewArchivePart, PostParts, SentPart};
use tokio::sync::mpsc;

use super::{Progress, id};
use crate::{Error, patience::Patience};

/// Requests to the object store at the same time.
const AT_ONCE: usize = 2;
/// Parts that are packed and wait for their turn.
const WAITING: usize = 1;

/// Where the parts of one version go.
struct Sending<'a> {
    client: &'a Client,
    id: &'a str,
    checksum: ChecksumKind,
    /// Parts that have arrived and that the server was not told of yet: with them, a repeat need not send them again.
    untold: Mutex<Vec<SentPart>>,
}

/// Sends all that was surveyed; answers what the server is to hold it against.
pub(crate) async fn send(
    client: &Client,
    begun: &BegunModelVersion,
    survey: &Arc<Survey>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<CompleteModelVersion, Error> {
    let checksum = client.object_checksum().await?;
    let options = options(begun, checksum)?;
    let (giving, mut parts) = mpsc::channel::<Part>(WAITING);
    let survey = Arc::clone(survey);
    let packing = tokio::task::spawn_blocking(move || {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody sends it any more");
        model::pack(&survey, options, |part| giving.blocking_send(part).map_err(gone))
    });
    let sending = Sending { client, id: id(begun), checksum, untold: Mutex::default() };
    let (mut arrived, mut under_way, mut all_packed) = (Vec::new(), FuturesUnordered::new(), false);
    loop {
        tokio::select! {
            part = parts.recv(), if !all_packed && under_way.len() < AT_ONCE => match part {
                None => all_packed = true,
                Some(part) => match known(begun, &part, checksum) {
                    Some(sent) => {
                        progress(Progress::Arrived(part.bytes.len() as u64));
                        arrived.push(sent);
                    }
                    None => under_way.push(sending.send(part)),
                },
            },
            Some(sent) = under_way.next() => {
                let sent: SentPart = sent?;
                progress(Progress::Arrived(sent.size.cast_unsigned()));
                arrived.push(sent);
            }
            else => break,
        }
    }
    let packed =
        packing.await.map_err(|error| Error::Local { what: "packing ended", cause: error.into() })??;
    arrived.sort_by_key(|part| part.number);
    Ok(CompleteModelVersion {
        parts: arrived,
        archive_size: packed.archive_size.cast_signed(),
        archive_sha256: packed.archive_sha256,
        tree_digest: packed.summary.tree_digest,
    })
}

fn options(begun: &BegunModelVersion, checksum: ChecksumKind) -> Result<PartOptions, Error> {
    let part_size = begun.part_size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
    let part_size = part_size.ok_or_else(|| {
        Error::Order(format!("the server did not say how to cut the archive of version {}", id(begun)))
    })?;
    let checksum = match checksum {
        ChecksumKind::Md5 => Checksum::Md5,
        ChecksumKind::Sha256 => Checksum::Sha256,
    };
    Ok(PartOptions { part_size, checksum })
}

/// The same part, if it arrived before.
fn known(begun: &BegunModelVersion, part: &Part, checksum: ChecksumKind) -> Option<SentPart> {
    let same = |sent: &&SentPart| {
        let own = match checksum {
            ChecksumKind::Md5 => &sent.md5,
            ChecksumKind::Sha256 => &sent.sha256,
        };
        sent.number == part.number
            && sent.size == part.bytes.len() as i64
            && own.as_deref() == Some(part.checksum.as_str())
    };
    begun.parts.iter().find(same).cloned()
}

impl Sending<'_> {
    /// Sends one part, until it has arrived or there is no hope.
    async fn send(&self, part: Part) -> Result<SentPart, Error> {
        let mut patience = Patience::brief();
        loop {
            match self.attempt(&part).await {
                Ok(sent) => {
                    self.untold.lock().expect("no holder panics").push(sent.clone());
                    return Ok(sent);
                }
                Err(error) => patience.meet(error).await?,
            }
        }
    }

    async fn attempt(&self, part: &Part) -> Result<SentPart, Error> {
        let (sha256, md5) = match self.checksum {
            ChecksumKind::Md5 => (None, Some(part.checksum.clone())),
            ChecksumKind::Sha256 => (Some(part.checksum.clone()), None),
        };
        let (number, size) = (part.number, part.bytes.len() as i64);
        let told = self.untold.lock().expect("no holder panics").clone();
        let new = NewArchivePart { number, size, sha256: sha256.clone(), md5: md5.clone() };
        let urls =
            self.client.post_parts(self.id, &PostParts { parts: vec![new], sent: told.clone() }).await?;
        self.untold.lock().expect("no holder panics").retain(|sent| !told.contains(sent));
        let Some(url) = urls.into_iter().find(|url| url.number == number) else {
            return Err(Error::Order(format!("the server did not say where part {number} goes")));
        };
        let etag = self.client.put_signed_bytes(&url.put, part.bytes.clone()).await.map_err(Error::Store)?;
        Ok(SentPart { number, size, sha256, md5, etag })
    }
}
