//! What really happened: what clients spent, and what they told the ledger. The store is held against it.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ratelimit::budget::BudgetId;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::{Ledger, Row};

use crate::properties::Violated;

/// What clients did.
#[derive(Default)]
pub(super) struct Books {
    /// Budgets of this run and their limits.
    pub(super) limits: BTreeMap<BudgetId, Amount>,
    /// By budget and window.
    spent: BTreeMap<(BudgetId, Timestamp), Amount>,
    /// By client: what all its batches said together.
    told: BTreeMap<String, Row>,
    /// By resource: the numbers that editors were told they made of it.
    pub(super) edits: BTreeMap<&'static str, BTreeSet<u64>>,
}

impl Books {
    /// A client spends.
    pub(super) fn spend(&mut self, bucket: (BudgetId, Timestamp), amount: Amount) -> Result<(), Violated> {
        let spent = self.spent.entry(bucket).or_default();
        *spent += amount;
        let limit = self.limits.get(&bucket.0).copied().unwrap_or_default();
        if *spent <= limit {
            return Ok(());
        }
        Err(Violated::new("no budget is exceeded", format!("{spent} of {limit} were spent of {bucket:?}")))
    }

    /// A client puts a row into a batch: once, however often the batch is sent.
    pub(super) fn tell(&mut self, client: &str, row: &Row) {
        let sum = self.told.entry(client.to_owned()).or_default();
        sum.requests += row.requests;
        sum.usage = sum.usage.plus(row.usage);
    }

    /// An editor was told that it made a resource that number.
    pub(super) fn edit(&mut self, name: &'static str, number: u64) -> Result<(), Violated> {
        if self.edits.entry(name).or_default().insert(number) {
            return Ok(());
        }
        Err(Violated::new("nobody's edit is undone unseen", format!("{name} was made {number} twice")))
    }

    /// Once every batch was answered: the ledger's books and these are the same.
    pub(super) fn compare(&self, ledger: &Ledger) -> Result<(), Violated> {
        ledger.check().map_err(|why| Violated::new("the ledger's sums", why.0))?;
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (key, row) in ledger.rows().rows() {
            rows.entry(key.consumer).or_default().merge(row);
        }
        for (client, told) in &self.told {
            let booked = rows.get(client).copied().unwrap_or_default();
            if (booked.requests, booked.usage) != (told.requests, told.usage) {
                let what = format!("{client} told {told:?}, the ledger has {booked:?}");
                return Err(Violated::new("each batch counts once", what));
            }
        }
        for budget in self.limits.keys() {
            let ours = self.spent.range((*budget, Timestamp(0))..=(*budget, Timestamp::NEVER));
            let ours: Amount = ours.map(|(_, amount)| amount).sum();
            let theirs = ledger.spent_ever(*budget);
            if ours != theirs {
                let what = format!("{ours} were spent of {budget:?}, the ledger has {theirs}");
                return Err(Violated::new("what is spent is in the ledger", what));
            }
        }
        Ok(())
    }
}
