//! What is left of a budget, as far as this node knows, in words and in the headers that the dialects' SDKs read.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tollgate_api::endpoint::Dialect;
use tollgate_crds::KeptBudget;
use tollgate_ratelimit::money::format_usd;
use tollgate_ratelimit::unit::{Amount, Unit};

use crate::quota::Left;

/// Farther away is never: the ledger's word for budgets that are not whole again.
const NEVER_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// See the file's purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BudgetState {
    budget: String,
    unit: Unit,
    limit: Amount,
    /// What the request may take at most.
    asked: Amount,
    left: Amount,
    /// When more comes.
    pub(crate) until: Option<Duration>,
}

impl BudgetState {
    pub(crate) fn new(budget: &KeptBudget, asked: Amount, left: Left) -> Self {
        let Left { amount: left, until_ms } = left;
        Self {
            budget: budget.resource.clone(),
            unit: budget.budget.unit.clone(),
            limit: budget.budget.limit,
            asked,
            left: left.min(budget.budget.limit),
            until: until_ms.filter(|until_ms| *until_ms < NEVER_MS).map(Duration::from_millis),
        }
    }

    /// What the request may take, in words.
    pub(crate) fn amount(&self) -> String {
        shown(self.asked, &self.unit)
    }

    /// Writes the headers: limit, what is left, and when more comes.
    pub(crate) fn write(&self, dialect: Dialect, now_ms: u64, headers: &mut HeaderMap) {
        // What is neither requests nor tokens has no headers that an SDK would read.
        let Some([limit, left, reset]) = headers_of(&self.unit, dialect) else { return };
        // Several budgets may have a header: it tells of the one that is written last, and of no other.
        headers.insert(limit, HeaderValue::from(self.limit));
        headers.insert(left, HeaderValue::from(self.left));
        let until = match dialect {
            Dialect::OpenAi => self.until.map(span),
            Dialect::Gemini | Dialect::Cohere => None,
            Dialect::Anthropic => self.until.and_then(|until| moment(now_ms, until)),
        };
        match until.map(HeaderValue::try_from) {
            Some(Ok(value)) => _ = headers.insert(reset, value),
            Some(Err(_)) | None => _ = headers.remove(reset),
        }
    }
}

/// The headers of a unit: the limit, what is left, and when more comes. What is neither requests nor tokens has none that an
/// SDK would read.
fn headers_of(unit: &Unit, dialect: Dialect) -> Option<[HeaderName; 3]> {
    let names = match (dialect, unit) {
        (_, Unit::Cost | Unit::Expression(_)) | (Dialect::Gemini | Dialect::Cohere, _) => return None,
        (Dialect::OpenAi, Unit::Requests) => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        (
            Dialect::OpenAi,
            Unit::InputTokens
            | Unit::OutputTokens
            | Unit::TotalTokens
            | Unit::CachedInputTokens
            | Unit::ReasoningTokens,
        ) => ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        (Dialect::Anthropic, Unit::Requests) => [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        (Dialect::Anthropic, Unit::InputTokens) => [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
        (Dialect::Anthropic, Unit::OutputTokens) => [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
        (Dialect::Anthropic, Unit::TotalTokens | Unit::CachedInputTokens | Unit::ReasoningTokens) => [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    };
    Some(names.map(HeaderName::from_static))
}

impl fmt::Display for BudgetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.budget, shown(self.limit, &self.unit))
    }
}

fn shown(amount: Amount, unit: &Unit) -> String {
    let name = match unit {
        Unit::Cost => return format_usd(amount),
        Unit::Requests => "requests",
        Unit::InputTokens => "input tokens",
        Unit::OutputTokens => "output tokens",
        Unit::TotalTokens => "tokens",
        Unit::CachedInputTokens => "cached input tokens",
        Unit::ReasoningTokens => "reasoning tokens",
        Unit::Expression(_) => "units",
    };
    format!("{amount} {name}")
}

/// As OpenAI writes spans: `1h2m3s`, `6m0s`, `1.5s`, `20ms`.
fn span(time: Duration) -> String {
    let (s, ms) = (time.as_secs(), time.subsec_millis());
    match s {
        0 => format!("{ms}ms"),
        1..60 if ms > 0 => format!("{s}.{}s", format!("{ms:03}").trim_end_matches('0')),
        1..60 => format!("{s}s"),
        60..3_600 => format!("{}m{}s", s / 60, s % 60),
        _ => format!("{}h{}m{}s", s / 3_600, s / 60 % 60, s % 60),
    }
}

/// As Anthropic writes moments: RFC 3339, in whole seconds.
fn moment(now_ms: u64, until: Duration) -> Option<String> {
    let at_s = Duration::from_millis(now_ms).checked_add(until)?.as_millis().div_ceil(1_000);
    Some(Timestamp::from_second(i64::try_from(at_s).ok()?).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(unit: Unit, until: Option<u64>) -> BudgetState {
        let until = until.map(Duration::from_millis);
        BudgetState { budget: "Budget default/b".to_owned(), unit, limit: 600, asked: 51, left: 33, until }
    }

    #[test]
    fn each_dialects_sdk_reads_what_is_left() {
        #[rustfmt::skip]
        let rows: [(BudgetState, Dialect, &[&str], &str); 7] = [
            (state(Unit::TotalTokens, Some(90_000)), Dialect::OpenAi, &["x-ratelimit-limit-tokens: 600", "x-ratelimit-remaining-tokens: 33", "x-ratelimit-reset-tokens: 1m30s"], "tokens"),
            (state(Unit::Requests, Some(1_500)), Dialect::OpenAi, &["x-ratelimit-limit-requests: 600", "x-ratelimit-remaining-requests: 33", "x-ratelimit-reset-requests: 1.5s"], "requests"),
            (state(Unit::InputTokens, None), Dialect::OpenAi, &["x-ratelimit-limit-tokens: 600", "x-ratelimit-remaining-tokens: 33"], "never whole again"),
            (state(Unit::InputTokens, Some(1_500)), Dialect::Anthropic, &["anthropic-ratelimit-input-tokens-limit: 600", "anthropic-ratelimit-input-tokens-remaining: 33", "anthropic-ratelimit-input-tokens-reset: 1970-01-01T00:00:03Z"], "a kind of its own, and a moment"),
            (state(Unit::OutputTokens, None), Dialect::Anthropic, &["anthropic-ratelimit-output-tokens-limit: 600", "anthropic-ratelimit-output-tokens-remaining: 33"], "the other kind"),
            (state(Unit::Cost, Some(1)), Dialect::OpenAi, &[], "money has no header"),
            (state(Unit::Cost, Some(1)), Dialect::Anthropic, &[], "in neither"),
        ];
        for (state, dialect, want, why) in rows {
            let mut headers = HeaderMap::new();
            state.write(dialect, 1_000, &mut headers);
            let mut got: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            got.sort();
            let mut want = want.to_vec();
            want.sort_unstable();
            assert_eq!(got, want, "{why}");
        }
    }

    #[test]
    fn a_header_tells_of_the_last_budget_alone() {
        let mut headers = HeaderMap::new();
        state(Unit::TotalTokens, Some(90_000)).write(Dialect::OpenAi, 0, &mut headers);
        state(Unit::TotalTokens, None).write(Dialect::OpenAi, 0, &mut headers);
        assert_eq!(headers.get("x-ratelimit-reset-tokens"), None, "it is never whole again");
    }

    #[test]
    fn spans_are_written_as_openai_writes_them() {
        #[rustfmt::skip]
        let rows = [(20, "20ms"), (1_000, "1s"), (1_050, "1.05s"), (60_000, "1m0s"), (3_600_000, "1h0m0s"), (90_061_000, "25h1m1s")];
        for (ms, want) in rows {
            assert_eq!(span(Duration::from_millis(ms)), want);
        }
    }
}
