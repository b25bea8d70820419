//! Bedrock's streams from their frames to the client: the same wherever they are cut, and ended as the client expects.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::streams_test::{MESSAGES, MESSAGES_END, MESSAGES_START, events, pass_cut};
use super::{Mode, Replies, Reply};
use crate::canonical::Usage;
use crate::framing::aws_event_stream::frame;
use crate::wire::Wire;

/// Begins a reply for a client.
type Begin = fn(Wire) -> Reply;

const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

fn converse(client: Wire) -> Reply {
    let replies = Replies::new(client, Wire::Converse, true).by("asked-model").at(7).named("req-1");
    replies.begin_as(EVENT_STREAM)
}

/// Anthropic's words in Amazon's frames; the client speaks them or does not.
fn invoke(client: Wire) -> Reply {
    Replies::new(client, Wire::Messages, true).begin_as(EVENT_STREAM)
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", name)], payload.as_bytes())
}

fn exception(name: &str) -> Vec<u8> {
    let payload = br#"{"message":"too much"}"#;
    frame(&[(":message-type", "exception"), (":exception-type", name)], payload)
}

fn begun() -> Vec<u8> {
    [
        event("messageStart", r#"{"role":"assistant","p":"abc"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"H\u00e9"}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    ]
    .concat()
}

fn stopped() -> Vec<u8> {
    event("messageStop", r#"{"stopReason":"max_tokens"}"#)
}

fn figures() -> Vec<u8> {
    event(
        "metadata",
        r#"{"usage":{"inputTokens":5,"outputTokens":4,"totalTokens":9,"cacheReadInputTokens":3,"cacheWriteInputTokens":1}}"#,
    )
}

/// Each of Anthropic's events in a frame of its own.
fn chunks(stream: &str) -> Vec<u8> {
    let data =
        stream.split_terminator("\n\n").filter_map(|event| event.lines().nth(1)?.strip_prefix("data: "));
    data.flat_map(|data| event("chunk", &format!(r#"{{"bytes":"{}"}}"#, BASE64_STANDARD.encode(data))))
        .collect()
}

const USAGE: Usage =
    Usage { input: 9, cached_input: 3, cache_creation_input: 1, output: 4, reasoning: 0, total: 13 };

#[test]
fn a_converse_stream_becomes_the_clients() {
    let stream = [begun(), stopped(), figures()].concat();
    let (out, seen, ended) = pass_cut(|| converse(Wire::ChatCompletions), &stream);
    assert_eq!((ended, seen.usage, seen.complete), (Ok(()), Some(USAGE), true));
    assert_eq!((seen.output_bytes, seen.output_events, seen.response_model), (3, 1, None));
    let chunks = events(&[Bytes::from(out)]);
    let first = &chunks[0].1;
    assert_eq!(
        (&first["id"], &first["model"], &first["created"]),
        (&"req-1".into(), &"asked-model".into(), &7.into())
    );
    assert_eq!(chunks.last().map(|(_, data)| data.clone()), Some(Value::from("[DONE]")));

    let (out, _, ended) = pass_cut(|| converse(Wire::Messages), &stream);
    let messages = events(&[Bytes::from(out)]);
    assert_eq!((ended, messages[0].1["message"]["id"].as_str()), (Ok(()), Some("req-1")));
    assert_eq!(messages.last().map(|(name, _)| name.as_str()), Some("message_stop"));
}

#[test]
fn anthropics_events_leave_as_they_came() {
    let stream = [MESSAGES_START, MESSAGES, MESSAGES_END].concat();
    let (out, seen, ended) = pass_cut(|| invoke(Wire::Messages), &chunks(&stream));
    assert_eq!((out, ended), (stream.clone(), Ok(())));
    assert_eq!((seen.usage, seen.complete, seen.output_events), (Some(USAGE), true, 2));

    let (out, seen, ended) = pass_cut(|| invoke(Wire::ChatCompletions), &chunks(&stream));
    assert!(out.ends_with("data: [DONE]\n\n") && ended.is_ok(), "{out}");
    assert_eq!(seen.usage, Some(USAGE));
}

#[test]
fn how_streams_end() {
    let (chat, messages) = (Wire::ChatCompletions, Wire::Messages);
    let start = chunks(&[MESSAGES_START, MESSAGES].concat());
    let cut = |mut stream: Vec<u8>| {
        stream.truncate(stream.len() - 1);
        stream
    };
    let damaged = |mut stream: Vec<u8>| {
        *stream.last_mut().unwrap() ^= 1;
        stream
    };
    #[rustfmt::skip]
    let cases: [(Begin, Wire, Vec<u8>, bool, bool, bool); 13] = [
        // from    to        stream                                                    complete failed ended well
        (converse, chat,     [begun(), stopped(), figures()].concat(),                 true,    false, true),
        (converse, chat,     [begun(), stopped()].concat(),                            true,    false, true),  // only the figures are missing
        (converse, chat,     begun(),                                                  false,   false, false), // cut between frames
        (converse, chat,     cut(begun()),                                             false,   false, false), // cut inside one
        (converse, chat,     [begun(), cut(stopped())].concat(),                       false,   false, false),
        (converse, chat,     [begun(), stopped(), cut(figures())].concat(),            false,   false, false),
        (converse, chat,     [begun(), damaged(stopped())].concat(),                   false,   false, false),
        (converse, messages, [begun(), exception("modelStreamErrorException")].concat(), false, true,  true),  // the client has been told
        (converse, chat,     [begun(), stopped(), figures(), vec![7; 40]].concat(),    true,    false, true),  // not for the client any more
        (converse, chat,     Vec::new(),                                               false,   false, false),
        (invoke,   messages, start.clone(),                                            false,   false, false),
        (invoke,   messages, [start.clone(), exception("throttlingException")].concat(), false, true,  true),
        (invoke,   messages, cut(start),                                               false,   false, false),
    ];
    for (from, to, stream, complete, failed, well) in cases {
        let (out, seen, ended) = pass_cut(|| from(to), &stream);
        assert_eq!((seen.complete, seen.failed, ended.is_ok()), (complete, failed, well), "{to:?} → {out}");
        let tidy = out.contains("[DONE]") || out.contains("message_stop");
        assert_eq!(tidy, complete, "a tidy end only where the answer is whole: {out}");
        assert_eq!(out.contains("too much"), failed, "{out}");
    }
}

#[test]
fn whole_answers_are_named_and_counted() {
    let replies = Replies::new(Wire::Messages, Wire::Converse, false).by("asked-model").named("req-1");
    let mut reply = replies.begin_as("application/json");
    assert_eq!(reply.mode(), Mode::Collect);
    let answer = r#"{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"text":"Hello"},{"toolUse":{"toolUseId":"t","name":"f","input":{"a":"bc"}}}]}},"stopReason":"tool_use","usage":{"inputTokens":5,"outputTokens":4,"totalTokens":9,"cacheReadInputTokens":3,"cacheWriteInputTokens":1},"metrics":{"latencyMs":1}}"#;
    let mut out = Vec::new();
    reply.feed(Bytes::from(answer), &mut out).unwrap();
    reply.finish(&mut out).unwrap();
    let message: Value = serde_json::from_slice(&out.concat()).unwrap();
    assert_eq!((&message["id"], &message["model"]), (&"req-1".into(), &"asked-model".into()));
    assert_eq!(
        (reply.seen().output_bytes, reply.seen().usage, reply.seen().complete),
        (9, Some(USAGE), true)
    );
}

#[test]
fn the_content_type_tells_the_framing() {
    #[rustfmt::skip]
    let cases = [
        ("application/vnd.amazon.eventstream",   Mode::Stream),
        ("text/event-stream; charset=utf-8",     Mode::Stream),
        (" text/event-stream",                   Mode::Stream),
        ("application/json",                     Mode::Collect),
        ("",                                     Mode::Collect),
    ];
    for (content_type, mode) in cases {
        let replies = Replies::new(Wire::Messages, Wire::Converse, false);
        assert_eq!(replies.begin_as(content_type).mode(), mode, "{content_type}");
    }
}
