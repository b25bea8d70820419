//! admit: may this request spend what it may cost? Nothing goes upstream without the hold that this step returns.
//!
//! ```text
//! candidate ─▶ budgets that cover it ─▶ amounts for a length of answer ─▶ hold ─┬▶ forward
//!     ▲                                       ▲ shorter, while time is left     │ refused
//!     └────────── next priority, where the budget says so ───────────────────────┘
//! ```

use http::HeaderMap;
use smallvec::SmallVec;
use tollgate_api::endpoint::Dialect;
use tollgate_ratelimit::budget::OnExhausted;
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::{Certainty, Need, Slot, Usage};

use super::accept::Accepted;
use super::bill::{self, Bill};
use super::hold::{Held, No, hold, more};
use super::refusal::Refusal;
use super::route::Plan;
use super::{forward, length};
use crate::clock;
use crate::gateway::Gateway;

/// An upstream that does not keep to its cap is paid this many tokens ahead of what has passed.
const AHEAD: u64 = 64;

/// What an admitted request holds. It ends settled or released, whatever becomes of the request.
pub(crate) struct Admission {
    _slot: Slot,
    held: Option<Held>,
    /// What it was admitted for.
    pub(crate) candidate: usize,
    /// Candidates that budgets did not pay for.
    pub(crate) passed_over: Vec<bool>,
    /// An upstream has the request, and nothing is known of its answer.
    is_sent: bool,
}

/// Reserves for the first candidate that its budgets pay for.
pub(crate) async fn reserve(
    gateway: &Gateway,
    plan: &Plan,
    accepted: &Accepted,
) -> Result<Admission, Refusal> {
    let slot = gateway.slots.reserve(Need::default());
    let slot = slot.map_err(|tollgate_ratelimit::Refused::Busy { limit }| Refusal::Busy { limit })?;
    let mut passed_over = vec![false; plan.rule.candidates.len()];
    let mut last = None;
    while let Some(candidate) = forward::choose(gateway, plan, &passed_over) {
        match hold(gateway, plan, accepted, candidate).await {
            Ok(held) => {
                return Ok(Admission {
                    _slot: slot,
                    held: Some(held),
                    candidate,
                    passed_over,
                    is_sent: false,
                });
            }
            Err(No { refusal, then: OnExhausted::NextPriority }) => {
                let priority = plan.rule.candidates[candidate].priority;
                for (one, passed_over) in plan.rule.candidates.iter().zip(&mut passed_over) {
                    *passed_over |= one.priority <= priority;
                }
                last.get_or_insert(refusal);
            }
            Err(No { refusal, then: OnExhausted::Refuse }) => return Err(refusal),
        }
    }
    Err(last.unwrap_or_else(|| Refusal::NoBackend { route: plan.rule.route.to_string() }))
}

impl Admission {
    /// The cap on output tokens that the upstream must be told.
    pub(crate) fn output_cap(&self) -> Option<u64> {
        self.held.as_ref()?.cap
    }

    /// Another candidate is tried: its budgets and prices may be others.
    pub(crate) async fn move_to(
        &mut self,
        gateway: &Gateway,
        plan: &Plan,
        accepted: &Accepted,
        candidate: usize,
    ) -> Result<(), Refusal> {
        let same = candidate == self.candidate || plan.config.snapshot.quota.budgets.all().is_empty();
        self.candidate = candidate;
        if same && self.held.is_some() {
            return Ok(());
        }
        self.held = None; // First given back: it may be what the other one needs.
        self.held = Some(hold(gateway, plan, accepted, candidate).await.map_err(|no| no.refusal)?);
        Ok(())
    }

    /// An attempt begins.
    pub(crate) fn sent(&mut self) {
        self.is_sent = true;
    }

    /// It ended without an answer.
    pub(crate) fn failed(&mut self) {
        self.is_sent = false;
    }

    /// Whether `passed` output tokens are paid for. More than the cap: as much more as can be had at once.
    pub(crate) fn pays_for(&mut self, plan: &Plan, original_model: &str, passed: u64) -> bool {
        let Some(Held { reservation, shares, bound, cap: Some(cap), key, .. }) = &mut self.held else {
            return true;
        };
        if passed <= cap.saturating_mul(bound.answers) {
            return true;
        }
        let longer = passed.div_ceil(bound.answers).saturating_add(AHEAD);
        let bill = Bill::new(plan, original_model, (self.candidate, key.hour));
        let Some((more, usage)) = more(&bill, shares, *bound, (*cap, longer)) else { return false };
        let extended = reservation.extend(&more, usage, 0).is_ok();
        if extended {
            *cap = longer;
        }
        extended
    }

    /// Tells the client what is left of its budgets: of each kind the one that is the nearest to its end.
    pub(crate) fn tell(&self, dialect: Dialect, headers: &mut HeaderMap) {
        let Some(Held { left, .. }) = &self.held else { return };
        let now_ms = clock::unix_ms();
        for state in left {
            state.write(dialect, now_ms, headers);
        }
    }

    /// The request has ended and did cost this.
    pub(crate) fn settle(&mut self, plan: &Plan, original_model: &str, usage: Usage, certainty: Certainty) {
        let Some(Held { reservation, shares, bound, cap, key, .. }) = self.held.take() else { return };
        let bill = Bill::new(plan, original_model, (self.candidate, key.hour));
        let actual: SmallVec<[Amount; 8]> = (shares.iter().enumerate())
            .map(|(at, share)| bill.actual(&share.budget, &usage).unwrap_or_else(|| reservation.amount(at)))
            .collect();
        reservation.settle(&actual, key, bill.row(usage, certainty));
        length::learn(original_model, usage.output / bound.answers, cap);
    }
}

impl Drop for Admission {
    /// A client that left before an answer began does not undo what the provider does for it: budgets are charged what was
    /// held, as after a crash.
    fn drop(&mut self) {
        if let Some(Held { reservation, shares, key, unknown, .. }) = self.held.take()
            && self.is_sent
            && shares.iter().any(|share| bill::is_enforced(&share.budget))
        {
            reservation.settle(&[], key, unknown);
        }
    }
}
