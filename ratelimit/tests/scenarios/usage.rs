//! What a request did cost, told as one number a part or as tokens by kind, and what that is in each part's unit.

use tollgate_ratelimit::unit::{Amount, Measured, Unit};
use tollgate_ratelimit::{Row, Usage};

use crate::node::Request;
use crate::words::Words;

/// The most that a hold of these amounts stands for.
pub(crate) fn most(amounts: &[(&Unit, Amount)]) -> (Usage, Amount) {
    let (mut usage, mut cost_nano_usd) = (Usage::default(), 0);
    for (unit, amount) in amounts {
        match unit {
            Unit::Requests | Unit::Expression(_) => {}
            Unit::InputTokens => usage.input = *amount,
            Unit::OutputTokens => usage.output = *amount,
            Unit::TotalTokens => usage.total = *amount,
            Unit::CachedInputTokens => usage.cached_input = *amount,
            Unit::ReasoningTokens => usage.reasoning = *amount,
            Unit::Cost => cost_nano_usd = *amount,
        }
    }
    usage.total = usage.total.max(usage.input + usage.output);
    (usage, cost_nano_usd)
}

/// What was said that a request did cost: of each part, and for the ledger's row.
pub(crate) fn actual(words: &mut Words, request: &Request) -> Result<(Vec<Amount>, Row), String> {
    if !words.is_empty() {
        return by_amounts(words, request);
    }
    let mut count = |name: &str| words.named_number(name).map(Option::unwrap_or_default);
    let mut usage = Usage {
        input: count("input")?,
        cached_input: count("cached")?,
        output: count("output")?,
        reasoning: count("reasoning")?,
        ..Usage::default()
    };
    usage.total = usage.input + usage.output;
    let cost_nano_usd = count("cost")?;
    let result = count("result")?;
    let sources = request.parts.iter().filter_map(|part| match &part.unit {
        Unit::Expression(source) => Some((source.clone(), result)),
        Unit::Requests
        | Unit::InputTokens
        | Unit::OutputTokens
        | Unit::TotalTokens
        | Unit::CachedInputTokens
        | Unit::ReasoningTokens
        | Unit::Cost => None,
    });
    let expressions: Vec<(String, Amount)> = sources.collect();
    let measured = Measured { usage, cost_nano_usd, expressions: &expressions };
    let amounts = request.parts.iter().map(|part| part.unit.of(&measured));
    let amounts: Option<Vec<Amount>> = amounts.collect();
    let row = Row { requests: 1, usage, cost_nano_usd, ..Row::default() };
    Ok((amounts.ok_or("an expression that nobody evaluated")?, row))
}

fn by_amounts(words: &mut Words, request: &Request) -> Result<(Vec<Amount>, Row), String> {
    let mut amounts = Vec::new();
    while !words.is_empty() {
        amounts.push(words.number("what it did cost")?);
    }
    let parts = request.parts.len();
    if amounts.len() == 1 {
        amounts.resize(parts, amounts[0]);
    }
    if amounts.len() != parts {
        return Err(format!("expected one amount, or one for each of {parts} parts"));
    }
    let units: Vec<(&Unit, Amount)> =
        request.parts.iter().map(|part| &part.unit).zip(amounts.iter().copied()).collect();
    let (usage, cost_nano_usd) = most(&units);
    Ok((amounts, Row { requests: 1, usage, cost_nano_usd, ..Row::default() }))
}
