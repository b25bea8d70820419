//! What a request costs. Prices are nano-dollars per million tokens, in whole numbers: $0.0375 per million is 37,500,000 of
//! them, exact, and so is anything that is published. A request's cost is summed first and rounded once.
//!
//! Each token is billed once: what was read from or written to the provider's cache is a part of the input, reasoning is a
//! part of the output, and the rest of each goes by the plain price.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::unit::{Amount, MOST_AMOUNT};
use crate::usage::Usage;

/// A dollar.
pub const NANO_USD: Amount = 1_000_000_000;
/// Nano-dollars for a million tokens.
pub type PerMillion = u64;

const MILLION: u128 = 1_000_000;
/// The dearest price: a million dollars for a million tokens. Keeps sums far from overflow.
const MOST_PRICE: PerMillion = 1_000_000 * NANO_USD;
/// The most tiers of one model.
const MOST_TIERS: usize = 16;

/// What the tokens of a request cost, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input.
    pub input: PerMillion,
    /// Output.
    pub output: PerMillion,
    /// Input that was read from the provider's cache; none: as other input.
    pub cached_input: Option<PerMillion>,
    /// Input that was written to the provider's cache; none: as other input.
    pub cache_creation_input: Option<PerMillion>,
    /// Output that was reasoning; none: as other output.
    pub reasoning: Option<PerMillion>,
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Where no tier applies.
    pub rates: Rates,
    /// For each request, beside its tokens: nano-dollars.
    pub request: Amount,
    /// Other rates for long requests, by rising length.
    pub tiers: Vec<Tier>,
}

/// Rates for all tokens of requests whose input is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// For requests of more input tokens than this.
    pub over_input_tokens: u64,
    /// In place of all other rates.
    pub rates: Rates,
}

impl Prices {
    /// What a finished request cost, in nano-dollars: halves go to the even neighbour.
    pub fn cost(&self, usage: &Usage) -> Amount {
        let millionths = self.rates_for(usage.input).millionths(usage);
        let (whole, part) = (millionths / MILLION, millionths % MILLION);
        let half = MILLION / 2;
        let up = part > half || (part == half && whole % 2 == 1);
        self.with_request(whole + u128::from(up))
    }

    /// The most that a request of up to so many tokens can cost, whatever kinds they turn out to be: to hold before it is
    /// sent. Never less than `cost` of any such usage.
    pub fn bound(&self, input_tokens: u64, output_tokens: u64) -> Amount {
        let tiers =
            self.tiers.iter().filter(|tier| tier.over_input_tokens < input_tokens).map(|tier| &tier.rates);
        let dearest = std::iter::once(&self.rates).chain(tiers).map(|rates| {
            let output = u128::from(output_tokens) * u128::from(rates.dearest_output());
            output.saturating_add(u128::from(input_tokens) * u128::from(rates.dearest_input()))
        });
        self.with_request(dearest.max().unwrap_or_default().div_ceil(MILLION))
    }

    /// Whether a price list may have them.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.request > MOST_PRICE {
            return Err(Invalid::new(
                "request",
                format!("at most {MOST_PRICE} nano-dollars, not {}", self.request),
            ));
        }
        if self.tiers.len() > MOST_TIERS {
            return Err(Invalid::new("tiers", format!("at most {MOST_TIERS}, not {}", self.tiers.len())));
        }
        if let Some(pair) =
            self.tiers.windows(2).find(|pair| pair[0].over_input_tokens >= pair[1].over_input_tokens)
        {
            let (first, second) = (pair[0].over_input_tokens, pair[1].over_input_tokens);
            return Err(Invalid::new(
                "tiers",
                format!("each longer than the one before, not {second} after {first}"),
            ));
        }
        std::iter::once(&self.rates)
            .chain(self.tiers.iter().map(|tier| &tier.rates))
            .try_for_each(Rates::check)
    }

    fn rates_for(&self, input_tokens: u64) -> &Rates {
        let tier = self.tiers.iter().rev().find(|tier| tier.over_input_tokens < input_tokens);
        tier.map_or(&self.rates, |tier| &tier.rates)
    }

    fn with_request(&self, tokens_nano_usd: u128) -> Amount {
        let cost = tokens_nano_usd.saturating_add(u128::from(self.request));
        Amount::try_from(cost).unwrap_or(MOST_AMOUNT).min(MOST_AMOUNT)
    }
}

impl Rates {
    /// Millionths of a nano-dollar. No token is in two parts, so that sums of checked prices are far from overflow.
    fn millionths(&self, usage: &Usage) -> u128 {
        // A provider that reports a part as larger than the whole is taken by its whole.
        let cached = usage.cached_input.min(usage.input);
        let created = usage.cache_creation_input.min(usage.input - cached);
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            (usage.input - cached - created, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (created, self.cache_creation_input.unwrap_or(self.input)),
            (usage.output - reasoning, self.output),
            (reasoning, self.reasoning.unwrap_or(self.output)),
        ];
        parts.iter().fold(0, |sum: u128, (tokens, price)| {
            sum.saturating_add(u128::from(*tokens) * u128::from(*price))
        })
    }

    fn dearest_input(&self) -> PerMillion {
        self.input.max(self.cached_input.unwrap_or(0)).max(self.cache_creation_input.unwrap_or(0))
    }

    fn dearest_output(&self) -> PerMillion {
        self.output.max(self.reasoning.unwrap_or(0))
    }

    fn check(&self) -> Result<(), Invalid> {
        let fields = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cachedInput", self.cached_input),
            ("cacheCreationInput", self.cache_creation_input),
            ("reasoning", self.reasoning),
        ];
        match fields.iter().find(|(_, price)| price.is_some_and(|price| price > MOST_PRICE)) {
            Some((field, price)) => {
                let price = price.unwrap_or_default();
                Err(Invalid::new(
                    field,
                    format!("at most {MOST_PRICE} nano-dollars per million, not {price}"),
                ))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "price_test.rs"]
mod tests;
