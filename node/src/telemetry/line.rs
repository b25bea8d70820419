//! A trail as one line of JSON. Written field by field into the log's buffer: names are ours and need no escaping, and
//! nothing is built on the way.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use tollgate_ratelimit::{Certainty, Usage};

use crate::clock;
use crate::request::Consumer;
use crate::request::trail::Trail;

/// Adds the line of `trail`. Fields without a value are left out.
pub(super) fn write(buffer: &mut Vec<u8>, trail: &Trail) {
    let mut line = Line { buffer };
    line.buffer.extend_from_slice(b"{\"time_ms\":");
    line.value(&clock::unix_ms());
    line.shown("request_id", &trail.request_id());
    line.shown("peer", &trail.peer);
    line.field("method", trail.method.as_str());
    line.field("path", trail.path.as_str());
    line.field("status", &trail.status.as_u16());
    line.shown("end", &trail.end.name());
    line.field("duration_ms", &milliseconds(trail.started.elapsed()));
    line.field("request_bytes", &trail.request_bytes);
    line.field("reply_bytes", &trail.reply_bytes);
    routing(&mut line, trail);
    line.optional("upstream_request_id", trail.upstream_request_id.as_deref());
    line.optional("client_retry", trail.client_retry.as_deref());
    if let Some((usage, certainty)) = trail.usage {
        tokens(&mut line, usage, certainty);
    }
    line.optional("first_token_ms", trail.pace.to_first(trail.started).map(milliseconds).as_ref());
    for (key, cost) in &trail.costs {
        match cost {
            Ok(cost) => line.chosen("cost.", key, cost),
            Err(reason) => line.chosen("cost_error.", key, reason),
        }
    }
    line.buffer.extend_from_slice(b"}\n");
}

fn routing(line: &mut Line<'_>, trail: &Trail) {
    if !trail.operation.is_empty() {
        line.shown("operation", &trail.operation);
    }
    line.optional("consumer", trail.consumer.as_ref().map(Consumer::name));
    if !trail.original_model.is_empty() {
        line.field("original_model", trail.original_model.as_str());
        line.field("request_model", trail.request_model());
        line.field("streamed", &trail.streamed);
    }
    line.optional("response_model", trail.response_model.as_deref());
    let Some(rule) = &trail.rule else { return };
    // Names of resources are DNS names: nothing in them needs escaping.
    line.shown("route", &rule.route);
    line.optional("rule", rule.name.as_deref());
    if let Some(candidate) = rule.candidates.get(trail.candidate).filter(|_| trail.attempts > 0) {
        line.shown("backend", &candidate.backend.name);
        line.field("attempts", &trail.attempts);
    }
}

fn tokens(line: &mut Line<'_>, usage: Usage, certainty: Certainty) {
    let Usage { input, cached_input, cache_creation_input, output, reasoning, total } = usage;
    line.field("input_tokens", &input);
    line.field("cached_input_tokens", &cached_input);
    line.field("cache_creation_input_tokens", &cache_creation_input);
    line.field("output_tokens", &output);
    line.field("reasoning_tokens", &reasoning);
    line.field("total_tokens", &total);
    line.field("usage", &certainty);
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

struct Line<'a> {
    buffer: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn field(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        self.value(value);
    }

    fn optional(&mut self, name: &'static str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// What `Display` shows, as a string; only for what shows nothing that JSON would have to escape.
    fn shown(&mut self, name: &'static str, value: &impl Display) {
        self.name(name);
        write!(self.buffer, "\"{value}\"").expect("writing to memory cannot fail");
    }

    /// A field whose name an operator chose.
    fn chosen(&mut self, kind: &'static str, name: &str, value: &impl Serialize) {
        self.buffer.push(b',');
        self.value(&format_args!("{kind}{name}"));
        self.buffer.push(b':');
        self.value(value);
    }

    fn name(&mut self, name: &'static str) {
        self.buffer.extend_from_slice(b",\"");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(&mut *self.buffer, value)
            .expect("plain values always serialise, and memory takes them");
    }
}
