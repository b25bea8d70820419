//! Configuration as the gateway needs it: every reference resolved, every default applied, nothing left to validate.
//!
//! A request holds one snapshot from start to end. Snapshots are immutable and made only by [`crate::compile`].

mod backend;
mod cost;
mod describe;
mod host;
mod matching;
mod quota;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::sign::CertifiedKey;
use tollgate_api::edit::BodyEdits;

pub use backend::{
    Aws, AwsKeys, AwsSource, AzureApp, Backend, Credential, CredentialKind, CredentialOverride, Endpoint,
    Google, Roots, Sensitive, ServiceAccount, UpstreamTls,
};
pub use cost::{Cost, CostFacts};
pub use host::HostPattern;
pub use quota::{
    Access, ApiKeyAccess, BudgetTable, ClaimHeader, Consumer, ConsumerTable, Holder, Issuer, IssuerTable,
    Jwks, JwtAccess, KeptBudget, KeyRefused, KeySource, Price, PriceTable, Quota, RequestFacts,
};
pub use table::RouteTable;

pub(crate) use cost::{EXPRESSION_BYTES, Expression, Measure};
pub(crate) use matching::{HeaderMatch, ValueMatch};
pub(crate) use quota::{
    BudgetBuilder, Condition, ConsumerBuilder, Digest, Lacking, Network, PathMatch, PriceFor, PriceRow, Taken,
};
pub(crate) use table::{Attachment, Listing, NewEntry, Place, TableBuilder};

/// The header that carries the request's model to the matches; set by the gateway, never by a client.
pub const MODEL_HEADER: &str = "x-ai-eg-model";

/// Everything that serves, at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// What Gateways ask to be opened, in the order of the resources.
    pub listeners: Vec<Listener>,
    /// Every backend that a rule may call, once, ordered by name.
    pub backends: Vec<Arc<Backend>>,
    /// Who answers which request.
    pub routes: RouteTable,
    /// Who may spend what.
    pub quota: Quota,
    /// The Secrets and ConfigMaps that it was made with, by kind, and those that were not there.
    pub referred: BTreeSet<(&'static str, ResourceName)>,
}

/// A namespace and a name, shown as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    /// The namespace; empty for kinds that have none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// One listener of one Gateway.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The Gateway that asks for it.
    pub gateway: ResourceName,
    /// The listener's name in that Gateway.
    pub name: String,
    /// The port to listen on.
    pub port: u16,
    /// Clear text or TLS.
    pub protocol: Protocol,
    /// The hosts it serves; all when absent.
    pub hostname: Option<HostPattern>,
    /// What it proves itself with, each with the key that belongs to it; at least one for HTTPS.
    pub certificates: Vec<Arc<CertifiedKey>>,
    /// `host:port` of the HTTP CONNECT proxy that the Gateway's upstream traffic takes.
    pub forward_proxy: Option<String>,
    /// The largest body of a request; as the node's settings say where absent.
    pub body_bytes: Option<u64>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Clear text.
    Http,
    /// TLS that ends here.
    Https,
}

/// One rule of one route, ready to be followed.
#[derive(Debug)]
pub struct Rule {
    /// The route it is part of.
    pub route: ResourceName,
    /// Its own name, if it has one.
    pub name: Option<String>,
    /// The models that its matches ask for by name.
    pub models: Vec<String>,
    /// Some match takes models that it does not name.
    pub any_model: bool,
    /// What callers have to prove; nothing more than the Consumers ask for when absent.
    pub access: Option<Arc<Access>>,
    /// What may be called, the lowest priority number first. Empty: every reference failed or none was given.
    pub candidates: Vec<Candidate>,
    /// Bound on the whole exchange, the stream included; none when the route says `0s`.
    pub request_timeout: Option<Duration>,
    /// Bound on one attempt.
    pub attempt_timeout: Option<Duration>,
    /// Bound on silence of the upstream.
    pub stream_idle_timeout: Option<Duration>,
    /// What a finished request is charged, by key.
    pub costs: Vec<Cost>,
    /// Dense number of the rule in this snapshot.
    pub index: usize,
}

/// One backend that a rule may call, and how.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Whom to call.
    pub backend: Arc<Backend>,
    /// The model to ask for instead of the client's.
    pub model_override: Option<String>,
    /// Share among the candidates of one priority; never 0.
    pub weight: u32,
    /// Lower numbers are tried first.
    pub priority: u32,
    /// Changes to the request's headers.
    pub headers: HeaderEdits,
    /// Changes to the request's body.
    pub body: BodyEdits,
}

/// Changes to a request's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Written over what is there.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Taken away.
    pub remove: Vec<HeaderName>,
}

impl Snapshot {
    /// The largest body of a request that came for a host by a port (none: the door of all listeners): as the listener says
    /// whose host is the nearest. None where it says nothing.
    pub fn body_bytes(&self, host: &str, port: Option<u16>) -> Option<u64> {
        if self.listeners.iter().all(|listener| listener.body_bytes.is_none()) {
            return None;
        }
        let nearest = |listener: &&Listener| match &listener.hostname {
            None => 0,
            Some(HostPattern::Wildcard(suffix)) => suffix.len(),
            Some(HostPattern::Exact(_)) => usize::MAX,
        };
        let asked = self.listeners.iter().filter(|listener| {
            port.is_none_or(|port| port == listener.port)
                && listener.hostname.as_ref().is_none_or(|hostname| hostname.matches(host))
        });
        asked.max_by_key(nearest)?.body_bytes
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl ResourceName {
    /// A name in a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}
