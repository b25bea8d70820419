//! Consumers, budgets and prices. Everything that limits becomes a budget of the core, whatever kind it was written as.
//!
//! ```text
//! Consumer ─────────────▶ consumers ──▶ ConsumerTable
//! SecurityPolicy ───────▶ (security) ─▶ IssuerTable
//! PriceList, built in ──▶ prices ─────▶ PriceTable ┐
//! Budget ───────────────▶ budgets ─────────────────┤
//! BackendTrafficPolicy ─▶ traffic ─────────────────┼─▶ BudgetTable
//! QuotaPolicy ──────────▶ quotas ──────────────────┘
//! ```

mod amount;
mod budgets;
mod built_in;
mod consumers;
mod covers;
mod measures;
mod prices;
mod quotas;
mod reach;
mod selectors;
mod targets;
mod traffic;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::Index;
use crate::problem::Problem;
use crate::snapshot::{Backend, BudgetBuilder, Issuer, IssuerTable, Quota, ResourceName, Rule};

pub(super) use reach::{exact_models, matches_any_model};

/// What budgets are compiled against: all rules and the backends that they call.
#[derive(Clone, Copy)]
pub(super) struct Routed<'r> {
    pub(super) rules: &'r [Arc<Rule>],
    pub(super) backends: &'r [Arc<Backend>],
    /// The Gateways of each route, in the order of its references.
    pub(super) gateways: &'r BTreeMap<ResourceName, Vec<ResourceName>>,
}

/// Compiles everything about who may spend what.
pub(super) fn compile(
    index: &Index<'_>,
    routed: Routed<'_>,
    issuers: Vec<Arc<Issuer>>,
    problems: &mut Vec<Problem>,
) -> Quota {
    let issuers = IssuerTable::new(issuers);
    let consumers = consumers::compile(index, &issuers, problems);
    let prices = prices::compile(index, problems);
    let mut budgets = BudgetBuilder::default();
    let context = budgets::Context { index, routed, consumers: &consumers, prices: &prices };
    budgets::compile(&context, &mut budgets, problems);
    traffic::compile(&context, &mut budgets, problems);
    quotas::compile(&context, &mut budgets, problems);
    let budgets = budgets.build(
        routed.rules.iter().map(|rule| &rule.route),
        routed.backends.iter().map(|backend| &backend.name),
    );
    Quota { consumers, issuers, budgets, prices }
}
