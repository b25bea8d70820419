//! identify: who is calling? Budgets and the ledger are keyed by what this step verified, never by what a client says
//! of itself.
//!
//! What callers have to prove is the rule's to say, so the rule is looked up here, and route follows it. What proved
//! somebody is taken out of the request: it is for nobody behind us.

use std::sync::Arc;

use http::HeaderMap;
use tollgate_crds::{Access, ApiKeyAccess, ConsumerTable, Holder, KeyRefused, KeySource, Rule};

use super::accept::Accepted;
use super::refusal::Refusal;
use super::route;
use super::trail::Trail;
use crate::clock;
use crate::config::Active;
use crate::identity::presented::{Places, USUAL, take_out};

/// Who calls, as far as this node could verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Nobody was asked to prove anything: no consumer is configured.
    Anonymous,
    /// Proven by a key or a token.
    Known(Arc<tollgate_crds::Consumer>),
}

/// A caller who may go on.
pub(crate) struct Caller {
    pub(crate) consumer: Consumer,
    /// The key that was presented, as budgets know it: never the key itself.
    pub(crate) api_key: Option<String>,
    /// The rule whose guard was passed; none where no rule serves the model.
    pub(crate) rule: Option<Arc<Rule>>,
}

impl Consumer {
    /// The name under which the ledger books.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Known(consumer) => &consumer.full_name,
        }
    }

    /// What budgets look at.
    pub(crate) fn known(&self) -> Option<&tollgate_crds::Consumer> {
        match self {
            Self::Anonymous => None,
            Self::Known(consumer) => Some(consumer),
        }
    }
}

/// Finds the caller. While no `Consumer` exists and no SecurityPolicy guards the rule, every caller is the same anonymous
/// one: whatever key a request carries was not checked by us, so it identifies nobody.
pub(crate) fn caller(config: &Active, accepted: &mut Accepted, trail: &mut Trail) -> Result<Caller, Refusal> {
    let rule = route::rule(config, accepted).cloned();
    let mut proven = None;
    if let Some(access) = rule.as_ref().and_then(|rule| rule.access.as_deref()) {
        proven = guarded(config, access, accepted)?;
    }
    let consumers = &config.snapshot.quota.consumers;
    if proven.is_none() && !consumers.is_empty() {
        let (holder, source) = by_key(consumers, &accepted.headers)?;
        take_out(&source, &mut accepted.headers);
        proven = Some(holder);
    }
    let (consumer, api_key) = match proven {
        Some(holder) => (Consumer::Known(holder.consumer), Some(holder.key)),
        None => (Consumer::Anonymous, None),
    };
    trail.consumer = Some(consumer.clone());
    Ok(Caller { consumer, api_key, rule })
}

/// Lets in whoever may read what is no model's answer: any consumer, or everybody where there is none.
pub(crate) fn reader(config: &Active, headers: &HeaderMap) -> Result<(), Refusal> {
    let consumers = &config.snapshot.quota.consumers;
    if consumers.is_empty() { Ok(()) } else { by_key(consumers, headers).map(|_| ()) }
}

/// What a SecurityPolicy asks for.
fn guarded(config: &Active, access: &Access, accepted: &mut Accepted) -> Result<Option<Holder>, Refusal> {
    let Access { policy: _, jwt, api_keys } = access;
    if jwt.is_some() {
        // Tokens can't be verified: the rule is as good as not there.
        return Err(Refusal::UnknownModel { model: accepted.peek.model.clone() });
    }
    api_keys.as_ref().map(|keys| by_policy(config, keys, accepted)).transpose()
}

/// One of the policy's own clients. A client that is a Consumer as well, by the same key, is that one.
fn by_policy(config: &Active, keys: &ApiKeyAccess, accepted: &mut Accepted) -> Result<Holder, Refusal> {
    let ApiKeyAccess { clients, sources, client_header, sanitize: _ } = keys;
    let places = Places { headers: &accepted.headers, query: accepted.uri.query().unwrap_or_default() };
    let presented = sources.iter().find_map(|source| Some((source, places.find(source)?)));
    let (source, key) = presented.ok_or(Refusal::NoKey)?;
    let now_s = clock::unix_ms() / 1_000;
    let client = clients.find(key.as_bytes(), now_s).map_err(refused)?;
    let consumer = config.snapshot.quota.consumers.find(key.as_bytes(), now_s);
    let holder = consumer.unwrap_or(client).clone();

    let client_id = client.consumer.user.clone();
    take_out(source, &mut accepted.headers);
    if let Some(name) = client_header {
        accepted.headers.remove(name);
        if let Some(value) = client_id.and_then(|id| id.try_into().ok()) {
            accepted.headers.insert(name.clone(), value);
        }
    }
    Ok(holder)
}

/// A key of a Consumer, wherever SDKs put theirs: with keys for others beside it, the one that is known counts.
fn by_key(consumers: &ConsumerTable, headers: &HeaderMap) -> Result<(Holder, KeySource), Refusal> {
    let places = Places { headers, query: "" };
    let now_s = clock::unix_ms() / 1_000;
    let mut refusal = Refusal::NoKey;
    for (name, prefix) in USUAL {
        let Some(key) = places.header(&name, prefix) else { continue };
        match consumers.find(key.as_bytes(), now_s) {
            Ok(holder) => {
                return Ok((holder.clone(), KeySource::Header { name, prefix: prefix.to_owned() }));
            }
            Err(why) if !matches!(refusal, Refusal::ExpiredKey { .. }) => refusal = refused(why),
            Err(_) => {}
        }
    }
    Err(refusal)
}

fn refused(why: KeyRefused) -> Refusal {
    match why {
        KeyRefused::Unknown => Refusal::UnknownKey,
        KeyRefused::Expired { key } => Refusal::ExpiredKey { key },
    }
}
