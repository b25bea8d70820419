//! What is held of budgets for one candidate before it gets the request: what an answer of some length may cost. A shorter one
//! is asked for where a longer one is refused, for as long as there is time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tollgate_api::bound::Bound;
use tollgate_cluster::wallet::Reservation;
use tollgate_crds::{KeptBudget, RequestFacts};
use tollgate_ratelimit::budget::OnExhausted;
use tollgate_ratelimit::journal::Intent;
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{Refused, Why};
use tollgate_ratelimit::{Row, RowKey, Usage};

use super::accept::Accepted;
use super::bill::{self, Bill, NoAmount};
use super::budget_state::BudgetState;
use super::length;
use super::refusal::Refusal;
use super::route::Plan;
use super::unpaid::Unpaid;
use crate::clock;
use crate::gateway::Gateway;
use crate::quota::{self, Left, NoPurse, Share, Shares};

/// Between two looks whether others have given back what they held; drawn between half of this and all of it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// More budgets than most requests have; past it, memory is allocated.
const FEW: usize = 8;

/// What is held of budgets for one candidate.
pub(super) struct Held {
    pub(super) reservation: Reservation,
    pub(super) shares: Arc<Shares>,
    pub(super) bound: Bound,
    /// The cap on output tokens of each answer; none where no budget asks for one.
    pub(super) cap: Option<u64>,
    pub(super) key: Arc<RowKey>,
    /// What the ledger is told if nothing is ever heard of the answer.
    pub(super) unknown: Row,
    /// What is left of the budgets, as clients are told; the scarcest last.
    pub(super) left: Vec<BudgetState>,
}

/// What a longer answer takes more of each budget. None: that can't be told.
pub(super) fn more(
    bill: &Bill<'_>,
    shares: &[Share],
    bound: Bound,
    (cap, longer): (u64, u64),
) -> Option<(Vec<Amount>, Usage)> {
    let most = |length: u64| bill::at_most(bound, length.saturating_mul(bound.answers));
    let (now, then) = (most(cap), most(longer));
    let amounts = shares.iter().map(|Share { budget, .. }| {
        let (before, after) = (bill.bound(budget, &now).ok()?, bill.bound(budget, &then).ok()?);
        Some(after.saturating_sub(before))
    });
    let output = then.output.saturating_sub(now.output);
    Some((amounts.collect::<Option<_>>()?, Usage { output, total: output, ..Usage::default() }))
}

/// A refusal, and what becomes of the request.
pub(super) struct No {
    pub(super) refusal: Refusal,
    pub(super) then: OnExhausted,
}

impl From<Unpaid> for No {
    fn from(unpaid: Unpaid) -> Self {
        Refusal::from(unpaid).into()
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, then: OnExhausted::Refuse }
    }
}

pub(super) async fn hold(
    gateway: &Gateway,
    plan: &Plan,
    accepted: &Accepted,
    candidate: usize,
) -> Result<Held, No> {
    let deadline = Instant::now() + gateway.limits.admission_wait;
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut asking = loop {
        match Asking::new(gateway, plan, accepted, candidate) {
            // A budget that was just made: the cluster hears of it in a moment.
            Err(Refusal::Unpaid(Unpaid::NoQuorum { budget: Some(_), .. })) if !left().is_zero() => {
                tokio::time::sleep(LONGEST_PAUSE.min(left())).await;
            }
            asking => break asking?,
        }
    };
    let steps = asking.steps()?;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut refused = None;
        for (at, length) in steps.iter().enumerate() {
            // Those who can do with less must have time left to ask for it.
            let patience = if at + 1 == steps.len() { left() } else { left() / 2 };
            match asking.reserve(*length, patience).await? {
                Ok(held) => {
                    let mut held = asking.longer(held, &steps[..at]);
                    held.left = asking.left(&held);
                    return Ok(held);
                }
                // That nobody answered in what time was left says less than what was said before.
                Err(No { refusal: Refusal::Unpaid(Unpaid::NoQuorum { .. }), .. }) if refused.is_some() => {}
                Err(no) => refused = Some(no),
            }
        }
        let no =
            refused.unwrap_or_else(|| No::from(Refusal::NoBackend { route: plan.rule.route.to_string() }));
        if left().is_zero() || !matches!(no.refusal, Refusal::Unpaid(Unpaid::HeldByOthers(_))) {
            return Err(no);
        }
        // The ledger said a moment ago that others hold it, and is not asked again by everybody: what they give back is
        // found here.
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0).min(left())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One candidate's hold on its way.
struct Asking<'a> {
    gateway: &'a Gateway,
    plan: &'a Plan,
    accepted: &'a Accepted,
    bill: Bill<'a>,
    bound: Bound,
    shares: Arc<Shares>,
    hour: u32,
}

impl<'a> Asking<'a> {
    fn new(
        gateway: &'a Gateway,
        plan: &'a Plan,
        accepted: &'a Accepted,
        candidate: usize,
    ) -> Result<Self, Refusal> {
        let hour = clock::unix_hour(clock::unix_ms());
        let bill = Bill::new(plan, &accepted.peek.model, (candidate, hour));
        let bytes = u64::try_from(accepted.body.len()).unwrap_or(u64::MAX);
        let bound = Bound { input: bytes, answers: 1 };
        let mut asking = Self { gateway, plan, accepted, bill, bound, shares: Arc::default(), hour };
        asking.shares = asking.covering()?;
        if !asking.shares.is_empty() {
            asking.bound = tollgate_api::bound::bound(accepted.endpoint, &accepted.body);
        }
        Ok(asking)
    }

    fn covering(&self) -> Result<Arc<Shares>, Refusal> {
        let Self { gateway, plan, accepted, bill, .. } = self;
        let facts = RequestFacts {
            consumer: plan.caller.consumer.known(),
            api_key: plan.caller.api_key.as_deref(),
            model: &accepted.peek.model,
            rule: &plan.rule,
            candidate: bill.candidate,
            headers: &accepted.headers,
            method: &http::Method::POST,
            path: accepted.uri.path(),
            source: Some(accepted.source),
        };
        quota::covering(&gateway.member, &plan.config, &facts).map_err(|why| {
            Refusal::Unpaid(match why {
                NoPurse::KeyTooLong { budget } => Unpaid::KeyTooLong { budget },
                NoPurse::NotKept { budget } => {
                    Unpaid::NoQuorum { budget: Some(budget), reason: "the cluster does not keep it yet" }
                }
                NoPurse::Full { .. } => {
                    Unpaid::NoQuorum { budget: None, reason: "this node knows as many buckets as it may" }
                }
            })
        })
    }

    /// Whether a budget makes the answer's length matter.
    fn is_capped(&self) -> bool {
        self.has_output()
            && (self.shares.iter())
                .any(|share| bill::is_enforced(&share.budget) && bill::counts_output(&share.budget))
    }

    fn has_output(&self) -> bool {
        self.accepted.endpoint.has_output()
    }

    fn steps(&self) -> Result<Vec<u64>, Refusal> {
        let model = &self.accepted.peek.model;
        let (own, lately) = (self.accepted.peek.output_cap, length::lately(model));
        if !self.is_capped() {
            return Ok(vec![if self.has_output() { own.unwrap_or(lately) } else { 0 }]);
        }
        self.amounts(0)?; // What can't be told for nothing can't be told for more.
        let fair = |length: u64| {
            let amounts = self.amounts(length).unwrap_or_default();
            let mut shares = self.shares.iter().zip(amounts);
            shares.all(|(Share { budget, .. }, amount)| {
                !bill::is_enforced(budget) || amount <= budget.budget.limit / length::SHARE
            })
        };
        Ok(length::steps(own, fair, lately))
    }

    fn most(&self, length: u64) -> Usage {
        bill::at_most(self.bound, length.saturating_mul(self.bound.answers))
    }

    fn amounts(&self, length: u64) -> Result<SmallVec<[Amount; FEW]>, Refusal> {
        let (bill, most) = (self.bill, self.most(length));
        let amount = |share: &Share| {
            bill.bound(&share.budget, &most).map_err(|why| self.uncounted(&share.budget, why))
        };
        self.shares.iter().map(amount).collect()
    }

    fn uncounted(&self, budget: &KeptBudget, why: NoAmount) -> Refusal {
        let budget = budget.resource.clone();
        match why {
            NoAmount::NoPrice => {
                let model = self.bill.candidate.model_override.as_ref().unwrap_or(&self.accepted.peek.model);
                let backend = self.bill.candidate.backend.name.to_string();
                Unpaid::NoPrice { budget, model: model.clone(), backend }.into()
            }
            NoAmount::Fails(reason) => {
                tracing::warn!(%budget, %reason, "a budget's expression failed");
                Unpaid::Uncountable { budget }.into()
            }
        }
    }

    fn key(&self) -> RowKey {
        RowKey {
            consumer: self.plan.caller.consumer.name().to_owned(),
            model: self.accepted.peek.model.clone(),
            backend: self.bill.candidate.backend.name.to_string(),
            hour: self.hour,
        }
    }

    /// Holds what an answer of this length may cost. The inner error: a shorter one may be had.
    async fn reserve(&mut self, length: u64, patience: Duration) -> Result<Result<Held, No>, No> {
        let deadline = Instant::now() + patience;
        let mut looked_up = false;
        loop {
            let amounts = self.amounts(length)?;
            let (bill, most) = (self.bill, self.most(length));
            let intent = Intent {
                key: Arc::new(self.key()),
                usage: most,
                cost_nano_usd: bill.price.map_or(0, |price| price.prices.bound(most.input, most.output)),
                prices: bill.prices(),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = (self.shares.purses(), &amounts[..]);
            let reserved = self.gateway.member.till.reserve(asked, &intent, left).await;
            let refused = match reserved {
                Ok(reservation) => {
                    let shares = Arc::clone(&self.shares);
                    let cap = self.cap_of(&shares, length);
                    let (bound, unknown, left) = (self.bound, intent.as_unknown(), Vec::new());
                    return Ok(Ok(Held { reservation, shares, bound, cap, key: intent.key, unknown, left }));
                }
                Err(refused) => refused,
            };
            let is_gone = matches!(refused.why, Why::NotKept { .. });
            if is_gone && !looked_up {
                // The budget was made anew, under another number.
                quota::forget(&self.shares[refused.part].budget);
                self.shares = self.covering()?;
                looked_up = true;
            } else if self.has_alternative(refused.part) {
                self.shares = Arc::new(self.shares.without(refused.part));
            } else {
                return self.refusal(refused, amounts.get(refused.part).copied().unwrap_or_default());
            }
        }
    }

    /// What is left of the budgets that say no: of each unit the scarcest, the scarcest of all last.
    fn left(&self, held: &Held) -> Vec<BudgetState> {
        let enforced = held.shares.iter().enumerate().filter(|(_, share)| bill::is_enforced(&share.budget));
        let mut all: SmallVec<[_; FEW]> =
            enforced.map(|(at, share)| (at, share, quota::left(&self.gateway.member, share))).collect();
        all.sort_by_key(|(_, share, left)| std::cmp::Reverse(left.thousandths_of(share.budget.budget.limit)));
        let is_scarcest = |at: usize| {
            let unit = |at: usize| &all[at].1.budget.budget.unit;
            all[at + 1..].iter().zip(at + 1..).all(|(_, other)| unit(other) != unit(at))
        };
        let told = (0..all.len()).filter(|at| is_scarcest(*at)).map(|at| {
            let (part, share, left) = all[at];
            BudgetState::new(&share.budget, held.reservation.amount(part), left)
        });
        told.collect()
    }

    fn cap_of(&self, shares: &[Share], length: u64) -> Option<u64> {
        let capped =
            shares.iter().any(|share| bill::is_enforced(&share.budget) && bill::counts_output(&share.budget));
        (capped && self.has_output()).then_some(length)
    }

    /// Whether another budget of the same group can stand for the one that refused.
    fn has_alternative(&self, part: usize) -> bool {
        let group = |share: &Share| share.budget.alternatives;
        let Some(of) = self.shares.get(part).and_then(group) else { return false };
        self.shares.iter().filter(|share| group(share) == Some(of)).count() > 1
    }

    fn refusal(&self, Refused { part, why }: Refused, amount: Amount) -> Result<Result<Held, No>, No> {
        let Some(share @ Share { budget, .. }) = self.shares.get(part) else {
            return Err(
                Unpaid::NoQuorum { budget: None, reason: "this node can't note what it spends" }.into()
            );
        };
        let then = budget.budget.on_exhausted;
        let left = quota::left_now(&self.gateway.member, share);
        let state = |until_ms: Option<u64>| {
            let until_ms = until_ms.or(left.until_ms);
            Box::new(BudgetState::new(budget, amount, Left { until_ms, ..left }))
        };
        let named = || Some(budget.resource.clone());
        let unsure = |reason| No::from(Unpaid::NoQuorum { budget: named(), reason });
        match why {
            Why::Exhausted { until_ms, .. } => {
                Ok(Err(No { refusal: Unpaid::Exhausted(state(Some(until_ms))).into(), then }))
            }
            Why::Held { .. } | Why::Dry => {
                Ok(Err(No { refusal: Unpaid::HeldByOthers(state(None)).into(), then }))
            }
            Why::TooLarge { .. } => Ok(Err(No { refusal: Unpaid::OverBudget(state(None)).into(), then })),
            Why::Unreachable => Ok(Err(unsure("the cluster did not answer in time"))),
            Why::NotKept { .. } => Err(unsure("the cluster does not keep it now")),
            Why::Draining => Err(unsure("this node is leaving")),
            Why::Crowded { .. } => Err(unsure("too many requests wait for it")),
        }
    }

    /// Something was had: as much more of what was refused before as lies here unused.
    fn longer(&self, mut held: Held, refused: &[u64]) -> Held {
        let (Some(cap), Some(most)) = (held.cap, refused.last().copied()) else { return held };
        let mut length = most;
        while length > cap {
            let Some((more, usage)) = more(&self.bill, &held.shares, self.bound, (cap, length)) else {
                break;
            };
            if held.reservation.extend(&more, usage, 0).is_ok() {
                held.cap = Some(length);
                break;
            }
            length = cap + (length - cap) / 2;
        }
        held
    }
}
