//! A request's way, one file a step, in this order:
//!
//! ```text
//!  accept → identify → route → admit → translate → forward ⇄ stream → meter → settle
//!   http     key/JWT    model   reserve   dialect    backend    bytes    usage   ledger
//! ```
//!
//! Each step's result is the next one's argument, so that no step can be skipped. What happened on the way is kept in
//! the [`Trail`](trail::Trail), which writes the access-log line when the request is over, however it ends.

pub(crate) mod accept;
mod admit;
mod bill;
mod budget_state;
pub(crate) mod forward;
mod hold;
mod hop;
mod identify;
mod length;
mod meter;
mod models;
pub(crate) mod refusal;
mod route;
mod settle;
pub(crate) mod stream;
pub(crate) mod trail;
mod translate;
mod unpaid;

use std::time::Instant;

use http::Response;

use crate::gateway::Gateway;
use accept::{Asked, Called, Incoming};
pub(crate) use identify::Consumer;
use refusal::Refusal;
use stream::ReplyBody;
use trail::Trail;

/// Answers one request. It never fails: a refusal is an answer too, in the client's own dialect.
pub(crate) async fn answer(gateway: &Gateway, incoming: Incoming) -> Response<ReplyBody> {
    let asked = accept::asked(incoming.request.method(), incoming.request.uri().path());
    let dialect = accept::dialect(&asked, incoming.request.headers());
    let mut trail = Trail::begin(&gateway.telemetry, &incoming, dialect);

    let answered = match asked {
        Ok(Asked::Model(called)) => {
            trail.operation = called.endpoint.operation();
            serve(gateway, incoming, called, &mut trail).await
        }
        Ok(Asked::Models { one, .. }) => models::list(gateway, incoming, dialect, one.as_deref()).await,
        Err(refusal) => Err(refusal),
    };
    let response = answered.unwrap_or_else(|refusal| refusal.into_response(dialect, &mut trail));
    trail.label(response)
}

/// Carries one request from socket to settled bill. Start reading here.
async fn serve(
    gateway: &Gateway,
    incoming: Incoming,
    asked: Called,
    trail: &mut Trail,
) -> Result<Response<ReplyBody>, Refusal> {
    let config = gateway.config.latest(); // One snapshot for the whole request.
    let mut accepted = accept::read(incoming, asked, (&gateway.limits, &config.snapshot), trail).await?;
    let caller = identify::caller(&gateway.key_sets, &config, &mut accepted, trail).await?;
    let plan = route::plan(&config, caller, &accepted, trail)?;
    let begun = Instant::now();
    let mut admission = admit::reserve(gateway, &plan, &accepted).await?;
    trail.admission = Some(begun.elapsed());
    let reply = forward::first_byte(gateway, &plan, &accepted, &mut admission, trail).await?;

    // The client is being answered now: nothing below may refuse.
    let metered = meter::observe(reply, plan);
    Ok(settle::when_done(metered, admission, trail))
}
