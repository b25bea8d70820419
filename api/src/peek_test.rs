//! What a body must look like before it is routed, as tables.

use super::{Named, Peek, peek, peek_named};
use crate::endpoint::Endpoint::{
    self, ChatCompletions, Completions, CountTokens, Embeddings, ImageGenerations, Messages, Responses,
};

fn peeked(stream: bool, output_cap: Option<u64>, asks_usage: bool) -> Peek {
    Peek { model: "m".to_owned(), stream, output_cap, asks_usage }
}

#[test]
fn picks_what_routing_and_admission_need() {
    #[rustfmt::skip]
    let cases = [
        (ChatCompletions, r#"{"model":"m"}"#,                                                   peeked(false, None, false)),
        (ChatCompletions, " {\n \"model\" : \"m\" }\n",                                          peeked(false, None, false)),    // space around
        (ChatCompletions, r#"{"mod\u0065l":"\u006d"}"#,                                         peeked(false, None, false)),    // escapes in key and value
        (ChatCompletions, r#"{"x":[{"model":"no"}],"model":"m","stream":true}"#,                peeked(true,  None, false)),    // nested names are not fields
        (ChatCompletions, r#"{"model":"m","max_tokens":5,"max_completion_tokens":9}"#,          peeked(false, Some(9), false)), // the larger wins
        (ChatCompletions, r#"{"model":"m","max_tokens":5}"#,                                    peeked(false, Some(5), false)),
        (ChatCompletions, r#"{"model":"m","max_output_tokens":5}"#,                             peeked(false, None, false)),    // not a field here
        (ChatCompletions, r#"{"model":"m","stream":null,"max_tokens":null,"stream_options":null}"#, peeked(false, None, false)), // null is absent
        (ChatCompletions, r#"{"model":"m","stream":true,"stream_options":{"x":1,"include_usage":true}}"#, peeked(true, None, true)),
        (Completions,     r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#, peeked(true, None, false)),
        (Embeddings,      r#"{"model":"m","stream":true,"max_tokens":"x"}"#,                    peeked(false, None, false)),    // fields of others
        (Responses,       r#"{"model":"m","max_output_tokens":7,"max_tokens":1}"#,              peeked(false, Some(7), false)),
        (Responses,       r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}"#, peeked(true, None, false)),
        (Messages,        r#"{"model":"m","max_tokens":8,"stream":true}"#,                      peeked(true,  Some(8), false)),
        (CountTokens,     r#"{"model":"m","max_tokens":8,"stream":true}"#,                      peeked(false, None, false)),    // nothing is written
        (ImageGenerations, r#"{"model":"m","stream":false,"n":2}"#,                            peeked(false, None, false)),
    ];
    for (endpoint, body, expected) in cases {
        assert_eq!(peek(endpoint, body.as_bytes()), Ok(expected), "{body}");
    }
}

#[test]
fn refuses_with_the_place_and_the_field() {
    #[rustfmt::skip]
    let cases: [(Endpoint, &[u8], Option<&str>, &str); 19] = [
        // endpoint        body                                                    param                    the message contains
        (ChatCompletions, b"",                                                     None,                    "EOF while parsing a value at line 1 column 0"),
        (ChatCompletions, b"{\"model\":\"m\",\n \"x\": }",                         None,                    "line 2 column 7"),
        (ChatCompletions, b"{\"model\":\"m\"} x",                                  None,                    "trailing characters at line 1 column 15"),
        (ChatCompletions, b"{\"model\":\"m\",\"x\":[}]}",                          None,                    "not valid JSON"),
        (ChatCompletions, b"{\"model\":\"\xff\"}",                                 None,                    "byte 10 is not UTF-8"),
        (ChatCompletions, b"[1]",                                                  None,                    "not a JSON object"),
        (ChatCompletions, b"null",                                                 None,                    "not a JSON object"),
        (ChatCompletions, b"{}",                                                   Some("model"),           "required"),
        (Messages,        br#"{"model":null}"#,                                    Some("model"),           "required"),
        (ChatCompletions, br#"{"model":""}"#,                                      Some("model"),           "must not be empty"),
        (ChatCompletions, br#"{"model":["m"]}"#,                                   Some("model"),           r#"a string, not `["m"]`"#),
        (ChatCompletions, br#"{"model":"m","model":"n"}"#,                         Some("model"),           "given twice"),
        (ChatCompletions, br#"{"model":"m","\u006dodel":"n"}"#,                    Some("model"),           "given twice"),
        (ChatCompletions, br#"{"model":"m","Model":"n"}"#,                         Some("model"),           "letter case"),
        (ChatCompletions, br#"{"model":"m","stream":"yes"}"#,                      Some("stream"),          r#"a boolean, not `"yes"`"#),
        (ImageGenerations, br#"{"model":"m","stream":true}"#,                     Some("stream"),          "sent whole"),
        (Messages,        br#"{"model":"m","max_tokens":-1}"#,                     Some("max_tokens"),      "not negative, not `-1`"),
        (Completions,     br#"{"model":"m","stream_options":{"include_usage":1}}"#,Some("stream_options"),  "`include_usage` is a boolean"),
        (ChatCompletions, br#"{"model":"m","stream_options":{"include_usage":false,"include_usage":true}}"#, Some("stream_options"), "given once"),
    ];
    for (endpoint, body, param, message) in cases {
        let body_text = String::from_utf8_lossy(body);
        let malformed = peek(endpoint, body).expect_err(&body_text);
        assert_eq!(malformed.param.as_deref(), param, "{body_text}: {malformed}");
        assert!(malformed.message.contains(message), "{body_text}: {malformed}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{{\"model\":\"m\",\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(peek(ChatCompletions, deep.as_bytes()), Ok(peeked(false, None, false)));
}

#[test]
fn of_gemini_clients_the_path_says_the_rest() {
    let named = Named { model: "m".to_owned(), stream: true };
    let cap = |body: &str| peek_named(&named, body.as_bytes());
    #[rustfmt::skip]
    let rows = [
        (r#"{"contents":[]}"#,                                             Ok(None)),
        (r#"{"generationConfig":{"maxOutputTokens":5}}"#,                  Ok(Some(5))),
        (r#"{"generation_config":{"max_output_tokens":5}}"#,               Ok(Some(5))),
        (r#"{"generationConfig":{"maxOutputTokens":null}}"#,               Ok(None)),
        (r#"{"generationConfig":null}"#,                                   Ok(None)),
        (r#"{"generationConfig":{},"generation_config":{}}"#,              Err("generationConfig")), // which one?
        (r#"{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":9}}"#, Err("generationConfig.maxOutputTokens")),
        (r#"{"generationConfig":{"maxOutputTokens":-1}}"#,                 Err("generationConfig.maxOutputTokens")),
        (r#"{"generationConfig":[]}"#,                                     Err("generationConfig")),
        (r#"{"contents":[]} x"#,                                           Err("")),
        ("[]",                                                             Err("")),
        ("{",                                                              Err("")),
    ];
    for (body, expected) in rows {
        match (cap(body), expected) {
            (Ok(peek), Ok(output_cap)) => {
                let whole = Peek { model: "m".to_owned(), stream: true, output_cap, asks_usage: false };
                assert_eq!(peek, whole, "{body}");
            }
            (Err(refused), Err(param)) => assert_eq!(refused.param.as_deref().unwrap_or(""), param, "{body}"),
            (peeked, _) => panic!("{body}: {peeked:?}"),
        }
    }
    let unnamed = Named { model: String::new(), stream: false };
    assert_eq!(peek_named(&unnamed, b"{}").unwrap_err().param.as_deref(), Some("model"));
    assert!(peek_named(&named, b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
}
