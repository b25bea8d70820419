//! Upstreams: the live side of the snapshot's backends. Pools, breakers and credentials; they outlive a change of
//! configuration, so that an edit costs nobody a connection.
//!
//! ```text
//! snapshot.backends ── resolve ──▶ Upstream { endpoints: [ Endpoint { base, client, breaker } ] }
//! ```

pub(crate) mod aws;
pub(crate) mod body;
pub(crate) mod breaker;
pub(crate) mod choice;
pub(crate) mod connect;
pub(crate) mod credentials;
pub(crate) mod retry;
pub(crate) mod shared_health;
mod tls;
pub(crate) mod tokens;

use hashbrown::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;
use tollgate_crds::{self as crds, Aws, Backend, ResourceName, Snapshot};

use crate::workers;
use aws::{Keyring, Signer};
use body::SegmentsBody;
use breaker::{Breaker, Health};
use choice::Readiness;
use connect::{Connector, Reach};
use tokens::{Account, Tokens};

/// How long an idle connection is kept for the next request; below what common load balancers allow (60 s).
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Idle connections kept to one address; more are closed when their answer ends.
const MOST_IDLE: usize = 1_024;

/// An HTTP/2 connection with answers on it is asked for a sign of life after so much silence, and given up without one.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) type HttpClient = Client<Connector, SegmentsBody>;

/// One pool a worker, so that a connection stays on the thread of the requests that use it.
type PerWorker = Arc<[HttpClient]>;

/// All transports and breakers of this node, by what they reach.
pub(crate) struct Upstreams {
    workers: usize,
    transports: Mutex<HashMap<Reach, PerWorker>>,
    breakers: Breakers,
    tokens: Mutex<Accounts>,
    keyrings: Mutex<Keyrings>,
    /// Where tokens are kept.
    runtime: Handle,
}

/// Whose tokens are kept.
type Accounts = Vec<(Account, Arc<Tokens>)>;
/// Keys of Amazon's that are kept and renewed, by where they come from.
type Keyrings = HashMap<Aws, Arc<Keyring>>;

/// Breakers by backend and address, as other nodes know them, too.
pub(crate) type Breakers = Arc<Mutex<HashMap<String, Arc<Breaker>>>>;

/// One backend, ready to be called.
pub(crate) struct Upstream {
    endpoints: Vec<Endpoint>,
    /// Signs its requests, where Amazon wants that.
    pub(crate) signer: Option<Signer>,
    turn: AtomicUsize,
    /// Of the account that it is called as, at Google Cloud or Azure.
    pub(crate) tokens: Option<Arc<Tokens>>,
}

/// One address of a backend.
pub(crate) struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    clients: PerWorker,
    pub(crate) breaker: Arc<Breaker>,
}

/// Why a backend of the snapshot cannot be called.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) backend: ResourceName,
    pub(crate) reason: String,
}

impl Upstreams {
    /// For a node with so many workers. What goes on beside requests runs on `runtime`.
    pub(crate) fn new(workers: usize, runtime: Handle) -> Self {
        Self {
            workers,
            transports: Mutex::default(),
            breakers: Breakers::default(),
            tokens: Mutex::default(),
            keyrings: Mutex::default(),
            runtime,
        }
    }

    /// All breakers that there are, now and later.
    pub(crate) fn breakers(&self) -> Breakers {
        Arc::clone(&self.breakers)
    }

    /// Resolves every backend of a snapshot. What is no longer reached is dropped; its running requests go on.
    pub(crate) fn resolve(
        &self,
        snapshot: &Snapshot,
    ) -> (HashMap<ResourceName, Arc<Upstream>>, Vec<Unusable>) {
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keyrings = self.keyrings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Kept {
            workers: self.workers,
            transports: HashMap::new(),
            breakers: HashMap::new(),
            tokens: Accounts::new(),
            keyrings: HashMap::new(),
        };
        let mut resolved = HashMap::new();
        let mut unusable = Vec::new();
        for backend in &snapshot.backends {
            let upstream = resolve(backend, &transports, &breakers, &mut kept).and_then(|upstream| {
                let tokens = account(backend).map(|account| kept.tokens_of(&account, &tokens, &self.runtime));
                let signer = backend.aws.as_ref().map(|aws| kept.signer(aws, &keyrings));
                Ok(Upstream { tokens: tokens.transpose()?, signer, ..upstream })
            });
            match upstream {
                Ok(upstream) => {
                    resolved.insert(backend.name.clone(), Arc::new(upstream));
                }
                Err(reason) => unusable.push(Unusable { backend: backend.name.clone(), reason }),
            }
        }
        *transports = kept.transports;
        *breakers = kept.breakers;
        *tokens = kept.tokens;
        *keyrings = kept.keyrings;
        (resolved, unusable)
    }
}

/// Who it is called as, if it is by tokens.
fn account(backend: &Backend) -> Option<Account> {
    let google = backend.google.as_ref();
    let google = google.map(|google| google.account.clone().map_or(Account::GoogleDefault, Account::Google));
    google.or_else(|| backend.azure.clone().map(Account::Azure))
}

struct Kept {
    workers: usize,
    transports: HashMap<Reach, PerWorker>,
    breakers: HashMap<String, Arc<Breaker>>,
    tokens: Accounts,
    keyrings: Keyrings,
}

impl Kept {
    /// An account that was known before goes on with the token that it has.
    fn tokens_of(
        &mut self,
        account: &Account,
        before: &Accounts,
        runtime: &Handle,
    ) -> Result<Arc<Tokens>, String> {
        let known = self.tokens.iter().chain(before).find(|(known, _)| known == account);
        let tokens = match known {
            Some((_, tokens)) => Arc::clone(tokens),
            None => Arc::new(Tokens::keep(account.clone(), runtime)?),
        };
        if !self.tokens.iter().any(|(known, _)| known == account) {
            self.tokens.push((account.clone(), Arc::clone(&tokens)));
        }
        Ok(tokens)
    }

    fn signer(&mut self, aws: &Aws, keyrings: &Keyrings) -> Signer {
        let keyring = self.keyrings.get(aws).or_else(|| keyrings.get(aws)).cloned();
        let keyring = keyring.unwrap_or_else(|| Arc::new(Keyring::new(aws)));
        self.keyrings.insert(aws.clone(), Arc::clone(&keyring));
        Signer::new(aws, keyring)
    }
}

fn resolve(
    backend: &Backend,
    transports: &HashMap<Reach, PerWorker>,
    breakers: &HashMap<String, Arc<Breaker>>,
    kept: &mut Kept,
) -> Result<Upstream, String> {
    let mut endpoints = Vec::with_capacity(backend.endpoints.len());
    for endpoint in &backend.endpoints {
        let reach = Reach::of(backend, endpoint);
        let clients = match kept.transports.get(&reach).or_else(|| transports.get(&reach)) {
            Some(clients) => Arc::clone(clients),
            None => clients(&reach, kept.workers)?,
        };
        kept.transports.insert(reach, Arc::clone(&clients));

        let authority = authority(endpoint)?;
        let name = format!("{} {authority}", backend.name);
        let breaker = kept.breakers.get(&name).or_else(|| breakers.get(&name)).cloned().unwrap_or_default();
        kept.breakers.insert(name, Arc::clone(&breaker));
        let scheme = if backend.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        endpoints.push(Endpoint { scheme, authority, clients, breaker });
    }
    Ok(Upstream { endpoints, signer: None, turn: AtomicUsize::new(0), tokens: None })
}

fn clients(reach: &Reach, count: usize) -> Result<PerWorker, String> {
    let connector = Connector::new(reach)?;
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    builder.timer(TokioTimer::new());
    builder.pool_idle_timeout(IDLE_TIMEOUT);
    builder.pool_max_idle_per_host(MOST_IDLE);
    builder.http2_only(reach.h2);
    builder.http2_adaptive_window(true);
    builder.http2_keep_alive_interval(PING_AFTER);
    builder.http2_keep_alive_timeout(PING_TIMEOUT);
    Ok((0..count.max(1)).map(|_| builder.build(connector.clone())).collect())
}

fn authority(endpoint: &crds::Endpoint) -> Result<Authority, String> {
    let text = match endpoint {
        crds::Endpoint::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        crds::Endpoint::Host { host, port } => format!("{host}:{port}"),
        crds::Endpoint::Unix { .. } => "localhost".to_owned(),
    };
    Authority::try_from(text.as_str()).map_err(|error| format!("address {text}: {error}"))
}

impl Upstream {
    /// The endpoint whose turn it is among the healthy ones, else among those that others doubt; none if all are broken.
    pub(crate) fn healthy(&self, now_ms: u64) -> Option<&Endpoint> {
        let mut doubted = None;
        let sure = self.in_turn().find(|endpoint| match endpoint.breaker.check(now_ms) {
            Health::Closed => true,
            Health::HalfOpen => endpoint.breaker.probe(now_ms),
            Health::Doubted => {
                doubted = doubted.or(Some(*endpoint));
                false
            }
            Health::Open | Health::Resting => false,
        });
        sure.or(doubted)
    }

    /// The best that any of its endpoints is, without taking a probe.
    pub(crate) fn readiness(&self, now_ms: u64) -> Readiness {
        let each = self.endpoints.iter().map(|endpoint| match endpoint.breaker.check(now_ms) {
            Health::Closed | Health::HalfOpen => Readiness::Ready,
            Health::Doubted => Readiness::Doubted,
            Health::Resting => Readiness::Resting,
            Health::Open => Readiness::Broken,
        });
        each.min().unwrap_or(Readiness::Broken)
    }

    /// The endpoint whose turn it is, whatever its health: better a try than a certain no.
    pub(crate) fn any(&self) -> Option<&Endpoint> {
        self.in_turn().next()
    }

    fn in_turn(&self) -> impl Iterator<Item = &Endpoint> {
        let start = match self.endpoints.len() {
            0 | 1 => 0,
            several => self.turn.fetch_add(1, Ordering::Relaxed) % several,
        };
        self.endpoints[start..].iter().chain(&self.endpoints[..start])
    }
}

impl Endpoint {
    /// This worker's pool.
    pub(crate) fn client(&self) -> &HttpClient {
        &self.clients[workers::index().min(self.clients.len() - 1)]
    }

    /// The URI of `path` (with its query) at this endpoint.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, String> {
        let path = PathAndQuery::try_from(path).map_err(|error| format!("path {path}: {error}"))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| error.to_string())
    }
}
