//! Sums of money as people write them: `250.00 USD`. Exact, to a nano-dollar; never a float.

use std::fmt;

use crate::price::NANO_USD;
use crate::unit::{Amount, MOST_AMOUNT};

/// Digits after the point that a nano-dollar has.
const DIGITS: usize = 9;

/// Not a sum of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMoney {
    /// What was written.
    pub written: String,
    /// What is wrong with it.
    pub why: WhyNotMoney,
}

/// What is wrong with a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNotMoney {
    /// It does not end with ` USD`.
    Currency,
    /// What is before that is not digits with a point among them.
    Number,
    /// More than nine digits after the point.
    TooFine,
    /// More than can be counted.
    TooMuch,
}

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            WhyNotMoney::Currency => "a sum in USD, such as \"250.00 USD\"",
            WhyNotMoney::Number => "digits and at most one point, such as \"250.00 USD\"",
            WhyNotMoney::TooFine => "at most nine digits after the point",
            WhyNotMoney::TooMuch => "at most 2,300,000,000 USD",
        };
        write!(f, "expected {why}, not {:?}", self.written)
    }
}

impl std::error::Error for NotMoney {}

/// Nano-dollars of a sum such as `250.00 USD`.
pub fn parse_usd(written: &str) -> Result<Amount, NotMoney> {
    parse(written).map_err(|why| NotMoney { written: written.chars().take(64).collect(), why })
}

/// A sum with at least cents, and as many digits more as it needs.
pub fn format_usd(nano_usd: Amount) -> String {
    let fraction = format!("{:0DIGITS$}", nano_usd % NANO_USD);
    let (cents, finer) = fraction.split_at(2);
    format!("{}.{cents}{} USD", nano_usd / NANO_USD, finer.trim_end_matches('0'))
}

fn parse(written: &str) -> Result<Amount, WhyNotMoney> {
    let number = written.trim().strip_suffix("USD").ok_or(WhyNotMoney::Currency)?;
    let number = number.strip_suffix(' ').ok_or(WhyNotMoney::Currency)?.trim_end();
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return Err(WhyNotMoney::Number);
    }
    // Zeros at the end say nothing more.
    let fraction = fraction.unwrap_or_default().trim_end_matches('0');
    if fraction.len() > DIGITS {
        return Err(WhyNotMoney::TooFine);
    }
    let whole: Amount = whole.parse().map_err(|_| WhyNotMoney::TooMuch)?;
    let nano: Amount = format!("{fraction:0<DIGITS$}").parse().expect("nine digits are a u64");
    let sum = whole.checked_mul(NANO_USD).and_then(|whole| whole.checked_add(nano));
    sum.filter(|sum| *sum <= MOST_AMOUNT).ok_or(WhyNotMoney::TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn sums_are_read_to_the_nano_dollar() {
        let rows = [
            ("250.00 USD",           Ok(250_000_000_000),            "as in the examples"),
            ("250 USD",              Ok(250_000_000_000),            "whole dollars"),
            ("0.05 USD",             Ok(50_000_000),                 "cents"),
            ("0.0375 USD",           Ok(37_500_000),                 "what no micro-dollar per token can say"),
            ("0.000000001 USD",      Ok(1),                          "the least"),
            ("0.1000000000000 USD",  Ok(100_000_000),                "zeros beyond it say nothing"),
            ("0 USD",                Ok(0),                          "nothing"),
            ("  7.5  USD ",          Ok(7_500_000_000),              "blanks"),
            ("2305843009.213693952 USD", Ok(MOST_AMOUNT),            "the most"),
            ("2305843009.213693953 USD", Err(WhyNotMoney::TooMuch),  "a nano-dollar more"),
            ("99999999999999999999999 USD", Err(WhyNotMoney::TooMuch), "more than 64 bits"),
            ("0.0000000001 USD",     Err(WhyNotMoney::TooFine),      "finer than the ledger"),
            ("250.00",               Err(WhyNotMoney::Currency),     "dollars are not guessed"),
            ("250.00USD",            Err(WhyNotMoney::Currency),     "a blank before the currency"),
            ("250.00 EUR",           Err(WhyNotMoney::Currency),     "another currency"),
            ("250.00 usd",           Err(WhyNotMoney::Currency),     "as ISO 4217 writes it"),
            ("$250.00 USD",          Err(WhyNotMoney::Number),       "no sign"),
            ("-1 USD",               Err(WhyNotMoney::Number),       "not less than nothing"),
            ("+1 USD",               Err(WhyNotMoney::Number),       "nor this"),
            ("1e3 USD",              Err(WhyNotMoney::Number),       "nor a power"),
            ("1,000.00 USD",         Err(WhyNotMoney::Number),       "a comma means other things elsewhere"),
            (".5 USD",               Err(WhyNotMoney::Number),       "digits on both sides of the point"),
            ("5. USD",               Err(WhyNotMoney::Number),       "on both"),
            ("1.2.3 USD",            Err(WhyNotMoney::Number),       "one point"),
            ("٣ USD",                Err(WhyNotMoney::Number),       "digits of ASCII"),
            (" USD",                 Err(WhyNotMoney::Currency),     "no sum"),
            ("",                     Err(WhyNotMoney::Currency),     "nothing at all"),
        ];
        for (written, want, why) in rows {
            assert_eq!(parse_usd(written).map_err(|not| not.why), want, "{written:?}: {why}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rows = [
            (0, "0.00 USD", "nothing"),
            (250_000_000_000, "250.00 USD", "cents are always there"),
            (37_500_000, "0.0375 USD", "and what is finer where it is"),
            (1, "0.000000001 USD", "to the last"),
            (100_000_000, "0.10 USD", "two digits"),
            (u64::MAX, "18446744073.709551615 USD", "what is too much to be a limit can still be shown"),
        ];
        for (nano_usd, written, why) in rows {
            assert_eq!(format_usd(nano_usd), written, "{why}");
            let again = parse_usd(written);
            assert!(again == Ok(nano_usd) || nano_usd > MOST_AMOUNT, "{why}: {again:?}");
        }
    }
}
