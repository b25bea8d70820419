//! A stream on its way from one format to another: events are read, and written as the client's.

use bytes::Bytes;

use crate::canonical::{Event, Stop, StopReason, Usage};
use crate::dialects::{EncoderOptions, EventDecoder, EventEncoder};
use crate::error::{ApiError, Malformed};
use crate::framing::sse::Splitter;
use crate::seen::Seen;
use crate::wire::Wire;

/// One stream on its way through.
pub(super) struct TranslatedStream {
    upstream: Wire,
    splitter: Splitter,
    /// The upstream has said why the answer ended.
    stopped: bool,
    decoder: Box<dyn EventDecoder + Send>,
    encoder: Box<dyn EventEncoder + Send>,
    /// Emptied after each event; kept for its room.
    events: Vec<Event>,
    /// Of the answer, where the upstream sends none.
    id: String,
    model: String,
}

impl TranslatedStream {
    /// None: one of the two can't be translated.
    pub(super) fn new(upstream: Wire, client: Wire, options: EncoderOptions) -> Option<Self> {
        Some(Self {
            upstream,
            splitter: Splitter::new(),
            stopped: false,
            decoder: (upstream.codec()?.decoder)(),
            encoder: (client.codec()?.encoder)(&options),
            events: Vec::new(),
            id: String::new(),
            model: String::new(),
        })
    }

    /// The id and model of an answer whose upstream names none.
    pub(super) fn named(self, id: &str, model: &str) -> Self {
        Self { id: id.to_owned(), model: model.to_owned(), ..self }
    }

    pub(super) fn feed(
        &mut self,
        chunk: &Bytes,
        seen: &mut Seen,
        out: &mut Vec<Bytes>,
    ) -> Result<(), Malformed> {
        let mut text = Vec::new();
        let read = self.read(chunk, seen, &mut text);
        if !text.is_empty() {
            out.push(Bytes::from(text));
        }
        read
    }

    /// The upstream has ended its body.
    pub(super) fn finish(&mut self, seen: &mut Seen, out: &mut Vec<Bytes>) -> Result<(), Malformed> {
        // Blank lines end an event that the upstream forgot to end; one that was cut short can't be read.
        let rest = self.feed(&Bytes::from_static(b"\n\n"), seen, out);
        if seen.complete || seen.failed {
            return Ok(());
        }
        rest?;
        if self.stopped && self.may_lack_end() {
            out.push(self.write(&[Event::Ended]));
            seen.complete = true;
            return Ok(());
        }
        Err(Malformed::new("the upstream ended its stream before its last event"))
    }

    /// The events that end the answer as cut at its length.
    pub(super) fn land(&mut self, usage: &Usage) -> Bytes {
        let stop = Stop { reason: StopReason::MaxTokens, sequence: None };
        self.write(&[Event::Usage(*usage), Event::Stopped(stop), Event::Ended])
    }

    /// Some of those who imitate OpenAI's chat close the stream in place of `[DONE]`; Google has no last event.
    fn may_lack_end(&self) -> bool {
        match self.upstream {
            // Bedrock's figures alone may be missing after its `messageStop`.
            Wire::ChatCompletions | Wire::GenerateContent | Wire::Converse => true,
            Wire::Completions
            | Wire::Embeddings
            | Wire::Responses
            | Wire::Messages
            | Wire::ImageGenerations
            | Wire::InputTokens
            | Wire::CountTokens
            | Wire::Tokenize
            | Wire::Rerank => false,
        }
    }

    fn write(&mut self, events: &[Event]) -> Bytes {
        let mut text = Vec::new();
        for event in events {
            self.encoder.encode(event, &mut text);
        }
        Bytes::from(text)
    }

    fn read(&mut self, chunk: &[u8], seen: &mut Seen, text: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut at = 0;
        // The client has been told the end, or the failure: whatever follows is not for it.
        while !seen.complete
            && !seen.failed
            && let Some(event) = self.splitter.next(chunk, &mut at)?
        {
            if event.data.is_empty() {
                continue;
            }
            self.decoder.decode(event.name, &event.data, &mut self.events)?;
            let before = seen.output_bytes;
            for mut event in self.events.drain(..) {
                self.stopped |= matches!(event, Event::Stopped(_));
                note(&event, seen);
                if let Event::Started { id, model, .. } = &mut event {
                    fill(id, &self.id);
                    fill(model, &self.model);
                }
                self.encoder.encode(&event, text);
            }
            seen.output_events += u64::from(seen.output_bytes > before);
        }
        Ok(())
    }
}

fn fill(said: &mut String, otherwise: &str) {
    if said.is_empty() {
        otherwise.clone_into(said);
    }
}

fn note(event: &Event, seen: &mut Seen) {
    match event {
        Event::Started { model, usage, .. } => {
            seen.answered_by(model);
            seen.usage = usage.or(seen.usage);
        }
        Event::Text(text) | Event::Thinking(text) | Event::ToolCallArguments { text, .. } => {
            seen.output_bytes += text.len() as u64;
        }
        Event::Usage(usage) => seen.usage = Some(*usage),
        Event::Ended => seen.complete = true,
        Event::Failed { message, kind } => seen.fail(|| ApiError::of_kind(*kind, message.clone())),
        Event::Signature(_)
        | Event::RedactedThinking { .. }
        | Event::ToolCallStarted { .. }
        | Event::Stopped(_) => {}
    }
}
