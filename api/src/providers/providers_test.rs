//! Every provider's paths and headers, and that each is complete.

use http::{HeaderMap, HeaderValue};

use super::{Address, provider};
use crate::endpoint::Endpoint;
use crate::endpoint::Schema::{self, Anthropic, AzureOpenAi, OpenAi};
use crate::wire::Wire;

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
    ];
    for (schema, wire, model, version, prefix, expected) in cases {
        let path = (provider(schema).path)(&Address { wire, model, version, prefix });
        assert_eq!(path.as_deref(), Ok(expected));
        assert!(expected.parse::<http::uri::PathAndQuery>().is_ok(), "{expected}");
    }
}

#[test]
fn azure_needs_a_version() {
    for version in [None, Some("")] {
        let address = Address { wire: Wire::ChatCompletions, model: "m", version, prefix: None };
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
            let address = Address { wire, model: "m", version: Some("v"), prefix: None };
            assert!((provider.path)(&address).unwrap().starts_with('/'));
        }
        assert!((provider.headers)(None).iter().any(|(name, _)| name == "content-type"));
    }
}
