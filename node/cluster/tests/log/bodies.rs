//! Entries whose body follows from their index, so that whoever reads one knows what it must hold.

use tollgate_cluster::engine::sled::{Owner, SledEngine};
use tollgate_cluster::engine::{LogEngine, Record};

/// Whose logs these are.
pub(crate) const OWNER: Owner = Owner { cluster: 42, node: 7 };
/// Longer than the parts that sled gets, now and then.
const LONG_EVERY: u64 = 37;
const LONG_BYTES: u64 = 13_000;
const SHORT_BYTES: u64 = 700;

/// The entry at an index.
pub(crate) fn record(index: u64) -> Record {
    let mut random = Random(index);
    let most = if index.is_multiple_of(LONG_EVERY) { LONG_BYTES } else { SHORT_BYTES };
    let length = random.below(most);
    Record { index, body: (0..length).map(|_| random.byte()).collect() }
}

/// Entries from one index to another, both with it.
pub(crate) fn records(first: u64, last: u64) -> Vec<Record> {
    (first..=last).map(record).collect()
}

/// Reads all of a log, and panics where an entry is not what it must be. Returns the first and the last index.
pub(crate) fn verify(engine: &SledEngine) -> Option<(u64, u64)> {
    let (first, last) = engine.range().unwrap()?;
    for begin in (first..=last).step_by(1000) {
        let end = last.min(begin + 999);
        assert_eq!(engine.entries(begin, end + 1).unwrap(), records(begin, end), "entries {begin} to {end}");
    }
    Some((first, last))
}

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }
}
