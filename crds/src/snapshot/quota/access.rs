//! What a SecurityPolicy asks of callers: a verified token, a known key, or both. Fetching key sets and verifying tokens is
//! the gateway's; this says what to verify them against.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::consumers::ConsumerTable;

/// What a rule's callers have to prove. All that is there must pass.
#[derive(Debug)]
pub struct Access {
    /// The policy that asks for it, as `namespace/name`.
    pub policy: String,
    /// A token of one of these issuers.
    pub jwt: Option<JwtAccess>,
    /// One of these keys.
    pub api_keys: Option<ApiKeyAccess>,
}

/// A token that callers have to present.
#[derive(Debug)]
pub struct JwtAccess {
    /// The token must pass for one of them.
    pub issuers: Vec<Arc<Issuer>>,
    /// A request without a token passes; one with a token that fails never does.
    pub optional: bool,
}

/// A key that callers have to present.
#[derive(Debug)]
pub struct ApiKeyAccess {
    /// The policy's own clients, each a consumer whose `user` is the client's id.
    pub clients: ConsumerTable,
    /// Where the key is looked for; the first place that has one counts.
    pub sources: Vec<KeySource>,
    /// The header that tells the upstream the client's id.
    pub client_header: Option<HeaderName>,
    /// The upstream does not see the key.
    pub sanitize: bool,
}

/// Where a key or a token stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a header, after a prefix.
    Header {
        /// The header's name.
        name: HeaderName,
        /// What stands before the key, such as `Bearer `; taken off where it is there.
        prefix: String,
    },
    /// In a parameter of the query.
    Query(String),
    /// In a cookie.
    Cookie(String),
}

/// Who issues tokens, and how they are verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The provider, as `namespace/policy/provider`.
    pub name: String,
    /// What `iss` must be; not checked when absent.
    pub issuer: Option<String>,
    /// Of what `aud` must have one; not checked when empty.
    pub audiences: Vec<String>,
    /// The keys that tokens are signed with.
    pub jwks: Jwks,
    /// Claims that go into headers, over what the client sent there.
    pub claims: Vec<ClaimHeader>,
    /// Where the token is looked for.
    pub sources: Vec<KeySource>,
}

/// A set of keys (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// To be fetched, and again when a token names a key that is not in it.
    Remote {
        /// An `https` or `http` address.
        uri: String,
    },
    /// The set itself, as JSON with a list of `keys`.
    Local(String),
}

/// A claim that goes into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The header.
    pub header: HeaderName,
    /// The way to the claim, one name a level.
    pub claim: Vec<String>,
}

/// All issuers, in the order of the policies.
#[derive(Debug, Default)]
pub struct IssuerTable {
    all: Vec<Arc<Issuer>>,
    by_issuer: HashMap<String, Vec<Arc<Issuer>>>,
}

impl IssuerTable {
    pub(crate) fn new(all: Vec<Arc<Issuer>>) -> Self {
        let mut by_issuer: HashMap<String, Vec<Arc<Issuer>>> = HashMap::new();
        for one in &all {
            if let Some(name) = &one.issuer {
                by_issuer.entry(name.clone()).or_default().push(Arc::clone(one));
            }
        }
        Self { all, by_issuer }
    }

    /// Whoever may have issued a token with this `iss`.
    pub fn of(&self, issuer: &str) -> &[Arc<Issuer>] {
        self.by_issuer.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// Everyone: for fetching their key sets.
    pub fn all(&self) -> &[Arc<Issuer>] {
        &self.all
    }
}
