//! A node on its way in. It remembers what it asks with, so that asking again after a lost answer is not another node.

use std::fmt;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use serde::{Deserialize, Serialize};

use super::authority::new_key;
use super::folder::{Folder, FolderError};
use super::record::Form;
use super::secret::ClusterSecret;
use super::token::{Fingerprint, JoinToken};
use super::{ClusterId, NodeName};

/// A node that has no id yet.
pub struct Newcomer {
    /// What the cluster tells its attempts by.
    pub request: [u8; 16],
    key: KeyPair,
}

/// What a newcomer is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Its Raft id.
    pub node: u64,
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// The certificate of the cluster's authority, in DER.
    pub authority: Vec<u8>,
    /// What only nodes know.
    pub secret: ClusterSecret,
}

/// A newcomer that was let in by the cluster that it meant.
pub struct Admitted {
    pub(super) cluster: ClusterId,
    pub(super) admission: Admission,
    pub(super) key: KeyPair,
}

impl Admitted {
    /// Who it is now.
    pub fn name(&self) -> NodeName {
        NodeName { node: self.admission.node, cluster: self.cluster }
    }
}

const FILE: Form = Form { name: "joining", magic: *b"TGJN", format: 1 };

#[derive(Serialize, Deserialize)]
struct Written {
    request: [u8; 16],
    key: Vec<u8>,
}

impl Newcomer {
    /// The one that this folder remembers, or a new one.
    pub fn of(folder: &Folder) -> Result<Self, FolderError> {
        if let Some(Written { request, key }) = FILE.read(folder)? {
            let key = KeyPair::try_from(key).map_err(|why| folder.damaged(FILE.name, why.to_string()))?;
            return Ok(Self { request, key });
        }
        let key = new_key();
        let newcomer = Self { request: rand::random(), key };
        FILE.replace(folder, &Written { request: newcomer.request, key: newcomer.key.serialize_der() })?;
        Ok(newcomer)
    }

    /// The key that is to be certified: a point on P-256, not compressed.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key_raw()
    }

    /// Takes what the cluster gave, if it is what was asked for: the token's cluster, and a certificate for this key.
    pub fn admitted(self, token: &JoinToken, admission: Admission) -> Result<Admitted, String> {
        let certificate = CertificateDer::from(admission.certificate.as_slice());
        let (name, expected) =
            (NodeName::of(&certificate)?, NodeName { node: admission.node, cluster: token.cluster });
        if name != expected {
            return Err(format!("expected a certificate for {expected}, one for {name} came"));
        }
        let parsed = ParsedCertificate::try_from(&certificate).map_err(|why| why.to_string())?;
        if parsed.subject_public_key_info().as_ref() != self.key.subject_public_key_info() {
            return Err("expected a certificate for our key, one for another key came".to_owned());
        }
        if Fingerprint::of(&admission.authority) != token.fingerprint {
            return Err("expected the authority that the token names, another one came".to_owned());
        }
        Ok(Admitted { cluster: token.cluster, admission, key: self.key })
    }

    pub(super) fn forget(folder: &Folder) -> Result<(), FolderError> {
        folder.remove(FILE.name)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admitted(node {} of {}, ..)", self.admission.node, self.cluster)
    }
}

impl fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Newcomer(..)")
    }
}
