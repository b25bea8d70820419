//! Who calls, what may be spent, and what it costs: the part of a snapshot that identify and admit read.
//!
//! ```text
//! key or token ─ consumers, issuers ─▶ Consumer ┐
//! rule, candidate, headers, address ────────────┴─ budgets ─▶ each budget that covers it, and the bucket's key
//! backend, model, day ─ prices ─▶ what a budget of cost holds and is charged
//! ```
//!
//! All of it is indexed: neither 10,000 consumers nor 10,000 budgets are walked for a request.

mod access;
mod budgets;
mod condition;
mod consumers;
mod describe;
mod facts;
mod patterns;
mod prices;

pub use access::{Access, ApiKeyAccess, ClaimHeader, Issuer, IssuerTable, Jwks, JwtAccess, KeySource};
pub use budgets::{BudgetTable, KeptBudget};
pub use consumers::{Consumer, ConsumerTable, Holder, KeyRefused};
pub use facts::RequestFacts;
pub use prices::{Price, PriceTable};

pub(crate) use budgets::{BudgetBuilder, Lacking};
pub(crate) use condition::{Condition, Network, PathMatch};
pub(crate) use consumers::{ConsumerBuilder, Digest, Taken};
pub(crate) use prices::{PriceFor, PriceRow};

/// See the module's purpose.
#[derive(Debug, Default)]
pub struct Quota {
    /// Who calls, by what they prove themselves with.
    pub consumers: ConsumerTable,
    /// Who issues tokens.
    pub issuers: IssuerTable,
    /// What may be spent.
    pub budgets: BudgetTable,
    /// What it costs.
    pub prices: PriceTable,
}
