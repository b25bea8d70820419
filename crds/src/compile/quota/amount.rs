//! Limits as written to amounts of a unit: whole numbers, with k, M or G behind them, and sums of money.

use tollgate_ratelimit::money::parse_usd;
use tollgate_ratelimit::unit::{Amount, MOST_AMOUNT, Unit};

/// Reads an amount; an error says what was expected.
pub(super) fn read(text: &str, unit: &Unit) -> Result<Amount, String> {
    let is_money =
        text.trim_end().ends_with(|letter: char| letter.is_ascii_uppercase()) && text.contains(' ');
    match unit {
        Unit::Cost => parse_usd(text)
            .map_err(|not| not.to_string().trim_start_matches("expected ").to_owned())
            .map_err(|what| what.split(", not ").next().unwrap_or_default().to_owned()),
        Unit::Requests
        | Unit::InputTokens
        | Unit::OutputTokens
        | Unit::TotalTokens
        | Unit::CachedInputTokens
        | Unit::ReasoningTokens
        | Unit::Expression(_)
            if is_money =>
        {
            Err("a whole number: a sum of money is for the unit cost".to_owned())
        }
        Unit::Requests
        | Unit::InputTokens
        | Unit::OutputTokens
        | Unit::TotalTokens
        | Unit::CachedInputTokens
        | Unit::ReasoningTokens
        | Unit::Expression(_) => count(text),
    }
}

fn count(text: &str) -> Result<Amount, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'M', 'G']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000_000_000),
        None => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a whole number such as 100000, or with k, M or G behind it: 10M".to_owned());
    }
    let amount = digits.parse::<Amount>().ok().and_then(|number| number.checked_mul(factor));
    amount.filter(|amount| *amount <= MOST_AMOUNT).ok_or_else(|| format!("at most {MOST_AMOUNT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn amounts_are_read_in_their_unit() {
        let tokens = Unit::TotalTokens;
        let rows = [
            ("100000",              &tokens,     Ok(100_000),            "digits"),
            ("10k",                 &tokens,     Ok(10_000),             "thousands"),
            ("10M",                 &tokens,     Ok(10_000_000),         "millions"),
            ("2G",                  &tokens,     Ok(2_000_000_000),      "thousands of them"),
            ("0",                   &tokens,     Ok(0),                  "nothing may be a limit"),
            ("2305843009213693952", &tokens,     Ok(MOST_AMOUNT),        "the most"),
            ("2305843009213693953", &tokens,     Err("at most 2305843009213693952"), "one more"),
            ("9999999999999G",      &tokens,     Err("at most"),         "no overflow"),
            ("99999999999999999999999", &tokens, Err("at most"),         "more than 64 bits"),
            ("1.5M",                &tokens,     Err("a whole number"),  "no parts"),
            ("-1",                  &tokens,     Err("a whole number"),  "not less than nothing"),
            ("10m",                 &tokens,     Err("a whole number"),  "a thousandth elsewhere"),
            ("M",                   &tokens,     Err("a whole number"),  "no digits"),
            ("250.00 USD",          &tokens,     Err("a sum of money is for the unit cost"), "money for tokens"),
            ("250.00 USD",          &Unit::Cost, Ok(250_000_000_000),    "money"),
            ("250",                 &Unit::Cost, Err("a sum in USD"),    "dollars are not guessed"),
            ("250.00 EUR",          &Unit::Cost, Err("a sum in USD"),    "another currency"),
            ("0.0000000001 USD",    &Unit::Cost, Err("at most nine digits"), "finer than the ledger"),
            ("9999999999 USD",      &Unit::Cost, Err("at most 2,300,000,000 USD"), "more than can be counted"),
        ];
        for (text, unit, want, why) in rows {
            match (read(text, unit), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}: {why}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {why}: {got}"),
                (got, want) => panic!("{text}: {why}: {got:?}, not {want:?}"),
            }
        }
    }
}
