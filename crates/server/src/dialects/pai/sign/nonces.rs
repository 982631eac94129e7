//! Nonces of signed requests that were served: a request that comes a second time is a copy. Kept as long as its time would be
//! taken, and never more than a fixed number of them; not kept over a restart.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use runyard_domain::Millis;

use super::WINDOW_MS;

/// More than fifty requests a second for half an hour. Past it the oldest are forgotten first.
const MOST: usize = 100_000;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Nonces {
    most: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<(String, String)>,
    order: VecDeque<(Millis, (String, String))>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Nonces {
    fn of(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Notes that this nonce was used with this key; `false`: it was before.
    pub(crate) fn note(&self, key_id: String, nonce: String, now: Millis) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A request may be dated as far ahead of our clock as behind it.
        let kept = |at: &Millis| now.0 - at.0 <= 2 * WINDOW_MS;
        while seen.order.front().is_some_and(|(at, _)| !kept(at)) || seen.order.len() >= self.most {
            let Some((_, oldest)) = seen.order.pop_front() else { break };
            seen.known.remove(&oldest);
        }
        let entry = (key_id, nonce);
        if !seen.known.insert(entry.clone()) {
            return false;
        }
        seen.order.push_back((now, entry));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(nonces: &Nonces, key: &str, nonce: &str, now: i64) -> bool {
        nonces.note(key.to_owned(), nonce.to_owned(), Millis(now))
    }

    #[test]
    fn a_nonce_is_used_once_by_each_key_for_as_long_as_its_request_could_be_repeated() {
        let nonces = Nonces::default();
        assert!(note(&nonces, "a", "1", 0));
        assert!(!note(&nonces, "a", "1", 2 * WINDOW_MS));
        assert!(note(&nonces, "b", "1", 0));
        assert!(note(&nonces, "a", "1", 2 * WINDOW_MS + 1));
        assert!(!note(&nonces, "a", "1", 2 * WINDOW_MS + 2));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let nonces = Nonces::of(3);
        for n in 0..10 {
            assert!(note(&nonces, "a", &n.to_string(), n));
        }
        let seen = nonces.seen.lock().unwrap();
        assert_eq!((seen.order.len(), seen.known.len()), (3, 3));
        drop(seen);
        assert!(!note(&nonces, "a", "9", 10));
    }
}
