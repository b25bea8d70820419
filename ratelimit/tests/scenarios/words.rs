//! The words of one command: some by their place, some by their name. What is not asked for is a mistake.

use std::collections::{BTreeMap, VecDeque};

use tollgate_ratelimit::money::parse_usd;

/// See the file's purpose.
pub(crate) struct Words {
    placed: VecDeque<String>,
    named: BTreeMap<String, String>,
}

impl Words {
    /// Splits at blanks that are not within quotes.
    pub(crate) fn of(line: &str) -> Self {
        let (mut placed, mut named) = (VecDeque::new(), BTreeMap::new());
        let mut is_quoted = false;
        let split = line.split(|letter: char| {
            is_quoted ^= letter == '"';
            letter == ' ' && !is_quoted
        });
        for word in split.filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                Some((name, value)) if !word.starts_with('"') => {
                    named.insert(name.to_owned(), value.trim_matches('"').to_owned());
                }
                Some(_) | None => placed.push_back(word.trim_matches('"').to_owned()),
            }
        }
        Self { placed, named }
    }

    /// The next word.
    pub(crate) fn next(&mut self, what: &str) -> Result<String, String> {
        self.placed.pop_front().ok_or_else(|| format!("expected {what}, the line ends"))
    }

    /// Takes the next word if it is this one.
    pub(crate) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.placed.front().is_some_and(|next| next == word);
        if is_next {
            self.placed.pop_front();
        }
        is_next
    }

    /// The next word, which must be this one.
    pub(crate) fn expect(&mut self, word: &str) -> Result<(), String> {
        let next = self.next(&format!("{word:?}"))?;
        if next == word { Ok(()) } else { Err(format!("expected {word:?}, not {next:?}")) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    /// The next word, as a number or a sum of money.
    pub(crate) fn number(&mut self, what: &str) -> Result<u64, String> {
        number(what, &self.next(what)?)
    }

    /// What is said under that name.
    pub(crate) fn named(&mut self, name: &str) -> Option<String> {
        self.named.remove(name)
    }

    /// The number under that name.
    pub(crate) fn named_number(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.named(name).map(|text| number(name, &text)).transpose()
    }

    /// Nothing is left.
    pub(crate) fn done(self) -> Result<(), String> {
        if let Some(word) = self.placed.front() {
            return Err(format!("unexpected {word:?}"));
        }
        match self.named.first_key_value() {
            Some((name, value)) => Err(format!("unknown argument {name}={value}")),
            None => Ok(()),
        }
    }
}

/// A number, or a sum such as `$0.05` in nano-dollars.
pub(crate) fn number(what: &str, text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix('$') {
        Some(sum) => parse_usd(&format!("{sum} USD")).ok(),
        None => text.replace('_', "").parse().ok(),
    };
    number.ok_or_else(|| format!("{what}: expected a number, not {text:?}"))
}

/// A number with a sign.
pub(crate) fn signed(what: &str, text: &str) -> Result<i64, String> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let number = i64::try_from(number(what, rest)?).map_err(|_| format!("{what}: {text} is too much"))?;
    Ok(sign * number)
}

/// Milliseconds of `1d2h3m4s5ms`.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a duration such as 1h30m, not {text:?}");
    let (mut sum, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let unit_end =
            rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit_ms = match &rest[digits..unit_end] {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(wrong()),
        };
        sum += rest[..digits].parse::<u64>().map_err(|_| wrong())? * unit_ms;
        rest = &rest[unit_end..];
    }
    if sum > 0 { Ok(sum) } else { Err(wrong()) }
}
