//! What each upstream is sent, and that nothing more is changed than must be.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Target, UpstreamRequest, belongs_to, prepare};
use crate::edit::BodyEdits;
use crate::endpoint::Endpoint::{self, ChatCompletions, Completions, Embeddings, Messages, Responses};
use crate::endpoint::Schema::{Anthropic, AwsAnthropic, AwsBedrock, AzureOpenAi, OpenAi};
use crate::endpoint::{Dialect, Schema};
use crate::error::Untranslatable;
use crate::peek::peek;

struct Asked<'a> {
    schema: Schema,
    model: &'a str,
    set: &'a [(&'a str, &'a str)],
    cap: Option<u64>,
}

const PLAIN: Asked<'_> = Asked { schema: OpenAi, model: "m", set: &[], cap: None };

fn prepared(endpoint: Endpoint, body: &Bytes, asked: &Asked<'_>) -> Result<UpstreamRequest, Untranslatable> {
    let set = asked.set.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    let target = Target {
        schema: asked.schema,
        version: Some("v"),
        prefix: None,
        project: None,
        model: asked.model,
        edits: &BodyEdits::new(set, Vec::new()).unwrap(),
        output_cap: asked.cap,
    };
    let peek = peek(endpoint, body).unwrap();
    prepare(endpoint, &HeaderMap::new(), body, &peek, &target)
}

#[test]
fn bodies_that_pass_change_where_they_must() {
    let renamed = Asked { model: "n\"", ..PLAIN };
    let capped = Asked { cap: Some(50), ..PLAIN };
    let mutated = Asked { set: &[("max_tokens", "70"), ("user", "\"u\"")], ..PLAIN };
    let mutated_and_capped = Asked { cap: Some(50), ..mutated };
    let azure = Asked { schema: AzureOpenAi, ..renamed };
    #[rustfmt::skip]
    let cases = [
        // endpoint       asked                 body                                                    sent
        (ChatCompletions, &PLAIN,               r#"{"model":"m"}"#,                                     r#"{"model":"m"}"#),
        (ChatCompletions, &renamed,             r#"{"model":"m","x":1}"#,                               r#"{"model":"n\"","x":1}"#),
        (Embeddings,      &azure,               r#"{"model":"m","x":1}"#,                               r#"{"model":"n\"","x":1}"#),
        // Usage is asked for on streams of choices.
        (ChatCompletions, &PLAIN,               r#"{"model":"m","stream":true}"#,                       r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#),
        (Completions,     &PLAIN,               r#"{"model":"m","stream":true,"stream_options":null}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#),
        (ChatCompletions, &PLAIN,               r#"{"model":"m","stream_options":{"include_usage":false,"x":[1]},"stream":true}"#, r#"{"model":"m","stream_options":{"include_usage":true,"x":[1]},"stream":true}"#),
        (ChatCompletions, &PLAIN,               r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#),
        (Responses,       &PLAIN,               r#"{"model":"m","stream":true}"#,                       r#"{"model":"m","stream":true}"#),
        // A cap goes where the body has its own, and never raises it.
        (ChatCompletions, &capped,              r#"{"model":"m"}"#,                                     r#"{"model":"m","max_completion_tokens":50}"#),
        (ChatCompletions, &capped,              r#"{"model":"m","max_tokens":60}"#,                     r#"{"model":"m","max_tokens":50}"#),
        (ChatCompletions, &capped,              r#"{"model":"m","max_tokens":40}"#,                     r#"{"model":"m","max_tokens":40}"#),
        (ChatCompletions, &capped,              r#"{"model":"m","max_tokens":40,"max_completion_tokens":60}"#, r#"{"model":"m","max_tokens":40,"max_completion_tokens":50}"#),
        (ChatCompletions, &capped,              r#"{"model":"m","max_tokens":null}"#,                   r#"{"model":"m","max_tokens":null,"max_completion_tokens":50}"#),
        (Completions,     &capped,              r#"{"model":"m"}"#,                                     r#"{"model":"m","max_tokens":50}"#),
        (Responses,       &capped,              r#"{"model":"m","max_tokens":1}"#,                      r#"{"model":"m","max_tokens":1,"max_output_tokens":50}"#),
        (Embeddings,      &capped,              r#"{"model":"m"}"#,                                     r#"{"model":"m"}"#),
        // Edits come after the model and before the cap.
        (ChatCompletions, &mutated,             r#"{"model":"m","user":"a"}"#,                          r#"{"model":"m","user":"u","max_tokens":70}"#),
        (ChatCompletions, &mutated_and_capped,  r#"{"model":"m","user":"a"}"#,                          r#"{"model":"m","user":"u","max_tokens":50}"#),
    ];
    for (endpoint, asked, body, sent) in cases {
        let request = prepared(endpoint, &Bytes::from(body), asked).unwrap();
        assert!(!request.translated);
        assert_eq!(request.body.len(), sent.len());
        assert_eq!(request.body.concat(), sent, "{body}");
    }
}

#[test]
fn messages_pass_to_anthropic() {
    #[rustfmt::skip]
    let cases = [
        // cap       body                                                                    sent
        (None,       r#"{"model":"m","max_tokens":9,"stream":true}"#,                        r#"{"model":"m","max_tokens":9,"stream":true}"#),
        (Some(5),    r#"{"model":"m","max_tokens":9,"stream":true}"#,                        r#"{"model":"m","max_tokens":5,"stream":true}"#),
        // The budget for thinking must stay below the cap, and is at least 1,024.
        (Some(2000), r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":9000}"#, r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":1999},"max_tokens":2000}"#),
        (Some(5000), r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":9000}"#, r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":5000}"#),
        (Some(1024), r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":9000}"#, r#"{"model":"m","max_tokens":1024}"#),
        (Some(9000), r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":90}"#,   r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":90}"#), // the client's own fault stays
        (Some(5),    r#"{"model":"m","thinking":{"type":"adaptive"},"max_tokens":90}"#,                       r#"{"model":"m","thinking":{"type":"adaptive"},"max_tokens":5}"#),
    ];
    for (cap, body, sent) in cases {
        let asked = Asked { schema: Anthropic, cap, ..PLAIN };
        let request = prepared(Messages, &Bytes::from(body), &asked).unwrap();
        assert_eq!((&*request.path, request.translated), ("/v1/messages", false));
        assert_eq!(request.body.concat(), sent);
    }
}

#[test]
fn bedrock_has_model_and_stream_in_the_path() {
    let messages = r#"{"model":"m","stream":true,"max_tokens":9,"messages":[]}"#;
    let chat = r#"{"model":"m","messages":[],"max_tokens":9}"#;
    let edited = Asked {
        schema: AwsBedrock,
        set: &[("inferenceConfig", r#"{"maxTokens":70,"topP":0.5}"#)],
        cap: Some(50),
        ..PLAIN
    };
    let plain = Asked { schema: AwsBedrock, ..PLAIN };
    let uncapped = Asked { cap: Some(50), ..plain };
    let anthropic = Asked { schema: AwsAnthropic, ..PLAIN };
    let anthropic_capped = Asked { cap: Some(5), ..anthropic };
    #[rustfmt::skip]
    let cases = [
        // endpoint       asked              body                                    path                                    sent
        (ChatCompletions, &plain,            chat,                                   "/model/m/converse",                    r#"{"messages":[],"inferenceConfig":{"maxTokens":9}}"#),
        (Messages,        &plain,            messages,                               "/model/m/converse-stream",             r#"{"messages":[],"inferenceConfig":{"maxTokens":9}}"#),
        (ChatCompletions, &uncapped,         r#"{"model":"m","messages":[]}"#,       "/model/m/converse",                    r#"{"messages":[],"inferenceConfig":{"maxTokens":50}}"#),
        (ChatCompletions, &edited,           chat,                                   "/model/m/converse",                    r#"{"messages":[],"inferenceConfig":{"maxTokens":50,"topP":0.5}}"#), // no edit gets past the cap
        (Messages,        &anthropic,        messages,                               "/model/m/invoke-with-response-stream", r#"{"max_tokens":9,"messages":[],"anthropic_version":"v"}"#),
        (Messages,        &anthropic_capped, r#"{"model":"m","max_tokens":9,"anthropic_version":"mine"}"#, "/model/m/invoke", r#"{"max_tokens":5,"anthropic_version":"v"}"#),
        (ChatCompletions, &anthropic,        chat,                                   "/model/m/invoke",                      r#"{"max_tokens":9,"messages":[],"anthropic_version":"v"}"#),
    ];
    for (endpoint, asked, body, path, sent) in cases {
        let request = prepared(endpoint, &Bytes::from(body), asked).unwrap();
        assert_eq!((&*request.path, &*request.body.concat()), (path, sent.as_bytes()), "{endpoint:?} {body}");
        let accepts: Vec<_> = request.headers.iter().filter(|(name, _)| name == "accept").collect();
        assert_eq!(accepts.len(), 1, "the client's own must not decide: {accepts:?}");
    }
}

#[test]
fn betas_stand_in_bedrocks_body() {
    let body = Bytes::from(r#"{"model":"m","max_tokens":9,"messages":[]}"#);
    let peek = peek(Messages, &body).unwrap();
    let edits = BodyEdits::default();
    let target = Target {
        schema: AwsAnthropic,
        version: None,
        prefix: None,
        project: None,
        model: "m",
        edits: &edits,
        output_cap: None,
    };
    #[rustfmt::skip]
    let cases: [(&[&str], Option<&str>); 5] = [
        (&[],                                                                      None),
        (&["claude-code-20250219"],                                                None), // unknown there
        (&["context-1m-2025-08-07, claude-code-20250219"],                         Some(r#"["context-1m-2025-08-07"]"#)),
        (&["context-1m-2025-08-07", "context-1m-2025-08-07,effort-2025-11-24"],    Some(r#"["context-1m-2025-08-07","effort-2025-11-24"]"#)),
        (&["advanced-tool-use-2025-11-20,tool-search-tool-2025-10-19"],            Some(r#"["tool-search-tool-2025-10-19"]"#)), // another name
    ];
    for (sent, expected) in cases {
        let mut client = HeaderMap::new();
        for value in sent {
            client.append("anthropic-beta", HeaderValue::from_static(value));
        }
        let request = prepare(Messages, &client, &body, &peek, &target).unwrap();
        let betas = expected.map_or(String::new(), |betas| format!(r#","anthropic_beta":{betas}"#));
        let expected =
            format!(r#"{{"max_tokens":9,"messages":[],"anthropic_version":"bedrock-2023-05-31"{betas}}}"#);
        assert_eq!(request.body.concat(), expected, "{sent:?}");
    }
}

#[test]
fn a_body_without_changes_is_the_one_that_came() {
    let body = Bytes::from(r#"{"model":"m","messages":[]}"#);
    let parts = prepared(ChatCompletions, &body, &PLAIN).unwrap().body.into_parts();
    assert_eq!(parts.iter().map(|part| part.as_ptr()).collect::<Vec<_>>(), [body.as_ptr()]);
}

#[test]
fn what_a_backend_lacks_is_refused_by_name() {
    let asked = Asked { schema: Anthropic, ..PLAIN };
    for (endpoint, path) in
        [(Completions, "/completions"), (Embeddings, "/embeddings"), (Responses, "/responses")]
    {
        let refused = prepared(endpoint, &Bytes::from(r#"{"model":"m"}"#), &asked).unwrap_err();
        assert!(refused.message.contains(path) && refused.message.contains("Anthropic"), "{refused}");
    }
}

#[test]
fn headers_of_a_dialect() {
    #[rustfmt::skip]
    let cases = [
        // header                OpenAI's  Anthropic's
        ("openai-organization",  true,     false),
        ("openai-project",       true,     false),
        ("openai-beta",          true,     false),
        ("anthropic-version",    false,    true),
        ("anthropic-beta",       false,    true),
        ("x-api-key",            false,    true),
        ("authorization",        false,    false),
        ("content-type",         false,    false),
        ("x-stainless-lang",     false,    false),
    ];
    for (header, openai, anthropic) in cases {
        let header = HeaderName::from_static(header);
        let belongs = (belongs_to(Dialect::OpenAi, &header), belongs_to(Dialect::Anthropic, &header));
        assert_eq!(belongs, (openai, anthropic), "{header}");
    }
}

#[test]
fn headers_that_are_set() {
    let request = prepared(ChatCompletions, &Bytes::from(r#"{"model":"m"}"#), &PLAIN).unwrap();
    let json = HeaderValue::from_static("application/json");
    assert_eq!(request.headers, [(http::header::CONTENT_TYPE, json)]);
}
