//! Datasets: their states, the names of their sets, and how elements are split among them: a pure function of ids, shares
//! and a seed, so that the same split can be made again anywhere.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{FieldErrors, id::ElementId};

#[cfg(test)]
mod tests;

/// Most sets of a dataset.
pub const SETS_MAX: usize = 50;
/// Characters of the longest name of a set.
pub const SET_NAME_MAX: usize = 100;
/// The sets of a dataset when nothing was said.
pub const DEFAULT_SETS: [&str; 3] = ["train", "dev", "test"];

/// Where a dataset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Elements may come and go.
    Open,
    /// Its archive is being made.
    Building,
    /// Its archive can be read; nothing changes any more.
    Complete,
    /// No archive could be made; why is said beside it.
    Error,
}

/// A text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a dataset; the states are open, building, complete, error")]
pub struct UnknownState(String);

impl State {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Open, Self::Building, Self::Complete, Self::Error];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Building => "building",
            Self::Complete => "complete",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.word() == text);
        found.ok_or_else(|| UnknownState(text.chars().take(80).collect()))
    }
}

/// Names of sets, at `path`: at least one, none twice; `:` is kept for `dataset:set`.
pub fn check_sets<'a>(path: &str, sets: impl ExactSizeIterator<Item = &'a str>, errors: &mut FieldErrors) {
    if sets.len() == 0 {
        errors.add(path, "is empty: a dataset has at least one set");
    }
    if sets.len() > SETS_MAX {
        errors.add(path, format!("has {} sets: at most {SETS_MAX} are allowed", sets.len()));
        return;
    }
    let mut seen = Vec::new();
    for (index, set) in sets.enumerate() {
        let path = format!("{path}.{index}");
        let length = set.chars().count();
        if length == 0 || length > SET_NAME_MAX {
            errors.add(path.as_str(), format!("must have 1 to {SET_NAME_MAX} characters, and has {length}"));
        }
        if set.trim() != set || set.chars().any(|c| c.is_control() || c == ':') {
            errors.add(
                path.as_str(),
                "must not contain `:` or control characters, nor begin or end with a space",
            );
        }
        if seen.contains(&set) {
            errors.add(path.as_str(), format!("names the set `{set}` a second time"));
        }
        seen.push(set);
    }
}

/// A set's part of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The set.
    pub set: String,
    /// Its part, more than 0; all of them make 1.
    pub share: f64,
}

/// Whether the shares can be split by, at `path`.
pub fn check_shares(path: &str, shares: &[Share], errors: &mut FieldErrors) {
    check_sets(path, shares.iter().map(|share| share.set.as_str()), errors);
    for share in shares {
        if !(share.share > 0.0 && share.share <= 1.0) {
            errors.add(
                format!("{path}.{}", share.set),
                format!("{} is not above 0 and at most 1", share.share),
            );
        }
    }
    let sum: f64 = shares.iter().map(|share| share.share).sum();
    if !shares.is_empty() && (sum - 1.0).abs() > 1e-6 {
        errors.add(path, format!("the shares make {sum}, not 1: such as train=0.8, dev=0.1, test=0.1"));
    }
}

/// Which set each element goes to, by the index of its share: within each stratum in proportion to the shares, as near as
/// whole elements allow, and as near as they allow over all strata together too. The order of `elements` does not matter,
/// and each id counts once. `shares` were checked.
pub fn split(
    elements: impl IntoIterator<Item = (ElementId, Option<u32>)>,
    shares: &[Share],
    seed: i64,
) -> BTreeMap<ElementId, usize> {
    let mut strata: BTreeMap<Option<u32>, Vec<(u64, ElementId)>> = BTreeMap::new();
    for (id, stratum) in elements {
        strata.entry(stratum).or_default().push((shuffle(id, seed), id));
    }
    let mut chosen = BTreeMap::new();
    // What the strata before this one owe to each set.
    let mut owed = vec![0.0; shares.len()];
    for members in strata.values_mut() {
        members.sort_unstable();
        members.dedup();
        let mut next = members.iter();
        for (index, count) in quotas(members.len(), shares, &mut owed).into_iter().enumerate() {
            chosen.extend(next.by_ref().take(count).map(|(_, id)| (*id, index)));
        }
    }
    chosen
}

/// How many of `n` go to each set: the whole part of its share, and one more where most is owed.
fn quotas(n: usize, shares: &[Share], owed: &mut [f64]) -> Vec<usize> {
    let exact: Vec<f64> = shares.iter().map(|share| share.share * n as f64).collect();
    // Shares of floats: 0.8 + 0.1 + 0.1 may be a hair above 1.
    let mut counts: Vec<usize> = exact.iter().map(|part| (part + 1e-9).floor() as usize).collect();
    for (debt, (part, count)) in owed.iter_mut().zip(exact.iter().zip(&counts)) {
        *debt += part - *count as f64;
    }
    let mut left = n.saturating_sub(counts.iter().sum());
    while left > 0 {
        let most = (0..owed.len()).max_by(|&a, &b| owed[a].total_cmp(&owed[b]).then(b.cmp(&a))).unwrap_or(0);
        counts[most] += 1;
        owed[most] -= 1.0;
        left -= 1;
    }
    counts
}

/// Where an element stands in the order that the seed gives: SplitMix64 over seed and id. Never change it: splits are
/// made again from their seeds.
fn shuffle(id: ElementId, seed: i64) -> u64 {
    let (high, low) = id.0.as_u64_pair();
    [high, low].into_iter().fold(mix(seed.cast_unsigned()), |state, part| mix(state ^ part))
}

fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
