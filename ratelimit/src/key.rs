//! Which of a budget's buckets a request falls into: the values that the budget is divided by, as one text.
//!
//! Values are joined by `/`. A `/` within one, the `%` that marks such letters, and control characters are written as `%`
//! and two hexadecimal digits: different values never make the same key, and keys can be shown on any terminal.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};

use crate::budget::Key;
use crate::cover::{Dimension, Facts};

/// The longest key. Longer ones are refused: shortening them could make one bucket out of two people's.
pub const MOST_KEY_BYTES: usize = 256;

/// A request's values make a key that is longer than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTooLong;

impl fmt::Display for KeyTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected at most {MOST_KEY_BYTES} bytes of values that a budget is divided by")
    }
}

impl std::error::Error for KeyTooLong {}

impl Key {
    /// The key of a request. None where it lacks a value: what that means is for the caller to say.
    pub fn of(per: &[Dimension], facts: &Facts<'_>) -> Result<Option<Self>, KeyTooLong> {
        let mut text = String::new();
        Ok(Self::write(per, facts, &mut text)?.map(|key| Self(key.into())))
    }

    /// The same into a buffer that is used again and again: to look up a bucket that is known, nothing is allocated.
    pub fn write<'b>(
        per: &[Dimension],
        facts: &Facts<'_>,
        into: &'b mut String,
    ) -> Result<Option<&'b str>, KeyTooLong> {
        into.clear();
        for (place, dimension) in per.iter().enumerate() {
            let Some(value) = facts.value(dimension) else { return Ok(None) };
            if place > 0 {
                into.push('/');
            }
            escape(value, into)?;
        }
        if into.len() > MOST_KEY_BYTES { Err(KeyTooLong) } else { Ok(Some(into)) }
    }

    /// For people: `user=alice, label:tier=gold`; `everybody` for a budget that is not divided.
    pub fn describe(&self, per: &[Dimension]) -> String {
        if per.is_empty() {
            return "everybody".to_owned();
        }
        let named: Vec<_> =
            per.iter().zip(self.0.split('/')).map(|(one, value)| format!("{one}={value}")).collect();
        named.join(", ")
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn escape(value: &str, into: &mut String) -> Result<(), KeyTooLong> {
    if value.len() > MOST_KEY_BYTES {
        return Err(KeyTooLong);
    }
    for letter in value.chars() {
        if letter == '/' || letter == '%' || letter.is_ascii_control() {
            write!(into, "%{:02X}", u32::from(letter)).expect("a String takes all that is written");
        } else {
            into.push(letter);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(team: &'a str, user: &'a str) -> Facts<'a> {
        Facts { team: Some(team), user: Some(user), ..Facts::default() }
    }

    #[test]
    fn a_key_is_the_values_in_their_order() {
        let rows = [
            ("search", "alice", "search/alice", "team=search, user=alice", "as they are"),
            ("a", "b/c", "a/b%2Fc", "team=a, user=b%2Fc", "a slash of a value is told from ours"),
            ("a/b", "c", "a%2Fb/c", "team=a%2Fb, user=c", "on either side"),
            ("a%2Fb", "c", "a%252Fb/c", "team=a%252Fb, user=c", "and so is what looks escaped"),
            ("", "", "/", "team=, user=", "empty values are values"),
            ("ä", "a\u{1b}[2J\n", "ä/a%1B[2J%0A", "team=ä, user=a%1B[2J%0A", "no terminal is told anything"),
        ];
        let per = [Dimension::Team, Dimension::User];
        for (team, user, key, described, why) in rows {
            let got = Key::of(&per, &pair(team, user)).unwrap().unwrap();
            assert_eq!((&*got.0, got.describe(&per).as_str()), (key, described), "{why}");
        }
        assert_eq!(Key::of(&[], &pair("a", "b")), Ok(Some(Key::default())), "one bucket for all");
        assert_eq!(Key::default().describe(&[]), "everybody");
    }

    /// All pairs of short values over the letters that joining and escaping use.
    #[test]
    fn different_values_never_share_a_bucket() {
        let letters = ["", "/", "%", "2", "F", "5", "%2F", "%25", "\n"];
        let values: Vec<String> =
            letters.iter().flat_map(|one| letters.iter().map(move |other| format!("{one}{other}"))).collect();
        let values: std::collections::BTreeSet<&str> = values.iter().map(String::as_str).collect();
        let per = [Dimension::Team, Dimension::User];
        let mut keys = std::collections::BTreeSet::new();
        for team in &values {
            for user in &values {
                assert!(keys.insert(Key::of(&per, &pair(team, user)).unwrap()), "{team:?} and {user:?}");
            }
        }
    }

    #[test]
    fn what_has_no_key_is_told_apart() {
        let long = "x".repeat(MOST_KEY_BYTES);
        let too_long = "x".repeat(MOST_KEY_BYTES + 1);
        let slashes = "/".repeat(MOST_KEY_BYTES / 2);
        let user = |user| Facts { user, ..Facts::default() };
        let rows = [
            (user(Some(long.as_str())), vec![Dimension::User], Ok(true), "the longest"),
            (user(Some(too_long.as_str())), vec![Dimension::User], Err(KeyTooLong), "one byte more"),
            (
                user(Some(slashes.as_str())),
                vec![Dimension::User],
                Err(KeyTooLong),
                "counted as it is written",
            ),
            (
                pair(&long, "a"),
                vec![Dimension::Team, Dimension::User],
                Err(KeyTooLong),
                "all of them together",
            ),
            (user(None), vec![Dimension::User], Ok(false), "lacks its value"),
            (user(Some("a")), vec![Dimension::User, Dimension::Team], Ok(false), "lacks one of them"),
        ];
        let mut buffer = String::new();
        for (facts, per, want, why) in rows {
            assert_eq!(Key::of(&per, &facts).map(|key| key.is_some()), want, "{why}");
            assert_eq!(
                Key::write(&per, &facts, &mut buffer).map(|key| key.is_some()),
                want,
                "in a buffer: {why}"
            );
        }
    }
}
