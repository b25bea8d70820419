//! Every provider's paths and headers, and that each is complete.

use http::{HeaderMap, HeaderValue};

use super::{Address, Project, provider};
use crate::endpoint::Endpoint;
use crate::endpoint::Schema::{
    self, Anthropic, AwsAnthropic, AwsBedrock, AwsOpenAi, AzureOpenAi, GcpAnthropic, GcpVertexAi, OpenAi,
};
use crate::wire::Wire;

const fn plain(wire: Wire) -> Address<'static> {
    let project = Some(Project { name: "p", region: "us-central1" });
    Address { wire, model: "m", version: None, prefix: None, project, stream: false, client: None }
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
        (GcpVertexAi, Wire::GenerateContent, "a/b",    None,                None,                "/v1/projects/p/locations/us-central1/publishers/google/models/a%2Fb:generateContent"),
        (GcpVertexAi, Wire::GenerateContent, "m",      None,                Some("v1beta1"),     "/v1beta1/projects/p/locations/us-central1/publishers/google/models/m:generateContent"),
        (GcpAnthropic, Wire::Messages,       "c@2025", Some("vertex-2"),    None,                "/v1/projects/p/locations/us-central1/publishers/anthropic/models/c@2025:rawPredict"),
        (AwsBedrock,  Wire::Converse,        "us.anthropic.claude-v1:0", None, None,             "/model/us.anthropic.claude-v1:0/converse"),
        (AwsBedrock,  Wire::Converse,        "arn:aws:bedrock:r:1:inference-profile/p", None, Some("/proxy/"), "/proxy/model/arn:aws:bedrock:r:1:inference-profile%2Fp/converse"),
        (AwsOpenAi,   Wire::Responses,       "m",      None,                None,                "/openai/v1/responses"),
        (AwsAnthropic, Wire::Messages,       "anthropic.claude", Some("bedrock-2023-05-31"), None, "/model/anthropic.claude/invoke"),
    ];
    for (schema, wire, model, version, prefix, expected) in cases {
        let path = (provider(schema).path)(&Address { model, version, prefix, ..plain(wire) });
        assert_eq!(path.as_deref(), Ok(expected));
        assert!(expected.parse::<http::uri::PathAndQuery>().is_ok(), "{expected}");
    }
}

#[test]
fn google_is_called_in_a_project_or_below_a_prefix() {
    #[rustfmt::skip]
    let cases = [
        // schema     project prefix                        path                                                                why
        (GcpVertexAi,  true,  None,                         Some("/v1/projects/p/locations/us-central1/publishers/google/models/m:streamGenerateContent?alt=sse")),
        (GcpAnthropic, true,  None,                         Some("/v1/projects/p/locations/us-central1/publishers/anthropic/models/m:streamRawPredict")),
        (GcpVertexAi,  false, Some("v1beta"),               Some("/v1beta/models/m:streamGenerateContent?alt=sse")), // by a key
        (GcpVertexAi,  false, Some("v1/publishers/google"), Some("/v1/publishers/google/models/m:streamGenerateContent?alt=sse")),
        (GcpVertexAi,  false, None,                         None),
        (GcpAnthropic, false, Some("v1"),                   None), // there only
    ];
    for (schema, in_project, prefix, expected) in cases {
        let whole = Address { prefix, ..plain(Wire::GenerateContent) };
        let address = Address { stream: true, project: whole.project.filter(|_| in_project), ..whole };
        match ((provider(schema).path)(&address), expected) {
            (Ok(path), expected) => assert_eq!(Some(&*path), expected),
            (Err(refused), None) => assert!(refused.message.contains("GCPCredentials"), "{refused}"),
            (Err(refused), Some(expected)) => panic!("{expected}: {refused}"),
        }
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
