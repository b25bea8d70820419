//! Google's two schemas and Gemini's clients: what is sent, how streams without a last event pass, are translated and end,
//! and whose errors say what.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::streams_test::{events, pass_cut};
use super::{Project, Replies, Reply, Target, UpstreamRequest, prepare};
use crate::canonical::Usage;
use crate::edit::BodyEdits;
use crate::endpoint::{Endpoint, Schema};
use crate::error::{ApiError, ErrorKind, Untranslatable};
use crate::peek::{Named, Peek, peek, peek_named};
use crate::wire::Wire;

const STREAM: &str = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true}]}}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"m-1","responseId":"r"}

data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hé\n"}]}}],"modelVersion":"m-1","responseId":"r"}

data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":"xyz"}}}]}}],"modelVersion":"m-1","responseId":"r"}

"#;
const LAST: &str = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":3,"candidatesTokenCount":3,"thoughtsTokenCount":1,"totalTokenCount":13},"modelVersion":"m-1","responseId":"r"}

"#;
const FIGURES: Usage =
    Usage { input: 9, cached_input: 3, cache_creation_input: 0, output: 4, reasoning: 1, total: 13 };

/// Begins a reply.
type Begin = fn() -> Reply;

fn pass() -> Reply {
    Replies::new(Wire::GenerateContent, Wire::GenerateContent, false).begin(true)
}

fn to_chat() -> Reply {
    Replies::new(Wire::ChatCompletions, Wire::GenerateContent, true).begin(true)
}

fn to_messages() -> Reply {
    Replies::new(Wire::Messages, Wire::GenerateContent, false).begin(true)
}

#[test]
fn streams_pass_and_are_metered() {
    let stream = [STREAM, LAST].concat();
    for ends in ["\n", "\r\n"] {
        let stream = stream.replace('\n', ends).replace("Hé\\r\\n", "Hé\\n");
        let (out, seen, ended) = pass_cut(pass, &stream);
        assert_eq!((out, ended), (stream, Ok(())));
        assert_eq!((seen.usage, seen.complete, seen.failed), (Some(FIGURES), true, false));
        assert_eq!(
            (seen.output_bytes, seen.output_events),
            (9, 3),
            "2 of thoughts, 4 of text, 3 of arguments"
        );
        assert_eq!(seen.response_model.as_deref(), Some("m-1"));
    }
}

#[test]
fn streams_are_translated() {
    let stream = [STREAM, LAST].concat();
    let (out, seen, ended) = pass_cut(to_chat, &stream);
    assert_eq!((ended, seen.usage, seen.complete), (Ok(()), Some(FIGURES), true));
    let read = events(&[Bytes::from(out)]);
    assert_eq!(read.last().map(|(_, data)| data.clone()), Some(Value::from("[DONE]")));
    let finished: Vec<_> =
        read.iter().filter_map(|(_, data)| data["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(finished, ["tool_calls"]);
    let (out, seen, ended) = pass_cut(to_messages, &stream);
    assert_eq!((ended, seen.complete), (Ok(()), true));
    assert_eq!(events(&[Bytes::from(out)]).last().map(|(name, _)| &**name), Some("message_stop"));
}

#[test]
fn how_streams_end() {
    let error = "data: {\"error\":{\"code\":429,\"message\":\"o\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n\n";
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n";
    let two = "data: {\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"},{\"index\":1}]}\n\n";
    #[rustfmt::skip]
    let cases: [(Begin, String, bool, bool, bool); 11] = [
        // to         stream                               complete failed ended well
        (pass,        [STREAM, LAST].concat(),             true,    false, true),
        (pass,        [STREAM, LAST.trim_end()].concat(),  true,    false, true),  // no blank line
        (pass,        STREAM.to_owned(),                   false,   false, false), // nobody said why it ended
        (pass,        [STREAM, &LAST[..60]].concat(),      false,   false, false), // cut inside
        (pass,        [STREAM, error].concat(),            false,   true,  true),
        (pass,        blocked.to_owned(),                  true,    false, true),  // nothing was generated
        (pass,        two.to_owned(),                      false,   false, false), // one of two has not finished
        (to_chat,     STREAM.to_owned(),                   false,   false, false),
        (to_chat,     [STREAM, error].concat(),            false,   true,  true),
        (to_chat,     blocked.to_owned(),                  true,    false, true),
        (to_messages, [STREAM, &LAST[..60]].concat(),      false,   false, false),
    ];
    for (to, stream, complete, failed, well) in cases {
        let (out, seen, ended) = pass_cut(to, &stream);
        assert_eq!((seen.complete, seen.failed, ended.is_ok()), (complete, failed, well), "{stream} → {out}");
        if let (true, Some(failure)) = (failed, &seen.failure) {
            assert_eq!((failure.kind, &*failure.message), (ErrorKind::RateLimited, "o"));
        }
    }
}

#[test]
fn the_gateway_can_end_them() {
    let end = |begin: &dyn Fn() -> Reply, stream: &str, end: &dyn Fn(&mut Reply, &mut Vec<Bytes>)| {
        let mut reply = begin();
        reply.feed(Bytes::from(stream.to_owned()), &mut Vec::new()).unwrap();
        let mut out = Vec::new();
        end(&mut reply, &mut out);
        events(&out)
    };
    let error = ApiError::of_kind(ErrorKind::Timeout, "gone".to_owned());
    let failed = json!({"error": {"code": 504, "message": "gone", "status": "DEADLINE_EXCEEDED"}});
    let landed = json!({
        "candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "MAX_TOKENS", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 9, "cachedContentTokenCount": 3, "candidatesTokenCount": 3, "thoughtsTokenCount": 1,
            "totalTokenCount": 13,
        },
        "modelVersion": "m-1", "responseId": "r",
    });
    let from_chat = || Replies::new(Wire::GenerateContent, Wire::ChatCompletions, false).begin(true);
    let chat = "data: {\"id\":\"r\",\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    for (begin, stream) in [(&pass as &dyn Fn() -> Reply, STREAM), (&from_chat, chat)] {
        let ended = end(begin, stream, &|reply, out| reply.fail(&error, "r", out));
        assert_eq!(ended, [(String::new(), failed.clone())]);
        let ended = end(begin, stream, &|reply, out| reply.land(&FIGURES, out));
        assert_eq!(ended, [(String::new(), landed.clone())]);
    }
    let whole = [STREAM, LAST].concat();
    let mut reply = pass();
    let mut out = Vec::new();
    reply.feed(Bytes::from(whole), &mut out).unwrap();
    reply.finish(&mut out).unwrap();
    out.clear();
    reply.fail(&error, "r", &mut out);
    assert!(out.is_empty(), "it has ended");
}

#[test]
fn whole_answers_are_metered() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"},{"functionCall":{"args":{"k":"v"}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4},"modelVersion":"m"}"#;
    let mut reply = Replies::new(Wire::GenerateContent, Wire::GenerateContent, false).begin(false);
    let mut out = Vec::new();
    reply.feed(Bytes::from(body), &mut out).unwrap();
    reply.finish(&mut out).unwrap();
    assert_eq!(out.concat(), body.as_bytes());
    let seen = reply.seen();
    assert_eq!((seen.output_bytes, seen.usage.map(|usage| usage.total)), (6, Some(13)));
    assert_eq!((seen.response_model.as_deref(), seen.complete), (Some("m"), true));
}

fn prepared(
    (schema, endpoint): (Schema, Endpoint),
    (peek, body): (&Peek, &str),
    output_cap: Option<u64>,
) -> Result<UpstreamRequest, Untranslatable> {
    let target = Target {
        schema,
        version: None,
        prefix: None,
        project: Some(Project { name: "p", region: "r" }),
        model: "up",
        edits: &BodyEdits::default(),
        output_cap,
    };
    prepare(endpoint, &HeaderMap::new(), &Bytes::from(body.to_owned()), peek, &target)
}

#[test]
fn gemini_clients_bodies_pass_to_gemini() {
    #[rustfmt::skip]
    let cases = [
        // cap      body                                                            sent
        (None,     r#"{"contents":[ 1.50 ]}"#,                                      r#"{"contents":[ 1.50 ]}"#),
        (None,     r#"{"model":"models/m","contents":[]}"#,                         r#"{"contents":[]}"#), // the path says it
        (Some(50), r#"{"contents":[]}"#,                                            r#"{"contents":[],"generationConfig":{"maxOutputTokens":50}}"#),
        (Some(50), r#"{"generationConfig":{"topK":1,"maxOutputTokens":60}}"#,       r#"{"generationConfig":{"topK":1,"maxOutputTokens":50}}"#),
        (Some(50), r#"{"generationConfig":{"maxOutputTokens":40}}"#,                r#"{"generationConfig":{"maxOutputTokens":40}}"#), // never raised
        (Some(50), r#"{"generation_config":{"max_output_tokens":60}}"#,             r#"{"generation_config":{"max_output_tokens":50}}"#), // the other spelling
        (Some(50), r#"{"generation_config":{"maxOutputTokens":60}}"#,               r#"{"generation_config":{"maxOutputTokens":50}}"#),
        (Some(50), r#"{"generationConfig":null}"#,                                  r#"{"generationConfig":{"maxOutputTokens":50}}"#),
    ];
    let named = Named { model: "m".to_owned(), stream: true };
    for (cap, body, sent) in cases {
        let peeked = peek_named(&named, body.as_bytes()).unwrap();
        let called = (Schema::GcpVertexAi, Endpoint::GenerateContent);
        let request = prepared(called, (&peeked, body), cap).unwrap();
        assert!(!request.translated);
        assert_eq!(
            request.path,
            "/v1/projects/p/locations/r/publishers/google/models/up:streamGenerateContent?alt=sse"
        );
        assert_eq!(request.body.concat(), sent, "{body}");
    }
}

#[test]
fn every_client_is_served_by_every_backend() {
    let chat = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let messages =
        r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let gemini = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let named = Named { model: "m".to_owned(), stream: true };
    let google = "/v1/projects/p/locations/r/publishers/google/models/up:streamGenerateContent?alt=sse";
    let claude = "/v1/projects/p/locations/r/publishers/anthropic/models/up:streamRawPredict";
    #[rustfmt::skip]
    let cases = [
        // schema                endpoint                   body      path                    pointer, value
        (Schema::GcpVertexAi,  Endpoint::ChatCompletions, chat,     google,                 "/contents/0/parts/0/text",  json!("hi")),
        (Schema::GcpVertexAi,  Endpoint::Messages,        messages, google,                 "/generationConfig/maxOutputTokens", json!(9)),
        (Schema::GcpAnthropic, Endpoint::ChatCompletions, chat,     claude,                 "/anthropic_version",        json!("vertex-2023-10-16")),
        (Schema::GcpAnthropic, Endpoint::Messages,        messages, claude,                 "/anthropic_version",        json!("vertex-2023-10-16")),
        (Schema::GcpAnthropic, Endpoint::GenerateContent, gemini,   claude,                 "/stream",                   json!(true)),
        (Schema::Anthropic,    Endpoint::GenerateContent, gemini,   "/v1/messages",         "/model",                    json!("up")),
        (Schema::OpenAi,       Endpoint::GenerateContent, gemini,   "/v1/chat/completions", "/stream_options/include_usage", json!(true)),
    ];
    for (schema, endpoint, body, path, pointer, value) in cases {
        let by_path = endpoint == Endpoint::GenerateContent;
        let peeked =
            if by_path { peek_named(&named, body.as_bytes()) } else { peek(endpoint, body.as_bytes()) }
                .unwrap();
        let request = prepared((schema, endpoint), (&peeked, body), Some(50)).unwrap();
        assert_eq!(request.path, path);
        let sent: Value = serde_json::from_slice(&request.body.concat()).unwrap();
        assert_eq!(sent.pointer(pointer), Some(&value), "{schema:?} {endpoint:?}: {sent}");
        if path == claude {
            assert_eq!((sent.get("model"), &sent["stream"]), (None, &json!(true)), "the path names it");
        }
    }
    let peeked = peek(Endpoint::Embeddings, br#"{"model":"m","input":"x"}"#).unwrap();
    for schema in [Schema::GcpVertexAi, Schema::GcpAnthropic] {
        let refused = prepared((schema, Endpoint::Embeddings), (&peeked, "{}"), None).unwrap_err();
        assert!(refused.message.contains(schema.name()), "{refused}");
    }
}

#[test]
fn errors_are_told_in_the_clients_words() {
    use Wire::{ChatCompletions, GenerateContent, Messages};
    let google = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[]}}"#;
    let listed = format!("[{google}]");
    let long = r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}"#;
    #[rustfmt::skip]
    let cases = [
        // upstream        client           status body     expected in the answer
        (GenerateContent, GenerateContent, 429, google,     r#""details":[]"#), // untouched
        (GenerateContent, ChatCompletions, 429, google,     r#"{"error":{"message":"slow","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#),
        (GenerateContent, Messages,        429, &listed,    r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"q"}"#),
        (Messages,        Messages,        429, google,     r#"{"type":"rate_limit_error","message":"slow"}"#), // Anthropic's at Google
        (GenerateContent, ChatCompletions, 400, long,       r#""code":"context_length_exceeded""#),
        (GenerateContent, Messages,        400, long,       r#""message":"prompt is too long: The input"#),
        (ChatCompletions, GenerateContent, 401, r#"{"error":{"message":"no","type":"x"}}"#, r#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#),
    ];
    for (upstream, client, status, body, expected) in cases {
        let replies = Replies::new(client, upstream, false);
        let status = StatusCode::from_u16(status).unwrap();
        let rendered = replies.error(status, Bytes::from(body.to_owned()), "q");
        let rendered = std::str::from_utf8(&rendered).unwrap();
        assert!(rendered.contains(expected), "{rendered}");
    }
}
