//! admit: may this request spend what it may cost? Nothing goes upstream without the hold that this step returns.

use std::sync::Arc;

use tollgate_ratelimit::{Need, Refused, Slot, Slots};

use super::accept::Accepted;
use super::refusal::Refusal;
use super::route::Plan;

/// Reserves for the plan. The hold ends settled or released, whatever becomes of the request.
pub(crate) fn reserve(slots: &Arc<Slots>, _plan: &Plan, accepted: &Accepted) -> Result<Slot, Refusal> {
    let need = Need {
        input_tokens_bound: u64::try_from(accepted.body.len()).unwrap_or(u64::MAX),
        output_tokens_bound: accepted.peek.output_cap,
    };
    slots.reserve(need).map_err(|refused| match refused {
        Refused::Busy { limit } => Refusal::Busy { limit },
    })
}
