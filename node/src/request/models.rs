//! The models list, answered from configuration: what this host's routes serve by an exact name.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tollgate_api::endpoint::Dialect;

use super::accept::{self, Incoming};
use super::identify;
use super::refusal::Refusal;
use super::stream::ReplyBody;
use crate::gateway::Gateway;

/// Lists the models, or describes `one`.
pub(crate) fn list(
    gateway: &Gateway,
    incoming: Incoming,
    dialect: Dialect,
    one: Option<&str>,
) -> Result<Response<ReplyBody>, Refusal> {
    let config = gateway.config.latest();
    let (head, _body) = incoming.request.into_parts();
    identify::reader(&config, &head.headers)?;
    let mut models = config.snapshot.routes.models(&accept::host(&head), incoming.port);
    // Routes from files have no age of their own.
    for model in models.iter_mut().filter(|model| model.created_at_s == 0) {
        model.created_at_s = config.written_at_s;
    }
    let body = match one {
        None => {
            let query = head.uri.query().unwrap_or_default();
            tollgate_api::models::list(dialect, &models, query).map_err(Refusal::BadQuery)?
        }
        Some(id) => tollgate_api::models::one(dialect, &models, id)
            .ok_or_else(|| Refusal::UnknownModel { model: id.to_owned() })?,
    };
    Ok(json(body))
}

fn json(body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
