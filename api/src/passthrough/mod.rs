//! Streams that leave as they came, watched while they pass.
//!
//! ```text
//! chunks ─▶ events ─▶ watch (usage, model, progress) ─▶ the same bytes, without the usage chunk that only we asked for
//! ```
//!
//! What leaves are slices of what came. Only whole events leave: a client can do nothing with half of one, and a
//! stream that has to be ended by us (`landing`, `error`) must not end inside one. An event that the watch cannot read
//! passes and counts.

use bytes::Bytes;

use crate::canonical::Usage;
use crate::error::{ApiError, Malformed};
use crate::framing::sse::{Event, Splitter};
use crate::seen::Seen;

mod choices;
mod converse;
mod ends;
mod generated;
mod messages;
mod reranked;
mod responses;
mod tokens;
pub(crate) mod whole;

pub(crate) use choices::{Kind, UsageChunk, WatchChoices};
pub(crate) use generated::WatchGenerated;
pub(crate) use messages::WatchMessages;
pub(crate) use responses::WatchResponses;

/// Whether an event leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    Hide,
}

/// Reads one wire format's events, and can speak it where the gateway has to end a stream.
pub(crate) trait Watch {
    /// Takes note of an event with data.
    fn observe(&mut self, event: &Event<'_>, seen: &mut Seen) -> Fate;

    /// The upstream ended without its terminal event: what completes the stream, if nothing but that event is missing.
    fn missing_end(&self) -> Option<Bytes>;

    /// The protocol's error event.
    fn error(&self, error: &ApiError, request_id: &str) -> Bytes;

    /// The events that end the answer as cut at its length.
    fn landing(&self, usage: &Usage, seen: &Seen) -> Bytes;
}

/// One stream on its way through.
pub(crate) struct PassStream {
    splitter: Splitter,
    watch: Box<dyn Watch + Send>,
    /// The beginning of an event whose end has not come.
    held: Vec<Bytes>,
    /// What happened to the last event, for a line feed that may still belong to it.
    last: Fate,
}

impl PassStream {
    pub(crate) fn new(watch: Box<dyn Watch + Send>) -> Self {
        Self { splitter: Splitter::new(), watch, held: Vec::new(), last: Fate::Pass }
    }

    pub(crate) fn watch(&self) -> &dyn Watch {
        &*self.watch
    }

    pub(crate) fn feed(
        &mut self,
        chunk: &Bytes,
        seen: &mut Seen,
        out: &mut Vec<Bytes>,
    ) -> Result<(), Malformed> {
        let mut at = self.splitter.block_start(chunk);
        let mut leaves_from = match self.last {
            Fate::Pass => 0,
            Fate::Hide => at,
        };
        let mut start = at;
        while let Some(event) = self.splitter.next(chunk, &mut at)? {
            self.last = if event.data.is_empty() { Fate::Pass } else { self.watch.observe(&event, seen) };
            match self.last {
                Fate::Pass => out.append(&mut self.held),
                Fate::Hide => {
                    self.held.clear();
                    push(out, chunk.slice(leaves_from..start));
                    leaves_from = at;
                }
            }
            start = at;
        }
        push(out, chunk.slice(leaves_from..start));
        push(&mut self.held, chunk.slice(start..));
        Ok(())
    }

    /// The upstream has ended its body.
    pub(crate) fn finish(&mut self, seen: &mut Seen, out: &mut Vec<Bytes>) -> Result<(), Malformed> {
        let mut torn = false;
        if let Some(last) = self.splitter.rest().filter(|last| !last.data.is_empty()) {
            torn = !is_whole(&last.data);
            if !torn && self.watch.observe(&last, seen) == Fate::Pass {
                out.append(&mut self.held);
                out.push(Bytes::from_static(b"\n\n"));
            }
        }
        if seen.complete || seen.failed {
            return Ok(());
        }
        let end = self.watch.missing_end().filter(|_| !torn);
        let end = end.ok_or_else(|| Malformed::new("the upstream ended its stream before its last event"))?;
        push(out, end);
        seen.complete = true;
        Ok(())
    }
}

/// Whether an event whose blank line has not come lacks nothing else.
fn is_whole(data: &[u8]) -> bool {
    data == choices::DONE || serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}

fn push(parts: &mut Vec<Bytes>, part: Bytes) {
    if !part.is_empty() {
        parts.push(part);
    }
}

/// An event as text; `data` has no line ends, as JSON written by serde_json has none.
fn written(name: &str, data: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(name.len() + data.len() + 16);
    if !name.is_empty() {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(name.as_bytes());
        event.push(b'\n');
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(data);
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}
