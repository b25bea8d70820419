//! Which endpoint a path means. Paths are matched by their ends, so that any prefix a gateway adds is
//! fine.

use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::options::Dialects;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Amazon,
    Cohere,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Messages,
    CountTokens,
    Images,
    InputTokens,
    Tokenize,
    Rerank,
    Generate {
        stream: bool,
    },
    /// Bedrock's words for all models.
    Converse {
        stream: bool,
    },
    /// Anthropic's own, at Bedrock.
    Invoke {
        stream: bool,
    },
    Models,
    Model(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) dialect: Dialect,
    /// The deployment in an Azure path.
    pub(crate) deployment: Option<String>,
    /// The model in a path of Google's or Amazon's.
    pub(crate) model: Option<String>,
}

/// The dialect that an error should be told in when the path does not say.
pub(crate) fn guess(dialects: Dialects, path: &str, headers: &HeaderMap) -> Dialect {
    let says_anthropic = || path.contains("/messages") || headers.contains_key("anthropic-version");
    match dialects {
        Dialects::Anthropic => Dialect::Anthropic,
        Dialects::Gemini => Dialect::Gemini,
        Dialects::Bedrock => Dialect::Amazon,
        Dialects::All if path.ends_with("/rerank") => Dialect::Cohere,
        Dialects::All if amazon(path).is_some() => Dialect::Amazon,
        Dialects::All if google(path).is_some_and(|(_, verb)| !verb.ends_with("awPredict")) => {
            Dialect::Gemini
        }
        Dialects::All if google(path).is_some() || says_anthropic() => Dialect::Anthropic,
        Dialects::Openai | Dialects::All => Dialect::OpenAi,
    }
}

pub(crate) fn find(
    dialects: Dialects,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Route, ApiError> {
    let path = uri.path().trim_end_matches('/');
    let unknown =
        || ApiError::new(StatusCode::NOT_FOUND, format!("Unknown path: {method} {path}")).code("unknown_url");
    let (endpoint, wanted, dialect) = endpoint(path, guess(dialects, path, headers)).ok_or_else(unknown)?;
    let spoken = match dialects {
        Dialects::All => true,
        Dialects::Openai => dialect == Dialect::OpenAi,
        Dialects::Anthropic => dialect == Dialect::Anthropic,
        Dialects::Gemini => dialect == Dialect::Gemini,
        Dialects::Bedrock => dialect == Dialect::Amazon,
    };
    if !spoken {
        return Err(unknown());
    }
    if method != wanted {
        let message = format!("Method {method} is not allowed here, {wanted} is");
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    let deployment = deployment(path).map(str::to_owned);
    if deployment.is_some() && !uri.query().unwrap_or_default().contains("api-version=") {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "Resource not found: no api-version").code("404"));
    }
    // There the body names the model.
    let named = google(path)
        .filter(|_| endpoint != Endpoint::CountTokens)
        .or_else(|| amazon(path))
        .map(|(model, _)| percent_decode_str(model));
    let model = named.map(|model| model.decode_utf8_lossy().into_owned());
    if matches!(endpoint, Endpoint::Generate { stream: true }) && uri.query() != Some("alt=sse") {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "only alt=sse is simulated"));
    }
    Ok(Route { endpoint, dialect, deployment, model })
}

/// Model and verb of a path of Google's.
fn google(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once("/models/")?.1.rsplit_once(':')
}

/// Model and operation of a path of Amazon's.
fn amazon(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once("/model/")?.1.rsplit_once('/')
}

fn endpoint(path: &str, guessed: Dialect) -> Option<(Endpoint, Method, Dialect)> {
    #[rustfmt::skip]
    const POSTS: [(&str, Endpoint, Dialect); 10] = [
        ("/chat/completions",      Endpoint::Chat,        Dialect::OpenAi),
        ("/completions",           Endpoint::Completions, Dialect::OpenAi),
        ("/embeddings",            Endpoint::Embeddings,  Dialect::OpenAi),
        ("/responses",             Endpoint::Responses,   Dialect::OpenAi),
        ("/responses/input_tokens", Endpoint::InputTokens, Dialect::OpenAi),
        ("/images/generations",   Endpoint::Images,      Dialect::OpenAi),
        ("/rerank",               Endpoint::Rerank,      Dialect::Cohere),
        ("/tokenize",             Endpoint::Tokenize,    Dialect::OpenAi),
        ("/messages/count_tokens", Endpoint::CountTokens, Dialect::Anthropic),
        ("/messages",              Endpoint::Messages,    Dialect::Anthropic),
    ];
    if let Some((_, verb)) = google(path) {
        let (endpoint, dialect) = match verb {
            "generateContent" => (Endpoint::Generate { stream: false }, Dialect::Gemini),
            "streamGenerateContent" => (Endpoint::Generate { stream: true }, Dialect::Gemini),
            "rawPredict" if path.contains("/models/count-tokens:") => {
                (Endpoint::CountTokens, Dialect::Anthropic)
            }
            "rawPredict" | "streamRawPredict" => (Endpoint::Messages, Dialect::Anthropic),
            _ => return None,
        };
        return Some((endpoint, Method::POST, dialect));
    }
    if let Some((_, operation)) = amazon(path) {
        let endpoint = match operation {
            "converse" => Endpoint::Converse { stream: false },
            "converse-stream" => Endpoint::Converse { stream: true },
            "invoke" => Endpoint::Invoke { stream: false },
            "invoke-with-response-stream" => Endpoint::Invoke { stream: true },
            _ => return None,
        };
        return Some((endpoint, Method::POST, Dialect::Amazon));
    }
    for (end, endpoint, dialect) in POSTS {
        if path.ends_with(end) {
            return Some((endpoint, Method::POST, dialect));
        }
    }
    if path.ends_with("/models") {
        return Some((Endpoint::Models, Method::GET, guessed));
    }
    let (_, id) = path.rsplit_once("/models/")?;
    Some((Endpoint::Model(id.to_owned()), Method::GET, guessed))
}

fn deployment(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/openai/deployments/")?;
    rest.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_endpoints_by_the_end_of_the_path() {
        use Dialects::{All, Anthropic, Openai};
        #[rustfmt::skip]
        let cases = [
            // dialects  method  path                                    endpoint or status
            (All,       "POST", "/v1/chat/completions",                  "Chat OpenAi"),
            (All,       "POST", "/some/prefix/chat/completions/",        "Chat OpenAi"),
            (All,       "POST", "/v1/completions",                       "Completions OpenAi"),
            (All,       "POST", "/v1/messages?beta=true",                "Messages Anthropic"),
            (All,       "POST", "/v1/messages/count_tokens",             "CountTokens Anthropic"),
            (All,       "GET",  "/v1/models",                            "Models OpenAi"),
            (All,       "GET",  "/v1/models/a-b",                        "Model(\"a-b\") OpenAi"),
            (Anthropic, "GET",  "/v1/models",                            "Models Anthropic"),
            (All,       "POST", "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "Generate { stream: false } Gemini of g"),
            (All,       "POST", "/v1beta/models/g:streamGenerateContent?alt=sse", "Generate { stream: true } Gemini of g"),
            (All,       "POST", "/v1beta/models/g:streamGenerateContent", "400"), // a list
            (All,       "POST", "/v1/x/publishers/anthropic/models/c@1:rawPredict", "Messages Anthropic of c@1"),
            (All,       "POST", "/v1beta/models/g:embedContent",         "404"),
            (All,       "POST", "/p/model/a.b-v1:0/converse-stream",     "Converse { stream: true } Amazon of a.b-v1:0"),
            (All,       "POST", "/model/arn:x%2Fy/invoke",               "Invoke { stream: false } Amazon of arn:x/y"),
            (All,       "POST", "/model/m/nothing",                      "404"),
            (All,       "GET",  "/v1/chat/completions",                  "405"),
            (All,       "POST", "/v1/nothing",                           "404"),
            (Openai,    "POST", "/v1/messages",                          "404"),
            (Anthropic, "POST", "/v1/chat/completions",                  "404"),
            (All,       "POST", "/openai/deployments/d/chat/completions", "404"), // no api-version
            (All,       "POST", "/openai/deployments/d/chat/completions?api-version=1", "Chat OpenAi d"),
        ];
        for (dialects, method, path, expected) in cases {
            let uri: Uri = path.parse().unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = match find(dialects, &method, &uri, &HeaderMap::new()) {
                Err(error) => error.status.as_u16().to_string(),
                Ok(route) => {
                    let deployment = route.deployment.map(|d| format!(" {d}")).unwrap_or_default();
                    let model = route.model.map(|model| format!(" of {model}")).unwrap_or_default();
                    format!("{:?} {:?}{deployment}{model}", route.endpoint, route.dialect)
                }
            };
            assert_eq!(found, expected, "{dialects:?} {method} {path}");
        }
    }
}
