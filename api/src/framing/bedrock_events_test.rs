//! What becomes of Bedrock's frames.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::aws_event_stream::frame;
use super::BedrockEvents;

fn rewritten(stream: &[u8]) -> (String, Result<(), String>) {
    let (mut events, mut out) = (BedrockEvents::default(), Vec::new());
    let fed = events.feed(stream, &mut out).and_then(|()| events.finish());
    (String::from_utf8(out).unwrap(), fed.map_err(|error| error.message))
}

#[test]
fn frames_become_events() {
    let event = |name: &str, payload: &str| {
        frame(&[(":message-type", "event"), (":event-type", name)], payload.as_bytes())
    };
    let chunk =
        |text: &str| event("chunk", &format!(r#"{{"bytes":"{}","p":"abc"}}"#, BASE64_STANDARD.encode(text)));
    let exception = |name: &str, payload: &str| {
        frame(&[(":message-type", "exception"), (":exception-type", name)], payload.as_bytes())
    };
    let failed = |kind: &str, message: &str| {
        format!(
            "event: error\ndata: {{\"error\":{{\"message\":\"{message}\",\"type\":\"{kind}\"}},\"type\":\"error\"}}\n\n"
        )
    };
    #[rustfmt::skip]
    let cases = [
        // frame                                                             event
        (event("messageStart", r#"{"role":"assistant","p":"ab"}"#),          "event: messageStart\ndata: {\"role\":\"assistant\",\"p\":\"ab\"}\n\n".to_owned()),
        (event("a", "{\r\n\"x\": 1\n}"),                                     "event: a\ndata: {\ndata: \ndata: \"x\": 1\ndata: }\n\n".to_owned()), // lines stay in the event
        (event("a\nevent: b", "{}"),                                         "data: {}\n\n".to_owned()),      // a name can't break out
        (chunk(r#"{"type":"ping"}"#),                                        "event: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned()),
        (chunk("{}"),                                                        "data: {}\n\n".to_owned()),
        (exception("throttlingException", r#"{"message":"slow"}"#),          failed("rate_limit_error", "slow")),
        (exception("ThrottlingException", r#"{"Message":"slow"}"#),          failed("rate_limit_error", "slow")),
        (exception("validationException", r#"{"message":"bad"}"#),           failed("invalid_request_error", "bad")),
        (exception("serviceUnavailableException", "{}"),                     failed("overloaded_error", "serviceUnavailableException")),
        (exception("internalServerException", "no JSON"),                    failed("api_error", "internalServerException")),
        (exception("modelStreamErrorException", r#"{"message":"m","originalStatusCode":500}"#), failed("api_error", "m")),
        (exception("modelTimeoutException", r#"{"message":"m"}"#),           failed("timeout_error", "m")),
        (frame(&[(":message-type", "error"), (":error-code", "c"), (":error-message", "m")], b""), failed("api_error", "m")),
    ];
    for (stream, expected) in cases {
        assert_eq!(rewritten(&stream), (expected, Ok(())));
    }
}

#[test]
fn faults_are_told_after_what_came_before_them() {
    let event = frame(&[(":event-type", "a")], b"{}");
    let chunk = |payload: &[u8]| frame(&[(":event-type", "chunk")], payload);
    #[rustfmt::skip]
    let cases = [
        // what follows a sound event   said
        (event[..20].to_vec(),          "inside an event"),
        (chunk(b"{}"),                  "without `bytes`"),
        (chunk(b"[1"),                  "without `bytes`"),
        (chunk(br#"{"bytes":"?"}"#),    "not base64"),
        (vec![7; 40],                   "checksum"),
    ];
    for (rest, said) in cases {
        let (out, ended) = rewritten(&[event.clone(), rest].concat());
        assert_eq!(out, "event: a\ndata: {}\n\n");
        assert!(ended.clone().unwrap_err().contains(said), "{said}: {ended:?}");
    }
}
