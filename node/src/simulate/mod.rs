//! A provider to try things against, and the engine of the built-in demo model.
//!
//! Speaks OpenAI's, Anthropic's, Gemini's and Bedrock's protocols with token counts that are true by its own stated
//! tokenizer ([`tokens`]), fails as a script tells it ([`script`]), and keeps count of what it produced
//! ([`stats`]), so that a test can compare a gateway's ledger with the truth. The same request and seed
//! give the same text and counts; only what was cached depends on what came before.
//!
//! ```text
//! server → route → gate (key, version) → read the ask → answer → openai/ or anthropic → play
//!  socket   path                          prompt tokens  words     JSON or events       pace, breaks
//! ```
//!
//! Made for tests: `GET /simulate/requests` shows credentials in full. Don't send it real ones.

mod answer;
mod anthropic;
mod ask;
mod bedrock;
mod canned;
mod cohere;
mod content;
mod control;
mod deliver;
mod error;
mod gate;
mod gemini;
mod openai;
mod options;
mod play;
mod prepare;
mod reply;
mod respond;
mod route;
mod schema;
mod script;
mod server;
mod signed;
mod stats;
mod text;
mod tokens;
mod wire;

pub(crate) use options::{Behaviour, Options};
pub(crate) use server::{run, serve};

#[cfg(test)]
#[path = "endpoints_test.rs"]
mod endpoints_test;
#[cfg(test)]
#[path = "failures_test.rs"]
mod failures_test;
#[cfg(test)]
#[path = "client_test.rs"]
mod test_client;
