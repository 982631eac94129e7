//! Chance that can be repeated: everything a chaos test leaves to it comes from one printed seed.

use std::time::{Duration, SystemTime};

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// From `RUNYARD_SEED`, or from the time; says which seed it is.
    #[expect(clippy::print_stderr, reason = "whoever reads of a failure needs the seed")]
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("RUNYARD_SEED") {
            Ok(seed) => seed.parse().expect("RUNYARD_SEED is a number"),
            Err(_) => u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()),
        };
        eprintln!("RUNYARD_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Milliseconds from `from` to below `to`.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// In another order.
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// Dice of their own for a task, so that the order of tasks changes nothing.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
