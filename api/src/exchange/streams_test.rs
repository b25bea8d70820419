//! Streams that pass: what leaves and what is seen, wherever the stream is cut, and how the gateway ends one itself.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Mode, Replies, Reply, Seen};
use crate::canonical::Usage;
use crate::error::{ApiError, ErrorKind};
use crate::framing::sse::Splitter;
use crate::wire::Wire;

pub(super) const CHAT: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm"},"finish_reason":null}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{"content":"H\u00e9\n"},"finish_reason":null}],"usage":null}

: still here

data: {"id":"c1","created":7,"model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"c1","created":7,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

"#;
pub(super) const CHAT_USAGE: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":3}}}

"#;
pub(super) const DONE: &str = "data: [DONE]\n\n";

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"r1","object":"response","created_at":7,"status":"in_progress","error":null,"model":"m-1","tools":[],"output":[],"usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"i","output_index":0,"delta":"Hello","obfuscation":"xxxx"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":2,"item_id":"i","delta":"{}"}

"#;
const RESPONSES_END: &str = r#"event: response.completed
data: {"type":"response.completed","sequence_number":3,"response":{"id":"r1","status":"completed","error":null,"model":"m-1","output":[{"type":"message"}],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":3},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}}}

"#;

pub(super) const MESSAGES_START: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"a1","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":1,"output_tokens":1}}}

"#;
pub(super) const MESSAGES: &str = r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}

"#;
pub(super) const MESSAGES_END: &str = r#"event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

"#;

pub(super) const CHAT_FIGURES: Usage =
    Usage { input: 9, cached_input: 3, cache_creation_input: 0, output: 4, reasoning: 0, total: 13 };

fn begin(wire: Wire, asks_usage: bool) -> Reply {
    Replies::new(wire, wire, asks_usage).begin(true)
}

/// What left and what was seen; the end may be an error.
pub(super) fn pass(mut reply: Reply, chunks: &[&[u8]]) -> (String, Seen, Result<(), String>) {
    let mut out = Vec::new();
    let mut fed = Ok(());
    for chunk in chunks {
        fed = fed.and_then(|()| reply.feed(Bytes::copy_from_slice(chunk), &mut out));
    }
    let ended = fed.and_then(|()| reply.finish(&mut out)).map_err(|malformed| malformed.message);
    (String::from_utf8(out.concat()).unwrap(), reply.seen().clone(), ended)
}

/// The same wherever it is cut.
pub(super) fn pass_cut<S: AsRef<[u8]> + ?Sized>(
    begin: impl Fn() -> Reply,
    stream: &S,
) -> (String, Seen, Result<(), String>) {
    let bytes = stream.as_ref();
    let whole = pass(begin(), &[bytes]);
    assert_eq!(pass(begin(), &bytes.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        assert_eq!(pass(begin(), &[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    whole
}

fn seen(usage: Option<Usage>, output: (u64, u64)) -> Seen {
    Seen {
        free: false,
        usage,
        response_model: Some("m-1".to_owned()),
        output_bytes: output.0,
        output_events: output.1,
        complete: true,
        failed: false,
        failure: None,
    }
}

#[test]
fn chat_hides_only_the_usage_that_the_client_did_not_ask_for() {
    let stream = [CHAT, CHAT_USAGE, DONE].concat();
    // 2 bytes of reasoning, 4 of content, 5 of arguments.
    let expected = seen(Some(CHAT_FIGURES), (11, 3));
    for (ends, name) in [("\n", "LF"), ("\r\n", "CRLF"), ("\r", "CR")] {
        let (stream, hidden) = (stream.replace('\n', ends), [CHAT, DONE].concat().replace('\n', ends));
        let asked = pass_cut(|| begin(Wire::ChatCompletions, true), &stream);
        assert_eq!(asked, (stream.clone(), expected.clone(), Ok(())), "{name}, asked");
        let not_asked = pass_cut(|| begin(Wire::ChatCompletions, false), &stream);
        assert_eq!(not_asked, (hidden, expected.clone(), Ok(())), "{name}, not asked");
    }
}

#[test]
fn chunks_that_look_like_the_usage_chunk_pass() {
    let chunks = [
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":{"prompt_tokens":1}}"#,
        r#"{"error":{"message":"m"},"choices":[],"usage":{"prompt_tokens":1}}"#,
        r#"{"usage":{"prompt_tokens":1}}"#,
    ];
    for chunk in chunks {
        let stream = format!("data: {chunk}\n\n{DONE}");
        assert_eq!(pass_cut(|| begin(Wire::ChatCompletions, false), &stream).0, stream);
    }
}

#[test]
fn legacy_completions() {
    let text = "data: {\"id\":\"c\",\"model\":\"m-1\",\"choices\":[{\"text\":\"abc\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n";
    let (out, seen_so, ended) =
        pass_cut(|| begin(Wire::Completions, false), &[text, CHAT_USAGE, DONE].concat());
    assert_eq!((out, seen_so, ended), ([text, DONE].concat(), seen(Some(CHAT_FIGURES), (3, 1)), Ok(())));
}

#[test]
fn responses_and_messages_pass_whole() {
    let stream = [RESPONSES, RESPONSES_END].concat();
    let passed = pass_cut(|| begin(Wire::Responses, false), &stream);
    assert_eq!(passed, (stream, seen(Some(CHAT_FIGURES), (7, 2)), Ok(())));

    let stream = [MESSAGES_START, MESSAGES, MESSAGES_END].concat();
    let figures =
        Usage { input: 9, cached_input: 3, cache_creation_input: 1, output: 4, reasoning: 0, total: 13 };
    let passed = pass_cut(|| begin(Wire::Messages, false), &stream);
    assert_eq!(passed, (stream, seen(Some(figures), (6, 2)), Ok(())));

    let stream = [MESSAGES, MESSAGES_END].concat();
    let (out, seen, ended) = pass_cut(|| begin(Wire::Messages, false), &stream);
    assert_eq!((out, ended), (stream, Ok(())), "some servers leave message_start out");
    assert_eq!((seen.usage.map(|usage| usage.output), seen.response_model), (Some(4), None));
}

#[test]
fn how_streams_end() {
    let refused = r#"data: {"error":{"message":"overloaded","code":529}}"#;
    #[rustfmt::skip]
    let cases = [
        // wire                stream                                         appended  complete failed  ended well
        (Wire::ChatCompletions, [CHAT, DONE].concat(),                        "",       true,    false,  true),
        (Wire::ChatCompletions, CHAT.to_owned(),                              DONE,     true,    false,  true),  // said why it stopped: only [DONE] is missing
        (Wire::ChatCompletions, [CHAT, ": ping"].concat(),                    DONE,     true,    false,  true),  // half a comment is no loss
        (Wire::ChatCompletions, CHAT.split_inclusive("\n\n").take(2).collect(), "",     false,   false,  false), // truncated
        (Wire::ChatCompletions, String::new(),                                "",       false,   false,  false),
        (Wire::ChatCompletions, [CHAT, "data: [DONE]"].concat(),              "\n\n",   true,    false,  true),  // no blank line
        (Wire::ChatCompletions, format!("{refused}\n\n"),                     "",       false,   true,   true),  // the client has been told
        (Wire::Responses,       RESPONSES.to_owned(),                         "",       false,   false,  false),
        (Wire::Responses,       RESPONSES_END.replace("response.completed", "response.incomplete"), "", true, false, true),
        (Wire::Responses,       RESPONSES_END.replace("response.completed", "response.failed"), "",     true, true,  true),
        (Wire::Responses,       "data: {\"type\":\"error\",\"code\":\"x\"}\n\n".to_owned(), "",         false, true,  true),
        (Wire::Messages,        [MESSAGES_START, MESSAGES].concat(),          "",       false,   false,  false),
        (Wire::Messages,        "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n".to_owned(), "", false, true, true),
    ];
    for (wire, stream, appended, complete, failed, well) in cases {
        let (out, seen, ended) = pass_cut(|| begin(wire, true), &stream);
        let leaves = stream.trim_end_matches(": ping");
        assert_eq!(out, leaves.to_owned() + appended);
        assert_eq!((seen.complete, seen.failed, ended.is_ok()), (complete, failed, well), "{stream}");
    }
}

#[test]
fn a_torn_event_is_not_taken_for_the_end() {
    let torn = [CHAT, &CHAT_USAGE[..50]].concat();
    let (out, seen, ended) = pass_cut(|| begin(Wire::ChatCompletions, true), &torn);
    assert_eq!((&*out, seen.complete, ended.is_ok()), (CHAT, false, false));
}

#[test]
fn two_choices_must_both_have_finished() {
    let finish =
        |index: u32| format!("data: {{\"choices\":[{{\"index\":{index},\"finish_reason\":\"stop\"}}]}}\n\n");
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{}},{\"index\":1,\"delta\":{}}]}\n\n";
    let one = [begun, &finish(1)].concat();
    assert!(pass(begin(Wire::ChatCompletions, true), &[one.as_bytes()]).2.is_err());
    let both = one + &finish(0);
    assert!(pass(begin(Wire::ChatCompletions, true), &[both.as_bytes()]).2.is_ok());
}

#[test]
fn events_that_cannot_be_read_pass_and_count() {
    let stream = format!("data: {{\"choices\":\"?\"}}\n\ndata: nonsense\n\n{DONE}");
    let (out, seen, _) = pass_cut(|| begin(Wire::ChatCompletions, false), &stream);
    assert_eq!((out, seen.output_bytes, seen.output_events), (stream, 15 + 8, 2));
}

#[test]
fn bytes_are_not_copied() {
    let chunk = Bytes::from([CHAT, CHAT_USAGE, DONE].concat());
    let mut out = Vec::new();
    begin(Wire::ChatCompletions, false).feed(chunk.clone(), &mut out).unwrap();
    let left: Vec<_> = out.iter().map(|part| (part.as_ptr(), part.len())).collect();
    let after = CHAT.len() + CHAT_USAGE.len();
    assert_eq!(left, [(chunk.as_ptr(), CHAT.len()), (chunk[after..].as_ptr(), DONE.len())]);
}

/// Name and JSON of each event; `[DONE]` as a string.
pub(super) fn events(parts: &[Bytes]) -> Vec<(String, Value)> {
    let stream = parts.concat();
    let (mut splitter, mut at, mut events) = (Splitter::new(), 0, Vec::new());
    while let Some(event) = splitter.next(&stream, &mut at).unwrap() {
        let data = serde_json::from_slice(&event.data);
        let data = data.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&event.data)));
        events.push((event.name.unwrap_or_default().to_owned(), data));
    }
    assert!(splitter.is_between_blocks(), "ends with a whole event");
    events
}

/// What follows `stream` and half an event when the gateway ends it.
fn ended(wire: Wire, stream: &str, end: impl Fn(&mut Reply, &mut Vec<Bytes>)) -> Vec<(String, Value)> {
    let mut reply = begin(wire, true);
    reply.feed(Bytes::from(stream.to_owned() + "data: {\"half"), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    end(&mut reply, &mut out);
    let events = events(&out);
    // Nothing follows an end.
    end(&mut reply, &mut out);
    reply.feed(Bytes::from(" of it\"}\n\n"), &mut out).unwrap();
    reply.finish(&mut out).unwrap();
    assert_eq!(events.len(), self::events(&out).len());
    events
}

#[test]
fn failing_says_so_in_the_protocol() {
    let fail = |reply: &mut Reply, out: &mut Vec<Bytes>| {
        let error = ApiError {
            status: StatusCode::BAD_GATEWAY,
            kind: ErrorKind::Upstream,
            message: "gone".to_owned(),
            code: None,
            param: None,
        };
        reply.fail(&error, "req-1", out);
    };
    let openai = json!({"error": {"message": "gone", "type": "server_error", "param": null, "code": "upstream_error"}});
    assert_eq!(ended(Wire::ChatCompletions, CHAT, fail), [(String::new(), openai.clone())], "and no [DONE]");
    assert_eq!(ended(Wire::Completions, "", fail), [(String::new(), openai)]);
    let numbered = json!({"type": "error", "code": "upstream_error", "message": "gone", "param": null, "sequence_number": 3});
    assert_eq!(ended(Wire::Responses, RESPONSES, fail), [("error".to_owned(), numbered)]);
    let anthropic =
        json!({"type": "error", "error": {"type": "api_error", "message": "gone"}, "request_id": "req-1"});
    assert_eq!(ended(Wire::Messages, MESSAGES, fail), [("error".to_owned(), anthropic)]);

    assert_eq!(
        ended(Wire::ChatCompletions, &[CHAT, DONE].concat(), fail),
        [],
        "the client has the end already"
    );
}

#[test]
fn landing_is_tidy() {
    let land = |reply: &mut Reply, out: &mut Vec<Bytes>| reply.land(&CHAT_FIGURES, out);
    let chat: String = CHAT.split_inclusive("\n\n").take(2).collect();
    let usage = json!({
        "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    });
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"});
    let with = |members: Value| {
        let mut chunk = chunk.clone();
        chunk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        (String::new(), chunk)
    };
    let finish = json!({"choices": [{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "length"}]});
    let figures = with(json!({"choices": [], "usage": usage}));
    let done = (String::new(), json!("[DONE]"));
    assert_eq!(ended(Wire::ChatCompletions, &chat, land), [with(finish), figures.clone(), done.clone()]);
    assert_eq!(ended(Wire::ChatCompletions, CHAT, land), [figures, done], "its choice has finished already");

    let response = json!({
        "id": "r1", "object": "response", "created_at": 7, "status": "incomplete", "error": null, "model": "m-1",
        "tools": [], "output": [], "incomplete_details": {"reason": "max_output_tokens"},
        "usage": {
            "input_tokens": 9, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 13,
        },
    });
    let event = json!({"type": "response.incomplete", "sequence_number": 3, "response": response});
    assert_eq!(ended(Wire::Responses, RESPONSES, land), [("response.incomplete".to_owned(), event)]);

    let events = ended(Wire::Messages, &[MESSAGES_START, MESSAGES].concat(), land);
    let usage = json!({"input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 4});
    let stop = json!({"stop_reason": "max_tokens", "stop_sequence": null});
    let expected = [
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": stop, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(events, expected.map(|event| (event["type"].as_str().unwrap().to_owned(), event)));

    let between_blocks = MESSAGES.split_inclusive("\n\n").take(4);
    let events = ended(Wire::Messages, &between_blocks.collect::<String>(), land);
    assert_eq!(events[0].0, "message_delta", "no block to end: {events:?}");
}

#[test]
fn streams_have_a_mode() {
    assert_eq!(begin(Wire::Messages, true).mode(), Mode::Stream);
    assert_eq!(begin(Wire::Embeddings, true).mode(), Mode::Pass, "embeddings have no streams");
    assert_eq!(Replies::new(Wire::Messages, Wire::ChatCompletions, false).begin(true).mode(), Mode::Stream);
    assert_eq!(Replies::new(Wire::Messages, Wire::ChatCompletions, false).begin(false).mode(), Mode::Collect);
}
