//! Every provider's paths and headers, and that each is complete.

use http::{HeaderMap, HeaderValue};

use super::{Address, provider};
use crate::endpoint::Endpoint;
use crate::endpoint::Schema::{self, Anthropic, AwsAnthropic, AwsBedrock, AzureOpenAi, OpenAi};
use crate::wire::Wire;

const fn plain(wire: Wire) -> Address<'static> {
    Address { wire, model: "m", version: None, prefix: None, stream: false, client: None }
}

#[test]
fn paths() {
    #[rustfmt::skip]
    let cases = [
        // schema     wire                   model     version              prefix               path
        (OpenAi,      Wire::ChatCompletions, "m",      None,                None,                "/v1/chat/completions"),
        (OpenAi,      Wire::Completions,     "m",      None,                None,                "/v1/completions"),
        (OpenAi,      Wire::Embeddings,      "m",      None,                None,                "/v1/embeddings"),
        (OpenAi,      Wire::Responses,       "m",      None,                None,                "/v1/responses"),
        (OpenAi,      Wire::ChatCompletions, "m",      None,                Some("openai/v1"),   "/openai/v1/chat/completions"),
        (OpenAi,      Wire::ChatCompletions, "m",      None,                Some("/v1beta/x/"),  "/v1beta/x/chat/completions"),
        (OpenAi,      Wire::ChatCompletions, "m",      None,                Some("/"),           "/chat/completions"),
        (OpenAi,      Wire::ChatCompletions, "m",      Some("ignored"),     None,                "/v1/chat/completions"),
        (AzureOpenAi, Wire::ChatCompletions, "m",      Some("2025-01-01"),  Some("/ignored"),    "/openai/deployments/m/chat/completions?api-version=2025-01-01"),
        (AzureOpenAi, Wire::Completions,     "m",      Some("v"),           None,                "/openai/deployments/m/completions?api-version=v"),
        (AzureOpenAi, Wire::Embeddings,      "a/b ?é", Some("a&b"),         None,                "/openai/deployments/a%2Fb%20%3F%C3%A9/embeddings?api-version=a%26b"),
        (AzureOpenAi, Wire::ChatCompletions, "..",     Some("v"),           None,                "/openai/deployments/%2E%2E/chat/completions?api-version=v"),
        (AzureOpenAi, Wire::Responses,       "m",      Some("preview"),     None,                "/openai/responses?api-version=preview"),
        (Anthropic,   Wire::Messages,        "m",      None,                None,                "/v1/messages"),
        (Anthropic,   Wire::Messages,        "m",      None,                Some("anthropic"),   "/anthropic/messages"),
        (AwsBedrock,  Wire::Converse,        "us.anthropic.claude-v1:0", None, None,             "/model/us.anthropic.claude-v1:0/converse"),
        (AwsBedrock,  Wire::Converse,        "arn:aws:bedrock:r:1:inference-profile/p", None, Some("/proxy/"), "/proxy/model/arn:aws:bedrock:r:1:inference-profile%2Fp/converse"),
        (AwsAnthropic, Wire::Messages,       "anthropic.claude", Some("bedrock-2023-05-31"), None, "/model/anthropic.claude/invoke"),
    ];
    for (schema, wire, model, version, prefix, expected) in cases {
        let path = (provider(schema).path)(&Address { model, version, prefix, ..plain(wire) });
        assert_eq!(path.as_deref(), Ok(expected));
        assert!(expected.parse::<http::uri::PathAndQuery>().is_ok(), "{expected}");
    }
}

#[test]
fn at_bedrock_the_path_says_whether_to_stream() {
    #[rustfmt::skip]
    let cases = [
        (AwsBedrock,   Wire::Converse, "/model/m/converse-stream"),
        (AwsAnthropic, Wire::Messages, "/model/m/invoke-with-response-stream"),
    ];
    for (schema, wire, path) in cases {
        let address = Address { stream: true, ..plain(wire) };
        assert_eq!((provider(schema).path)(&address).as_deref(), Ok(path));
    }
}

#[test]
fn azure_needs_a_version() {
    for version in [None, Some("")] {
        let address = Address { version, ..plain(Wire::ChatCompletions) };
        let refused = (provider(AzureOpenAi).path)(&address).unwrap_err();
        assert!(refused.message.contains("`version`"), "{refused}");
    }
}

#[test]
fn anthropic_version_is_set_only_where_the_client_has_none() {
    let mut client = HeaderMap::new();
    let versions = |client: Option<&HeaderMap>| {
        let headers = (provider(Anthropic).headers)(client);
        headers
            .into_iter()
            .filter(|(name, _)| name == "anthropic-version")
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(Some(&client)), ["2023-06-01"]);
    client.insert("anthropic-version", HeaderValue::from_static("2026-10-21"));
    assert_eq!(versions(Some(&client)), [""; 0], "the client's own passes");
    assert_eq!(versions(None), ["2023-06-01"], "translated: the client's headers do not pass");
}

#[test]
fn every_provider_is_complete() {
    let mut names = Vec::new();
    for schema in Schema::ALL {
        let provider = provider(schema);
        assert!(!names.contains(&provider.name), "{} is told apart by its name", provider.name);
        names.push(provider.name);
        let carried: Vec<_> = Endpoint::ALL.into_iter().filter_map(provider.wire).collect();
        assert!(!carried.is_empty(), "{} serves something", provider.name);
        for endpoint in Endpoint::ALL {
            let Some(wire) = (provider.wire)(endpoint) else {
                continue;
            };
            let translated = wire != Wire::of(endpoint);
            if translated {
                assert!(wire.codec().is_some() && Wire::of(endpoint).codec().is_some(), "{endpoint:?}");
            }
            let address = Address { version: Some("v"), ..plain(wire) };
            assert!((provider.path)(&address).unwrap().starts_with('/'));
        }
        assert!((provider.headers)(None).iter().any(|(name, _)| name == "content-type"));
    }
}
