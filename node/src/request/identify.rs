//! identify: who is calling? Budgets and the ledger are keyed by what this step verified, never by what a client says
//! of itself.
//!
//! What callers have to prove is the rule's to say, so the rule is looked up here, and route follows it. What proved
//! somebody is taken out of the request: it is for nobody behind us.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_crds::{
    Access, ApiKeyAccess, ClaimHeader, ConsumerTable, Holder, Issuer, JwtAccess, KeyRefused, KeySource,
    ResourceName, Rule,
};

use super::accept::Accepted;
use super::refusal::Refusal;
use super::route;
use super::trail::Trail;
use crate::clock;
use crate::config::Active;
use crate::identity::key_sets::{KeySets, Wanted};
use crate::identity::presented::{Places, USUAL, take_out};
use crate::identity::token::{Token, Unfit};

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
    pub(crate) fn known(&self) -> Option<&Arc<tollgate_crds::Consumer>> {
        match self {
            Self::Anonymous => None,
            Self::Known(consumer) => Some(consumer),
        }
    }
}

/// What a caller proved, and with what.
#[derive(Default)]
struct Proof {
    holder: Option<Holder>,
    /// Where it stood.
    sources: Vec<KeySource>,
    /// Headers that it makes, over what the client sent there.
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// Finds the caller. While no `Consumer` exists and no SecurityPolicy guards the rule, every caller is the same anonymous
/// one: whatever key a request carries was not checked by us, so it identifies nobody.
pub(crate) async fn caller(
    sets: &KeySets,
    config: &Active,
    accepted: &mut Accepted,
    trail: &mut Trail,
) -> Result<Caller, Refusal> {
    let mut rule = route::rule(config, accepted).cloned();
    let mut proof = prove(sets, config, rule.as_ref(), accepted).await?;
    if !proof.headers.is_empty() {
        write(&mut accepted.headers, &proof.headers);
        let again = route::rule(config, accepted).cloned();
        if access(again.as_ref()).map(Arc::as_ptr) != access(rule.as_ref()).map(Arc::as_ptr) {
            // What was proven leads to a rule that asks for something else.
            proof = prove(sets, config, again.as_ref(), accepted).await?;
            write(&mut accepted.headers, &proof.headers);
        }
        rule = again;
    }
    proof.sources.iter().for_each(|source| take_out(source, &mut accepted.headers));
    let (consumer, api_key) = match proof.holder {
        Some(Holder { consumer, key, .. }) => (Consumer::Known(consumer), Some(key)),
        None => (Consumer::Anonymous, None),
    };
    trail.consumer = Some(consumer.clone());
    let api_key = api_key.filter(|key| !key.is_empty());
    Ok(Caller { consumer, api_key, rule })
}

/// Lets in whoever may read what is no model's answer: any consumer, or everybody where there is none.
pub(crate) async fn reader(sets: &KeySets, config: &Active, headers: &HeaderMap) -> Result<(), Refusal> {
    if config.snapshot.quota.consumers.is_empty() {
        return Ok(());
    }
    known(sets, config, headers).await.map(|_| ())
}

fn access(rule: Option<&Arc<Rule>>) -> Option<&Arc<Access>> {
    rule?.access.as_ref()
}

fn write(headers: &mut HeaderMap, made: &[(HeaderName, Option<HeaderValue>)]) {
    for (name, value) in made {
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
}

/// What the rule's policy asks for; where that proves nobody, what Consumers ask for.
async fn prove(
    sets: &KeySets,
    config: &Active,
    rule: Option<&Arc<Rule>>,
    accepted: &Accepted,
) -> Result<Proof, Refusal> {
    let mut proof = Proof::default();
    if let Some(access) = access(rule) {
        let places = Places { headers: &accepted.headers, query: accepted.uri.query().unwrap_or_default() };
        let Access { policy: _, jwt, api_keys } = &**access;
        if let Some(keys) = api_keys {
            by_policy(config, keys, &places, &mut proof)?;
        }
        if let Some(tokens) = jwt {
            by_token(sets, config, tokens, &places, &mut proof).await?;
        }
    }
    if proof.holder.is_none() && !config.snapshot.quota.consumers.is_empty() {
        let (holder, source) = known(sets, config, &accepted.headers).await?;
        proof.holder = Some(holder);
        proof.sources.push(source);
    }
    Ok(proof)
}

/// One of the policy's own clients. A client that is a Consumer as well, by the same key, is that one.
fn by_policy(
    config: &Active,
    keys: &ApiKeyAccess,
    places: &Places<'_>,
    proof: &mut Proof,
) -> Result<(), Refusal> {
    let ApiKeyAccess { clients, sources, client_header, sanitize: _ } = keys;
    let presented = sources.iter().find_map(|source| Some((source, places.find(source)?)));
    let (source, key) = presented.ok_or(Refusal::NoKey)?;
    let now_s = now_s();
    let client = clients.find(key.as_bytes(), now_s).map_err(refused)?;
    let consumer = config.snapshot.quota.consumers.find(key.as_bytes(), now_s);
    proof.holder = Some(consumer.unwrap_or(client).clone());
    proof.sources.push(source.clone());
    if let Some(name) = client_header {
        let id = client.consumer.user.as_ref().and_then(|id| HeaderValue::from_str(id).ok());
        proof.headers.push((name.clone(), id));
    }
    Ok(())
}

/// A token of one of the policy's issuers. Its subject is a Consumer, or else a caller of its own.
async fn by_token(
    sets: &KeySets,
    config: &Active,
    JwtAccess { issuers, optional }: &JwtAccess,
    places: &Places<'_>,
    proof: &mut Proof,
) -> Result<(), Refusal> {
    // Nobody but an issuer says what it claims.
    let claims = issuers.iter().flat_map(|issuer| &issuer.claims);
    proof.headers.extend(claims.map(|claim| (claim.header.clone(), None)));
    let mut refusal = None;
    for issuer in issuers {
        for source in &issuer.sources {
            let Some(text) = places.find(source) else { continue };
            match verified(sets, issuer, &text).await {
                Ok(token) => {
                    let value = |claim: &ClaimHeader| HeaderValue::try_from(token.claim(&claim.claim)?).ok();
                    let claims = issuer.claims.iter();
                    proof.headers.extend(claims.map(|claim| (claim.header.clone(), value(claim))));
                    proof.sources.push(source.clone());
                    let subject =
                        token.subject().map_err(|why| Refusal::BadToken { reason: why.reason() })?;
                    let consumer = config.snapshot.quota.consumers.by_subject(token.issuer(), subject);
                    let named = consumer.map(|consumer| holder(Arc::clone(consumer)));
                    let own = || proof.holder.take().unwrap_or_else(|| stranger(issuer, subject));
                    proof.holder = Some(named.unwrap_or_else(own));
                    return Ok(());
                }
                Err(why) => refusal = Some(why),
            }
        }
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None if *optional => Ok(()),
        None => Err(Refusal::NoToken),
    }
}

/// The token, if it is what it says.
async fn verified<'t>(sets: &KeySets, issuer: &Issuer, text: &'t str) -> Result<Token<'t>, Refusal> {
    let bad = |why: Unfit| Refusal::BadToken { reason: why.reason() };
    let token = Token::parse(text).map_err(bad)?;
    let keys = async |wanted| {
        let keys = sets.of(&issuer.jwks, wanted).await;
        keys.map_err(|reason| {
            tracing::warn!(issuer = %issuer.name, %reason, "tokens can't be verified");
            Refusal::NoKeySet { issuer: issuer.name.clone() }
        })
    };
    let mut verdict = token.verify(issuer, &*keys(Wanted::Any).await?, now_s());
    if verdict == Err(Unfit::NoKey) {
        verdict = token.verify(issuer, &*keys(Wanted::Newer).await?, now_s());
    }
    verdict.map(|()| token).map_err(bad)
}

/// The subject of a token that no Consumer claims.
fn stranger(issuer: &Issuer, subject: &str) -> Holder {
    let (namespace, _) = issuer.name.split_once('/').unwrap_or_default();
    holder(Arc::new(tollgate_crds::Consumer {
        name: ResourceName::new(namespace, subject),
        full_name: format!("{}/{subject}", issuer.name),
        organization: None,
        team: None,
        user: Some(subject.to_owned()),
        labels: BTreeMap::new(),
    }))
}

/// Who came with a token has no key.
fn holder(consumer: Arc<tollgate_crds::Consumer>) -> Holder {
    Holder { consumer, key: String::new(), not_after_s: None }
}

/// A Consumer, by a key or by a token of an issuer that some policy knows.
async fn known(sets: &KeySets, config: &Active, headers: &HeaderMap) -> Result<(Holder, KeySource), Refusal> {
    let quota = &config.snapshot.quota;
    let refusal = match by_key(&quota.consumers, headers) {
        Ok(found) => return Ok(found),
        Err(refusal) => refusal,
    };
    let (name, prefix) = (header::AUTHORIZATION, "Bearer ");
    let text = Places { headers, query: "" }.header(&name, prefix);
    let Some((text, token)) = text.and_then(|text| Some((text, Token::parse(text).ok()?))) else {
        return Err(refusal);
    };
    let mut refusal = refusal;
    for issuer in quota.issuers.of(token.issuer()) {
        match verified(sets, issuer, text).await {
            Ok(token) => {
                let subject = token.subject().map_err(|why| Refusal::BadToken { reason: why.reason() })?;
                if let Some(consumer) = quota.consumers.by_subject(token.issuer(), subject) {
                    let source = KeySource::Header { name, prefix: prefix.to_owned() };
                    return Ok((holder(Arc::clone(consumer)), source));
                }
                refusal = Refusal::BadToken { reason: "its subject is no consumer here" };
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

/// A key of a Consumer, wherever SDKs put theirs: with keys for others beside it, the one that is known counts.
fn by_key(consumers: &ConsumerTable, headers: &HeaderMap) -> Result<(Holder, KeySource), Refusal> {
    let places = Places { headers, query: "" };
    let now_s = now_s();
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

fn now_s() -> u64 {
    clock::unix_ms() / 1_000
}

fn refused(why: KeyRefused) -> Refusal {
    match why {
        KeyRefused::Unknown => Refusal::UnknownKey,
        KeyRefused::Expired { key } => Refusal::ExpiredKey { key },
    }
}
