//! The cluster's secret, and what is sealed under keys that are derived from it.

use std::fmt;

use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use serde::{Deserialize, Serialize};

use super::ClusterId;

/// 256 random bits that every node of a cluster holds and nobody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSecret([u8; 32]);

/// What a derived key is for. Keys of different purposes, or of different clusters, have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The key of the certificate authority.
    Authority,
    /// Keys of gossip that lie in the replicated state.
    GossipKeys,
    /// Secrets in resources: credentials of providers.
    Resources,
}

/// Sealed bytes are: this, a random nonce, the ciphertext with its tag.
const FORMAT: u8 = 1;

impl ClusterSecret {
    /// A new cluster's.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The key for a purpose (HKDF with SHA-256, RFC 5869; the cluster's id is the salt).
    pub fn key(&self, cluster: ClusterId, purpose: Purpose) -> [u8; 32] {
        expanded(&hkdf::Salt::new(hkdf::HKDF_SHA256, &cluster.bytes()).extract(&self.0), purpose)
    }

    /// Encrypts. The same bytes are never sealed to the same twice.
    pub fn seal(&self, cluster: ClusterId, purpose: Purpose, plain: &[u8]) -> Vec<u8> {
        self.seal_as(cluster, purpose, (plain, ""))
    }

    /// Decrypts what [`seal`](Self::seal) made under the same secret for the same purpose.
    pub fn open(&self, cluster: ClusterId, purpose: Purpose, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        self.open_as(cluster, purpose, (sealed, ""))
    }

    /// Encrypts what belongs to `name`: under another name nobody opens it.
    pub fn seal_as(&self, cluster: ClusterId, purpose: Purpose, (plain, name): (&[u8], &str)) -> Vec<u8> {
        let nonce: [u8; aead::NONCE_LEN] = rand::random();
        let body = sealed(&self.cipher(cluster, purpose), nonce, &associated(purpose, name), plain);
        [&[FORMAT][..], &nonce, &body].concat()
    }

    /// Decrypts what [`seal_as`](Self::seal_as) made for the same name.
    pub fn open_as(
        &self,
        cluster: ClusterId,
        purpose: Purpose,
        (sealed, name): (&[u8], &str),
    ) -> Result<Vec<u8>, Unsealable> {
        let (format, rest) = sealed.split_first().ok_or(Unsealable::Short { bytes: 0 })?;
        if *format != FORMAT {
            return Err(Unsealable::Format { known: FORMAT, got: *format });
        }
        let (nonce, body) = rest.split_first_chunk().ok_or(Unsealable::Short { bytes: sealed.len() })?;
        let mut body = body.to_vec();
        let associated = associated(purpose, name);
        let plain = self
            .cipher(cluster, purpose)
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&associated[..]), &mut body)
            .map_err(|_| Unsealable::OtherKey { purpose })?
            .len();
        body.truncate(plain);
        Ok(body)
    }

    fn cipher(&self, cluster: ClusterId, purpose: Purpose) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.key(cluster, purpose));
        LessSafeKey::new(key.expect("the cipher's key has 32 bytes"))
    }
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Authority => "tollgate authority v1",
            Self::GossipKeys => "tollgate gossip keys v1",
            Self::Resources => "tollgate resources v1",
        }
    }
}

fn expanded(extracted: &hkdf::Prk, purpose: Purpose) -> [u8; 32] {
    let info = [purpose.label().as_bytes()];
    let mut key = [0; 32];
    let filled = extracted.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
    filled.expect("32 bytes are one block of SHA-256");
    key
}

fn sealed(cipher: &LessSafeKey, nonce: [u8; aead::NONCE_LEN], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut body = plain.to_vec();
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut body)
        .expect("far below the 256 GiB that one nonce may cover");
    body
}

/// No label contains a zero, so that no two pairs make the same bytes.
fn associated(purpose: Purpose, name: &str) -> Vec<u8> {
    let label = purpose.label().as_bytes();
    if name.is_empty() { label.to_vec() } else { [label, &[0], name.as_bytes()].concat() }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

/// Sealed bytes that can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealable {
    /// Too few to be sealed ones.
    Short {
        /// So many.
        bytes: usize,
    },
    /// Sealed by another program than this.
    Format {
        /// The one that is known.
        known: u8,
        /// The one that came.
        got: u8,
    },
    /// Sealed by another cluster or for another purpose, or changed since.
    OtherKey {
        /// What they were expected to be sealed for.
        purpose: Purpose,
    },
}

impl fmt::Display for Unsealable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { bytes } => write!(f, "{bytes} bytes are too few to be sealed ones"),
            Self::Format { known, got } => write!(f, "sealed in format {got}, this program knows {known}"),
            Self::OtherKey { purpose } => {
                write!(
                    f,
                    "expected bytes that this cluster sealed as {purpose:?}; they are not, or were changed"
                )
            }
        }
    }
}

impl std::error::Error for Unsealable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens() {
        let (secret, cluster) = (ClusterSecret::random(), ClusterId::random());
        let sealed = secret.seal(cluster, Purpose::Authority, b"key");
        assert_eq!(secret.open(cluster, Purpose::Authority, &sealed).unwrap(), b"key");
        assert_ne!(sealed, secret.seal(cluster, Purpose::Authority, b"key"), "a nonce came twice");

        let other = Err(Unsealable::OtherKey { purpose: Purpose::Authority });
        assert_eq!(ClusterSecret::random().open(cluster, Purpose::Authority, &sealed), other);
        assert_eq!(secret.open(ClusterId::random(), Purpose::Authority, &sealed), other);
        assert!(secret.open(cluster, Purpose::Resources, &sealed).is_err());
        for at in 1..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(secret.open(cluster, Purpose::Authority, &flipped), other, "byte {at}");
        }
        for length in 0..sealed.len() {
            assert!(secret.open(cluster, Purpose::Authority, &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_sealed_for_a_name_opens_under_no_other() {
        let (secret, cluster) = (ClusterSecret::random(), ClusterId::random());
        let sealed = secret.seal_as(cluster, Purpose::Resources, (b"key", "default/a"));
        let open = |name| secret.open_as(cluster, Purpose::Resources, (&sealed, name));
        assert_eq!(open("default/a").unwrap(), b"key");
        for name in ["default/b", "", "default/"] {
            assert_eq!(open(name), Err(Unsealable::OtherKey { purpose: Purpose::Resources }), "{name}");
        }
    }

    #[test]
    fn a_newer_seal_is_named() {
        let opened = ClusterSecret::random().open(ClusterId::random(), Purpose::Resources, &[9; 40]);
        assert_eq!(opened, Err(Unsealable::Format { known: 1, got: 9 }));
    }
}
