//! Reads a stream of generated content. Each chunk is an answer of its own, calls come whole, figures are cumulative,
//! and nothing says that the stream is over but the last chunk's `finishReason`.

use serde_json::value::RawValue;

use super::wire::{Answer, Candidate, Part};
use super::{signature, stop_reason};
use crate::canonical::{Event, Stop, StopReason, ToolsAsked};
use crate::dialects::call_ids::CallIds;
use crate::dialects::{EventDecoder, said};
use crate::error::{ApiError, Malformed};

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    stopped: bool,
    calls: usize,
    ids: CallIds,
}

impl EventDecoder for Decoder {
    fn decode(&mut self, _event: Option<&str>, data: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let answer: Answer<'_> = serde_json::from_slice(data).map_err(|error| {
            Malformed::new(format!("The upstream's stream holds no generated content: {error}."))
        })?;
        if answer.error.is_some() {
            let ApiError { message, kind, .. } = ApiError::of_event(data);
            out.push(Event::Failed { message, kind });
            return Ok(());
        }
        let usage = answer.usage_metadata.and_then(|usage| usage.usage());
        if !self.started {
            self.started = true;
            self.ids = CallIds::of(&answer.response_id, 0);
            out.push(Event::Started {
                id: answer.response_id.0.into_owned(),
                model: answer.model_version.0.into_owned(),
                created_s: 0,
                usage,
            });
        }
        let candidates = answer.candidates.unwrap_or_default();
        let declined = answer.prompt_feedback.is_some_and(|feedback| said(feedback.block_reason).is_some());
        if declined && candidates.is_empty() {
            self.stop(StopReason::Refusal, out);
        }
        for candidate in candidates {
            // The gateway asks for one answer only.
            if candidate.index.0.unwrap_or(0) == 0 {
                self.candidate(candidate, out);
            }
        }
        out.extend(usage.map(Event::Usage));
        Ok(())
    }
}

impl Decoder {
    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<Event>) {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, out);
        }
        if let Some(word) = said(candidate.finish_reason) {
            let asked = if self.calls > 0 { ToolsAsked::Some } else { ToolsAsked::None };
            self.stop(stop_reason(&word).or_tool_use(asked), out);
        }
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<Event>) {
        if !self.stopped {
            self.stopped = true;
            out.push(Event::Stopped(Stop { reason, sequence: None }));
        }
    }

    fn part(&mut self, part: Part<'_>, out: &mut Vec<Event>) {
        let is_thought = part.thought == Some(true);
        let text = said(part.text);
        if is_thought {
            out.extend(text.clone().map(Event::Thinking));
        }
        out.extend(said(part.thought_signature).map(|signature| match signature::read(&signature) {
            signature::Held::Signature(signature) => Event::Signature(signature),
            signature::Held::Redacted(data) => Event::RedactedThinking { data },
        }));
        out.extend(text.filter(|_| !is_thought).map(Event::Text));
        if let Some(call) = part.function_call {
            let index = self.calls;
            self.calls += 1;
            let id = self.ids.next(said(call.id));
            out.push(Event::ToolCallStarted { index, id, name: call.name.0.into_owned() });
            let text = call.args.map_or("{}", RawValue::get).to_owned();
            out.push(Event::ToolCallArguments { index, text });
        }
    }
}
