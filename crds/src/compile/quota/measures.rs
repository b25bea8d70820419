//! What a limit counts: a unit of the core, and the expression to evaluate where it is one.

use tollgate_ratelimit::unit::Unit;

use super::budgets::expression;
use crate::snapshot::{Cost, Measure};

/// A unit, and how it is counted where it is an expression.
pub(super) type Counted = (Unit, Option<Cost>);

/// What an expression counts; the unit itself where the expression is no more than its name.
pub(super) fn of_source(source: &str) -> Result<Counted, String> {
    let known = [
        ("input_tokens", Unit::InputTokens),
        ("output_tokens", Unit::OutputTokens),
        ("total_tokens", Unit::TotalTokens),
        ("cached_input_tokens", Unit::CachedInputTokens),
        ("reasoning_tokens", Unit::ReasoningTokens),
        ("1u", Unit::Requests),
    ];
    match known.into_iter().find(|(name, _)| *name == source.trim()) {
        Some((_, unit)) => Ok((unit, None)),
        None => expression(source).map(|(unit, cost)| (unit, Some(cost))),
    }
}

/// The expression of a cost of a route.
pub(super) fn source(cost: &Cost) -> &str {
    match &cost.measure {
        Measure::Input => "input_tokens",
        Measure::Output => "output_tokens",
        Measure::Total => "total_tokens",
        Measure::CachedInput => "cached_input_tokens",
        Measure::CacheCreationInput => "cache_creation_input_tokens",
        Measure::Reasoning => "reasoning_tokens",
        Measure::Cel(expression) => &expression.text,
    }
}
