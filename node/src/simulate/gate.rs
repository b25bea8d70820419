//! Checks a request's credentials and version as the real providers do.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::error::ApiError;
use super::options::Keys;
use super::route::{Dialect, Route};

/// The key that is always refused.
const BAD_KEY: &str = "sk-bad";
/// Anthropic's API versions, old and new.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];
/// Gone in the new version.
const GONE: [&str; 3] = ["temperature", "top_p", "top_k"];

pub(crate) fn check(keys: Keys, route: &Route, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    if keys == Keys::Required {
        let key = match route.dialect {
            Dialect::Anthropic => text(headers, "x-api-key").or_else(|| bearer(headers)),
            // Amazon's, with a signature or a key.
            Dialect::OpenAi if path.contains("/openai/v1/") => text(headers, "authorization"),
            Dialect::OpenAi if path.contains("/openai/") => {
                text(headers, "api-key").or_else(|| bearer(headers))
            }
            Dialect::OpenAi | Dialect::Cohere => bearer(headers),
            Dialect::Gemini => text(headers, "x-goog-api-key").or_else(|| bearer(headers)),
            // A signature, or a key of Bedrock's own.
            Dialect::Amazon => text(headers, "authorization"),
        };
        check_key(key, route)?;
    }
    match (route.dialect, text(headers, "anthropic-version")) {
        (Dialect::OpenAi | Dialect::Gemini | Dialect::Amazon | Dialect::Cohere, _) => Ok(()),
        // At Google's the body says it.
        (Dialect::Anthropic, None) if path.contains("/publishers/anthropic/") => Ok(()),
        (Dialect::Anthropic, Some(version)) if VERSIONS.contains(&version) => Ok(()),
        (Dialect::Anthropic, Some(version)) => Err(bad(format!(
            "anthropic-version: {version:?} is not a valid version, expected one of {VERSIONS:?}"
        ))),
        (Dialect::Anthropic, None) => Err(bad("anthropic-version: header is required".to_owned())),
    }
}

/// Refuses what Anthropic's newer version no longer takes.
pub(crate) fn check_sampling(headers: &HeaderMap, body: &Value) -> Result<(), ApiError> {
    if text(headers, "anthropic-version") != Some(VERSIONS[1]) {
        return Ok(());
    }
    match GONE.iter().find(|name| body.get(**name).is_some()) {
        None => Ok(()),
        Some(name) => Err(bad(format!("{name}: not supported with anthropic-version {}", VERSIONS[1]))),
    }
}

/// At Google's the body says Anthropic's version.
pub(crate) fn check_version(route: &Route, body: &Value) -> Result<(), ApiError> {
    const AT_GOOGLE: &str = "vertex-2023-10-16";
    match (&route.model, body["anthropic_version"].as_str()) {
        (Some(_), Some(AT_GOOGLE)) | (None, None) => Ok(()),
        (Some(_), _) => Err(bad(format!("anthropic_version: expected {AT_GOOGLE}"))),
        (None, Some(_)) => Err(bad("anthropic_version: Extra inputs are not permitted".to_owned())),
    }
}

fn check_key(key: Option<&str>, route: &Route) -> Result<(), ApiError> {
    let refused =
        |message: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key"));
    match key {
        Some(BAD_KEY) => refused("Incorrect API key provided: sk-bad"),
        Some(_) => Ok(()),
        None => refused(match (route.dialect, &route.deployment) {
            (Dialect::Anthropic, _) => "x-api-key or Authorization header is required",
            (Dialect::Gemini, _) => "Request is missing required authentication credential",
            (Dialect::Cohere, _) => "no api key supplied",
            (Dialect::Amazon, _) => "Missing Authentication Token",
            (Dialect::OpenAi, Some(_)) => "Access denied: no api-key header",
            (Dialect::OpenAi, None) => "You didn't provide an API key: expected Authorization: Bearer KEY",
        }),
    }
}

fn bad(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, message)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = text(headers, "authorization")?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::options::Dialects;
    use crate::simulate::route::find;

    type Headers = &'static [(&'static str, &'static str)];

    #[test]
    fn lets_in_as_the_real_ones_do() {
        const CHAT: &str = "/v1/chat/completions";
        const AZURE: &str = "/openai/deployments/d/chat/completions?api-version=1";
        const MESSAGES: &str = "/v1/messages";
        #[rustfmt::skip]
        let cases: &[(&str, Headers, u16)] = &[
            (CHAT,     &[("authorization", "Bearer k")],                                        200),
            (CHAT,     &[("authorization", "bearer k")],                                        200), // schemes have no case
            (CHAT,     &[],                                                                     401),
            (CHAT,     &[("authorization", "Bearer ")],                                         401), // empty
            (CHAT,     &[("authorization", "Basic k")],                                         401),
            (CHAT,     &[("authorization", "Bearer sk-bad")],                                   401),
            (CHAT,     &[("api-key", "k")],                                                     401), // Azure's only
            (AZURE,    &[("api-key", "k")],                                                     200),
            (AZURE,    &[("authorization", "Bearer k")],                                        200), // Entra token
            (AZURE,    &[],                                                                     401),
            (MESSAGES, &[("x-api-key", "k"), ("anthropic-version", "2023-06-01")],              200),
            (MESSAGES, &[("authorization", "Bearer k"), ("anthropic-version", "2026-10-21")],   200),
            (MESSAGES, &[("x-api-key", "sk-bad"), ("anthropic-version", "2023-06-01")],         401),
            (MESSAGES, &[("anthropic-version", "2023-06-01")],                                  401),
            (MESSAGES, &[("x-api-key", "k")],                                                   400), // no version
            (MESSAGES, &[("x-api-key", "k"), ("anthropic-version", "2024-01-01")],              400),
        ];
        for (path, pairs, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in *pairs {
                let name: http::HeaderName = name.parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            let route = find(Dialects::All, &http::Method::POST, &path.parse().unwrap(), &headers).unwrap();
            let got =
                check(Keys::Required, &route, path, &headers).map_or_else(|e| e.status.as_u16(), |()| 200);
            assert_eq!(got, *expected, "{path} {pairs:?}");
        }
    }
}
