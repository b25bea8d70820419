//! Certificates of HTTPS listeners, chosen by the name that the client asks for, and swapped without a restart. Only
//! those that can serve come here: a snapshot has no others.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tollgate_crds::Snapshot;

/// The certificates in force. Cheap to clone: all clones see the newest.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    shared: Arc<ArcSwap<InForce>>,
}

#[derive(Default)]
struct InForce {
    /// None while no listener has a certificate: TLS is not spoken then.
    config: Option<Arc<ServerConfig>>,
}

impl Certificates {
    /// Takes over what a snapshot's listeners bring.
    pub(crate) fn load(&self, snapshot: &Snapshot) {
        let mut keys = ByName::default();
        for listener in &snapshot.listeners {
            for key in &listener.certificates {
                keys.add(listener.hostname.as_ref().map(ToString::to_string), Arc::clone(key));
            }
        }
        let config = (!keys.is_empty()).then(|| server_config(keys));
        self.shared.store(Arc::new(InForce { config }));
    }

    /// What a TLS handshake needs now.
    pub(crate) fn server_config(&self) -> Option<Arc<ServerConfig>> {
        self.shared.load().config.clone()
    }
}

fn server_config(keys: ByName) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(keys));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Keys by host name; `*.example.com` stands for one label more.
#[derive(Default)]
struct ByName {
    named: BTreeMap<String, Arc<CertifiedKey>>,
    /// For clients that ask for a name that nobody has, or for none.
    first: Option<Arc<CertifiedKey>>,
}

impl ByName {
    fn add(&mut self, name: Option<String>, key: Arc<CertifiedKey>) {
        self.first.get_or_insert_with(|| Arc::clone(&key));
        if let Some(name) = name {
            self.named.entry(name.to_ascii_lowercase()).or_insert(key);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || self.named.get(&format!("*.{}", name.split_once('.')?.1));
        self.named.get(&name).or_else(wildcard)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        named.or(self.first.as_ref()).cloned()
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.named.keys()).finish()
    }
}
