//! Answers on their way from one format to another: the same wherever the stream is cut, and ended as the client
//! expects in every case. What each format's events look like is tested beside its codec.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::streams_test::{
    CHAT, CHAT_FIGURES, CHAT_USAGE, DONE, MESSAGES, MESSAGES_END, MESSAGES_START, events, pass_cut,
};
use super::{Mode, Replies, Reply, Target, belongs_to, prepare};
use crate::canonical::Usage;
use crate::edit::BodyEdits;
use crate::endpoint::{Dialect, Endpoint, Schema};
use crate::error::{ApiError, ErrorKind};
use crate::peek::peek;
use crate::wire::Wire;

/// Begins a reply.
type Begin = fn() -> Reply;

fn to_messages() -> Reply {
    Replies::new(Wire::Messages, Wire::ChatCompletions, false).begin(true)
}

fn to_chat() -> Reply {
    Replies::new(Wire::ChatCompletions, Wire::Messages, true).begin(true)
}

fn names(stream: &str) -> Vec<String> {
    events(&[Bytes::from(stream.to_owned())]).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_chat_stream_becomes_messages() {
    let (out, seen, ended) = pass_cut(to_messages, &[CHAT, CHAT_USAGE, DONE].concat());
    assert_eq!(ended, Ok(()));
    let names = names(&out);
    assert_eq!(names.first().map(String::as_str), Some("message_start"));
    assert_eq!(names.last().map(String::as_str), Some("message_stop"));
    assert_eq!((seen.usage, seen.complete, seen.failed), (Some(CHAT_FIGURES), true, false));
    assert_eq!((seen.output_bytes, seen.output_events), (11, 3));
    assert_eq!(seen.response_model.as_deref(), Some("m-1"));
}

#[test]
fn a_messages_stream_becomes_chat() {
    let (out, seen, ended) = pass_cut(to_chat, &[MESSAGES_START, MESSAGES, MESSAGES_END].concat());
    assert_eq!(ended, Ok(()));
    let events = events(&[Bytes::from(out)]);
    assert_eq!(events.last().map(|(_, data)| data.clone()), Some(Value::from("[DONE]")));
    let finished: Vec<_> =
        events.iter().filter_map(|(_, data)| data["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(finished, ["tool_calls"]);
    let usage = Usage { cache_creation_input: 1, ..CHAT_FIGURES };
    assert_eq!((seen.usage, seen.complete), (Some(usage), true));
    assert_eq!((seen.output_bytes, seen.output_events), (6, 2));
}

#[test]
fn how_translated_streams_end() {
    let refusal = "data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n";
    let anthropic_refusal = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}\n\n";
    let half = &CHAT[..CHAT.len() / 2];
    #[rustfmt::skip]
    let cases: [(Begin, String, bool, bool, bool); 9] = [
        // to           stream                                                  complete failed ended well
        (to_messages,   [CHAT, DONE].concat(),                                  true,    false, true),
        (to_messages,   CHAT.to_owned(),                                        true,    false, true),  // only [DONE] is missing
        (to_messages,   half.to_owned(),                                        false,   false, false), // cut inside an event
        (to_messages,   CHAT.split_inclusive("\n\n").take(2).collect(),         false,   false, false), // cut between events
        (to_chat,       [MESSAGES_START, MESSAGES, MESSAGES_END.split_once("event: message_stop").unwrap().0].concat(), false, false, false), // Anthropic never leaves it out
        (to_messages,   [CHAT.split_inclusive("\n\n").next().unwrap(), refusal].concat(), false, true, true),
        (to_chat,       [MESSAGES_START, MESSAGES].concat(),                    false,   false, false),
        (to_chat,       [MESSAGES_START, MESSAGES, anthropic_refusal].concat(), false,   true,  true),
        (to_chat,       [MESSAGES, MESSAGES_END].concat(),                      true,    false, true),  // no message_start
    ];
    for (to, stream, complete, failed, well) in cases {
        let (out, seen, ended) = pass_cut(to, &stream);
        assert_eq!((seen.complete, seen.failed, ended.is_ok()), (complete, failed, well), "{stream} → {out}");
        let tidy = out.contains("[DONE]") || out.contains("message_stop");
        assert_eq!(tidy, complete, "a tidy end only where the answer is whole: {out}");
    }
}

/// The upstream's terminal event counts once, and an error is the last word.
#[test]
fn nothing_follows_the_end() {
    let error = "data: {\"error\":{\"message\":\"o\"}}\n\n";
    #[rustfmt::skip]
    let cases: [(Begin, String, &str, bool); 5] = [
        // to         stream                                                      end              complete
        (to_messages, [CHAT, DONE, DONE].concat(),                                "message_stop",  true),
        (to_messages, [CHAT, DONE, "data: {oops\n\n", DONE].concat(),             "message_stop",  true),
        (to_messages, [CHAT, DONE, CHAT, DONE].concat(),                          "message_stop",  true),
        (to_chat,     [MESSAGES_START, MESSAGES, MESSAGES_END, MESSAGES_END].concat(), "[DONE]",   true),
        (to_messages, [error, DONE].concat(),                                     "event: error",  false),
    ];
    for (to, stream, end, complete) in cases {
        let (out, seen, ended) = pass_cut(to, &stream);
        assert_eq!((seen.complete, ended), (complete, Ok(())), "{out}");
        // Each event of Messages is named twice.
        assert_eq!(out.matches(end).count(), if end == "message_stop" { 2 } else { 1 }, "{out}");
        let last = out.rsplit("\n\n").find(|event| !event.is_empty()).unwrap();
        assert!(last.contains(end), "{last}");
    }
}

#[test]
fn the_gateway_can_end_them() {
    let error = ApiError {
        status: StatusCode::BAD_GATEWAY,
        kind: ErrorKind::Upstream,
        message: "gone".to_owned(),
        code: None,
        param: None,
    };
    let begun: String = CHAT.split_inclusive("\n\n").take(2).collect();
    #[rustfmt::skip]
    let cases: [(Begin, String, &str); 2] = [
        (to_messages, begun,                               r#""stop_reason":"max_tokens""#),
        (to_chat,     [MESSAGES_START, MESSAGES].concat(), r#""finish_reason":"length""#),
    ];
    for (to, stream, landed) in cases {
        let ended = |end: &dyn Fn(&mut Reply, &mut Vec<Bytes>)| {
            let mut reply = to();
            reply.feed(Bytes::from(stream.clone()), &mut Vec::new()).unwrap();
            let mut out = Vec::new();
            end(&mut reply, &mut out);
            String::from_utf8(out.concat()).unwrap()
        };
        let failure = ended(&|reply, out| reply.fail(&error, "r", out));
        assert!(
            failure.contains("gone") && !failure.contains("DONE") && !failure.contains("_stop"),
            "{failure}"
        );
        let landing = ended(&|reply, out| reply.land(&CHAT_FIGURES, out));
        assert!(landing.contains(landed), "{landing}");
        assert!(landing.ends_with("[DONE]\n\n") || landing.contains("message_stop"), "{landing}");
    }
}

#[test]
fn whole_answers_are_collected() {
    let mut reply = Replies::new(Wire::Messages, Wire::ChatCompletions, false).begin(false);
    assert_eq!(reply.mode(), Mode::Collect);
    let answer = r#"{"id":"c","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
    let mut out = Vec::new();
    for chunk in answer.as_bytes().chunks(7) {
        reply.feed(Bytes::copy_from_slice(chunk), &mut out).unwrap();
        assert!(out.is_empty(), "nothing before the end");
    }
    reply.finish(&mut out).unwrap();
    let message: Value = serde_json::from_slice(&out.concat()).unwrap();
    assert_eq!(
        (&message["type"], &message["content"][0]["text"]),
        (&Value::from("message"), &Value::from("Hello"))
    );
    assert_eq!((reply.seen().output_bytes, reply.seen().complete), (5, true));
    assert_eq!(reply.seen().usage.map(|usage| (usage.input, usage.output)), Some((9, 4)));

    let mut reply = Replies::new(Wire::Messages, Wire::ChatCompletions, false).begin(false);
    reply.feed(Bytes::from(answer[..50].to_owned()), &mut out).unwrap();
    assert!(reply.finish(&mut out).is_err(), "cut short");
    assert!(!reply.seen().complete);
}

#[test]
fn chats_are_dated_where_the_upstream_sends_no_time() {
    let replies = Replies::new(Wire::ChatCompletions, Wire::Messages, false).at(1_700_000_000);
    let start = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

"#;
    let whole = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    for (streaming, answer) in [(true, start), (false, whole)] {
        let mut reply = replies.begin(streaming);
        let mut out = Vec::new();
        reply.feed(Bytes::from(answer), &mut out).unwrap();
        if !streaming {
            reply.finish(&mut out).unwrap();
        }
        let text = String::from_utf8(out.concat()).unwrap();
        assert!(text.contains(r#""created":1700000000"#), "{text}");
    }
}

#[test]
fn translated_requests() {
    let edits = BodyEdits::new(vec![("user".to_owned(), "\"u\"".to_owned())], Vec::new()).unwrap();
    let prepared = |endpoint, schema, body: &'static str| {
        let target = Target {
            schema,
            version: Some("v"),
            prefix: None,
            project: None,
            model: "up",
            edits: &edits,
            output_cap: Some(50),
        };
        let peek = peek(endpoint, body.as_bytes()).unwrap();
        let mut client = HeaderMap::new();
        client.insert("anthropic-version", http::HeaderValue::from_static("client's"));
        let request = prepare(endpoint, &client, &Bytes::from(body), &peek, &target).unwrap();
        let sent: Value = serde_json::from_slice(&request.body.clone().concat()).unwrap();
        (request, sent)
    };

    let messages =
        r#"{"model":"m","max_tokens":90,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    for (schema, path) in [
        (Schema::OpenAi, "/v1/chat/completions"),
        (Schema::AzureOpenAi, "/openai/deployments/up/chat/completions?api-version=v"),
    ] {
        let (request, sent) = prepared(Endpoint::Messages, schema, messages);
        assert_eq!((&*request.path, request.translated), (path, true));
        assert_eq!(
            (&sent["model"], &sent["user"]),
            (&Value::from("up"), &Value::from("u")),
            "edited after translation"
        );
        assert_eq!(sent["stream_options"]["include_usage"], true);
        let cap = sent.get("max_completion_tokens").or(sent.get("max_tokens"));
        assert_eq!(cap, Some(&Value::from(50)));
    }

    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let (request, sent) = prepared(Endpoint::ChatCompletions, Schema::Anthropic, chat);
    assert_eq!((&*request.path, request.translated), ("/v1/messages", true));
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&Value::from("up"), &Value::from(50)));
    let versions: Vec<_> =
        request.headers.iter().filter(|(name, _)| belongs_to(Dialect::Anthropic, name)).collect();
    assert_eq!(versions.len(), 1, "ours, since the client's do not pass: {versions:?}");
    assert_eq!(versions[0].1, "2023-06-01");
}
