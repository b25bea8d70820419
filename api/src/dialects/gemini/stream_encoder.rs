//! Writes a stream of generated content: a chunk for each piece of text, one for each call when it is whole, and at the
//! end one with the reason and the figures.

use serde::Serialize;

use super::usage::UsageWritten;
use super::wire::{AnswerWritten, CandidateWritten, ContentWritten, PartWritten};
use super::{finish_reason, signature};
use crate::canonical::{Event, Stop, Usage};
use crate::dialects::EventEncoder;
use crate::endpoint::Dialect;
use crate::error::ApiError;

#[derive(Default)]
pub(super) struct Encoder {
    id: String,
    model: String,
    usage: Option<Usage>,
    stop: Stop,
    /// Calls of which arguments may still come.
    calls: Vec<Call>,
}

struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { id, model, usage, created_s: _ } => {
                id.clone_into(&mut self.id);
                model.clone_into(&mut self.model);
                self.usage = *usage;
            }
            Event::Text(text) => self.part(PartWritten::text(text), out),
            Event::Thinking(text) => self.part(PartWritten::thought(text), out),
            Event::Signature(by) => self.part(PartWritten::signature(signature::written(by)), out),
            Event::RedactedThinking { data } => {
                self.part(PartWritten::signature(signature::redacted(data)), out);
            }
            Event::ToolCallStarted { index, id, name } => {
                let (id, name) = (id.clone(), name.clone());
                self.calls.push(Call { index: *index, id, name, arguments: String::new() });
            }
            Event::ToolCallArguments { index, text } => {
                if let Some(call) = self.calls.iter_mut().rfind(|call| call.index == *index) {
                    call.arguments.push_str(text);
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Stopped(stop) => self.stop = stop.clone(),
            Event::Ended => self.end(out),
            Event::Failed { message, kind } => {
                let error = ApiError::of_kind(*kind, message.clone());
                // The body in this dialect names no request.
                write(&error.render(Dialect::Gemini, ""), out);
            }
        }
    }
}

impl Encoder {
    fn part(&self, part: PartWritten<'_>, out: &mut Vec<u8>) {
        self.chunk((vec![part], None), None, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        for call in std::mem::take(&mut self.calls) {
            self.part(PartWritten::call(&call.id, &call.name, &call.arguments), out);
        }
        let reason = Some(finish_reason(self.stop.reason));
        self.chunk((Vec::new(), reason), self.usage.map(UsageWritten::from), out);
    }

    fn chunk(
        &self,
        (parts, finish_reason): (Vec<PartWritten<'_>>, Option<&'static str>),
        usage_metadata: Option<UsageWritten>,
        out: &mut Vec<u8>,
    ) {
        let content = ContentWritten::of_model(parts);
        let chunk = AnswerWritten {
            candidates: vec![CandidateWritten { content, finish_reason, index: 0 }],
            usage_metadata,
            model_version: &self.model,
            response_id: &self.id,
        };
        write(&serialised(&chunk), out);
    }
}

fn serialised(chunk: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(chunk).expect("structs of strings, numbers and raw JSON serialise")
}

fn write(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}
