//! The join token: which cluster, how to know it, and the secret that lets a newcomer in.
//!
//! ```text
//!  tollgate-join-v1.<cluster>.<SHA-256 of the authority's certificate>.<expires>.<secret>.<CRC-32 of all before>
//! ```
//!
//! The cluster keeps a hash of it. Its last day is under that hash, so nobody can move it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::{digest, hmac};
use serde::{Deserialize, Serialize};

use super::{ClusterId, hex};

/// The environment variable that may hold a token.
pub const VARIABLE: &str = "TOLLGATE_JOIN_TOKEN";
const PREFIX: &str = "tollgate-join-v1";

/// What a newcomer is given by its operator.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The cluster to join.
    pub cluster: ClusterId,
    /// By which its authority's certificate is known.
    pub fingerprint: Fingerprint,
    /// What it is let in for.
    pub pass: Pass,
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// What a newcomer shows at the door. It is only shown to who has proven to be of the cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    secret: [u8; 32],
    /// Seconds since 1970 after which it lets nobody in; 0 for never.
    expires_s: u64,
}

/// What the cluster remembers of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

/// Why a pass lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Barred {
    /// It is not the cluster's token, or no more: it was replaced.
    Unknown,
    /// It was, until then.
    Expired {
        /// Seconds since 1970.
        expires_s: u64,
    },
}

impl JoinToken {
    /// A new token, with its last moment if it has one.
    pub fn new(cluster: ClusterId, fingerprint: Fingerprint, expires: Option<SystemTime>) -> Self {
        let expires_s = expires.map_or(0, seconds);
        Self { cluster, fingerprint, pass: Pass { secret: rand::random(), expires_s } }
    }

    /// The token that an operator gave: in `TOLLGATE_JOIN_TOKEN`, whose value is `variable`, or in a file. The file wins.
    pub fn given(variable: Option<&str>, file: Option<&Path>) -> Result<Option<Self>, String> {
        if let Some(path) = file {
            let text =
                fs::read_to_string(path).map_err(|why| format!("join token {}: {why}", path.display()))?;
            return text.parse().map(Some).map_err(|why| format!("{}: {why}", path.display()));
        }
        let token = variable.filter(|text| !text.trim().is_empty()).map(str::parse).transpose();
        token.map_err(|why: String| format!("{VARIABLE}: {why}"))
    }

    /// What the cluster is to remember.
    pub fn hash(&self) -> TokenHash {
        self.pass.hash(self.cluster)
    }
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(sha256(&[certificate]))
    }
}

impl TokenHash {
    /// Whether a newcomer with this pass is let into `cluster`. Takes the same time whichever bits are wrong.
    pub fn admits(&self, pass: &Pass, cluster: ClusterId, now: SystemTime) -> Result<(), Barred> {
        // Comparing two tags under a key of the moment is ring's way to compare without telling where it differs.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        let shown = hmac::sign(&key, &pass.hash(cluster).0);
        hmac::verify(&key, &self.0, shown.as_ref()).map_err(|_| Barred::Unknown)?;
        if pass.expires_s != 0 && seconds(now) > pass.expires_s {
            return Err(Barred::Expired { expires_s: pass.expires_s });
        }
        Ok(())
    }
}

impl Pass {
    fn hash(&self, cluster: ClusterId) -> TokenHash {
        let parts = [PREFIX.as_bytes(), &cluster.bytes(), &self.expires_s.to_be_bytes(), &self.secret];
        TokenHash(sha256(&parts))
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, fingerprint, pass: Pass { secret, expires_s } } = self;
        let (fingerprint, secret) = (hex::encode(&fingerprint.0), hex::encode(secret));
        let text = format!("{PREFIX}.{cluster}.{fingerprint}.{expires_s}.{secret}");
        write!(f, "{text}.{:08x}", crc32fast::hash(text.as_bytes()))
    }
}

impl FromStr for JoinToken {
    type Err = String;

    /// Errors never repeat the token.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parts: Vec<&str> = text.split('.').collect();
        let [prefix, cluster, fingerprint, expires, secret, check] = parts[..] else {
            return Err(format!("expected a join token (`{PREFIX}.…`, 6 parts), {} parts came", parts.len()));
        };
        if prefix != PREFIX {
            return Err(format!("expected a join token that begins with `{PREFIX}.`, this one does not"));
        }
        let body = &text[..text.len() - check.len() - 1];
        if check != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
            return Err("this join token was changed or cut: its checksum does not fit".to_owned());
        }
        let wrong = |part: &str| format!("join token: {part} can't be read");
        Ok(Self {
            cluster: cluster.parse().map_err(|_| wrong("the cluster's id"))?,
            fingerprint: Fingerprint(hex::decode(fingerprint).ok_or_else(|| wrong("the fingerprint"))?),
            pass: Pass {
                secret: hex::decode(secret).ok_or_else(|| wrong("the secret"))?,
                expires_s: expires.parse().map_err(|_| wrong("the last day"))?,
            },
        })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken(cluster {}, ..)", self.cluster)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass(expires_s: {}, ..)", self.expires_s)
    }
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("this join token is not the cluster's; it may have been replaced"),
            Self::Expired { expires_s } => write!(f, "this join token expired ({expires_s} s after 1970)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_hours(500_000);

    fn token(expires: Option<Duration>) -> JoinToken {
        let expires = expires.map(|since| UNIX_EPOCH + since);
        JoinToken::new(ClusterId::random(), Fingerprint([7; 32]), expires)
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = token(Some(NOON));
        let text = token.to_string();
        assert_eq!(format!("{text}\n").parse::<JoinToken>().unwrap(), token, "a file ends with a line break");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).unwrap();
            let error = changed.parse::<JoinToken>().unwrap_err();
            assert!(!error.contains(&text[80..]), "{error}");
        }
        for length in 0..text.len() {
            assert!(text[..length].parse::<JoinToken>().is_err(), "{length} characters");
        }
    }

    #[test]
    fn a_token_is_given_by_a_file_or_a_variable() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other, path) = (token(None), token(None), folder.path().join("token"));
        fs::write(&path, format!("{one}\n")).unwrap();
        let variable = other.to_string();
        assert_eq!(JoinToken::given(Some(&variable), Some(&path)), Ok(Some(one)));
        assert_eq!(JoinToken::given(Some(&variable), None), Ok(Some(other)));
        assert_eq!(JoinToken::given(Some(" "), None), Ok(None));
        assert_eq!(JoinToken::given(None, None), Ok(None));
        assert!(JoinToken::given(Some("x"), None).unwrap_err().starts_with(VARIABLE));
        assert!(JoinToken::given(None, Some(&folder.path().join("none"))).unwrap_err().contains("none"));
    }

    #[test]
    fn who_is_let_in() {
        let (ours, other) = (token(Some(NOON)), token(None));
        let at = |since| UNIX_EPOCH + since;
        let moved = Pass { expires_s: 0, ..ours.pass.clone() };
        let second = Duration::from_secs(1);
        #[rustfmt::skip]
        let cases = [
            // pass         cluster        now                result                 why
            (&ours.pass,  ours.cluster,  at(NOON),          Ok(())),               // its last second
            (&ours.pass,  ours.cluster,  at(NOON + second), Err(Barred::Expired { expires_s: NOON.as_secs() })),
            (&other.pass, ours.cluster,  at(NOON),          Err(Barred::Unknown)), // another secret
            (&ours.pass,  other.cluster, at(NOON),          Err(Barred::Unknown)), // for another cluster
            (&moved,      ours.cluster,  at(NOON),          Err(Barred::Unknown)), // its last day was taken away
        ];
        for (pass, cluster, now, result) in cases {
            assert_eq!(ours.hash().admits(pass, cluster, now), result);
        }
    }
}
