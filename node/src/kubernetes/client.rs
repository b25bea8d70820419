//! The way to the API server, and how long it has been silent.
//!
//! Watchers tell of objects only. Whatever arrives (the head of an answer, an event, a bookmark) is noted here, under the path
//! that it was asked for: an API server that hangs is silent, and nothing else tells.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use kube::client::{Body, ClientBuilder};
use kube::core::Status;
use kube::{Client, Config};
use tower_service::Service;

/// A watch ends by itself before, so that a connection over which nothing comes is given up.
const READ: Duration = Duration::from_secs(75);
/// A server that does not answer is tried again by and by.
const CONNECT: Duration = Duration::from_secs(5);

/// When the last sign of life came, by path.
#[derive(Clone, Default)]
pub(super) struct Pulses(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Pulses {
    /// How long nothing has come from there. None: nothing ever did.
    pub(super) fn age(&self, path: &str) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).map(Instant::elapsed)
    }

    fn beat(&self, path: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(path) {
            *known = Instant::now();
        } else {
            all.insert(path.to_owned(), Instant::now());
        }
    }
}

/// The client, as KUBECONFIG or the pod says.
pub(super) async fn connect(pulses: &Pulses) -> Result<Client, String> {
    let mut config = Config::infer().await.map_err(|error| error.to_string())?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    let server = config.cluster_url.to_string();
    let builder = ClientBuilder::try_from(config).map_err(|error| error.to_string())?;
    let pulses = pulses.clone();
    let client = builder.with_layer(&tower_layer::layer_fn(|inner| Noted { inner, pulses: pulses.clone() }));
    tracing::info!(server, "Kubernetes");
    Ok(client.build())
}

/// What an API server said when it said no.
pub(super) fn said(status: &Status) -> String {
    format!("{} {}: {}", status.code, status.reason, status.message)
}

/// Notes what comes.
struct Noted<S> {
    inner: S,
    pulses: Pulses,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<bytes::Bytes, Failure>>;

impl<S, B> Service<Request<Body>> for Noted<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Failure>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Failure>,
{
    type Response = Answer;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_read = request.method() == http::Method::GET;
        let path = request.uri().path().to_owned();
        let (pulses, answer) = (self.pulses.clone(), self.inner.call(request));
        Box::pin(async move {
            let answer = answer.await?;
            if is_read && answer.status().is_success() {
                pulses.beat(&path);
            }
            Ok(answer.map(|body| {
                let noted = body.map_frame(move |frame| {
                    if is_read {
                        pulses.beat(&path);
                    }
                    frame
                });
                noted.map_err(Into::into).boxed_unsync()
            }))
        })
    }
}
