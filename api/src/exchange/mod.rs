//! One request's exchange with one upstream: what to send (`prepare`), and how answers are read (`Replies`).

mod prepare;
mod refusal;
mod reply;
mod translation;

pub use crate::providers::Project;
pub use crate::seen::Seen;
pub use prepare::{Target, UpstreamRequest, belongs_to, prepare};
pub use reply::{Mode, Replies, Reply};

#[cfg(test)]
mod bedrock_test;
#[cfg(test)]
mod bodies_test;
#[cfg(test)]
mod gemini_test;
#[cfg(test)]
mod prepare_test;
#[cfg(test)]
mod streams_test;
#[cfg(test)]
mod translation_test;
