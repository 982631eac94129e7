//! What chance decides, from a seed: the same seed gives the same life.

/// A small generator (SplitMix64, Steele et al. 2014): good enough to choose, and the same everywhere.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What a program will do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) lines: usize,
    pub(crate) code: i32,
    /// What it exits with when it is told to stop; `None`: it does not listen, and is killed.
    pub(crate) code_when_stopped: Option<i32>,
}

impl Plan {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        Self {
            lines: chance.below(6),
            code: if chance.percent(70) { 0 } else { 3 },
            code_when_stopped: [Some(0), Some(143), None][chance.below(3)],
        }
    }
}
