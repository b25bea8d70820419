//! What every hold of a wallet reaches when it ends, without asking the clerk: the rows of finished requests, the list of
//! purses that have something to say, and whether holds are given out at all. Nothing here is written by every request but
//! one shard of the rows.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::cell::Pace;
use super::sync::{AtomicBool, AtomicU64, Ordering, lock};
use crate::ledger::rows::{Row, RowKey, Rows};
use crate::time::NodeTime;

/// So many threads can book rows, or number holds, without meeting. A power of two.
const STRIPES: u64 = 16;
/// Rows of one shard; past it they are summed as [`Rows::OTHER`]. They pile up only while no leader answers.
const MOST_ROWS_A_SHARD: usize = 2_048;

/// A hold's number and how many of its stripe there were: a line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    holds: AtomicU64,
    booked: Mutex<Booked>,
}

/// What came of a stripe's holds.
#[derive(Debug, Default)]
struct Booked {
    rows: HashMap<Arc<RowKey>, Row, FixedState>,
    /// Holds that ended, with a row or without one.
    ended: u64,
}

/// See the file's purpose.
#[derive(Debug)]
pub(super) struct Outlet {
    stripes: Vec<Stripe>,
    /// Purses that spent something, each once until it is looked at.
    spent: Mutex<Vec<u32>>,
    /// The same of buckets that little is left of.
    spent_soon: Mutex<Vec<u32>>,
    /// Purses that run low, each once until they are looked at.
    low: Mutex<Vec<u32>>,
    hurry: AtomicBool,
    draining: AtomicBool,
    valid_until: AtomicU64,
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            spent: Mutex::default(),
            spent_soon: Mutex::default(),
            low: Mutex::default(),
            hurry: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            valid_until: AtomicU64::new(0),
        }
    }

    /// A number for a hold, never used again. `near` spreads the holds of different purses over the stripes.
    pub(super) fn begin(&self, near: u32) -> u64 {
        let stripe = u64::from(near) % STRIPES;
        let count = self.stripe(stripe).holds.fetch_add(1, Ordering::Relaxed);
        count * STRIPES + stripe
    }

    /// Adds what the hold of this number did cost.
    pub(super) fn book(&self, number: u64, key: Arc<RowKey>, row: &Row) {
        let mut booked = lock(&self.stripe(number % STRIPES).booked);
        booked.ended += 1;
        let rows = &mut booked.rows;
        if rows.len() >= MOST_ROWS_A_SHARD && !rows.contains_key(&key) {
            let other = || Rows::OTHER.to_owned();
            let key = RowKey { consumer: other(), model: other(), backend: other(), hour: key.hour };
            rows.entry(Arc::new(key)).or_default().merge(row);
        } else {
            rows.entry(key).or_default().merge(row);
        }
    }

    /// The hold of this number did cost nothing, or belongs to another now.
    pub(super) fn end(&self, number: u64) {
        lock(&self.stripe(number % STRIPES).booked).ended += 1;
    }

    /// Takes all rows out, summed into `sums`.
    pub(super) fn collect(&self, sums: &mut BTreeMap<RowKey, Row>) {
        for stripe in &self.stripes {
            let rows = {
                let rows = &mut lock(&stripe.booked).rows;
                let usual = rows.len();
                mem::replace(rows, HashMap::with_capacity_and_hasher(usual, FixedState::default()))
            };
            for (key, row) in rows {
                sums.entry(Arc::unwrap_or_clone(key)).or_default().merge(&row);
            }
        }
    }

    /// Whether rows wait to be collected, or holds are open that may become some.
    pub(super) fn expects_rows(&self) -> bool {
        self.stripes.iter().any(|stripe| {
            let booked = lock(&stripe.booked);
            !booked.rows.is_empty() || booked.ended != stripe.holds.load(Ordering::Acquire)
        })
    }

    fn stripe(&self, stripe: u64) -> &Stripe {
        let place = usize::try_from(stripe % STRIPES).expect("fewer stripes than memory");
        &self.stripes[place]
    }

    pub(super) fn note_spent(&self, purse: u32, pace: Pace) {
        let list = match pace {
            Pace::Usual => &self.spent,
            Pace::Soon => &self.spent_soon,
        };
        lock(list).push(purse);
    }

    pub(super) fn note_low(&self, purse: u32) {
        lock(&self.low).push(purse);
        self.hurry();
    }

    pub(super) fn take_spent(&self) -> Vec<u32> {
        mem::take(&mut *lock(&self.spent))
    }

    pub(super) fn take_spent_soon(&self) -> Vec<u32> {
        mem::take(&mut *lock(&self.spent_soon))
    }

    pub(super) fn take_low(&self) -> Vec<u32> {
        mem::take(&mut *lock(&self.low))
    }

    /// Polling soon is worth while.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::Release);
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.hurry.load(Ordering::Acquire)
    }

    pub(super) fn calm(&self) {
        self.hurry.store(false, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn set_valid_until(&self, until: NodeTime) {
        self.valid_until.store(until.0, Ordering::Release);
    }

    /// Until when leases may be spent without an answer from the ledger. 0 before the first answer.
    pub(super) fn valid_until(&self) -> NodeTime {
        NodeTime(self.valid_until.load(Ordering::Acquire))
    }
}
