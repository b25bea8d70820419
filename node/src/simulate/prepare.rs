//! What a request asks of the simulator: the endpoint, the model and the script, or a refusal.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::error::ApiError;
use super::reply::Reply;
use super::route::{Dialect, Endpoint, Route};
use super::script::{Schedule, Script};
use super::server::Server;
use super::stats::Recorded;
use super::text::mix;
use super::{anthropic, canned, gate, gemini, openai, route};

/// The header that scripts one request.
const SCRIPT_HEADER: &str = "x-simulate";
/// What separates a model's name from a script for its request.
const SCRIPT_SUFFIX: &str = "+fail:";

pub(crate) enum Prepared {
    /// A list of models: nothing to count or to break.
    List(Bytes),
    Play(Box<Scene>),
}

/// A request that passed the gate.
pub(crate) struct Scene {
    pub(crate) model: String,
    pub(crate) schedule: Arc<Schedule>,
    /// Rolls the chances of the schedule.
    pub(crate) seed: u64,
    pub(crate) work: SceneWork,
}

pub(crate) enum SceneWork {
    Prebuilt(Reply),
    Read { endpoint: Endpoint, body: Value },
}

pub(crate) fn prepare(server: &Server, request: &Recorded) -> Result<Prepared, ApiError> {
    Gate { server, request }.prepare()
}

struct Gate<'a> {
    server: &'a Server,
    request: &'a Recorded,
}

impl Gate<'_> {
    fn prepare(&self) -> Result<Prepared, ApiError> {
        let Self { server, request } = self;
        let behaviour = &server.behaviour;
        let route = route::find(behaviour.dialects, &request.method, &request.uri, &request.headers)?;
        gate::check(behaviour.keys, &route, request.uri.path(), &request.headers)?;
        let is_amazons = route.dialect == Dialect::Amazon || request.uri.path().contains("/openai/v1/");
        if let Some(key) = behaviour.aws_key.as_ref().filter(|_| is_amazons) {
            key.check(request)?;
        }
        if let Some(list) = self.list(&route)? {
            return Ok(Prepared::List(list));
        }
        let prebuilt = server.canned.as_ref().and_then(|canned| canned.find(&route.endpoint, &request.body));
        if let Some(reply) = prebuilt {
            let (schedule, seed) = self.schedule(None)?;
            return Ok(Prepared::Play(Box::new(Scene {
                model: canned::MODEL.to_owned(),
                schedule,
                seed,
                work: SceneWork::Prebuilt(reply.clone()),
            })));
        }
        let body = parsed(&request.body)?;
        if route.dialect == Dialect::Anthropic {
            gate::check_sampling(&request.headers, &body)?;
            gate::check_version(&route, &body)?;
        }
        let named = match (route.deployment.as_ref().or(route.model.as_ref()), body["model"].as_str()) {
            (Some(_), Some(_)) if route.model.is_some() => {
                return Err(ApiError::field("model", "no model: the path names it"));
            }
            (Some(named), _) => named.as_str(),
            (None, Some(model)) if !model.is_empty() => model,
            (None, _) => return Err(ApiError::field("model", "the name of a model")),
        };
        let (model, suffix) = match named.split_once(SCRIPT_SUFFIX) {
            Some((model, suffix)) => (model, Some(suffix)),
            None => (named, None),
        };
        self.known(model)?;
        let (schedule, seed) = self.schedule(suffix)?;
        Ok(Prepared::Play(Box::new(Scene {
            model: model.to_owned(),
            schedule,
            seed,
            work: SceneWork::Read { endpoint: route.endpoint, body },
        })))
    }

    /// The answer to a question about models.
    fn list(&self, route: &Route) -> Result<Option<Bytes>, ApiError> {
        let default = ["simulated-model".to_owned()];
        let names = self.server.behaviour.models.as_deref().unwrap_or(&default);
        let created_s = self.server.started_unix_s;
        let answer = match (&route.endpoint, route.dialect) {
            (Endpoint::Models, Dialect::OpenAi | Dialect::Cohere) => openai::models(names, created_s),
            (Endpoint::Models, Dialect::Anthropic) => anthropic::models(names),
            // Amazon lists models elsewhere.
            (Endpoint::Models, Dialect::Gemini | Dialect::Amazon) => gemini::models(names),
            (Endpoint::Model(name), dialect) => {
                self.known(name)?;
                match dialect {
                    Dialect::OpenAi | Dialect::Cohere => openai::model(name, created_s),
                    Dialect::Anthropic => anthropic::model(name),
                    Dialect::Gemini | Dialect::Amazon => gemini::model(name),
                }
            }
            (
                Endpoint::Chat
                | Endpoint::Completions
                | Endpoint::Embeddings
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::CountTokens
                | Endpoint::Images
                | Endpoint::InputTokens
                | Endpoint::Tokenize
                | Endpoint::Rerank
                | Endpoint::Generate { .. }
                | Endpoint::Converse { .. }
                | Endpoint::Invoke { .. },
                _,
            ) => return Ok(None),
        };
        Ok(Some(Bytes::from(answer.to_string())))
    }

    fn known(&self, model: &str) -> Result<(), ApiError> {
        match &self.server.behaviour.models {
            Some(models) if !models.iter().any(|known| known == model) => {
                let message = format!("The model {model:?} does not exist, these do: {models:?}");
                Err(ApiError::new(StatusCode::NOT_FOUND, message).code("model_not_found"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The script for this request and the seed of its chances: the header's, the model's, or the server's.
    fn schedule(&self, suffix: Option<&str>) -> Result<(Arc<Schedule>, u64), ApiError> {
        let seed = self.server.behaviour.voice.seed;
        let header = match self.request.headers.get(SCRIPT_HEADER) {
            Some(value) => Some(String::from_utf8_lossy(value.as_bytes())),
            None => suffix.map(Into::into),
        };
        match header {
            None => Ok((self.server.schedule(), seed)),
            Some(text) => match text.parse::<Script>() {
                Ok(script) => Ok((Arc::new(Schedule::new(script)), mix(seed, self.request.number))),
                Err(error) => Err(ApiError::new(StatusCode::BAD_REQUEST, error.to_string())),
            },
        }
    }
}

fn parsed(body: &[u8]) -> Result<Value, ApiError> {
    let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message);
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        Ok(_) => Err(bad("the body: expected a JSON object".to_owned())),
        Err(error) => Err(bad(format!("the body is not valid JSON: {error}"))),
    }
}
