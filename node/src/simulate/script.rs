//! The failure script: the one grammar for `--fail`, the header `x-simulate`, the model suffix
//! `+fail:…` and `POST /simulate/reset?fail=…`.
//!
//! ```text
//! script  = item ("," item)*
//! item    = step | chance | manner
//! step    = action [ "*" COUNT ]            requests in order
//! chance  = action "@" PROBABILITY          0 to 1, seeded; tried before the steps
//! action  = "ok"                            answer well
//!         | STATUS (":" NAME "=" VALUE)*    400 to 599 in the dialect's error shape; NAME is a response
//!                                           header, or `code` for the error's code
//!         | "html" STATUS                   an HTML page, as proxies in front of providers send
//!         | "drop"                          close the connection before the headers
//!         | "hang"                          never answer
//!         | break "@" CHUNKS                after so many chunks that carry output
//! break   = "reset"                         TCP reset
//!         | "cut"                           a clean, early end
//!         | "error"                         the protocol's error event, then the end
//!         | "stall"                         no more bytes, connection kept
//!         | "garbage"                       one malformed event, then on as if nothing was
//! manner  = "slow=" DURATION | "latency=" DURATION | "tokens=" N | "bytes=" N | "comments" | "crlf"
//! ```
//!
//! A step without a count holds for one request, but the last one holds for all that follow; after a
//! last step with a count, requests are answered well. A chance for a break is written
//! `reset@5@0.1`. Manners are not steps: they hold for every request of the script.

mod parse;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::text::{Dice, mix};

pub(crate) use parse::duration;

/// What to do with requests, in order, by chance, and in which manner.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Script {
    steps: Vec<Step>,
    chances: Vec<Chance>,
    pub(crate) manner: Manner,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    action: Action,
    /// None: for all requests that follow (last step) or for one (any other).
    times: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Chance {
    action: Action,
    probability: f64,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Answer,
    Refuse(Refusal),
    Html(http::StatusCode),
    Drop,
    Hang,
    Break(Break),
}

/// An error status in the dialect's shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: http::StatusCode,
    pub(crate) code: Option<String>,
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

/// An answer that goes wrong after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) how: How,
    /// Chunks that carry output and are sent before.
    pub(crate) after_chunks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Reset,
    Cut,
    Error,
    Stall,
    Garbage,
}

/// How answers are sent, whatever they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Extra time before each chunk.
    pub(crate) slow: Duration,
    /// Time to the first byte, in place of the simulator's own.
    pub(crate) latency: Option<Duration>,
    /// Output tokens, in place of the simulator's own.
    pub(crate) tokens: Option<u64>,
    /// The body leaves in pieces of this many bytes.
    pub(crate) piece_bytes: Option<usize>,
    /// An SSE comment before each event.
    pub(crate) comments: bool,
    /// SSE lines end with CR LF.
    pub(crate) crlf: bool,
}

/// A script and how far it has been played.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    script: Script,
    /// All requests that asked.
    asked: AtomicU64,
    /// Requests that took a step (no chance hit them).
    stepped: AtomicU64,
}

impl Schedule {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    pub(crate) fn manner(&self) -> &Manner {
        &self.script.manner
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// The next request's action. The same seed gives the same sequence.
    pub(crate) fn next(&self, seed: u64) -> &Action {
        let script = &self.script;
        if script.steps.is_empty() && script.chances.is_empty() {
            return &Action::Answer;
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::new(mix(seed, number));
        let hit = script.chances.iter().find(|chance| dice.fraction() < chance.probability);
        match hit {
            Some(chance) => &chance.action,
            None => script.step(self.stepped.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl Script {
    fn step(&self, number: u64) -> &Action {
        let mut left = number;
        let last = self.steps.len().saturating_sub(1);
        for (index, step) in self.steps.iter().enumerate() {
            let times = match step.times {
                None if index == last => return &step.action,
                None => 1,
                Some(times) => times,
            };
            if left < times {
                return &step.action;
            }
            left -= times;
        }
        &Action::Answer
    }
}

#[cfg(test)]
#[path = "script_test.rs"]
mod tests;
