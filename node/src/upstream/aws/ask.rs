//! One short question over HTTP, to whoever hands out keys.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::upstream::connect::{Connector, Reach};

const LONGEST_ANSWER: usize = 256 * 1024;

/// The answer's text; anything but a success is an error that says what came, without what was sent.
pub(super) async fn ask(request: Request<Full<Bytes>>, timeout: Duration) -> Result<String, String> {
    let whom = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let answered = tokio::time::timeout(timeout, exchange(request)).await;
    let (status, body) = answered
        .map_err(|_| format!("{whom} did not answer within {} s", timeout.as_secs()))?
        .map_err(|error| format!("{whom}: {error}"))?;
    if status.is_success() {
        Ok(body)
    } else {
        let said: String = body.chars().take(200).collect();
        Err(format!("{whom} answered {status}: {}", said.trim()))
    }
}

async fn exchange(request: Request<Full<Bytes>>) -> Result<(StatusCode, String), String> {
    let connector = Connector::new(&Reach::direct(request.uri().scheme_str() == Some("https")))?;
    // Not kept: it is used once in many minutes, each time perhaps on another worker.
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
