//! What the two ends say to each other: chat completions in OpenAI's dialect. How the upstream behaves is told by the
//! model's name, the one thing that every proxy carries to it unchanged.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// Text chunks of a stream, before the finish, usage and `[DONE]` events.
pub(crate) const CHUNKS: usize = 20;

/// What ends a stream.
pub(crate) const STREAM_END: &[u8] = b"data: [DONE]";

const KILOBYTE: usize = 1024;

/// A way in which the upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// About 250 bytes, at once.
    Small,
    /// 64 KB, at once.
    Large,
    /// A stream, as fast as it goes.
    Stream,
    /// A stream with a chunk every 10 ms.
    Paced10,
    /// A stream with a chunk every 50 ms, about what a person sees.
    Paced50,
    /// One chunk, then silence until the client goes away.
    Idle,
}

impl Model {
    pub(crate) const ALL: [Self; 6] =
        [Self::Small, Self::Large, Self::Stream, Self::Paced10, Self::Paced50, Self::Idle];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "bench-small",
            Self::Large => "bench-large",
            Self::Stream => "bench-stream",
            Self::Paced10 => "bench-paced-10",
            Self::Paced50 => "bench-paced-50",
            Self::Idle => "bench-idle",
        }
    }

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name().as_bytes() == name)
    }

    /// Between two chunks.
    pub(crate) fn gap(self) -> Duration {
        match self {
            Self::Small | Self::Large | Self::Stream | Self::Idle => Duration::ZERO,
            Self::Paced10 => Duration::from_millis(10),
            Self::Paced50 => Duration::from_millis(50),
        }
    }

    fn streams(self) -> bool {
        match self {
            Self::Small | Self::Large => false,
            Self::Stream | Self::Paced10 | Self::Paced50 | Self::Idle => true,
        }
    }
}

/// A whole request whose body has about so many KB, ready to be sent to a proxy at `address`. It has the headers that
/// an SDK sends, asks a stream for usage as a metering gateway would, and says things that must be passed on untouched.
pub(crate) fn request(address: SocketAddr, model: Model, kilobytes: usize) -> Vec<u8> {
    let options =
        if model.streams() { "\"stream\":true,\"stream_options\":{\"include_usage\":true}," } else { "" };
    let start = format!(
        "{{\"model\":\"{}\",{options}\"temperature\":0.2,\"messages\":[{{\"role\":\"system\",\"content\":\
         \"Answer briefly.\"}},{{\"role\":\"user\",\"content\":\"",
        model.name()
    );
    let end = "\"}],\"user\":\"bench\"}";
    let filling = (kilobytes * KILOBYTE).saturating_sub(start.len() + end.len());
    let body = format!("{start}{}{end}", prose(filling));
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\
         user-agent: tollgate-bench\r\nauthorization: Bearer bench-client-key\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A whole answer of one piece.
pub(crate) fn answer(model: Model) -> Vec<u8> {
    let body = answer_body(model);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Its body, which a proxy must leave as it is.
pub(crate) fn answer_body(model: Model) -> String {
    let content = match model {
        Model::Large => prose(64 * KILOBYTE),
        Model::Small | Model::Stream | Model::Paced10 | Model::Paced50 | Model::Idle => "Hello.".to_owned(),
    };
    format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}},\
         \"finish_reason\":\"stop\"}}],{USAGE}}}"
    )
}

const USAGE: &str = "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,\"total_tokens\":30}";

/// The head of a streamed answer.
pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
      transfer-encoding: chunked\r\n\r\n";

/// Appends one event with the time at which it is sent as its text, framed as one HTTP chunk.
pub(crate) fn push_event(out: &mut Vec<u8>) {
    let event = format!(
        "data: {{{EVENT_START},\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{} \"}},\
         \"finish_reason\":null}}]}}\n\n",
        now_us()
    );
    push_chunk(out, event.as_bytes());
}

/// Appends the finish, usage and `[DONE]` events and the end of the body.
pub(crate) fn push_end(out: &mut Vec<u8>) {
    let finish = format!(
        "data: {{{EVENT_START},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n"
    );
    push_chunk(out, finish.as_bytes());
    let usage = format!("data: {{{EVENT_START},\"choices\":[],{USAGE}}}\n\n");
    push_chunk(out, usage.as_bytes());
    push_chunk(out, b"data: [DONE]\n\n");
    out.extend_from_slice(b"0\r\n\r\n");
}

const EVENT_START: &str = "\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\"";

fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// When an event was sent, if it is one of those that carry text.
pub(crate) fn sent_us(event: &[u8]) -> Option<u64> {
    const MARK: &[u8] = b"\"content\":\"";
    let at = super::wire::find(event, MARK)? + MARK.len();
    let digits = event[at..].split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The wall clock, in microseconds: both ends run on one machine, and a monotonic clock of the standard library can't
/// be compared between processes.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// Text that looks like text, with the escapes that real prompts are full of.
fn prose(length: usize) -> String {
    const LINE: &str = "The quick brown fox said \\\"how do you do\\\" to the lazy dog, and went on.\\n";
    let mut text = LINE.repeat(length / LINE.len());
    text.extend(std::iter::repeat_n('.', length - text.len()));
    text
}
