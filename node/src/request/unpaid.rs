//! The ways in which budgets say no, and what each means to a client: wait, come later, or never.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use tollgate_api::error::ErrorKind;

use super::budget_state::BudgetState;

/// Clients of some SDKs sleep for whatever they are told: nobody is told to wait for longer than this. They are told not to
/// try again instead, and when more comes.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// What is held now comes back as requests end.
const SOON: Duration = Duration::from_secs(1);

/// A normal no.
#[derive(Debug)]
pub(crate) enum Unpaid {
    /// A budget is spent.
    Exhausted(Box<BudgetState>),
    /// Requests that run hold what is left of a budget.
    HeldByOthers(Box<BudgetState>),
    /// The request alone is more than a budget ever has.
    OverBudget(Box<BudgetState>),
    /// Nobody can say now what is left.
    NoQuorum {
        budget: Option<String>,
        reason: &'static str,
    },
    NoPrice {
        budget: String,
        model: String,
        backend: String,
    },
    /// A budget's expression fails for this request.
    Uncountable {
        budget: String,
    },
    KeyTooLong {
        budget: String,
    },
}

impl Unpaid {
    /// For logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Exhausted(_) => "budget_exhausted",
            Self::HeldByOthers(_) => "budget_held",
            Self::OverBudget(_) => "over_budget",
            Self::NoQuorum { .. } => "no_quorum",
            Self::NoPrice { .. } => "no_price",
            Self::Uncountable { .. } => "uncountable",
            Self::KeyTooLong { .. } => "key_too_long",
        }
    }

    /// After which it is worth to try again. None: never with this request.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Exhausted(state) => state.until.filter(|until| *until <= LONGEST_WAIT),
            Self::HeldByOthers(_) | Self::NoQuorum { .. } => Some(SOON),
            Self::OverBudget(_)
            | Self::NoPrice { .. }
            | Self::Uncountable { .. }
            | Self::KeyTooLong { .. } => None,
        }
    }

    /// As HTTP, and in the dialects' words.
    pub(crate) fn outcome(&self) -> (StatusCode, ErrorKind) {
        match self {
            Self::Exhausted(_) if self.pause().is_some() => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorKind::RateLimited)
            }
            Self::Exhausted(_) | Self::OverBudget(_) => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorKind::QuotaExhausted)
            }
            Self::HeldByOthers(_) => (StatusCode::TOO_MANY_REQUESTS, ErrorKind::RateLimited),
            Self::NoQuorum { .. } => (StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Overloaded),
            Self::NoPrice { .. } => (StatusCode::FORBIDDEN, ErrorKind::Permission),
            Self::Uncountable { .. } => (StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Internal),
            Self::KeyTooLong { .. } => (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest),
        }
    }

    /// The budget that said no.
    pub(crate) fn state(&self) -> Option<&BudgetState> {
        match self {
            Self::Exhausted(state) | Self::HeldByOthers(state) | Self::OverBudget(state) => Some(state),
            Self::NoQuorum { .. }
            | Self::NoPrice { .. }
            | Self::Uncountable { .. }
            | Self::KeyTooLong { .. } => None,
        }
    }
}

impl fmt::Display for Unpaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted(state) => match state.until {
                Some(until) => write!(f, "{state} is used up; more comes in {} s", seconds(until)),
                None => write!(f, "{state} is used up"),
            },
            Self::HeldByOthers(state) => {
                write!(f, "requests that run now hold what is left of {state}; try again")
            }
            Self::OverBudget(state) => {
                write!(f, "this request may take {}, which is more than {state} ever has", state.amount())
            }
            Self::NoQuorum { budget: Some(budget), reason } => {
                write!(f, "nobody can say now what is left of {budget}: {reason}; try again")
            }
            Self::NoQuorum { budget: None, reason } => {
                write!(f, "budgets can't be asked now: {reason}; try again")
            }
            Self::NoPrice { budget, model, backend } => write!(
                f,
                "{budget} counts money, and no price is known for the model `{model}` at backend {backend}"
            ),
            Self::Uncountable { budget } => {
                write!(f, "{budget} can't be charged for this request; this node's log says why")
            }
            Self::KeyTooLong { budget } => {
                write!(f, "the values by which {budget} is divided are too long in this request")
            }
        }
    }
}

/// Whole seconds, at least one, after which it is over.
pub(crate) fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}
