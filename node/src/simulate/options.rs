//! The command's arguments, as typed and as needed.

use std::fmt;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::answer::{Persona, Voice};
use super::script::{Script, duration};
use super::signed::AwsKey;

/// A simulated LLM provider: true token counts, streams at a stated rate, fails on command.
///
/// For tests and load tests: it records requests with their credentials and shows them at
/// /simulate/requests. What it produced is counted at /simulate/stats.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Address to listen on (HTTP/1.1 and HTTP/2 by prior knowledge)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1100")]
    pub(crate) listen: String,

    /// Protocols to speak, told apart by path
    #[arg(long, value_enum, default_value_t = Dialects::All)]
    pub(crate) dialect: Dialects,

    /// Time to the first byte of an answer, such as 250ms
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration)]
    pub(crate) latency: Duration,

    /// Output tokens of an answer, unless the request caps lower
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=MOST_TOKENS))]
    pub(crate) tokens: u64,

    /// Output tokens a second and answer; 0: as fast as possible
    #[arg(long, value_name = "TOKENS_PER_SECOND", default_value_t = 0.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// Tokens in one chunk of a stream
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chunk_tokens: u32,

    /// The same seed gives the same answers and the same failures
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Failures to play, such as 429*2,ok*3,reset@5
    ///
    /// Steps are taken by requests in order: ok, 429 (any status from 400; 429:retry-after=1 adds a
    /// header), html502, drop, hang, reset@5 (after 5 chunks), cut@5, error@5, stall@5, garbage@3. A step
    /// with *N holds for N requests; without, for one, but the last one for all that follow. 503@0.1 and
    /// reset@5@0.1 happen with a probability. For every answer: slow=200ms (a chunk), latency=1s,
    /// tokens=50, bytes=7 (pieces of so many bytes), comments, crlf. A single request is scripted by the
    /// header x-simulate or by a model named MODEL+fail:SCRIPT.
    #[arg(long, value_name = "SCRIPT", default_value = "")]
    pub(crate) fail: Script,

    /// Models to list and to know; by default any name is known
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,

    /// Accept requests without a key
    #[arg(long)]
    pub(crate) no_auth: bool,

    /// Take only what is signed with this key at Amazon's paths, as ID:SECRET
    #[arg(long, value_name = "KEY")]
    pub(crate) aws_key: Option<AwsKey>,

    /// Answer chats from prebuilt bytes, without reading them: for load tests
    #[arg(long)]
    pub(crate) canned: bool,

    /// Print what was produced as JSON when it stops
    #[arg(long)]
    pub(crate) stats: bool,
}

/// More than any model's longest answer.
pub(crate) const MOST_TOKENS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialects {
    Openai,
    Anthropic,
    Gemini,
    Bedrock,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Any key but `sk-bad`.
    Required,
    Ignored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Each request is read and answered by what it says.
    Read,
    /// Chats get prebuilt bytes.
    Canned,
}

/// How a simulated provider behaves.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) dialects: Dialects,
    pub(crate) keys: Keys,
    pub(crate) aws_key: Option<AwsKey>,
    pub(crate) work: Work,
    pub(crate) voice: Voice,
    pub(crate) latency: Duration,
    /// Time per output token.
    pub(crate) pace: Duration,
    pub(crate) script: Script,
    /// None: any name is known.
    pub(crate) models: Option<Vec<String>>,
}

impl Behaviour {
    /// The built-in demo model: no key, one model, friendly.
    pub(crate) fn demo() -> Self {
        Self {
            keys: Keys::Ignored,
            voice: Voice { persona: Persona::Demo, ..FILLER },
            pace: Duration::from_millis(15),
            models: Some(vec!["tollgate-demo".to_owned()]),
            ..Self::default()
        }
    }
}

const FILLER: Voice = Voice { seed: 0, tokens: 20, chunk_tokens: 1, persona: Persona::Filler };

impl Default for Behaviour {
    /// As the command without arguments.
    fn default() -> Self {
        Self {
            dialects: Dialects::All,
            keys: Keys::Required,
            aws_key: None,
            work: Work::Read,
            voice: FILLER,
            latency: Duration::ZERO,
            pace: Duration::ZERO,
            script: Script::default(),
            models: None,
        }
    }
}

impl From<&Options> for Behaviour {
    fn from(options: &Options) -> Self {
        Self {
            dialects: options.dialect,
            keys: if options.no_auth { Keys::Ignored } else { Keys::Required },
            aws_key: options.aws_key.clone(),
            work: if options.canned { Work::Canned } else { Work::Read },
            voice: Voice {
                seed: options.seed,
                tokens: options.tokens,
                chunk_tokens: options.chunk_tokens as usize,
                ..FILLER
            },
            latency: options.latency,
            pace: match options.rate {
                rate if rate > 0.0 => Duration::from_secs_f64(1.0 / rate),
                _ => Duration::ZERO,
            },
            script: options.fail.clone(),
            models: Some(options.model.clone()).filter(|models| !models.is_empty()),
        }
    }
}

/// Why the simulator does not run.
#[derive(Debug)]
pub(crate) struct StartError(pub(super) String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

fn rate(text: &str) -> Result<f64, &'static str> {
    /// Less than a token an hour is `hang`.
    const SLOWEST: f64 = 1.0 / 3600.0;
    match text.parse::<f64>() {
        Ok(0.0) => Ok(0.0),
        Ok(rate) if rate.is_finite() && rate >= SLOWEST => Ok(rate),
        Ok(_) | Err(_) => Err("expected tokens a second, or 0 for as fast as possible"),
    }
}
