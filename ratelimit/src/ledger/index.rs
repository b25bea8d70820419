//! Finds a bucket by budget, key and window. Derived from the buckets and never walked through, so its order, which the
//! seed decides, is of no consequence; the seed keeps chosen keys from piling up in one place.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::bucket::Bucket;
use super::slab::Slab;
use crate::budget::{BudgetId, Key};
use crate::time::Timestamp;

/// What a bucket is found by.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) budget: BudgetId,
    pub(crate) key: &'a Key,
    pub(crate) start: Timestamp,
}

/// The index.
#[derive(Clone, Default)]
pub(crate) struct Index {
    table: HashTable<u32>,
    seed: u64,
}

impl Index {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: HashTable::new(), seed }
    }

    pub(crate) fn find(&self, sought: Sought<'_>, buckets: &Slab<Bucket>) -> Option<u32> {
        self.table.find(self.hash(sought), |slot| is(&buckets[*slot], sought)).copied()
    }

    pub(crate) fn insert(&mut self, slot: u32, buckets: &Slab<Bucket>) {
        let hash = self.hash(name(&buckets[slot]));
        let seed = self.seed;
        self.table.insert_unique(hash, slot, |slot| hash_with(seed, name(&buckets[*slot])));
    }

    /// To be called while the bucket is still there.
    pub(crate) fn remove(&mut self, slot: u32, buckets: &Slab<Bucket>) {
        if let Ok(entry) = self.table.find_entry(self.hash(name(&buckets[slot])), |other| *other == slot) {
            entry.remove();
        }
    }

    fn hash(&self, sought: Sought<'_>) -> u64 {
        hash_with(self.seed, sought)
    }
}

fn hash_with(seed: u64, sought: Sought<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    sought.budget.hash(&mut hasher);
    sought.key.hash(&mut hasher);
    sought.start.hash(&mut hasher);
    hasher.finish()
}

fn name(bucket: &Bucket) -> Sought<'_> {
    Sought { budget: bucket.budget, key: &bucket.key, start: bucket.window.start }
}

fn is(bucket: &Bucket, sought: Sought<'_>) -> bool {
    bucket.budget == sought.budget && bucket.window.start == sought.start && bucket.key == *sought.key
}
