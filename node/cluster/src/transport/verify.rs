//! Who is on the other side of a connection. What webpki says decides; what is added here is to whom the stranger belongs,
//! since a misspelt address should not have to be found out with a packet dump.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::identity::token::{Fingerprint, JoinToken};
use crate::identity::{ClusterId, NodeName};

/// A server's view: callers are nodes of the cluster.
#[derive(Debug)]
pub(super) struct PeersOnly {
    pub(super) cluster: ClusterId,
    pub(super) chain: Arc<dyn ClientCertVerifier>,
}

/// A client's view: the one that was called is the node that was meant.
#[derive(Debug)]
pub(super) struct NodesOnly {
    cluster: ClusterId,
    chain: Arc<WebPkiServerVerifier>,
}

/// A newcomer's view: any node of the cluster that its token names.
#[derive(Debug)]
pub(super) struct ClusterOfToken {
    cluster: ClusterId,
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl NodesOnly {
    pub(super) fn new(
        cluster: ClusterId,
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let chain = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(Self { cluster, chain: chain.map_err(|why| why.to_string())? })
    }
}

impl ClusterOfToken {
    pub(super) fn new(token: &JoinToken, provider: Arc<CryptoProvider>) -> Self {
        Self { cluster: token.cluster, fingerprint: token.fingerprint, provider }
    }
}

impl ClientCertVerifier for PeersOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.chain
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(|error| doubted(&error, end_entity, self.cluster))?;
        of_cluster(end_entity, self.cluster)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl ServerCertVerifier for NodesOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        meant: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.chain
            .verify_server_cert(end_entity, intermediates, meant, ocsp_response, now)
            .map_err(|error| doubted(&error, end_entity, self.cluster))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ClusterOfToken {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _any_node: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|shown| Fingerprint::of(shown) == self.fingerprint);
        let Some(authority) = authority else {
            let error = Error::InvalidCertificate(CertificateError::UnknownIssuer);
            return Err(doubted(&error, end_entity, self.cluster));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let leaf = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, now, algorithms)?;
        of_cluster(end_entity, self.cluster)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake says, for people.
pub(super) fn explained(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        // rustls shows what is not its own as Rust would write it.
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(stranger)))) => {
            format!("wrong certificate: {stranger}")
        }
        // Alerts are terse: what they most likely mean is added.
        Some(Error::AlertReceived(_)) => format!("{error}: {NOT_OURS}"),
        Some(_) | None => error.to_string(),
    }
}

/// What an alert of the other side most likely means.
pub(super) const NOT_OURS: &str = "it does not take our certificate; it may be of another cluster";

/// The names count only after the chain was found good.
fn of_cluster(certificate: &CertificateDer<'_>, cluster: ClusterId) -> Result<(), Error> {
    let shown = NodeName::of(certificate);
    if shown.as_ref().is_ok_and(|name| name.cluster == cluster) {
        return Ok(());
    }
    Err(stranger(Stranger { cluster, shown, why: None }))
}

fn doubted(error: &Error, certificate: &CertificateDer<'_>, cluster: ClusterId) -> Error {
    stranger(Stranger { cluster, shown: NodeName::of(certificate), why: Some(error.to_string()) })
}

fn stranger(stranger: Stranger) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
}

/// Somebody who is not who was expected.
#[derive(Debug)]
struct Stranger {
    cluster: ClusterId,
    shown: Result<NodeName, String>,
    why: Option<String>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, shown, why } = self;
        match shown {
            Ok(name) if name.cluster != *cluster => write!(
                f,
                "it says that it is node {} of another cluster, {}; this node belongs to cluster {cluster}",
                name.node, name.cluster
            )?,
            Ok(name) => write!(f, "it says that it is node {} of this cluster", name.node)?,
            Err(unreadable) => f.write_str(unreadable)?,
        }
        why.iter().try_for_each(|why| write!(f, " ({why})"))
    }
}

impl std::error::Error for Stranger {}
