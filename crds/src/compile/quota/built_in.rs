//! Prices of well-known models, as far as they were found on [`AS_OF`]; standard tier, global endpoints, caches of the
//! shortest life. Prices move: whoever bills by them sets a PriceList, which always goes first.
//!
//! Sources: for Anthropic a stored copy of `platform.claude.com/docs/en/about-claude/pricing`; for OpenAI what several
//! texts of March to August 2026 cite alike from `developers.openai.com/api/docs/pricing`, which could not be read
//! itself. Models of which no figure was found so, or whose long requests cost other than is known, are left out: no
//! price is a refusal, a wrong one is a wrong bill.

use tollgate_api::endpoint::Schema;
use tollgate_ratelimit::price::{PerMillion, Prices, Rates};

use crate::snapshot::{Price, PriceFor, PriceRow};

/// When the figures were looked up.
const AS_OF: &str = "2026-11-22";

/// What a thousandth of a cent is: prices below are in it, for a million tokens.
const MILLICENT: PerMillion = 10_000;

/// Patterns of a model, and input, output, input read from a cache, input written to one.
struct Line(&'static [&'static str], u64, u64, Option<u64>, Option<u64>);

/// Names with and without a date: `-20` begins the year, so that no other model is meant by a beginning.
#[rustfmt::skip]
const ANTHROPIC: &[Line] = &[
    Line(&["claude-fable-5-1", "claude-mythos-5-1"],                 1_000_000, 5_000_000, Some( 25_000), Some(1_250_000)),
    Line(&["claude-fable-5", "claude-mythos-5"],                     1_000_000, 5_000_000, Some(100_000), Some(1_250_000)),
    Line(&["claude-opus-5", "claude-opus-5-20*", "claude-opus-4-8*", "claude-opus-4-7*", "claude-opus-4-6*", "claude-opus-4-5*"],
                                                                       500_000, 2_500_000, Some( 50_000), Some(  625_000)),
    Line(&["claude-opus-4-1*", "claude-opus-4-0", "claude-opus-4-20*"], 1_500_000, 7_500_000, Some(150_000), Some(1_875_000)),
    Line(&["claude-sonnet-4-6*", "claude-sonnet-4-5*", "claude-sonnet-4-0", "claude-sonnet-4-20*", "claude-3-7-sonnet-*"],
                                                                       300_000, 1_500_000, Some( 30_000), Some(  375_000)),
    Line(&["claude-haiku-4-5*"],                                       100_000,   500_000, Some( 10_000), Some(  125_000)),
    Line(&["claude-3-5-haiku-*"],                                       80_000,   400_000, Some(  8_000), Some(  100_000)),
    Line(&["claude-3-haiku-*"],                                         25_000,   125_000, Some(  3_000), Some(   30_000)),
];

#[rustfmt::skip]
const OPENAI: &[Line] = &[
    Line(&["gpt-5.4-mini*"],                          75_000,   450_000, Some(  7_500), None),
    Line(&["gpt-5.4-nano*"],                          20_000,   125_000, Some(  2_000), None),
    Line(&["gpt-5.3-codex", "gpt-5.2", "gpt-5.2-20*", "gpt-5.2-codex"],
                                                     175_000, 1_400_000, Some( 17_500), None),
    Line(&["gpt-5", "gpt-5-20*", "gpt-5.1", "gpt-5.1-20*", "gpt-5-codex", "gpt-5.1-codex"],
                                                     125_000, 1_000_000, Some( 12_500), None),
    Line(&["gpt-5-mini*"],                            25_000,   200_000, Some(  2_500), None),
    Line(&["gpt-5-nano*"],                             5_000,    40_000, Some(    500), None),
    Line(&["gpt-4.1", "gpt-4.1-20*"],                200_000,   800_000, Some( 50_000), None),
    Line(&["gpt-4.1-mini*"],                          40_000,   160_000, Some( 10_000), None),
    Line(&["gpt-4.1-nano*"],                          10_000,    40_000, Some(  2_500), None),
    Line(&["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"], 250_000, 1_000_000, Some(125_000), None),
    Line(&["gpt-4o-mini", "gpt-4o-mini-20*"],         15_000,    60_000, Some(  7_500), None),
    Line(&["o3", "o3-20*"],                          200_000,   800_000, Some( 50_000), None),
    Line(&["o4-mini", "o4-mini-20*"],                110_000,   440_000, Some( 27_500), None),
    Line(&["text-embedding-3-small"],                  2_000,         0, None,          None),
    Line(&["text-embedding-3-large"],                 13_000,         0, None,          None),
];

/// What the demo and the provider simulator answer with: free, so that a budget of cost can be tried with them.
const FREE: &[&str] = &["tollgate-demo"];

/// Every built-in price.
pub(super) fn rows() -> Vec<PriceRow> {
    let of = |schema, lines: &'static [Line]| lines.iter().flat_map(move |line| line_rows(schema, line));
    let openai = of(Schema::OpenAi, OPENAI).chain(of(Schema::AzureOpenAi, OPENAI));
    let free = FREE.iter().map(|model| row(model, PriceFor::Any, Prices::default()));
    of(Schema::Anthropic, ANTHROPIC).chain(openai).chain(free).collect()
}

fn line_rows(schema: Schema, line: &'static Line) -> impl Iterator<Item = PriceRow> {
    let Line(models, ..) = line;
    models.iter().map(move |model| {
        let prices = Prices { rates: rates(line), request: 0, tiers: Vec::new() };
        row(model, PriceFor::Provider(schema), prices)
    })
}

fn rates(Line(_, input, output, cached, created): &Line) -> Rates {
    Rates {
        input: input * MILLICENT,
        output: output * MILLICENT,
        cached_input: cached.map(|price| price * MILLICENT),
        cache_creation_input: created.map(|price| price * MILLICENT),
        reasoning: None,
    }
}

fn row(model: &str, of: PriceFor, prices: Prices) -> PriceRow {
    let version = format!("built-in {AS_OF}");
    PriceRow {
        model: model.to_owned(),
        of,
        from_day: None,
        until_day: None,
        built_in: true,
        price: Price { version, prices },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_price_can_be_kept_and_reads_as_published() {
        let rows = rows();
        for PriceRow { model, price, .. } in &rows {
            assert_eq!(price.prices.check(), Ok(()), "{model}");
        }
        let dollars = |model: &str| {
            let row = rows.iter().find(|row| row.model == model).unwrap();
            let Rates { input, output, cached_input, cache_creation_input, .. } = row.price.prices.rates;
            let text = |price: Option<u64>| price.map(tollgate_ratelimit::money::format_usd);
            [Some(input), Some(output), cached_input, cache_creation_input].map(text)
        };
        let usd = |text: &str| Some(format!("{text} USD"));
        #[rustfmt::skip]
        let published = [
            ("claude-opus-4-5*",       [usd("5.00"),  usd("25.00"), usd("0.50"),  usd("6.25")], "USD per MTok, cache of 5 minutes"),
            ("claude-haiku-4-5*",      [usd("1.00"),  usd("5.00"),  usd("0.10"),  usd("1.25")], "the same page"),
            ("gpt-5",                  [usd("1.25"),  usd("10.00"), usd("0.125"), None],        "USD per 1M tokens"),
            ("gpt-5-nano*",            [usd("0.05"),  usd("0.40"),  usd("0.005"), None],        "a fraction of a cent"),
            ("text-embedding-3-small", [usd("0.02"),  usd("0.00"),  None,         None],        "no output"),
        ];
        for (model, want, why) in published {
            assert_eq!(dollars(model), want, "{model}: {why}");
        }
    }
}
