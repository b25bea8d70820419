//! Consumers to the table by which callers are recognised.

use std::sync::Arc;

use super::super::certificates;
use crate::compile::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{ApiKey, ConsumerSpec, JwtSubject, KeyReference};
use crate::schema::seconds;
use crate::snapshot::{
    Consumer, ConsumerBuilder, ConsumerTable, Digest, Holder, IssuerTable, ResourceName, Taken,
};

/// Compiles every Consumer. One without a usable key is still known: its tokens may be.
pub(super) fn compile(
    index: &Index<'_>,
    issuers: &IssuerTable,
    problems: &mut Vec<Problem>,
) -> ConsumerTable {
    let mut table = ConsumerBuilder::default();
    for Entry { loaded, spec } in index.consumers.iter() {
        let ConsumerSpec { organization, team, user, labels, api_keys, jwt } = spec;
        let text = |name: &Option<_>| name.as_ref().map(|name: &crate::resources::NameText| name.to_string());
        let consumer = Arc::new(Consumer {
            name: loaded.name.clone(),
            full_name: loaded.name.to_string(),
            organization: text(organization),
            team: text(team),
            user: text(user),
            labels: labels.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        });
        table.add(&consumer);
        for (at, key) in api_keys.iter().enumerate() {
            let field = format!("spec.apiKeys[{at}]");
            let Some(digest) = digest(index, loaded, (&field, key), problems) else { continue };
            let holder = Holder {
                consumer: Arc::clone(&consumer),
                key: format!("{}/{}", loaded.name, key.name),
                not_after_s: key.not_after.as_deref().and_then(seconds),
            };
            if let Err(Taken { by }) = table.add_key(digest, holder) {
                let what = format!("a key that nobody else has: {by} has it, and keeps it");
                problems.push(loaded.problem(&field, shown(&key.name), what));
            }
        }
        let Some(JwtSubject { issuer, subject }) = jwt else { continue };
        if issuers.of(issuer).is_empty() {
            let what =
                "the issuer of a provider of a SecurityPolicy: none is, and its tokens are taken nowhere";
            problems.push(loaded.problem("spec.jwt.issuer", shown(issuer), what));
        }
        if let Err(Taken { by }) = table.add_subject((issuer, subject), &consumer) {
            let what = format!("a subject that nobody else has: {by} has it, and keeps it");
            problems.push(loaded.problem("spec.jwt.subject", shown(subject), what));
        }
    }
    table.build()
}

fn digest(
    index: &Index<'_>,
    loaded: &Loaded,
    (field, key): (&str, &ApiKey),
    problems: &mut Vec<Problem>,
) -> Option<Digest> {
    let ApiKey { name: _, secret_ref, hash, not_after: _ } = key;
    if let Some(hash) = hash {
        return Digest::parse(hash); // The schema has checked its form.
    }
    let KeyReference { name, key } = secret_ref.as_ref()?;
    let target = ResourceName::new(&*loaded.name.namespace, &**name);
    let read = index.secret(&target).and_then(|secret| certificates::text(secret, key, problems));
    match read {
        Ok(text) => Some(Digest::of(text.expose().as_bytes())),
        Err(what) => {
            problems.push(loaded.problem(&format!("{field}.secretRef"), shown(name), what));
            None
        }
    }
}
