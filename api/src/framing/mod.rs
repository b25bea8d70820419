//! How events are cut out of a body that arrives in chunks.
//!
//! Whatever reads events reads server-sent ones. Another framing is turned into that one first.

pub(crate) mod aws_event_stream;
pub(crate) mod bedrock_events;
pub(crate) mod sse;

/// How a streamed answer is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    ServerSentEvents,
    /// Amazon's frames, with what Bedrock puts in them.
    AwsEventStream,
}

impl Framing {
    /// The framing that an answer of this content type has; None: it is no stream.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type {
            "text/event-stream" => Some(Self::ServerSentEvents),
            "application/vnd.amazon.eventstream" => Some(Self::AwsEventStream),
            _ => None,
        }
    }
}
