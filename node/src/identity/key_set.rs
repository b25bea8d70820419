//! Sets of public keys (RFC 7517), as issuers of tokens publish them.
//!
//! A key says which algorithms it may be used with, by its kind and by its own `alg`; what a token says of itself only picks
//! among those. Keys that both sides would have to know (`oct`) are none.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, RsaParameters, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

/// Keys of one set that are looked at; more are not kept.
const MOST_KEYS: usize = 100;

/// A set of keys.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// None: any that its kind allows.
    algorithm: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key as it is written (RFC 7517, section 4, and RFC 7518, section 6).
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Whether a signature is one of the set's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Signed,
    /// A key that could have made it did not.
    Forged,
    /// The set has no such key.
    NoKey,
}

impl KeySet {
    /// Reads a set. Keys that can't be used are passed over, as the standard asks for.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|error| format!("no key set: {error}"))?;
        let written = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self { keys: written.filter_map(Key::read).take(MOST_KEYS).collect() })
    }

    /// Looks for the key of a signature.
    pub(crate) fn verify(
        &self,
        (algorithm, id): (&str, Option<&str>),
        text: &[u8],
        signature: &[u8],
    ) -> Verdict {
        let named = |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        let mut verdict = Verdict::NoKey;
        for key in self.keys.iter().filter(named) {
            match key.verify(algorithm, text, signature) {
                Some(true) => return Verdict::Signed,
                Some(false) => verdict = Verdict::Forged,
                None => {}
            }
        }
        verdict
    }
}

impl Key {
    fn read(written: Written) -> Option<Self> {
        let Written { kty, kid, alg, r#use, crv, n, e, x, y } = written;
        if r#use.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| BASE64.decode(text?).ok();
        let point = |x, y| Some([vec![4], bytes(x)?, bytes(y)?].concat());
        let public = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => Public::Rsa { n: bytes(n)?, e: bytes(e)? },
            ("EC", Some("P-256")) => Public::P256(point(x, y)?),
            ("EC", Some("P-384")) => Public::P384(point(x, y)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(x)?),
            _ => return None,
        };
        Some(Self { id: kid, algorithm: alg, public })
    }

    /// None: the key is not for this algorithm.
    fn verify(&self, algorithm: &str, text: &[u8], signature: &[u8]) -> Option<bool> {
        if self.algorithm.as_deref().is_some_and(|own| own != algorithm) {
            return None;
        }
        let one = |kind: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(kind, key).verify(text, signature).is_ok()
        };
        match (&self.public, algorithm) {
            (Public::P256(key), "ES256") => Some(one(&signature::ECDSA_P256_SHA256_FIXED, key)),
            (Public::P384(key), "ES384") => Some(one(&signature::ECDSA_P384_SHA384_FIXED, key)),
            (Public::Ed25519(key), "EdDSA" | "Ed25519") => Some(one(&signature::ED25519, key)),
            (Public::Rsa { n, e }, _) => {
                let kind = rsa(algorithm)?;
                Some(PublicKeyComponents { n, e }.verify(kind, text, signature).is_ok())
            }
            (Public::P256(_) | Public::P384(_) | Public::Ed25519(_), _) => None,
        }
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
