//! Whether a request for Amazon is signed as Amazon wants it.

use http::{HeaderName, StatusCode};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use tollgate_crds::{AwsKeys, Sensitive};

use super::error::ApiError;
use super::stats::Recorded;
use crate::clock;
use crate::upstream::aws::sigv4::{self, Scope, Signable};

/// A request that was signed longer ago is refused.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// A pair of keys, as the command line has it.
#[derive(Clone, Debug)]
pub(crate) struct AwsKey(AwsKeys);

impl std::str::FromStr for AwsKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (id, secret) = text
            .split_once(':')
            .filter(|(id, secret)| !id.is_empty() && !secret.is_empty())
            .ok_or("expected the id of a key, a colon, and its secret")?;
        let secret_access_key = Sensitive::new(secret);
        Ok(Self(AwsKeys { access_key_id: id.to_owned(), secret_access_key, session_token: None }))
    }
}

impl AwsKey {
    /// Refuses what is not signed with these keys, or not now.
    pub(crate) fn check(&self, request: &Recorded) -> Result<(), ApiError> {
        let header = |name: &str| {
            let name = HeaderName::try_from(name).ok()?;
            request.headers.get(name)?.to_str().ok()
        };
        let sent = header("authorization").ok_or_else(|| refused("no authorization"))?;
        let at = header("x-amz-date").and_then(read_date).ok_or_else(|| refused("no x-amz-date"))?;
        if clock::now().duration_since(at).abs() > LONGEST {
            return Err(refused("Signature expired"));
        }
        let (place, names) =
            parts(sent).ok_or_else(|| refused("the authorization is not of AWS4-HMAC-SHA256"))?;
        let [_id, _day, region, service, "aws4_request"] = place[..] else {
            return Err(refused("Credential should be scoped to a valid region"));
        };
        let mut headers = Vec::new();
        for name in &names {
            headers.push((*name, header(name).ok_or_else(|| refused("a signed header is missing"))?));
        }
        let has = |name: &str| names.contains(&name);
        if !has("host") || !has("x-amz-date") {
            return Err(refused("host and x-amz-date must be signed"));
        }
        let body_hash = sigv4::hex(digest(&SHA256, &request.body).as_ref());
        let signable = Signable {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            headers: &headers,
            body_hash: &body_hash,
        };
        if sigv4::authorization(&self.0, &Scope { region, service, at }, &signable) == sent {
            Ok(())
        } else {
            Err(refused("The request signature we calculated does not match the signature you provided"))
        }
    }
}

/// The credential's parts, and the names of what is signed.
fn parts(authorization: &str) -> Option<(Vec<&str>, Vec<&str>)> {
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| rest.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    Some((field("Credential")?.split('/').collect(), field("SignedHeaders")?.split(';').collect()))
}

fn read_date(text: &str) -> Option<Timestamp> {
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|at| at.timestamp())
}

fn refused(why: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, why)
}
