//! What every dialect is translated through: one model of a request, of a reply and of its events.
//!
//! Only `Usage` is public: the rest never leaves the crate.

mod event;
mod json;
mod reply;
mod request;
pub mod usage;

pub(crate) use event::Event;
pub(crate) use json::{Json, Place};
pub(crate) use reply::{Block, Reply, Stop, StopReason, ToolsAsked};
pub(crate) use request::{
    Content, Document, Effort, JsonSchema, OutputFormat, Part, Reasoning, ReasoningMode, Request, Role,
    Sampling, Source, Tier, Tool, ToolChoice, Turn,
};
pub use usage::Usage;
