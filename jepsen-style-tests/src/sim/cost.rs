//! What so many tokens are, in every unit that a budget counts.

use tollgate_ratelimit::unit::{Amount, Measured, Unit};
use tollgate_ratelimit::{Row, Usage};

/// Nano-dollars a token.
pub(super) const PRICE: u64 = 50;
/// What an expression counts: of which kind tokens are matters to it.
pub(super) const EXPRESSION: &str = "input + 4 * output";

/// A third of them input, of which a half is cached; a quarter of the rest reasoning.
pub(super) fn usage(tokens: u64) -> Usage {
    let input = tokens / 3;
    let output = tokens - input;
    let (cached_input, reasoning) = (input / 2, output / 4);
    Usage { input, cached_input, cache_creation_input: 0, output, reasoning, total: tokens }
}

/// How much more a request's usage is when it may have so many tokens rather than so few.
pub(super) fn usage_between(few: u64, many: u64) -> Usage {
    let (few, many) = (usage(few), usage(many));
    Usage {
        input: many.input - few.input,
        cached_input: many.cached_input - few.cached_input,
        cache_creation_input: 0,
        output: many.output - few.output,
        reasoning: many.reasoning - few.reasoning,
        total: many.total - few.total,
    }
}

/// What one request of so many tokens is.
pub(super) fn amount(unit: &Unit, tokens: u64) -> Amount {
    let usage = usage(tokens);
    let expressions = [(EXPRESSION.to_owned(), usage.input + 4 * usage.output)];
    let measured = Measured { usage, cost_nano_usd: tokens * PRICE, expressions: &expressions };
    unit.of(&measured).expect("plans know one expression")
}

/// Its row.
pub(super) fn row(tokens: u64) -> Row {
    Row { requests: 1, usage: usage(tokens), cost_nano_usd: tokens * PRICE, prices: 1, ..Row::default() }
}
