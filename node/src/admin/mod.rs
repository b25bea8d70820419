//! The admin API: is this node alive, is it ready, what does it count, what is wrong with its configuration. On a thread
//! and a runtime of its own, so that it answers when requests overwhelm the rest.

mod answers;
mod nodes;
mod question;
pub(crate) mod resources;
mod secrets;
mod spending;

use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming as IncomingBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Store;
use crate::gateway::Gateway;
use crate::telemetry::metrics::Gauges;

/// After an accept failed for lack of something, give it time to come back.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// HTTP/2 clients that vanished are noticed by pings; HTTP/1 has a time for its heads.
const PING_AFTER: std::time::Duration = std::time::Duration::from_secs(30);
const PING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// What the admin API shows.
pub(crate) struct Admin {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) gauges: Gauges,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) store: Arc<Store>,
    /// Asked for off loopback.
    pub(crate) token: Option<String>,
}

/// Refuses to stand in the open without a token.
pub(crate) fn check(address: SocketAddr, token: Option<&str>) -> Result<(), String> {
    if address.ip().is_loopback() || token.is_some_and(|token| !token.is_empty()) {
        Ok(())
    } else {
        Err(format!(
            "--admin {address} is not a loopback address: set TOLLGATE_ADMIN_TOKEN to the token that it shall ask for"
        ))
    }
}

/// Serves until the process ends. Blocks: meant for a thread of its own.
pub(crate) fn serve(listener: std::net::TcpListener, admin: Admin) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admin = Arc::new(admin);
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(upkeep(admin.prometheus.clone()));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _peer)) => stream,
                Err(error) => {
                    // Such as too many open files: it passes, and the probes must find somebody afterwards.
                    tracing::warn!(%error, "the admin API could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let admin = Arc::clone(&admin);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let admin = Arc::clone(&admin);
                    async move { Ok::<_, std::convert::Infallible>(answer(&admin, request).await) }
                });
                let mut builder = Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new());
                builder
                    .http2()
                    .timer(TokioTimer::new())
                    .keep_alive_interval(PING_AFTER)
                    .keep_alive_timeout(PING_TIMEOUT);
                let _client_went_away = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// Histograms collect raw samples until somebody sorts them in; without this they would grow until the next scrape.
async fn upkeep(prometheus: PrometheusHandle) {
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        prometheus.run_upkeep();
    }
}

type Answer = Response<Full<bytes::Bytes>>;

async fn answer(admin: &Admin, request: Request<IncomingBody>) -> Answer {
    let path = request.uri().path();
    let open = matches!(path, "/healthz" | "/readyz");
    if !open && admin.token.is_none() && is_of_a_web_page(request.uri(), request.headers()) {
        let why = "without TOLLGATE_ADMIN_TOKEN, only what calls this address or localhost is answered, and no page of another site";
        return answers::problem(StatusCode::FORBIDDEN, why);
    }
    if !open && !authorized(admin, request.headers()) {
        return answers::problem(StatusCode::UNAUTHORIZED, "expected the admin token as a bearer token");
    }
    if path == resources::PATH || path.strip_prefix(resources::PATH).is_some_and(|rest| rest.starts_with('/'))
    {
        return resources::answer(admin, request).await;
    }
    if *request.method() == Method::POST {
        return act(admin, (path, request.uri().query())).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return answers::problem(StatusCode::METHOD_NOT_ALLOWED, "expected GET");
    }
    match path {
        "/healthz" => answers::text("ok\n"),
        "/readyz" => answers::ready(admin),
        "/metrics" => answers::metrics(admin),
        "/v1/status" => answers::status(admin),
        "/v1/ledger" => spending::ledger(admin, request.uri().query()).await,
        "/v1/budgets" => spending::budgets(&admin.gateway.member),
        "/v1/nodes" => answers::value(StatusCode::OK, &nodes::nodes(&admin.gateway.member)),
        "/openapi.json" => answers::openapi(),
        "/" => answers::index(),
        _ => answers::problem(StatusCode::NOT_FOUND, "no such path; GET / lists them"),
    }
}

/// What changes something.
async fn act(admin: &Admin, (path, query): (&str, Option<&str>)) -> Answer {
    let member = &admin.gateway.member;
    let node = path.strip_prefix("/v1/nodes/").and_then(|rest| rest.split_once('/'));
    match (path, node) {
        ("/v1/nodes/leave", _) => nodes::leave(member),
        ("/v1/cluster/join-token", _) => secrets::join_token(member, query).await,
        ("/v1/cluster/gossip-key", _) => secrets::gossip_key(member).await,
        ("/v1/snapshot", _) => nodes::snapshot(member).await,
        (_, Some((id, "forget"))) => nodes::forget(member, id).await,
        (_, Some((id, "promote"))) => nodes::promote(member, id).await,
        (_, Some(_) | None) => answers::problem(StatusCode::METHOD_NOT_ALLOWED, "expected GET"),
    }
}

/// Browsers reach loopback for any page: those say where a request comes from that changes something, and a name that was
/// made to point here is in the host.
fn is_of_a_web_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let host = uri.authority().map(Authority::as_str).or_else(|| text(header::HOST)).unwrap_or_default();
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let is_address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let is_here = host.is_empty() || is_address || name == "localhost";
    let origin = text(header::ORIGIN).map(|origin| origin.trim_start_matches("http://"));
    !is_here || origin.is_some_and(|origin| origin != host)
}

/// Compared without an early end, so that the time tells nothing of how much was right.
fn authorized(admin: &Admin, headers: &HeaderMap) -> bool {
    let Some(token) = &admin.token else {
        return true;
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let difference = sent.bytes().zip(token.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    sent.len() == token.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        #[rustfmt::skip]
        let rows = [
            (Some("127.0.0.1:1064"), None,                           false, "a program"),
            (Some("[::1]:1064"),     None,                           false, "another address"),
            (Some("[::1]"),          None,                           false, "without a port"),
            (Some("localhost:1064"), None,                           false, "its name"),
            (None,                   None,                           false, "HTTP/1.0 has no host"),
            (Some("localhost:1064"), Some("http://localhost:1064"),  false, "a page of our own"),
            (Some("127.0.0.1:1064"), Some("https://evil.example"),   true,  "another site's form"),
            (Some("127.0.0.1:1064"), Some("null"),                   true,  "a page from a file"),
            (Some("evil.example"),   None,                           true,  "a name that points here"),
        ];
        for (host, origin, want, why) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                headers.extend(value.map(|value| (name, http::HeaderValue::from_static(value))));
            }
            assert_eq!(is_of_a_web_page(&Uri::from_static("/v1/nodes"), &headers), want, "{why}");
        }
        let named = Uri::from_static("http://evil.example/v1/nodes");
        assert!(is_of_a_web_page(&named, &HeaderMap::new()), "HTTP/2 has the host in its path");
    }

    #[test]
    fn off_loopback_a_token_is_needed() {
        let cases = [
            ("127.0.0.1:1064", None, true),
            ("[::1]:1064", None, true),
            ("0.0.0.0:1064", None, false),
            ("0.0.0.0:1064", Some(""), false),
            ("0.0.0.0:1064", Some("secret"), true),
        ];
        for (address, token, expected) in cases {
            assert_eq!(check(address.parse().unwrap(), token).is_ok(), expected, "{address} {token:?}");
        }
    }
}
