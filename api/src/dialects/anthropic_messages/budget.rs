//! How much a request may think and write, in the terms of the model that is asked.
//!
//! Up to Claude 4.5 thinking has a budget in tokens (`enabled`), which counts towards `max_tokens`, is at least 1,024 and
//! must stay below `max_tokens`. From Claude 4.6 on the model decides (`adaptive`) and is told an effort; 4.7 and later
//! refuse budgets. The model's name is the only thing that tells which, and a wish in the words of the one is said to the
//! other in its own.

use super::models::{self, Thinking};
use crate::canonical::{Effort, Reasoning, ReasoningMode};
use crate::dialects::openai_chat::effort_of_budget;

/// Anthropic requires a bound and OpenAI does not: enough for a long answer, and every Claude model allows it.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Anthropic refuses smaller thinking budgets.
const MIN_THINKING_TOKENS: u64 = 1024;

/// `max_tokens` and the thinking that fits under it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialects) struct Budget {
    pub(in crate::dialects) max_tokens: u64,
    pub(in crate::dialects) mode: Option<ReasoningMode>,
    /// For `output_config`.
    pub(in crate::dialects) effort: Option<Effort>,
}

impl Budget {
    /// True while the model thinks, which forbids most sampling parameters.
    pub(super) fn thinks(&self) -> bool {
        match self.mode {
            Some(ReasoningMode::Budget(_) | ReasoningMode::Adaptive) => true,
            Some(ReasoningMode::Off) | None => false,
        }
    }
}

/// What was asked, beside the thinking.
#[derive(Clone, Copy)]
pub(in crate::dialects) struct Bounds<'a> {
    pub(in crate::dialects) model: &'a str,
    /// The client's bound.
    pub(in crate::dialects) max_output: Option<u64>,
    /// The gateway's bound.
    pub(in crate::dialects) cap: Option<u64>,
}

/// Fits the wish to think under the bound on output. A wish that cannot fit is left out: thinking within less than
/// Anthropic's minimum is refused there, while effort is a hint.
pub(in crate::dialects) fn fit(reasoning: &Reasoning, bounds: Bounds<'_>) -> Budget {
    let bound = match (bounds.max_output, bounds.cap) {
        (Some(own), Some(cap)) => Some(own.min(cap)),
        (own, cap) => own.or(cap),
    };
    let thinking = models::thinking(bounds.model);
    match in_words_of(thinking, reasoning) {
        (Some(ReasoningMode::Budget(tokens)), effort) => {
            // Only what does not fit is cut: the client chose the number.
            let most = bound.map_or(tokens, |bound| bound.saturating_sub(1));
            budgeted(tokens, most, bound, effort)
        }
        (None, Some(effort)) if thinking == Thinking::Budget => {
            let tokens = budget_of_effort(effort);
            // The answer needs room too: thinking takes at most half of what there is.
            let most = bound
                .map_or(tokens, |bound| (bound / 2).max(MIN_THINKING_TOKENS.min(bound.saturating_sub(1))));
            budgeted(tokens, most, bound, None)
        }
        (None, Some(effort)) => Budget {
            max_tokens: bound.unwrap_or(DEFAULT_MAX_TOKENS + budget_of_effort(effort)),
            mode: Some(ReasoningMode::Adaptive),
            effort: Some(effort),
        },
        (mode @ (Some(ReasoningMode::Off | ReasoningMode::Adaptive) | None), effort) => {
            Budget { max_tokens: bound.unwrap_or(DEFAULT_MAX_TOKENS), mode, effort }
        }
    }
}

/// A mode that the model refuses, as the effort that comes nearest.
fn in_words_of(thinking: Thinking, reasoning: &Reasoning) -> (Option<ReasoningMode>, Option<Effort>) {
    let Reasoning { mode, effort, display: _ } = *reasoning;
    match (thinking, mode) {
        (Thinking::Budget, Some(ReasoningMode::Adaptive)) => (None, effort.or(Some(Effort::High))),
        (Thinking::Adaptive | Thinking::Always, Some(ReasoningMode::Budget(tokens))) => {
            (None, effort.or(Some(effort_of_budget(tokens))))
        }
        (Thinking::Always, Some(ReasoningMode::Off)) => (None, Some(Effort::Low)),
        // More effort than that is refused from those who would have to think for it.
        (Thinking::Adaptive, Some(ReasoningMode::Off)) => {
            (mode, effort.map(|effort| if effort.is_above_high() { Effort::High } else { effort }))
        }
        (Thinking::Budget, Some(ReasoningMode::Budget(_) | ReasoningMode::Off) | None)
        | (Thinking::Any, _)
        | (Thinking::Adaptive | Thinking::Always, Some(ReasoningMode::Adaptive) | None) => (mode, effort),
    }
}

fn budgeted(wanted: u64, most: u64, bound: Option<u64>, effort: Option<Effort>) -> Budget {
    let tokens = wanted.min(most);
    Budget {
        max_tokens: bound.unwrap_or(DEFAULT_MAX_TOKENS.saturating_add(tokens)),
        mode: (tokens >= MIN_THINKING_TOKENS).then_some(ReasoningMode::Budget(tokens)),
        effort,
    }
}

/// The token budget that an effort stands for: doubling steps from Anthropic's minimum to what one answer of
/// every thinking model can hold.
pub(super) const fn budget_of_effort(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => MIN_THINKING_TOKENS,
        Effort::Low => 4096,
        Effort::Medium => 8192,
        Effort::High => 16_384,
        Effort::Xhigh | Effort::Max => 24_576,
    }
}

/// `output_config.effort` has no word below `low`.
pub(in crate::dialects) const fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => Effort::Low.word(),
        Effort::Low | Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => effort.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Budget, fit};
    use crate::canonical::{Effort, Reasoning, ReasoningMode};

    #[test]
    fn thinking_fits_under_the_bound() {
        use Effort::{High, Low, Max, Medium, Minimal};
        use ReasoningMode::{Adaptive, Budget as Tokens, Off};
        const OLD: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        const BOTH: &str = "claude-sonnet-4-6";
        const NEW: &str = "claude-opus-4-8";
        const EVER: &str = "claude-opus-5-5";
        #[rustfmt::skip]
        let cases = [
            // model  mode                effort         own           cap           max     mode                  effort         why
            (OLD,  None,                  None,          None,         None,         4096,   None,                 None),         // the default
            (OLD,  None,                  None,          Some(10),     None,         10,     None,                 None),         // the client's own
            (OLD,  None,                  None,          Some(10),     Some(20),     10,     None,                 None),         // never raised
            (OLD,  None,                  None,          Some(20),     Some(10),     10,     None,                 None),         // the cap
            (OLD,  None,                  None,          None,         Some(9000),   9000,   None,                 None),         // only the cap
            (OLD,  None,                  Some(Medium),  None,         None,         12_288, Some(Tokens(8192)),   None),         // room for both
            (OLD,  None,                  Some(High),    Some(8000),   None,         8000,   Some(Tokens(4000)),   None),         // half for the answer
            (OLD,  None,                  Some(Low),     Some(1500),   None,         1500,   Some(Tokens(1024)),   None),         // at least the minimum
            (OLD,  None,                  Some(Low),     Some(1024),   None,         1024,   None,                 None),         // below max_tokens: impossible
            (OLD,  None,                  Some(Minimal), Some(0),      None,         0,      None,                 None),
            (OLD,  Some(Tokens(3000)),    None,          Some(8000),   None,         8000,   Some(Tokens(3000)),   None),         // as the client chose
            (OLD,  Some(Tokens(3000)),    None,          Some(8000),   Some(2000),   2000,   Some(Tokens(1999)),   None),         // the cap cuts both
            (OLD,  Some(Tokens(3000)),    None,          Some(8000),   Some(500),    500,    None,                 None),         // too little to think
            (OLD,  Some(Tokens(u64::MAX)), None,         None,         None,         u64::MAX, Some(Tokens(u64::MAX)), None),     // no overflow
            (OLD,  Some(Off),             Some(High),    None,         None,         4096,   Some(Off),            Some(High)),   // the mode wins
            (NEW,  None,                  Some(Max),     None,         None,         28_672, Some(Adaptive),       Some(Max)),    // refuses budgets
            (NEW,  None,                  Some(Low),     Some(300),    None,         300,    Some(Adaptive),       Some(Low)),
            (NEW,  Some(Tokens(3000)),    None,          Some(8000),   None,         8000,   Some(Adaptive),       Some(Low)),    // in words that it takes
            (NEW,  Some(Tokens(3000)),    Some(Max),     Some(8000),   None,         8000,   Some(Adaptive),       Some(Max)),    // an effort that was said counts
            (BOTH, Some(Tokens(3000)),    None,          Some(8000),   None,         8000,   Some(Tokens(3000)),   None),         // its own words stay
            (OLD,  Some(Adaptive),        None,          None,         None,         20_480, Some(Tokens(16_384)), None),         // high is the default effort
            (OLD,  Some(Adaptive),        Some(Low),     None,         None,         8192,   Some(Tokens(4096)),   None),
            (NEW,  Some(Off),             Some(Max),     None,         None,         4096,   Some(Off),            Some(High)),   // more is refused beside it
            (EVER, Some(Off),             None,          Some(300),    None,         300,    Some(Adaptive),       Some(Low)),    // as little as it can
            (EVER, Some(Tokens(3000)),    None,          Some(8000),   None,         8000,   Some(Adaptive),       Some(Low)),
            (NEW,  Some(Adaptive),        Some(Low),     None,         None,         4096,   Some(Adaptive),       Some(Low)),
        ];
        for (model, mode, effort, max_output, cap, max_tokens, fitted, said) in cases {
            let reasoning = Reasoning { mode, effort, display: None };
            let budget = fit(&reasoning, Bounds { model, max_output, cap });
            let expected = Budget { max_tokens, mode: fitted, effort: said };
            assert_eq!(budget, expected, "{model} {reasoning:?} {max_output:?} {cap:?}");
        }
    }
}
