//! Amazon's event stream encoding (`application/vnd.amazon.eventstream`): a prelude of two lengths, headers, a payload, and a
//! checksum of each half.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulate::answer::Usage;
use crate::simulate::reply::{Events, Frame, Weight};

pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// The type of a header that is a text.
const TEXT: u8 = 7;

/// Collects a stream's frames.
#[derive(Default)]
pub(super) struct Frames(Vec<Frame>);

impl Frames {
    pub(super) fn event(&mut self, kind: &str, payload: &Value, weight: Weight) {
        self.0.push(Frame { bytes: event(kind, payload), weight });
    }

    pub(super) fn finish(self) -> Events {
        let headers = [
            (":message-type", "exception"),
            (":exception-type", "serviceUnavailableException"),
            (":content-type", "application/json"),
        ];
        let payload = json!({"message": "simulated failure in the stream"}).to_string();
        Events {
            frames: self.0.into(),
            error: frame(&headers, payload.as_bytes()),
            content_type: CONTENT_TYPE,
        }
    }
}

/// Anthropic's events in Bedrock's chunks.
pub(super) fn invoked(events: &Events, usage: &Usage) -> Events {
    let mut frames = Frames::default();
    for Frame { bytes, weight } in &*events.frames {
        let text = String::from_utf8_lossy(bytes);
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
        let mut event: Value = serde_json::from_str(data).unwrap_or_default();
        if event["type"] == "message_stop" {
            event["amazon-bedrock-invocationMetrics"] =
                json!({"inputTokenCount": usage.input, "outputTokenCount": usage.output});
        }
        let inner = BASE64_STANDARD.encode(event.to_string());
        frames.event("chunk", &json!({"bytes": inner, "p": "abcdefgh"}), *weight);
    }
    frames.finish()
}

fn event(kind: &str, payload: &Value) -> Bytes {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload.to_string().as_bytes())
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).expect("names are ours and short"));
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block
            .extend_from_slice(&u16::try_from(value.len()).expect("values are ours and short").to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let number =
        |number: usize| u32::try_from(number).expect("an answer has not as many bytes").to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&number(12 + block.len() + payload.len() + 4));
    frame.extend_from_slice(&number(block.len()));
    seal(&mut frame);
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload);
    seal(&mut frame);
    frame.into()
}

/// Puts the checksum of all before behind it.
fn seal(frame: &mut Vec<u8>) {
    let checksum = crc32fast::hash(frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of Amazon's documentation: no headers, no payload; and one that was made by Amazon's library for Python.
    #[test]
    fn frames_are_amazons() {
        let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(&*frame(&[], b""), &empty);
        let one = frame(&[("a", "b")], b"{}");
        assert_eq!(&one[..8], &[0, 0, 0, 12 + 6 + 2 + 4, 0, 0, 0, 6]);
        assert_eq!(&one[12..20], &[1, b'a', TEXT, 0, 1, b'b', b'{', b'}']);
    }
}
