//! One question to a node's admin API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::settings::Ask;

/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest answer.
const MOST_BYTES: usize = 256 << 20;

/// What is sent along.
pub(super) struct Message {
    pub(super) kind: &'static str,
    pub(super) body: Bytes,
}

/// Asks, and returns what came: the text, or why there is none.
pub(super) fn ask(whom: &Ask, method: Method, path: &str) -> Result<String, String> {
    tell(whom, method, path, None)
}

/// The same with something to tell.
pub(super) fn tell(
    whom: &Ask,
    method: Method,
    path: &str,
    message: Option<Message>,
) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let asked = async { tokio::time::timeout(TIMEOUT, exchange(whom, method, path, message)).await };
    runtime.block_on(asked).map_err(|_elapsed| format!("{}: no answer within {TIMEOUT:?}", whom.admin))?
}

async fn exchange(
    whom: &Ask,
    method: Method,
    path: &str,
    message: Option<Message>,
) -> Result<String, String> {
    let Ask { admin, admin_token } = whom;
    let uri: Uri = format!("{}{path}", admin.trim_end_matches('/'))
        .parse()
        .map_err(|error| format!("--admin {admin}: {error}"))?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err(format!("--admin: expected a URL such as http://127.0.0.1:1064, `{admin}` came"));
    }
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(token) = admin_token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = message.map_or_else(Bytes::new, |Message { kind, body }| {
        request = std::mem::take(&mut request).header(header::CONTENT_TYPE, kind);
        body
    });
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        format!("{admin} can't be asked{cause}; is a node running there?")
    })?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|error| format!("{admin}: the answer broke off: {error}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        Ok(text)
    } else {
        Err(told(&text).unwrap_or_else(|| format!("{admin}: {status}")))
    }
}

/// The message of an error answer.
fn told(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.pointer("/error/message")?.as_str().map(str::to_owned)
}
