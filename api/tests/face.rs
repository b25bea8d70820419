//! One exchange from outside the crate, as a server goes through it; also shows the order of calls.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_api::canonical::Usage;
use tollgate_api::edit::BodyEdits;
use tollgate_api::endpoint::{Endpoint, Schema};
use tollgate_api::error::{ApiError, ErrorKind, Malformed, Untranslatable};
use tollgate_api::exchange::{Mode, Reply, Seen, Target, UpstreamRequest, prepare};
use tollgate_api::peek::peek;
use tollgate_api::providers::provider;

#[test]
fn a_stream_that_the_client_did_not_ask_usage_of() {
    let body = Bytes::from(r#"{"model":"cheap","stream":true,"messages":[]}"#);
    let peeked = peek(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!((&*peeked.model, peeked.stream, peeked.output_cap), ("cheap", true, None));

    let target = Target {
        schema: Schema::OpenAi,
        version: None,
        prefix: Some("openai/v1"),
        project: None,
        model: "real",
        edits: &BodyEdits::default(),
        output_cap: Some(100),
    };
    assert_eq!(provider(target.schema).name, "openai");
    let prepared: Result<UpstreamRequest, Untranslatable> =
        prepare(Endpoint::ChatCompletions, &HeaderMap::new(), &body, &peeked, &target);
    let request = prepared.unwrap();
    assert_eq!((&*request.path, request.translated), ("/openai/v1/chat/completions", false));
    assert_eq!(
        request.body.concat(),
        r#"{"model":"real","stream":true,"messages":[],"stream_options":{"include_usage":true},"max_completion_tokens":100}"#
    );

    let mut reply: Reply = request.replies.begin(true);
    assert_eq!(reply.mode(), Mode::Stream);
    let said = "data: {\"model\":\"real-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    let done = "data: [DONE]\n\n";
    let mut out = Vec::new();
    let fed: Result<(), Malformed> = reply.feed(Bytes::from([said, usage, done].concat()), &mut out);
    fed.and_then(|()| reply.finish(&mut out)).unwrap();
    assert_eq!(out.concat(), [said, done].concat().into_bytes());
    let expected = Seen {
        free: false,
        usage: Some(Usage { input: 3, output: 1, total: 4, ..Usage::default() }),
        response_model: Some("real-1".to_owned()),
        output_bytes: 2,
        output_events: 1,
        complete: true,
        failed: false,
        failure: None,
    };
    assert_eq!(*reply.seen(), expected);

    let refused = request.replies.error(StatusCode::BAD_GATEWAY, Bytes::from("oops"), "req-1");
    let same = ApiError {
        status: StatusCode::BAD_GATEWAY,
        kind: ErrorKind::Upstream,
        message: "the upstream answered 502 Bad Gateway: oops".to_owned(),
        code: None,
        param: None,
    };
    assert_eq!(refused, same.render(Endpoint::ChatCompletions.dialect(), "req-1"));
}
