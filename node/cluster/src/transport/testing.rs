//! Clusters for tests: an authority, nodes with certificates of it, servers on loopback, and what was logged.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rcgen::KeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use super::{Credentials, Handlers, Keys, Lane, Peers, Reception, Server, Setup, Target};
use crate::identity::authority::Authority;
use crate::identity::files::Leaf;
use crate::identity::{ClusterId, NodeName};

pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    pub(crate) authority: Arc<Authority>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let id = ClusterId::random();
        Self { id, authority: Arc::new(Authority::create(id, SystemTime::now())) }
    }

    /// A certificate of this cluster's authority for a node.
    pub(crate) fn leaf(&self, node: u64) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let issued = self.authority.issue(node, key.public_key_raw(), SystemTime::now()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Leaf { chain: vec![issued, self.authority.certificate().clone()], key }
    }

    pub(crate) fn credentials(&self, node: u64) -> Credentials {
        Credentials {
            name: NodeName { node, cluster: self.id },
            issued: self.leaf(node),
            authority: self.authority.certificate().clone(),
            own: None,
        }
    }

    pub(crate) fn keys(&self, node: u64) -> Keys {
        Keys::new(&self.credentials(node)).unwrap()
    }

    pub(crate) fn peers(&self, node: u64) -> Peers {
        Peers::new(self.keys(node))
    }

    pub(crate) async fn serve(&self, node: u64, handlers: Handlers) -> Server {
        serve(self.keys(node), handlers, None).await
    }
}

pub(crate) async fn serve(keys: Keys, handlers: Handlers, reception: Option<Reception>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Node 13 was forgotten.
    let belongs = Arc::new(|node| node != 13);
    Server::start(listener, Setup { keys, handlers, belongs, reception }).unwrap()
}

pub(crate) fn target(node: u64, address: SocketAddr) -> Target {
    Target { node, address: address.to_string(), lane: Lane::Control }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<String>>);

impl Logged {
    /// Lines of the level warn and above.
    pub(crate) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let logged = Self::default();
        (logged.clone(), tracing::subscriber::set_default(logged))
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Logged {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(self.0.lock().unwrap());
        event.record(&mut line);
        line.0.push('\n');
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

struct Line<'a>(std::sync::MutexGuard<'a, String>);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
