//! Who may write which part of an upload. The newest request wins: an older one for the same part may belong to a
//! client that is long gone. Knows no file.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The turns of all uploads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<String, Upload>>>);

#[derive(Debug, Default)]
struct Upload {
    whole: Arc<RwLock<()>>,
    parts: HashMap<i64, Part>,
    /// Requests that have or wait for a turn.
    requests: usize,
}

#[derive(Debug, Default)]
struct Part {
    turn: Arc<tokio::sync::Mutex<()>>,
    newest: Arc<Notify>,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Guards go before the request is counted out.
    _guards: Guards,
    _counted: Counted,
}

#[derive(Debug)]
enum Guards {
    Part { _upload: OwnedRwLockReadGuard<()>, _part: OwnedMutexGuard<()> },
    Whole { _upload: OwnedRwLockWriteGuard<()> },
}

#[derive(Debug)]
struct Counted {
    turns: Turns,
    upload: String,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut uploads = self.turns.lock();
        if let Some(upload) = uploads.get_mut(&self.upload) {
            upload.requests -= 1;
            if upload.requests == 0 {
                uploads.remove(&self.upload);
            }
        }
    }
}

impl Turns {
    /// The turn of one part. The second value is notified when a later request wants it.
    pub(crate) async fn part(&self, upload: &str, number: i64) -> (Turn, Arc<Notify>) {
        let stop = Arc::new(Notify::new());
        let (counted, (whole, turn)) = self.enter(upload, |upload| {
            let part = upload.parts.entry(number).or_default();
            mem::replace(&mut part.newest, Arc::clone(&stop)).notify_one();
            (Arc::clone(&upload.whole), Arc::clone(&part.turn))
        });
        let guards = Guards::Part { _upload: whole.read_owned().await, _part: turn.lock_owned().await };
        (Turn { _guards: guards, _counted: counted }, stop)
    }

    /// The turn of the whole upload; what writes its parts is stopped.
    pub(crate) async fn whole(&self, upload: &str) -> Turn {
        let (counted, whole) = self.enter(upload, |upload| {
            for part in upload.parts.values() {
                part.newest.notify_one();
            }
            Arc::clone(&upload.whole)
        });
        Turn { _guards: Guards::Whole { _upload: whole.write_owned().await }, _counted: counted }
    }

    fn enter<T>(&self, name: &str, with: impl FnOnce(&mut Upload) -> T) -> (Counted, T) {
        let mut uploads = self.lock();
        let upload = uploads.entry(name.to_owned()).or_default();
        upload.requests += 1;
        let value = with(upload);
        (Counted { turns: self.clone(), upload: name.to_owned() }, value)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_newest_request_stops_the_older_one_and_waits_for_it() {
        let turns = Turns::default();
        let (first, stop) = turns.part("u", 1).await;
        assert!(stop.notified().now_or_never().is_none());
        let mut second = Box::pin(turns.part("u", 1));
        assert!(second.as_mut().now_or_never().is_none(), "the first one still writes");
        stop.notified().await;
        drop(first);
        let (_second, stop) = second.await;
        assert!(stop.notified().now_or_never().is_none());
    }

    #[tokio::test]
    async fn different_parts_go_together_and_completing_waits_for_all() {
        let turns = Turns::default();
        let (one, stop_one) = turns.part("u", 1).await;
        let (two, stop_two) = turns.part("u", 2).await;
        let _other_upload = turns.whole("v").await;
        let mut whole = Box::pin(turns.whole("u"));
        assert!(whole.as_mut().now_or_never().is_none());
        stop_one.notified().await;
        stop_two.notified().await;
        drop((one, two));
        let whole = whole.await;
        assert!(turns.part("u", 1).now_or_never().is_none(), "no part is written while it is completed");
        drop(whole);
    }

    #[tokio::test]
    async fn nothing_is_remembered_when_all_have_gone() {
        let turns = Turns::default();
        let (one, _) = turns.part("u", 1).await;
        let waiting = Box::pin(turns.part("u", 1));
        drop(waiting);
        drop(one);
        drop(turns.whole("u").await);
        assert!(turns.lock().is_empty());
    }
}
