//! Reads objects: what is known of one, and its bytes, piece after piece. Never more than a piece of it is in memory.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use runyard_objects::{ByteStream, Error as ObjectsError};
use runyard_store as store;

use super::{Bucket, Object, PARTS_MAX, readable};
use crate::{Actor, Engine, Error, Result};

/// The object under a key, and its bucket.
///
/// # Errors
/// [`Error::NotFound`] of a bucket or an object; [`Error::Forbidden`].
pub async fn find(engine: &Engine, actor: &Actor, bucket: &str, key: &str) -> Result<(Bucket, Object)> {
    let (actor, bucket, key) = (actor.clone(), bucket.to_owned(), key.to_owned());
    engine
        .db
        .read(move |tx| {
            let bucket = readable(tx, &actor, &bucket)?;
            let object = store::oss::object::current(tx, bucket.id, &key)?;
            Ok((bucket, object.ok_or_else(|| Error::not_found("object", &key))?))
        })
        .await
}

/// The bytes of an object from an offset up to another.
///
/// # Errors
/// [`Error::NotFound`] when it was replaced or deleted meanwhile: look for it again.
pub async fn read(engine: &Engine, object: &Object, range: Range<u64>) -> Result<ByteStream> {
    let id = object.id;
    let pieces = engine.db.read(move |tx| store::oss::piece::list(tx, id, 0, PARTS_MAX)).await?;
    let held: i64 = pieces.iter().map(|piece| piece.size).sum();
    if pieces.is_empty() || held != object.size {
        return Err(Error::not_found("object", &object.key));
    }
    let sizes = pieces.iter().map(|piece| piece.size.cast_unsigned());
    let mut wanted = cut(sizes, &range).map(|(at, range)| (pieces[at].object_key.clone(), range));
    // An object that is gone is told before the first byte is sent.
    let Some((key, first)) = wanted.next() else { return Ok(stream::empty().boxed()) };
    let first = match engine.objects.get_range(&key, first).await {
        Err(ObjectsError::NotFound(_)) => return Err(Error::not_found("object", &object.key)),
        opened => opened?.1,
    };
    let rest: Vec<(String, Range<u64>)> = wanted.collect();
    let objects = engine.objects.clone();
    let rest = stream::iter(rest).then(move |(key, range)| {
        let objects = objects.clone();
        async move { objects.get_range(&key, range).await.map(|(_, bytes)| bytes) }
    });
    Ok(first.chain(rest.try_flatten()).boxed())
}

/// Which of the pieces have bytes of the range, and which of theirs.
fn cut(sizes: impl Iterator<Item = u64>, range: &Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
    let mut begins = 0;
    sizes.enumerate().filter_map(move |(at, size)| {
        let own = begins..begins + size;
        begins = own.end;
        let (start, end) = (range.start.max(own.start), range.end.min(own.end));
        (start < end).then(|| (at, start - own.start..end - own.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_borders_of_the_pieces() {
        let of = |range| cut([10, 0, 5, 20].into_iter(), &range).collect::<Vec<_>>();
        assert_eq!(of(0..35), [(0, 0..10), (2, 0..5), (3, 0..20)]);
        assert_eq!(of(9..11), [(0, 9..10), (2, 0..1)]);
        assert_eq!(of(10..15), [(2, 0..5)]);
        assert_eq!(of(20..u64::MAX), [(3, 5..20)]);
        assert_eq!(of(35..40), []);
        assert_eq!(of(3..3), []);
    }
}
