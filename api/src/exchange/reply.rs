//! How one answer is read while it passes, and how it ends in every case.

use bytes::Bytes;
use http::StatusCode;

use super::refusal::{self, Between};
use super::translation::TranslatedStream;
use crate::canonical::Usage;
use crate::dialects::EncoderOptions;
use crate::endpoint::Endpoint;
use crate::error::{ApiError, Malformed};
use crate::framing::Framing;
use crate::framing::bedrock_events::BedrockEvents;
use crate::passthrough::{
    Kind, PassStream, UsageChunk, Watch, WatchChoices, WatchGenerated, WatchMessages, WatchResponses, whole,
};
use crate::seen::Seen;
use crate::wire::Wire;

/// The largest unstreamed answer that is kept to be read at its end.
const KEPT_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// How answers to one UpstreamRequest are read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replies {
    client: Wire,
    upstream: Wire,
    asks_usage: bool,
    now_s: u64,
    /// The id and model of an answer whose upstream names none.
    id: String,
    model: String,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes leave as they came, length kept.
    Pass,
    /// Nothing can be said before the end: collect, then finish.
    Collect,
    /// Events leave as they come.
    Stream,
}

/// One answer on its way to the client.
pub struct Reply {
    replies: Replies,
    /// Turns the upstream's frames into events first.
    frames: Option<BedrockEvents>,
    body: Body,
    seen: Seen,
    /// The client has its end of the stream: nothing may follow.
    over: bool,
}

enum Body {
    Pass(Kept),
    Collect(Kept),
    Stream(PassStream),
    Translate(Box<TranslatedStream>),
}

impl Replies {
    pub(super) fn new(client: Wire, upstream: Wire, asks_usage: bool) -> Self {
        Self { client, upstream, asks_usage, now_s: 0, id: String::new(), model: String::new() }
    }

    /// The model that is asked.
    pub(super) fn by(self, model: &str) -> Self {
        Self { model: model.to_owned(), ..self }
    }

    /// The time that goes into answers which carry one, where the upstream sends none: seconds since 1970.
    #[must_use]
    pub fn at(self, now_s: u64) -> Self {
        Self { now_s, ..self }
    }

    /// The id of answers whose upstream sends none.
    #[must_use]
    pub fn named(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// A successful answer of this content type begins.
    pub fn begin_as(&self, content_type: &str) -> Reply {
        match Framing::of(content_type) {
            None => self.begin(false),
            Some(Framing::ServerSentEvents) => self.begin(true),
            Some(Framing::AwsEventStream) => {
                Reply { frames: Some(BedrockEvents::default()), ..self.begin(true) }
            }
        }
    }

    /// A successful answer begins. `streaming`: its content type is text/event-stream.
    pub fn begin(&self, streaming: bool) -> Reply {
        let body = if streaming { self.stream() } else { None };
        let body = body.unwrap_or_else(|| {
            if self.client == self.upstream {
                Body::Pass(Kept::default())
            } else {
                Body::Collect(Kept::default())
            }
        });
        let free = self.client.endpoint().is_some_and(Endpoint::only_counts);
        let seen = Seen { free, ..Seen::default() };
        Reply { replies: self.clone(), frames: None, body, seen, over: false }
    }

    /// An upstream's error, in the client's dialect; same dialect and JSON: the body untouched. Not JSON: wrapped.
    /// `status` is kept.
    #[expect(clippy::missing_panics_doc, reason = "it can't: what a client speaks is an endpoint's")]
    pub fn error(&self, status: StatusCode, body: Bytes, request_id: &str) -> Bytes {
        let client = self.client.dialect().expect("what a client speaks is an endpoint's");
        let between = Between { upstream: self.upstream.dialect(), client };
        refusal::render(between, status, body, request_id)
    }

    /// None: this format has no streams.
    fn stream(&self) -> Option<Body> {
        if self.client == self.upstream {
            return Some(Body::Stream(PassStream::new(self.watch(self.client)?)));
        }
        let options = EncoderOptions { show_usage: self.asks_usage, created_s: self.now_s };
        let stream = TranslatedStream::new(self.upstream, self.client, options)?;
        Some(Body::Translate(Box::new(stream.named(&self.id, &self.model))))
    }

    fn watch(&self, wire: Wire) -> Option<Box<dyn Watch + Send>> {
        let usage_chunk = if self.asks_usage { UsageChunk::Shown } else { UsageChunk::Hidden };
        match wire {
            Wire::ChatCompletions => Some(Box::new(WatchChoices::new(Kind::Chat, usage_chunk))),
            Wire::Completions => Some(Box::new(WatchChoices::new(Kind::Completions, usage_chunk))),
            Wire::Responses => Some(Box::new(WatchResponses::default())),
            Wire::Messages => Some(Box::new(WatchMessages::default())),
            Wire::GenerateContent => Some(Box::new(WatchGenerated::default())),
            Wire::Embeddings
            | Wire::ImageGenerations
            | Wire::InputTokens
            | Wire::CountTokens
            | Wire::Tokenize
            | Wire::Rerank
            | Wire::Converse => None,
        }
    }
}

impl Reply {
    /// What becomes of this answer; it stays so.
    pub fn mode(&self) -> Mode {
        match self.body {
            Body::Pass(_) => Mode::Pass,
            Body::Collect(_) => Mode::Collect,
            Body::Stream(_) | Body::Translate(_) => Mode::Stream,
        }
    }

    /// Takes a chunk cut anywhere; pushes what the client should get now. A malformed upstream stream is an Err: call
    /// fail() then.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Malformed> {
        if self.over {
            return Ok(());
        }
        let Some(frames) = &mut self.frames else {
            return self.take(chunk, out);
        };
        let mut events = Vec::new();
        let whole = frames.feed(&chunk, &mut events);
        if !events.is_empty() {
            self.take(Bytes::from(events), out)?;
        }
        // Once the client has its end, what else comes is not for it.
        if self.seen.complete || self.seen.failed { Ok(()) } else { whole }
    }

    fn take(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Malformed> {
        match &mut self.body {
            Body::Pass(kept) => {
                // An answer that is too large to be read still passes; it is only not metered.
                kept.keep(&chunk);
                out.push(chunk);
                Ok(())
            }
            Body::Collect(kept) => {
                kept.keep(&chunk);
                if kept.is_over() { Err(too_large()) } else { Ok(()) }
            }
            Body::Stream(stream) => stream.feed(&chunk, &mut self.seen, out),
            Body::Translate(stream) => stream.feed(&chunk, &mut self.seen, out),
        }
    }

    /// The upstream ended its body cleanly. A stream without its terminal event is an Err (truncated): call fail()
    /// then.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Malformed> {
        if self.over {
            return Ok(());
        }
        if let Some(frames) = self.frames.as_ref().filter(|_| !self.seen.complete && !self.seen.failed) {
            frames.finish()?;
        }
        match &mut self.body {
            Body::Pass(kept) => match kept.take() {
                Some(body) => whole::note(self.replies.client, &body, &mut self.seen)?,
                None => self.seen.complete = true,
            },
            Body::Collect(kept) => {
                let body = kept.take().ok_or_else(too_large)?;
                out.push(self.replies.translate(&body, &mut self.seen)?);
            }
            Body::Stream(stream) => stream.finish(&mut self.seen, out)?,
            Body::Translate(stream) => stream.finish(&mut self.seen, out)?,
        }
        self.over = true;
        Ok(())
    }

    /// Ends a begun stream with the client protocol's error event. Never a tidy end. Pushes nothing where the client
    /// has been told the end already, or where there is no stream: what did not begin is answered with
    /// `ApiError::render`, and a body that passed in part can only be broken off.
    pub fn fail(&mut self, error: &ApiError, request_id: &str, out: &mut Vec<Bytes>) {
        if self.over || self.seen.complete || self.seen.failed {
            self.over = true;
            return;
        }
        self.over = true;
        let event = match &self.body {
            Body::Pass(_) | Body::Collect(_) => None,
            Body::Stream(stream) => Some(stream.watch().error(error, request_id)),
            Body::Translate(_) => {
                self.replies.watch(self.replies.client).map(|watch| watch.error(error, request_id))
            }
        };
        out.extend(event);
    }

    /// Ends a begun stream tidily before the upstream did (budget landed): finish reason `length` and its peers, usage
    /// event if asked.
    pub fn land(&mut self, usage: &Usage, out: &mut Vec<Bytes>) {
        if self.over || self.seen.complete || self.seen.failed {
            self.over = true;
            return;
        }
        self.over = true;
        match &mut self.body {
            Body::Pass(_) | Body::Collect(_) => {}
            Body::Stream(stream) => out.push(stream.watch().landing(usage, &self.seen)),
            Body::Translate(stream) => out.push(stream.land(usage)),
        }
    }

    /// What passed so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Replies {
    /// The whole answer `body` in the client's format.
    fn translate(&self, body: &[u8], seen: &mut Seen) -> Result<Bytes, Malformed> {
        let (Some(from), Some(to)) = (self.upstream.codec(), self.client.codec()) else {
            return Err(Malformed::new("the upstream answered in a format that can't be translated"));
        };
        let mut reply = (from.decode_reply)(body)?;
        if reply.created_s == 0 {
            reply.created_s = self.now_s;
        }
        if reply.id.is_empty() {
            reply.id.clone_from(&self.id);
        }
        if reply.model.is_empty() {
            reply.model.clone_from(&self.model);
        }
        whole::note(self.upstream, body, seen)?;
        Ok(Bytes::from((to.encode_reply)(&reply)))
    }
}

fn too_large() -> Malformed {
    Malformed::new(format!(
        "the upstream's answer is larger than the {KEPT_LIMIT_BYTES} bytes that are taken"
    ))
}

/// A body that is read when it is whole; up to a limit.
#[derive(Default)]
struct Kept {
    parts: Vec<Bytes>,
    length: usize,
}

impl Kept {
    /// Keeps the chunk's memory, without a copy.
    fn keep(&mut self, chunk: &Bytes) {
        self.length += chunk.len();
        if self.is_over() {
            self.parts = Vec::new();
        } else {
            self.parts.push(chunk.clone());
        }
    }

    fn is_over(&self) -> bool {
        self.length > KEPT_LIMIT_BYTES
    }

    /// The whole body, unless it was over the limit.
    fn take(&mut self) -> Option<Bytes> {
        let mut parts = std::mem::take(&mut self.parts);
        match parts.len() {
            _ if self.is_over() => None,
            1 => parts.pop(),
            _ => Some(parts.concat().into()),
        }
    }
}
