//! The cluster's certificate authority: it says which key is which node's.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use super::secret::{ClusterSecret, Purpose};
use super::token::Fingerprint;
use super::{ClusterId, NodeName};

const DAY_HOURS: u64 = 24;
/// A node's certificate holds for a year.
pub const LEAF_LIFE: Duration = Duration::from_hours(365 * DAY_HOURS);
/// It is renewed after three fifths of it: more than four months are left to notice that something is wrong.
pub const RENEW_AFTER: Duration = Duration::from_hours(219 * DAY_HOURS);
const AUTHORITY_LIFE: Duration = Duration::from_hours(20 * 365 * DAY_HOURS);
/// Certificates hold from before they were made: the reader's clock may be behind.
const BACKDATED: Duration = Duration::from_hours(DAY_HOURS);

/// The authority with its key (ECDSA on P-256).
pub struct Authority {
    cluster: ClusterId,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new cluster's.
    pub fn create(cluster: ClusterId, now: SystemTime) -> Self {
        let key = new_key();
        let certificate = written(parameters(cluster, now).self_signed(&key));
        Self { cluster, certificate, issuer: Issuer::new(parameters(cluster, now), key) }
    }

    /// The authority whose certificate and sealed key the cluster keeps.
    pub fn open(
        cluster: ClusterId,
        certificate: &[u8],
        sealed_key: &[u8],
        secret: &ClusterSecret,
    ) -> Result<Self, AuthorityError> {
        let key = secret
            .open(cluster, Purpose::Authority, sealed_key)
            .map_err(|why| AuthorityError::Key(why.to_string()))?;
        let key = KeyPair::try_from(key).map_err(|why| AuthorityError::Key(why.to_string()))?;
        let certificate = CertificateDer::from(certificate.to_vec());
        let parsed = ParsedCertificate::try_from(&certificate)
            .map_err(|why| AuthorityError::Certificate(why.to_string()))?;
        if parsed.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(AuthorityError::OfAnotherKey);
        }
        // A certificate names its issuer by subject and key, and those are the same whenever the parameters are made.
        Ok(Self { cluster, certificate, issuer: Issuer::new(parameters(cluster, UNIX_EPOCH), key) })
    }

    /// Its certificate, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How newcomers know it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// Its key as it may lie in the replicated state.
    pub fn sealed_key(&self, secret: &ClusterSecret) -> Vec<u8> {
        secret.seal(self.cluster, Purpose::Authority, self.issuer.key().serialized_der())
    }

    /// A certificate for a node. `public_key` is a point on P-256, not compressed.
    pub fn issue(
        &self,
        node: u64,
        public_key: &[u8],
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        // 04, then two coordinates of 32 bytes: SEC 1, section 2.3.3.
        if public_key.len() != 65 || public_key[0] != 4 {
            return Err(AuthorityError::PublicKey { bytes: public_key.len() });
        }
        let name = NodeName { node, cluster: self.cluster };
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names = vec![host_name(name)];
        leaf.distinguished_name = common_name(&format!("Tollgate node {node}"));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.serial_number = Some(serial_number());
        limit(&mut leaf, now, LEAF_LIFE);
        Ok(written(leaf.signed_by(&Point(public_key), &self.issuer)))
    }
}

/// A key for certificates.
pub(super) fn new_key() -> KeyPair {
    KeyPair::generate().expect("the operating system gives random bytes")
}

fn written(signed: Result<Certificate, rcgen::Error>) -> CertificateDer<'static> {
    signed.expect("nothing in our parameters can't be written in DER").der().clone()
}

fn host_name(name: NodeName) -> SanType {
    SanType::DnsName(name.to_string().try_into().expect("a node's name is ASCII"))
}

/// A public key as it is in a certificate.
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn parameters(cluster: ClusterId, now: SystemTime) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = common_name(&format!("Tollgate cluster {cluster}"));
    // It signs nodes, and nobody who signs.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.serial_number = Some(serial_number());
    limit(&mut parameters, now, AUTHORITY_LIFE);
    parameters
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Random, and a positive number: RFC 5280, section 4.1.2.2.
fn serial_number() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] &= 0x7f;
    SerialNumber::from_slice(&bytes)
}

/// rcgen's moments are those of the crate `time`: 1970 is asked of it, and the rest is distance.
fn limit(parameters: &mut CertificateParams, now: SystemTime, life: Duration) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + since.saturating_sub(BACKDATED);
    parameters.not_after = epoch + since + life;
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority(of {}, ..)", self.cluster)
    }
}

/// Why the authority can't be used, or signs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// Its key can't be opened or read.
    Key(String),
    /// Its certificate can't be read.
    Certificate(String),
    /// Certificate and key do not belong together.
    OfAnotherKey,
    /// What should be certified is no public key on P-256.
    PublicKey {
        /// How long it is.
        bytes: usize,
    },
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(why) => write!(f, "the key of the cluster's authority: {why}"),
            Self::Certificate(why) => write!(f, "the certificate of the cluster's authority: {why}"),
            Self::OfAnotherKey => {
                f.write_str("certificate and key of the cluster's authority do not belong together")
            }
            Self::PublicKey { bytes } => {
                write!(f, "expected a public key on P-256 (65 bytes, not compressed), {bytes} bytes came")
            }
        }
    }
}

impl std::error::Error for AuthorityError {}
