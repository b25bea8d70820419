//! TLS between nodes: version 1.3, both sides show who they are, and what is in force can be replaced at any time.
//!
//! A newcomer has no certificate, so it says in its hello (ALPN) that it comes to join, and is led to another server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::verify::{NodesOnly, PeersOnly};
use crate::identity::NodeName;
use crate::identity::files::{CertificateFiles, Leaf, OwnCertificates};
use crate::identity::home::Home;

/// What nodes speak.
pub(crate) const PEERS: &[u8] = b"tollgate/1";
/// What newcomers speak.
pub(crate) const JOINERS: &[u8] = b"tollgate-join/1";

/// What a node shows and what it trusts.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who it is.
    pub name: NodeName,
    /// The certificate that the cluster gave it, with the authority's after it.
    pub issued: Leaf,
    /// The certificate of the cluster's authority.
    pub authority: CertificateDer<'static>,
    /// The operator's own certificate, shown in place of the cluster's, and roots that are trusted beside its authority.
    pub own: Option<Arc<OwnCertificates>>,
}

/// The credentials in force, ready for handshakes. Clones are the same keys.
#[derive(Clone, Debug)]
pub struct Keys(Arc<watch::Sender<Arc<Tls>>>);

/// Configurations for both sides.
pub(crate) struct Tls {
    pub(crate) name: NodeName,
    pub(crate) peers: Arc<ServerConfig>,
    pub(crate) joiners: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

impl Credentials {
    /// What the node's folder remembers.
    pub fn of(home: &Home) -> Self {
        Self { name: home.name(), issued: home.leaf(), authority: home.authority(), own: None }
    }
}

impl Keys {
    /// These credentials are in force.
    pub fn new(credentials: &Credentials) -> Result<Self, UnusableKeys> {
        Ok(Self(Arc::new(watch::Sender::new(Arc::new(Tls::build(credentials)?)))))
    }

    /// From now on, these are. Connections that are open stay so.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), UnusableKeys> {
        self.0.send_replace(Arc::new(Tls::build(credentials)?));
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<Tls> {
        Arc::clone(&self.0.borrow())
    }
}

impl Tls {
    fn build(credentials: &Credentials) -> Result<Self, UnusableKeys> {
        let Credentials { name, issued, authority, own } = credentials;
        let shown = own.as_ref().map_or(issued, |own| &own.leaf);
        let mut roots = RootCertStore::empty();
        for root in own.iter().flat_map(|own| &own.roots).chain([authority]) {
            roots.add(root.clone()).map_err(|why| UnusableKeys(format!("a root certificate: {why}")))?;
        }
        let roots = Arc::new(roots);
        Ok(Self {
            name: *name,
            peers: Arc::new(peers(*name, shown, &roots)?),
            joiners: Arc::new(joiners(issued)?),
            client: Arc::new(client(*name, shown, roots)?),
        })
    }
}

fn peers(name: NodeName, shown: &Leaf, roots: &Arc<RootCertStore>) -> Result<ServerConfig, UnusableKeys> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|why| UnusableKeys(why.to_string()))?;
    let verifier = Arc::new(PeersOnly { cluster: name.cluster, chain: verifier });
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has suites for TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(shown.chain.clone(), shown.key.clone_key());
    served(config, PEERS)
}

fn joiners(issued: &Leaf) -> Result<ServerConfig, UnusableKeys> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has suites for TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(issued.chain.clone(), issued.key.clone_key());
    served(config, JOINERS)
}

fn served(
    config: Result<ServerConfig, rustls::Error>,
    protocol: &[u8],
) -> Result<ServerConfig, UnusableKeys> {
    let mut config = config.map_err(|why| UnusableKeys(why.to_string()))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would not show its certificate again, and certificates change.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(name: NodeName, shown: &Leaf, roots: Arc<RootCertStore>) -> Result<ClientConfig, UnusableKeys> {
    let verifier = NodesOnly::new(name.cluster, roots, provider()).map_err(UnusableKeys)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has suites for TLS 1.3")
        // "dangerous" because the verifier is ours: it checks what webpki does, and says whose the certificate is.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(shown.chain.clone(), shown.key.clone_key());
    let mut config = config.map_err(|why| UnusableKeys(why.to_string()))?;
    config.alpn_protocols = vec![PEERS.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Keeps the operator's certificates in force as they change on the disk, for ever. They are looked at every so often: what
/// tells of changes misses those of Kubernetes, which moves a link. Files that can't be used are logged once, and those
/// before stay.
pub async fn follow(files: CertificateFiles, credentials: Credentials, keys: Keys, every: Duration) {
    let mut before = None;
    loop {
        let (reading, name) = (files.clone(), credentials.name);
        let read = spawn_blocking(move || reading.read(name)).await;
        let found = read.unwrap_or_else(|panicked| Err(files.unreadable(&panicked)));
        if before.as_ref() != Some(&found) {
            match found.clone().map(|own| Credentials { own: Some(Arc::new(own)), ..credentials.clone() }) {
                Ok(changed) => match keys.replace(&changed) {
                    Ok(()) => {
                        tracing::info!(certificate = %files.certificate.display(), "certificates were read");
                    }
                    Err(why) => tracing::error!("{why}"),
                },
                Err(why) => tracing::error!("{why}"),
            }
            before = Some(found);
        }
        sleep(every).await;
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({}, ..)", self.name)
    }
}

/// Credentials that TLS can't take. Those before stay in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableKeys(String);

impl fmt::Display for UnusableKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node's certificate or key can't be used: {}", self.0)
    }
}

impl std::error::Error for UnusableKeys {}

#[cfg(test)]
#[path = "tls_test.rs"]
mod tests;
