//! Amazon's Signature Version 4, as its documentation "Create a signed AWS API request" describes it. It knows no clock:
//! the time is given.
//!
//! ```text
//! request ─ canonical ─ SHA-256 ─┐
//! time, region, service ─────────┴─▶ text to sign ─┐
//! secret ─▶ day ─▶ region ─▶ service ─▶ key ───────┴─ HMAC ─▶ Authorization
//! ```

use std::fmt::Write;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use tollgate_crds::AwsKeys;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is encoded in a path that is encoded already: every service but S3 wants it twice.
const OUTSIDE_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What a signature is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    /// The service's name in signatures.
    pub(crate) service: &'a str,
    /// When the request is signed.
    pub(crate) at: Timestamp,
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signable<'a> {
    pub(crate) method: &'a str,
    /// As it is sent, without the query.
    pub(crate) path: &'a str,
    /// As it is sent; empty if there is none.
    pub(crate) query: &'a str,
    /// Names in small letters. `host` and `x-amz-date` must be among them.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body's SHA-256, in hexadecimal.
    pub(crate) body_hash: &'a str,
}

/// `x-amz-date`.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of `authorization`.
pub(crate) fn authorization(keys: &AwsKeys, scope: &Scope<'_>, signable: &Signable<'_>) -> String {
    let date = date(scope.at);
    let day = &date[..8];
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let (canonical, signed) = canonical(signable);
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{date}\n{place}\n{hash}");

    let secret = format!("AWS4{}", keys.secret_access_key.expose());
    let steps = [day, scope.region, scope.service, "aws4_request"];
    let key = steps.iter().fold(secret.into_bytes(), |key, step| mac(&key, step.as_bytes()));
    let signature = hex(&mac(&key, text.as_bytes()));
    let id = &keys.access_key_id;
    format!("{ALGORITHM} Credential={id}/{place}, SignedHeaders={signed}, Signature={signature}")
}

/// Bytes in hexadecimal, as signatures have them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// The request in the form that both sides hash, and the names of the headers in it.
fn canonical(signable: &Signable<'_>) -> (String, String) {
    let Signable { method, path, query, headers, body_hash } = *signable;
    let path = if path.is_empty() { "/" } else { path };
    let path = utf8_percent_encode(path, OUTSIDE_PATHS);
    let mut query: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    query.sort_unstable();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers = headers.to_vec();
    headers.sort_unstable_by_key(|(name, _)| *name);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let signed = names.join(";");
    let mut lines = String::new();
    for (name, value) in headers {
        let value: Vec<&str> = value.split_ascii_whitespace().collect();
        writeln!(lines, "{name}:{}", value.join(" ")).expect("a String takes everything");
    }
    let query = query.join("&");
    (format!("{method}\n{path}\n{query}\n{lines}\n{signed}\n{body_hash}"), signed)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
#[path = "sigv4_test.rs"]
mod tests;
