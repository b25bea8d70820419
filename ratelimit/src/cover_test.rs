//! Who is covered, and which definitions are refused.

use super::*;
use crate::dice::Dice;

#[test]
#[rustfmt::skip]
fn a_star_stands_for_any_run_of_characters() {
    let rows = [
        ("gpt-4o",     "gpt-4o",        true,  "the same"),
        ("gpt-4o",     "gpt-4o-mini",   false, "without a star, all of it"),
        ("gpt-*",      "gpt-4o",        true,  "at the end"),
        ("gpt-*",      "gpt-",          true,  "of none"),
        ("gpt-*",      "chatgpt-4o",    false, "the beginning is bound"),
        ("*-mini",     "gpt-4o-mini",   true,  "at the start"),
        ("*-mini",     "gpt-mini-4",    false, "the end is bound"),
        ("a*a",        "a",             false, "head and tail do not share a letter"),
        ("a*a",        "aa",            true,  "but may touch"),
        ("*ab*ab*",    "xabyab",        true,  "parts in their order"),
        ("*ab*ab*",    "xab",           false, "each its own"),
        ("*a*ab",      "aab",           true,  "the last part is where the end is"),
        ("**",         "",              true,  "two stars are one"),
        ("*",          "",              true,  "an empty value is a value"),
        ("",           "",              true,  "as it says"),
        ("ä*ü",        "äöü",           true,  "letters, not bytes"),
        ("GPT*",       "gpt-4o",        false, "case matters"),
        ("a?c",        "abc",           false, "no other sign means anything"),
    ];
    for (pattern, value, want, why) in rows {
        assert_eq!(matches(pattern, value), want, "{pattern} on {value}: {why}");
    }
}

/// Compared with the plainest definition, over all kinds of short patterns.
#[test]
fn matching_is_what_its_definition_says() {
    fn defined(pattern: &[u8], value: &[u8]) -> bool {
        match (pattern.split_first(), value.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=value.len()).any(|taken| defined(rest, &value[taken..])),
            (Some((one, pattern)), Some((other, value))) => one == other && defined(pattern, value),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    let mut dice = Dice(3);
    let mut text = |letters: &[u8], most: u64| -> String {
        let length = dice.below(most);
        (0..length)
            .map(|_| char::from(letters[usize::try_from(dice.below(letters.len() as u64)).unwrap()]))
            .collect()
    };
    let mut matched = 0;
    for _ in 0..20_000 {
        let (pattern, value) = (text(b"ab*", 8), text(b"ab", 8));
        let want = defined(pattern.as_bytes(), value.as_bytes());
        matched += u32::from(want);
        assert_eq!(matches(&pattern, &value), want, "{pattern} on {value}");
    }
    assert!((2_000..18_000).contains(&matched), "both outcomes were tried: {matched}");
    assert!(!matches(&"a*".repeat(5_000), &format!("{}b", "a".repeat(4_000))), "no blow-up: this ends");
}

fn matcher(dimension: Dimension, patterns: &[&str]) -> Matcher {
    Matcher { dimension, patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect() }
}

#[test]
#[rustfmt::skip]
fn all_conditions_must_hold() {
    let facts = Facts {
        organization: Some("acme"),
        model: Some("gpt-4o"),
        label: &|name| (name == "tier").then_some("gold"),
        header: &|name| (name == "x-project").then_some("search"),
        ..Facts::default()
    };
    let rows = [
        (vec![],                                                                           true,  "everybody"),
        (vec![matcher(Dimension::Organization, &["acme"])],                                true,  "one"),
        (vec![matcher(Dimension::Organization, &["other", "ac*"])],                        true,  "any of its patterns"),
        (vec![matcher(Dimension::Organization, &["acme"]), matcher(Dimension::Model, &["claude-*"])], false, "and the other one"),
        (vec![matcher(Dimension::Team, &["*"])],                                           false, "what it lacks matches nothing"),
        (vec![matcher(Dimension::Label("tier".to_owned()), &["gold"])],                    true,  "a label"),
        (vec![matcher(Dimension::Label("region".to_owned()), &["*"])],                     false, "a label that it lacks"),
        (vec![matcher(Dimension::Header("x-project".to_owned()), &["search"])],            true,  "a header"),
        (vec![matcher(Dimension::Header("tier".to_owned()), &["*"])],                      false, "which is no label"),
        (vec![matcher(Dimension::Organization, &[])],                                      false, "no pattern, no match"),
    ];
    for (matchers, want, why) in rows {
        assert_eq!(Cover { matchers }.holds(&facts), want, "{why}");
    }
}

#[test]
fn each_dimension_is_its_own_fact() {
    let facts = Facts {
        organization: Some("o"),
        team: Some("t"),
        user: Some("u"),
        consumer: Some("n/c"),
        source: Some("::1"),
        api_key: Some("k"),
        model: Some("m"),
        route: Some("r"),
        backend: Some("b"),
        ..Facts::default()
    };
    let all = [
        (Dimension::Organization, "o"),
        (Dimension::Team, "t"),
        (Dimension::User, "u"),
        (Dimension::Consumer, "n/c"),
        (Dimension::Source, "::1"),
        (Dimension::ApiKey, "k"),
        (Dimension::Model, "m"),
        (Dimension::Route, "r"),
        (Dimension::Backend, "b"),
    ];
    for (dimension, value) in all {
        assert_eq!(facts.value(&dimension), Some(value), "{dimension}");
    }
}

#[test]
#[rustfmt::skip]
fn definitions_that_can_not_be_kept_are_refused() {
    let header = |name: &str| Dimension::Header(name.to_owned());
    let cover = |matchers| Cover { matchers };
    let one = matcher(Dimension::User, &["*"]);
    let long = "x".repeat(MOST_BYTES + 1);
    let rows = [
        (cover(vec![]),                                                      true,  "everybody"),
        (cover(vec![one.clone(); MOST_MATCHERS]),                            true,  "the most"),
        (cover(vec![one.clone(); MOST_MATCHERS + 1]),                        false, "one more"),
        (cover(vec![matcher(Dimension::User, &[])]),                         false, "it would never match"),
        (cover(vec![matcher(Dimension::User, &["a"; MOST_PATTERNS + 1])]),   false, "too many patterns"),
        (cover(vec![matcher(Dimension::User, &[""])]),                       false, "an empty pattern"),
        (cover(vec![matcher(Dimension::User, &[&long])]),                    false, "a long pattern"),
        (cover(vec![matcher(header("x-project"), &["*"])]),                  true,  "lower case"),
        (cover(vec![matcher(header("X-Project"), &["*"])]),                  false, "it would never be found"),
        (cover(vec![matcher(header("x project"), &["*"])]),                  false, "no header is called so"),
        (cover(vec![matcher(header(""), &["*"])]),                           false, "no name"),
        (cover(vec![matcher(Dimension::Label(long.clone()), &["*"])]),       false, "a long name"),
    ];
    for (cover, fits, why) in rows {
        assert_eq!(cover.check().is_ok(), fits, "{why}");
    }
    let rows = [
        (vec![],                                       true,  "one bucket for all"),
        (vec![Dimension::User, Dimension::Model],      true,  "two"),
        (vec![Dimension::User, Dimension::User],       false, "the same again"),
        (vec![header("a"), header("b")],               true,  "two headers"),
        (vec![header("A")],                            false, "upper case"),
        ((0..9).map(|n| header(&n.to_string())).collect(), false, "too many"),
    ];
    for (per, fits, why) in rows {
        assert_eq!(check_divisions(&per).is_ok(), fits, "{why}");
    }
}
