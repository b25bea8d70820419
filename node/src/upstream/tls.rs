//! TLS to upstreams: rustls with ring, and what BackendTLSPolicy says about names and roots.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tollgate_crds::{Roots, UpstreamTls};

/// A name for SNI and for checking the certificate.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|error| format!("server name `{name}`: {error}"))
}

/// The configuration for one backend's policy.
pub(crate) fn client_config(settings: &UpstreamTls, h2: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verifier = Arc::new(verifier(settings, provider)?);
    // "dangerous" because the verifier is ours: it narrows or, if told to, drops what webpki checks.
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = if h2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(config)
}

fn verifier(settings: &UpstreamTls, provider: Arc<CryptoProvider>) -> Result<PolicyVerifier, String> {
    let check = if settings.skip_verify {
        Check::Nothing
    } else {
        let roots = match &settings.roots {
            Roots::System => system_roots(),
            Roots::Pem(pem) => Arc::new(pem_roots(pem)?),
        };
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| error.to_string())?;
        let names = settings.alt_names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        Check::Certificate { webpki, names }
    };
    Ok(PolicyVerifier { check, provider })
}

fn pem_roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("CA certificate: {error}"))?;
        roots.add(certificate).map_err(|error| format!("CA certificate: {error}"))?;
    }
    if roots.is_empty() { Err("no CA certificate in ca.crt".to_owned()) } else { Ok(roots) }
}

/// The machine's roots, read once. A machine without any (a bare container) gets Mozilla's list, built in.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    });
    Arc::clone(roots)
}

/// Checks a server's certificate as a BackendTLSPolicy, or a Backend's own `tls`, says.
#[derive(Debug)]
struct PolicyVerifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Check {
    /// Roots and name: one of `names` where the policy gives any (Gateway API, `subjectAltNames`), else the one that
    /// was sent as SNI.
    Certificate { webpki: Arc<WebPkiServerVerifier>, names: Vec<ServerName<'static>> },
    /// The operator wrote `insecureSkipVerify: true`: signatures are still checked, names and roots not.
    Nothing,
}

impl ServerCertVerifier for PolicyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        sent_as_sni: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Check::Certificate { webpki, names } = &self.check else {
            return Ok(ServerCertVerified::assertion());
        };
        let verify = |name: &ServerName<'_>| {
            webpki.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
        };
        let Some((first, others)) = names.split_first() else { return verify(sent_as_sni) };
        others.iter().fold(verify(first), |verified, name| verified.or_else(|_| verify(name)))
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
