//! Figures worked out by hand from published prices.

use super::*;
use crate::dice::Dice;

/// Nano-dollars per million from dollars and hundredths of cents, so that figures read like price pages.
const fn dollars(whole: u64, ten_thousandths: u64) -> PerMillion {
    whole * NANO_USD + ten_thousandths * (NANO_USD / 10_000)
}

fn plain(input: PerMillion, output: PerMillion) -> Prices {
    Prices { rates: Rates { input, output, ..Rates::default() }, ..Prices::default() }
}

/// $2.50, $10.00, cached $1.25.
fn gpt_4o() -> Prices {
    let mut prices = plain(dollars(2, 5_000), dollars(10, 0));
    prices.rates.cached_input = Some(dollars(1, 2_500));
    prices
}

/// $3, $15, cache read $0.30, cache write $3.75; over 200,000 input tokens $6, $22.50, $0.60, $7.50.
fn sonnet() -> Prices {
    let rates = Rates {
        input: dollars(3, 0),
        output: dollars(15, 0),
        cached_input: Some(dollars(0, 3_000)),
        cache_creation_input: Some(dollars(3, 7_500)),
        reasoning: None,
    };
    let long = Rates {
        input: dollars(6, 0),
        output: dollars(22, 5_000),
        cached_input: Some(dollars(0, 6_000)),
        cache_creation_input: Some(dollars(7, 5_000)),
        reasoning: None,
    };
    Prices { rates, request: 0, tiers: vec![Tier { over_input_tokens: 200_000, rates: long }] }
}

fn usage(input: u64, cached_input: u64, cache_creation_input: u64, output: u64, reasoning: u64) -> Usage {
    Usage { input, cached_input, cache_creation_input, output, reasoning, total: input + output }
}

#[test]
#[rustfmt::skip]
fn a_request_costs_what_its_price_page_says() {
    let flash = plain(dollars(0, 375), dollars(0, 1_500));
    let small = plain(dollars(0, 500), dollars(0, 0));
    let thinking = Prices { rates: Rates { reasoning: Some(dollars(60, 0)), ..plain(0, dollars(15, 0)).rates }, ..Prices::default() };
    let search = Prices { request: 5_000_000, ..plain(dollars(1, 0), dollars(1, 0)) };
    let rows = [
        // prices, usage,                                cost,            why
        (&small,    usage(1, 0, 0, 0, 0),                 50,              "$0.05 per million: 50 nano-dollars a token"),
        (&small,    usage(1_000_000, 0, 0, 0, 0),         50_000_000,      "and five cents for a million"),
        (&flash,    usage(2, 0, 0, 0, 0),                 75,              "$0.0375 per million is 37.5 a token"),
        (&flash,    usage(1, 0, 0, 0, 0),                 38,              "37.5 goes to the even neighbour, above"),
        (&flash,    usage(3, 0, 0, 0, 0),                 112,             "112.5 goes to the even neighbour, below"),
        (&flash,    usage(1, 0, 0, 1, 0),                 188,             "37.5 + 150 = 187.5, rounded once, not kind by kind"),
        (&gpt_4o(), usage(1_000, 0, 0, 500, 0),           7_500_000,       "1,000 x 2,500 + 500 x 10,000"),
        (&gpt_4o(), usage(1_000, 600, 0, 500, 0),         6_750_000,       "400 x 2,500 + 600 x 1,250 + 500 x 10,000"),
        (&gpt_4o(), usage(1_000, 0, 400, 0, 0),           2_500_000,       "no price for cache writes: as other input"),
        (&gpt_4o(), usage(0, 0, 0, 500, 300),             5_000_000,       "reasoning is a part of the output, not more of it"),
        (&thinking, usage(0, 0, 0, 500, 300),             21_000_000,      "200 x 15,000 + 300 x 60,000"),
        (&sonnet(), usage(10_000, 8_000, 1_000, 100, 0),  10_650_000,      "1,000 x 3,000 + 8,000 x 300 + 1,000 x 3,750 + 100 x 15,000"),
        (&sonnet(), usage(200_000, 0, 0, 0, 0),           600_000_000,     "not over the tier's length"),
        (&sonnet(), usage(200_001, 0, 0, 1_000, 0),       1_222_506_000,   "200,001 x 6,000 + 1,000 x 22,500: all tokens go by the tier"),
        (&sonnet(), usage(200_001, 200_001, 0, 0, 0),     120_000_600,     "cached input counts for the length"),
        (&search,   usage(1_000, 0, 0, 0, 0),             6_000_000,       "half a cent for the request itself"),
        (&search,   usage(0, 0, 0, 0, 0),                 5_000_000,       "even with no token"),
        (&gpt_4o(), usage(100, 500, 0, 0, 0),             125_000,         "a part that is larger than the whole: 100 x 1,250"),
        (&sonnet(), usage(100, 60, 60, 0, 0),             168_000,         "parts that are larger together: 60 x 300 + 40 x 3,750"),
    ];
    for (prices, usage, cost, why) in rows {
        assert_eq!(prices.cost(&usage), cost, "{why}");
        prices.check().unwrap();
    }
}

#[test]
fn what_is_more_than_can_be_counted_is_the_most() {
    let prices = plain(MOST_PRICE, MOST_PRICE);
    prices.check().unwrap();
    let most = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
    assert_eq!(prices.cost(&most), MOST_AMOUNT);
    assert_eq!(prices.bound(u64::MAX, u64::MAX), MOST_AMOUNT);
    assert_eq!(plain(u64::MAX, u64::MAX).cost(&most), MOST_AMOUNT, "even by prices that nobody checked");
    assert_eq!(plain(u64::MAX, u64::MAX).bound(u64::MAX, u64::MAX), MOST_AMOUNT, "and to hold");
}

#[test]
#[rustfmt::skip]
fn a_bound_is_the_dearest_way_to_use_the_tokens() {
    let flash = plain(dollars(0, 375), 0);
    let cheaper_when_long = Prices {
        tiers: vec![Tier { over_input_tokens: 10, rates: plain(dollars(1, 0), 0).rates }],
        ..plain(dollars(2, 0), 0)
    };
    let rows = [
        (&flash,             1,       0,     38,            "rounded up"),
        (&flash,             3,       0,     113,           "where the cost would be rounded down"),
        (&gpt_4o(),          1_000,   500,   7_500_000,     "nothing read from a cache"),
        (&sonnet(),          1_000,   100,   5_250_000,     "all of it written to a cache: 1,000 x 3,750 + 100 x 15,000"),
        (&sonnet(),          200_000, 0,     750_000_000,   "at the tier's length"),
        (&sonnet(),          200_001, 0,     1_500_007_500, "over it: 200,001 x 7,500"),
        (&cheaper_when_long, 12,      0,     24_000,        "it may turn out to be short of the tier"),
    ];
    for (prices, input, output, bound, why) in rows {
        assert_eq!(prices.bound(input, output), bound, "{why}");
    }
}

/// What a hold rests on: whatever kinds the tokens turn out to be, they cost no more than was held.
#[test]
fn no_usage_within_a_bound_costs_more() {
    let mut dice = Dice(4);
    for round in 0..20_000 {
        let rates = |dice: &mut Dice| {
            let maybe = |dice: &mut Dice| (dice.below(2) == 0).then(|| dice.below(20_000_000_000));
            Rates {
                input: dice.below(20_000_000_000),
                output: dice.below(20_000_000_000),
                cached_input: maybe(dice),
                cache_creation_input: maybe(dice),
                reasoning: maybe(dice),
            }
        };
        let tiers = (1..=dice.below(3))
            .map(|n| Tier { over_input_tokens: n * 300, rates: rates(&mut dice) })
            .collect();
        let prices = Prices { rates: rates(&mut dice), request: dice.below(1_000), tiers };
        let (most_input, most_output) = (dice.below(1_000), dice.below(1_000));
        let (input, output) = (dice.below(most_input + 1), dice.below(most_output + 1));
        let cached = dice.below(input + 1);
        let usage = usage(input, cached, dice.below(input - cached + 1), output, dice.below(output + 1));
        let (cost, bound) = (prices.cost(&usage), prices.bound(most_input, most_output));
        assert!(cost <= bound, "round {round}: {usage:?} costs {cost}, held were {bound} by {prices:?}");
    }
}

#[test]
#[rustfmt::skip]
fn prices_that_can_not_be_kept_are_refused() {
    let tier = |over_input_tokens| Tier { over_input_tokens, rates: Rates::default() };
    let with = |tiers| Prices { tiers, ..Prices::default() };
    let dear = Some(MOST_PRICE + 1);
    let rows = [
        (Prices::default(),                                           None,          "free"),
        (with(vec![tier(1), tier(2)]),                                None,          "rising"),
        (with(vec![tier(2), tier(2)]),                                Some("tiers"), "which one?"),
        (with(vec![tier(3), tier(2)]),                                Some("tiers"), "the first would never apply"),
        (with((0..17).map(tier).collect()),                           Some("tiers"), "too many"),
        (plain(MOST_PRICE, MOST_PRICE + 1),                           Some("output"), "too dear"),
        (Prices { rates: Rates { reasoning: dear, ..Rates::default() }, ..Prices::default() }, Some("reasoning"), "too dear"),
        (with(vec![Tier { over_input_tokens: 1, rates: Rates { cached_input: dear, ..Rates::default() } }]), Some("cachedInput"), "in a tier"),
        (Prices { request: MOST_PRICE + 1, ..Prices::default() },     Some("request"), "too dear"),
    ];
    for (prices, field, why) in rows {
        assert_eq!(prices.check().err().map(|invalid| invalid.field), field, "{why}");
    }
}
