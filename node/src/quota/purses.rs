//! Which budgets cover a request, and the purses that pay for it. Each worker remembers the buckets that it has met, so that
//! nothing is looked up in the cluster's store, locked or allocated for one that is known.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;
use tollgate_cluster::wallet::clock::stamp;
use tollgate_crds::{BudgetTable, KeptBudget, RequestFacts};
use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId, Key};
use tollgate_ratelimit::time::{NodeTime, Timestamp};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{Full, Purse, Terms};
use tollgate_ratelimit::window::Window;

use super::calls::Calls;
use super::shares::{Share, Shares};
use crate::config::Active;
use crate::member::Member;

/// What is left is looked up again after this long: requests are told it, and nothing rests on it. Longer where more than half
/// is left.
const LOOKED_MS: u64 = 100;
const LOOKED_PLENTY_MS: u64 = 2_000;
/// Buckets that one worker remembers; past it, it begins anew.
const MOST_REMEMBERED: usize = 100_000;

/// What is left of a bucket, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) amount: Amount,
    /// Until it is whole again, in milliseconds; none where it never is.
    pub(crate) until_ms: Option<u64>,
}

impl Left {
    /// How scarce it is.
    pub(crate) fn thousandths_of(self, limit: Amount) -> u128 {
        u128::from(self.amount.min(limit)) * 1_000 / u128::from(limit.max(1))
    }

    /// The same so much later.
    fn later(self, ms: u64) -> Self {
        Self { until_ms: self.until_ms.map(|until_ms| until_ms.saturating_sub(ms)), ..self }
    }

    /// How long it may be told without another look, and not past a window's end.
    fn holds_for_ms(self, budget: &Budget) -> u64 {
        let usual = if self.amount > budget.limit / 2 { LOOKED_PLENTY_MS } else { LOOKED_MS };
        self.until_ms.map_or(usual, |until_ms| usual.min(until_ms))
    }
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
    calls: Calls,
    nothing: Arc<Shares>,
    buffer: String,
}

/// A purse, and what was left of its bucket when somebody looked.
struct Remembered {
    purse: Arc<Purse>,
    looked: Option<(NodeTime, Left)>,
}

struct OfBudget {
    kept: Arc<KeptBudget>,
    id: BudgetId,
    purses: HashMap<Key, Remembered>,
}

/// The shares of a request in all budgets that cover it.
pub(crate) fn covering(
    member: &Member,
    config: &Active,
    facts: &RequestFacts<'_>,
) -> Result<Arc<Shares>, NoPurse> {
    let table = &config.snapshot.quota.budgets;
    KNOWN.with_borrow_mut(|known| {
        if table.all().is_empty() {
            return Ok(Arc::clone(&known.nothing));
        }
        known.covering(member, (config.revision, table), facts)
    })
}

/// What is left of a share's bucket: what this node has, and what the ledger has as of a moment ago.
pub(crate) fn left(member: &Member, share: &Share) -> Left {
    let now = member.till.now();
    let key = &share.purse.name().key;
    let free = KNOWN.with_borrow_mut(|known| {
        let of_budget = known.budgets.get_mut(&share.budget.budget.name);
        let Some(known) = of_budget.and_then(|of_budget| of_budget.purses.get_mut(key)) else {
            return free(member, share);
        };
        match known.looked {
            Some((at, left)) if now.since(at) < left.holds_for_ms(&share.budget.budget) => {
                left.later(now.since(at))
            }
            Some(_) | None => {
                let left = free(member, share);
                known.looked = Some((now, left));
                left
            }
        }
    });
    Left { amount: free.amount.saturating_add(share.purse.avail(now)), ..free }
}

/// The same without what was seen before: for answers that are final.
pub(crate) fn left_now(member: &Member, share: &Share) -> Left {
    let left = free(member, share);
    Left { amount: left.amount.saturating_add(share.purse.avail(member.till.now())), ..left }
}

/// What nobody has.
fn free(member: &Member, share: &Share) -> Left {
    member.node.replica().look(|state| {
        let (ledger, name) = (state.quota(), share.purse.name());
        let now = stamp().max(ledger.now());
        let budget = ledger.budget(&share.budget.budget.name).map(|(_, budget)| budget);
        let span = budget.and_then(|budget| budget.window.span_at(now));
        let bucket = span.and_then(|span| ledger.bucket_at(name, span.start, now));
        let (amount, whole) = match (bucket, budget) {
            (Some(bucket), _) => (Amount::try_from(bucket.free).unwrap_or(0), Some(bucket.whole)),
            (None, Some(Budget { window: Window::Rolling(rolling), .. })) => (rolling.burst, Some(now)),
            (None, _) => (budget.map_or(0, |budget| budget.limit), span.map(|span| span.end)),
        };
        let whole = whole.filter(|whole| *whole != Timestamp::NEVER);
        Left { amount, until_ms: whole.map(|whole| whole.since(now)) }
    })
}

/// Looks a budget up anew the next time: the ledger says that it is not the one that was known.
pub(crate) fn forget(budget: &KeptBudget) {
    KNOWN.with_borrow_mut(|known| {
        known.calls.clear();
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
    ) -> Result<Arc<Shares>, NoPurse> {
        if revision > self.revision || self.purses >= MOST_REMEMBERED {
            *self = Self { revision, ..Self::default() };
        }
        // What is known is of the newest revision: a request of an older one may be covered by something else.
        let is_known = !table.looks_at_requests() && revision == self.revision;
        if let Some(shares) = self.calls.find(facts).filter(|_| is_known) {
            return Ok(shares);
        }
        let Self { budgets, purses, calls, buffer, .. } = self;
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
        if let Some(why) = failed {
            return Err(why);
        }
        let shares = Arc::new(Shares::from_iter(shares));
        if is_known {
            calls.remember(facts, &shares);
        }
        Ok(shares)
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
    if let Some(known) = of_budget.purses.get(key) {
        return Ok(Share { budget: Arc::clone(&of_budget.kept), purse: Arc::clone(&known.purse) });
    }
    let key = Key(key.into());
    let terms = Terms {
        unit: kept.budget.unit.clone(),
        enforcement: kept.budget.enforcement,
        limit: kept.budget.limit,
    };
    let bucket = BucketName { budget: of_budget.id, key: key.clone() };
    let purse = member.till.purse(&bucket, &terms).map_err(|Full { most }| NoPurse::Full { most })?;
    of_budget.purses.insert(key, Remembered { purse: Arc::clone(&purse), looked: None });
    *count += 1;
    Ok(Share { budget: Arc::clone(&of_budget.kept), purse })
}
