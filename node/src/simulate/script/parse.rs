//! Reads the failure script's grammar (see the parent module) and says what is wrong with a bad one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::super::options::MOST_TOKENS;
use super::{Action, Break, Chance, How, Manner, Refusal, Script, Step};

/// More chunks, tokens, or requests than any test needs.
const MOST: u64 = 1_000_000_000;
/// Longer than any client waits.
const LONGEST: Duration = Duration::from_hours(24);

/// A script that can't be played, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadScript {
    item: String,
    expected: &'static str,
}

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad failure script at {:?}: expected {}", self.item, self.expected)
    }
}

impl std::error::Error for BadScript {}

impl FromStr for Script {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, BadScript> {
        let mut script = Self::default();
        if text.trim().is_empty() {
            return Ok(script);
        }
        for item in text.split(',') {
            let item = item.trim();
            read(item, &mut script).map_err(|expected| BadScript { item: item.to_owned(), expected })?;
        }
        Ok(script)
    }
}

/// A number with a unit: `250ms`, `1.5s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a duration such as 250ms, 1.5s or 2m";
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(EXPECTED),
    };
    let number: f64 = number.parse().map_err(|_| EXPECTED)?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("a duration of at most a day"),
        Err(_) => Err(EXPECTED),
    }
}

fn read(item: &str, script: &mut Script) -> Result<(), &'static str> {
    if read_manner(item, &mut script.manner)? {
        return Ok(());
    }
    let (item, times) = match item.rsplit_once('*') {
        Some((item, times)) => (item, Some(number(times)?)),
        None => (item, None),
    };
    let (action, chance) = read_action(item)?;
    match chance {
        None => script.steps.push(Step { action, times }),
        Some(_) if times.is_some() => return Err("a probability or a count, not both"),
        Some(probability) => script.chances.push(Chance { action, probability }),
    }
    Ok(())
}

/// True if the item was a manner.
fn read_manner(item: &str, manner: &mut Manner) -> Result<bool, &'static str> {
    match item.split_once('=') {
        None if item == "comments" => manner.comments = true,
        None if item == "crlf" => manner.crlf = true,
        Some(("slow", value)) => manner.slow = duration(value)?,
        Some(("latency", value)) => manner.latency = Some(duration(value)?),
        Some(("tokens", value)) => match number(value)? {
            tokens if tokens <= MOST_TOKENS => manner.tokens = Some(tokens),
            _ => return Err("at most 1,000,000 tokens"),
        },
        Some(("bytes", value)) => {
            let bytes = usize::try_from(number(value)?).map_err(|_| "a smaller number")?;
            manner.piece_bytes = Some(bytes.max(1));
        }
        None | Some(_) => return Ok(false),
    }
    Ok(true)
}

fn read_action(item: &str) -> Result<(Action, Option<f64>), &'static str> {
    let (head, options) = item.split_once(':').unwrap_or((item, ""));
    let mut words = head.split('@');
    let name = words.next().unwrap_or_default();
    let action = match (name, how(name)) {
        (_, Some(how)) => {
            let chunks = words.next().ok_or("a number of chunks, as in reset@5")?;
            Action::Break(Break { how, after_chunks: number(chunks)? })
        }
        ("ok", None) => Action::Answer,
        ("drop", None) => Action::Drop,
        ("hang", None) => Action::Hang,
        (name, None) => match name.strip_prefix("html") {
            Some(code) => Action::Html(status(code)?),
            None => Action::Refuse(refusal(name, options)?),
        },
    };
    if !options.is_empty() && !matches!(action, Action::Refuse(_)) {
        return Err("options (:name=value) only after a status");
    }
    let chance = words.next().map(probability).transpose()?;
    match words.next() {
        None => Ok((action, chance)),
        Some(_) => Err("no further @"),
    }
}

fn how(name: &str) -> Option<How> {
    Some(match name {
        "reset" => How::Reset,
        "cut" => How::Cut,
        "error" => How::Error,
        "stall" => How::Stall,
        "garbage" => How::Garbage,
        _ => return None,
    })
}

fn refusal(name: &str, options: &str) -> Result<Refusal, &'static str> {
    let mut refusal = Refusal { status: status(name)?, code: None, headers: Vec::new() };
    for option in options.split(':').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or("an option such as :retry-after=1")?;
        if name == "code" {
            refusal.code = Some(value.to_owned());
            continue;
        }
        let name = name.parse().map_err(|_| "a header's name before the =")?;
        let value = value.parse().map_err(|_| "a header's value after the =")?;
        refusal.headers.push((name, value));
    }
    Ok(refusal)
}

fn status(text: &str) -> Result<http::StatusCode, &'static str> {
    const EXPECTED: &str = "ok, a status from 400 to 599, html502, drop, hang, reset@N, cut@N, error@N, \
                            stall@N, garbage@N, slow=, latency=, tokens=, bytes=, comments or crlf";
    match http::StatusCode::from_bytes(text.as_bytes()) {
        Ok(status) if (400..600).contains(&status.as_u16()) => Ok(status),
        Ok(_) | Err(_) => Err(EXPECTED),
    }
}

fn number(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(number) if number <= MOST => Ok(number),
        Ok(_) | Err(_) => Err("a whole number of at most 1,000,000,000"),
    }
}

fn probability(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err("a probability from 0 to 1 after the @"),
    }
}
