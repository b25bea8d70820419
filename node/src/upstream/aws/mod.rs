//! Amazon's way to prove who calls: every request is signed with keys, which are given or found and renewed.
//!
//! ```text
//! backend.aws ─▶ Signer { region, Keyring } ─ keys ─ sign ─▶ host, x-amz-date, x-amz-security-token, authorization
//! ```

mod ask;
mod keyring;
mod machine;
pub(crate) mod sigv4;
mod sts;
mod surroundings;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use tollgate_api::edit::Segments;
use tollgate_crds::{Aws, AwsKeys, Sensitive};

pub(crate) use keyring::Keyring;
use sigv4::{Scope, Signable};

/// Bedrock's name in signatures.
const SERVICE: &str = "bedrock";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs one backend's requests.
pub(crate) struct Signer {
    region: String,
    keyring: Arc<Keyring>,
}

/// A request that is ready but for its signature.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) body: &'a Segments,
    pub(crate) at: Timestamp,
}

impl Signer {
    pub(crate) fn new(aws: &Aws, keyring: Arc<Keyring>) -> Self {
        Self { region: aws.region.clone(), keyring }
    }

    /// Signs with the caller's own keys, if it brought some and may. What stands in `headers` of earlier signatures is
    /// replaced. An error says for the operator why there are no keys.
    pub(crate) async fn sign(
        &self,
        unsigned: &Unsigned<'_>,
        own: Option<&AwsKeys>,
        headers: &mut HeaderMap,
    ) -> Result<(), String> {
        match own {
            Some(keys) => sign(unsigned, (keys, &self.region), headers),
            None => sign(unsigned, (&*self.keyring.keys().await?, &self.region), headers),
        }
    }
}

fn sign(
    unsigned: &Unsigned<'_>,
    (keys, region): (&AwsKeys, &str),
    headers: &mut HeaderMap,
) -> Result<(), String> {
    let Unsigned { method, uri, body, at } = *unsigned;
    let unfit = |_| "its keys can't stand in a header".to_owned();
    let host = host(uri);
    headers.insert(header::HOST, HeaderValue::try_from(&host).map_err(|error| error.to_string())?);
    let date = sigv4::date(at);
    headers.insert(DATE, HeaderValue::try_from(&date).map_err(|error| error.to_string())?);
    let mut signed = vec![("host", host.as_str()), ("x-amz-date", date.as_str())];
    headers.remove(TOKEN);
    if let Some(token) = keys.session_token.as_ref().map(Sensitive::expose) {
        headers.insert(TOKEN, sensitive(token).map_err(unfit)?);
        signed.push(("x-amz-security-token", token));
    }
    let signable = Signable {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &signed,
        body_hash: &hash(body),
    };
    let scope = Scope { region, service: SERVICE, at };
    let authorization = sigv4::authorization(keys, &scope, &signable);
    headers.insert(header::AUTHORIZATION, sensitive(&authorization).map_err(unfit)?);
    Ok(())
}

fn sensitive(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What stands in `Host`: the port only where it is not the scheme's own.
fn host(uri: &Uri) -> String {
    let name = uri.host().unwrap_or_default();
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

fn hash(body: &Segments) -> String {
    let mut context = Context::new(&SHA256);
    for part in body.parts() {
        context.update(part);
    }
    sigv4::hex(context.finish().as_ref())
}

#[cfg(test)]
#[path = "aws_test.rs"]
mod tests;
