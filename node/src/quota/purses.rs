//! Which budgets cover a request, and the purses that pay for it. Each worker remembers the buckets that it has met, so that
//! nothing is looked up in the cluster's store, locked or allocated for one that is known.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;
use tollgate_crds::{BudgetTable, KeptBudget, RequestFacts};
use tollgate_ratelimit::budget::{BucketName, BudgetId, Key};
use tollgate_ratelimit::wallet::{Full, Purse, Terms};

use crate::config::Active;
use crate::member::Member;

/// Buckets that one worker remembers; past it, it begins anew.
const MOST_REMEMBERED: usize = 100_000;

/// A budget that covers a request, and the purse of the request's bucket.
#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) budget: Arc<KeptBudget>,
    pub(crate) purse: Arc<Purse>,
}

/// Why a budget that covers a request can't be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoPurse {
    /// The values that it is divided by are too long for a bucket.
    KeyTooLong { budget: String },
    /// The cluster does not keep it, or not yet.
    NotKept { budget: String },
    /// This node knows as many buckets as it may.
    Full { most: usize },
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

#[derive(Default)]
struct Known {
    revision: u64,
    budgets: HashMap<String, OfBudget>,
    purses: usize,
    buffer: String,
}

struct OfBudget {
    kept: Arc<KeptBudget>,
    id: BudgetId,
    purses: HashMap<Key, Arc<Purse>>,
}

/// The shares of a request in all budgets that cover it.
pub(crate) fn covering(
    member: &Member,
    config: &Active,
    facts: &RequestFacts<'_>,
) -> Result<Vec<Share>, NoPurse> {
    let table = &config.snapshot.quota.budgets;
    if table.all().is_empty() {
        return Ok(Vec::new());
    }
    KNOWN.with_borrow_mut(|known| known.covering(member, (config.revision, table), facts))
}

/// Looks a budget up anew the next time: the ledger says that it is not the one that was known.
pub(crate) fn forget(budget: &KeptBudget) {
    KNOWN.with_borrow_mut(|known| {
        if let Some(gone) = known.budgets.remove(&budget.budget.name) {
            known.purses -= gone.purses.len();
        }
    });
}

impl Known {
    fn covering(
        &mut self,
        member: &Member,
        (revision, table): (u64, &BudgetTable),
        facts: &RequestFacts<'_>,
    ) -> Result<Vec<Share>, NoPurse> {
        if revision > self.revision || self.purses >= MOST_REMEMBERED {
            *self = Self { revision, ..Self::default() };
        }
        let Self { budgets, purses, buffer, .. } = self;
        let mut shares = Vec::new();
        let mut failed = None;
        table.for_request(facts, buffer, |kept, key| {
            if failed.is_some() {
                return;
            }
            let share = match key {
                Ok(key) => share(member, (budgets, purses), kept, key),
                Err(_too_long) => Err(NoPurse::KeyTooLong { budget: kept.resource.clone() }),
            };
            match share {
                Ok(share) => shares.push(share),
                Err(why) => failed = Some(why),
            }
        });
        failed.map_or(Ok(shares), Err)
    }
}

fn share(
    member: &Member,
    (budgets, count): (&mut HashMap<String, OfBudget>, &mut usize),
    kept: &KeptBudget,
    key: &str,
) -> Result<Share, NoPurse> {
    let name = kept.budget.name.as_str();
    if !budgets.contains_key(name) {
        let id = member.node.replica().look(|state| state.quota().budget(name).map(|(id, _)| id));
        let id = id.ok_or_else(|| NoPurse::NotKept { budget: kept.resource.clone() })?;
        let of_budget = OfBudget { kept: Arc::new(kept.clone()), id, purses: HashMap::new() };
        budgets.insert(name.to_owned(), of_budget);
    }
    let of_budget = budgets.get_mut(name).expect("it is there, or was just put there");
    if let Some(purse) = of_budget.purses.get(key) {
        return Ok(Share { budget: Arc::clone(&of_budget.kept), purse: Arc::clone(purse) });
    }
    let key = Key(key.into());
    let terms = Terms {
        unit: kept.budget.unit.clone(),
        enforcement: kept.budget.enforcement,
        limit: kept.budget.limit,
    };
    let bucket = BucketName { budget: of_budget.id, key: key.clone() };
    let purse = member.till.purse(&bucket, &terms).map_err(|Full { most }| NoPurse::Full { most })?;
    of_budget.purses.insert(key, Arc::clone(&purse));
    *count += 1;
    Ok(Share { budget: Arc::clone(&of_budget.kept), purse })
}
