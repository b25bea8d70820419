//! Tokens (JSON Web Tokens, RFC 7519) and what must hold of one before it proves anything.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::Value;
use tollgate_crds::Issuer;

use super::key_set::{KeySet, Verdict};

/// Clocks of an issuer and of ours may differ by this much.
const LEEWAY_S: u64 = 60;
/// A longer token is none: headers of this size are refused by most servers.
const LONGEST: usize = 16 * 1024;
/// Subjects end up in the ledger, which keeps them.
const LONGEST_SUBJECT: usize = 256;

/// A token, taken apart. Nothing of it is true before [`Token::verify`] says so.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    header: Header,
    /// What is signed.
    text: &'a str,
    signature: Vec<u8>,
    claims: Value,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is no token at all.
    Malformed,
    /// It says that it must not be understood without what we do not know.
    Critical,
    /// No key of the issuer's has signed it.
    Forged,
    /// The issuer has no such key, or not yet.
    NoKey,
    /// Another issuer's.
    Issuer,
    /// For others.
    Audience,
    Expired,
    /// It begins later.
    TooEarly,
    /// It says of nobody.
    NoSubject,
}

impl Unfit {
    /// For the client.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "it is not a signed JSON Web Token",
            Self::Critical => "it has critical headers that are not known here",
            Self::Forged => "its signature is wrong",
            Self::NoKey => "it is signed by a key that its issuer does not have",
            Self::Issuer => "its issuer is another one",
            Self::Audience => "it is meant for others",
            Self::Expired => "it has expired",
            Self::TooEarly => "it is not valid yet",
            Self::NoSubject => "it names no subject, or one that is too long",
        }
    }
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Unfit> {
        if token.len() > LONGEST {
            return Err(Unfit::Malformed);
        }
        let (text, signature) = token.rsplit_once('.').ok_or(Unfit::Malformed)?;
        let (header, claims) = text.split_once('.').ok_or(Unfit::Malformed)?;
        let bytes = |part: &str| BASE64.decode(part).map_err(|_| Unfit::Malformed);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Unfit::Malformed)?;
        let claims: Value = serde_json::from_slice(&bytes(claims)?).map_err(|_| Unfit::Malformed)?;
        if header.crit.is_some() {
            return Err(Unfit::Critical);
        }
        Ok(Self { header, text, signature: bytes(signature)?, claims })
    }

    /// Who it says has issued it.
    pub(crate) fn issuer(&self) -> &str {
        self.claims["iss"].as_str().unwrap_or_default()
    }

    /// Whom it says it is about.
    pub(crate) fn subject(&self) -> Result<&str, Unfit> {
        let subject = self.claims["sub"].as_str().unwrap_or_default();
        if (1..=LONGEST_SUBJECT).contains(&subject.len()) { Ok(subject) } else { Err(Unfit::NoSubject) }
    }

    /// A claim as a header would carry it.
    pub(crate) fn claim(&self, path: &[String]) -> Option<String> {
        match path.iter().fold(&self.claims, |value, name| &value[name.as_str()]) {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(other.to_string())
            }
        }
    }

    /// Whether it is the issuer's, for us, and of this time.
    pub(crate) fn verify(&self, issuer: &Issuer, keys: &KeySet, now_s: u64) -> Result<(), Unfit> {
        let Header { alg, kid, crit: _ } = &self.header;
        match keys.verify((alg, kid.as_deref()), self.text.as_bytes(), &self.signature) {
            Verdict::Signed => {}
            Verdict::Forged => return Err(Unfit::Forged),
            Verdict::NoKey => return Err(Unfit::NoKey),
        }
        if issuer.issuer.as_ref().is_some_and(|expected| expected != self.issuer()) {
            return Err(Unfit::Issuer);
        }
        let is_for = |audience: &Value| {
            audience.as_str().is_some_and(|one| issuer.audiences.iter().any(|our| our == one))
        };
        let audience = &self.claims["aud"];
        let for_us = is_for(audience) || audience.as_array().is_some_and(|all| all.iter().any(is_for));
        if !issuer.audiences.is_empty() && !for_us {
            return Err(Unfit::Audience);
        }
        self.in_time(now_s)
    }

    fn in_time(&self, now_s: u64) -> Result<(), Unfit> {
        // Seconds, perhaps with a fraction (RFC 7519, section 2). What is no number is no time that could have come.
        let moment = |name: &str| {
            let value = &self.claims[name];
            if value.is_null() { Ok(None) } else { value.as_f64().map(Some).ok_or(Unfit::Malformed) }
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
        let at = |seconds: u64| seconds as f64;
        if moment("exp")?.is_some_and(|end| end <= at(now_s.saturating_sub(LEEWAY_S))) {
            return Err(Unfit::Expired);
        }
        if moment("nbf")?.is_some_and(|begin| begin > at(now_s.saturating_add(LEEWAY_S))) {
            return Err(Unfit::TooEarly);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "token_test.rs"]
mod tests;
