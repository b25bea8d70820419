//! The measure of all things here, a role of the benchmark's own binary: the least that a proxy on hyper can do. A
//! server, a pooled client, TCP_NODELAY on both sides, bodies streamed; no routing, no metering, no log, no time-outs.

use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, upstream: SocketAddr) -> Result<(), String> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    let authority: Authority =
        upstream.to_string().parse().map_err(|error| format!("{upstream}: {error}"))?;
    let proxy = Arc::new((client, authority));
    loop {
        let (stream, _peer) = listener.accept().await.map_err(|error| format!("accepting: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("accepting: {error}"))?;
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (client, authority) = &*proxy;
                client.request(directed(request, authority))
            });
            let _client_went_away =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn directed(mut request: Request<Incoming>, authority: &Authority) -> Request<Incoming> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    *request.uri_mut() =
        Uri::from_parts(parts).expect("a server's request has a path, and the rest is given");
    request
}
