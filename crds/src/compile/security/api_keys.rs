//! `apiKeyAuth`: clients and their keys, from Secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{HeaderName, header};

use crate::compile::certificates::{self, secret};
use crate::compile::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{ApiKeyAuth, ENVOY_GROUP, ExtractFrom};
use crate::snapshot::{
    ApiKeyAccess, Consumer, ConsumerBuilder, Digest, Holder, KeySource, ResourceName, Taken,
};

/// The scheme that is taken off where keys come in `Authorization`.
pub(super) const BEARER: &str = "Bearer ";

/// The clients of a policy; None where a Secret can't be read.
pub(super) fn compile(
    index: &Index<'_>,
    loaded: &Loaded,
    auth: &ApiKeyAuth,
    problems: &mut Vec<Problem>,
) -> Option<ApiKeyAccess> {
    let ApiKeyAuth { credential_refs, extract_from, forward_client_id_header, sanitize } = auth;
    let from = (ENVOY_GROUP, "SecurityPolicy", loaded.name.namespace.as_str());
    let mut clients = ConsumerBuilder::default();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (at, reference) in credential_refs.iter().enumerate() {
        let field = format!("spec.apiKeyAuth.credentialRefs[{at}]");
        let found = secret(index, from, reference);
        let found =
            found.map_err(|what| problems.push(loaded.problem(&field, shown(&reference.name), what))).ok()?;
        for client in found.spec.keys() {
            if !seen.insert(client) {
                continue; // Envoy Gateway: of a client that is twice there the first counts.
            }
            let key = certificates::text(found, client, problems);
            let key = key
                .map_err(|what| problems.push(loaded.problem(&field, shown(&reference.name), what)))
                .ok()?;
            let holder = holder(loaded, client);
            clients.add(&holder.consumer);
            if let Err(Taken { by }) = clients.add_key(Digest::of(key.expose().as_bytes()), holder) {
                let what = format!("a key for each client: {client} has that of {by}");
                problems.push(loaded.problem(&field, shown(&reference.name), what));
            }
        }
    }
    let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
    Some(ApiKeyAccess {
        clients: clients.build(),
        sources: extract_from.iter().flat_map(sources).collect(),
        client_header: forward_client_id_header.as_ref().and_then(|name| header(name)),
        sanitize: *sanitize,
    })
}

fn holder(loaded: &Loaded, client: &str) -> Holder {
    let full_name = format!("{}/{client}", loaded.name);
    let consumer = Consumer {
        name: ResourceName::new(&*loaded.name.namespace, client),
        full_name: full_name.clone(),
        organization: None,
        team: None,
        user: Some(client.to_owned()),
        labels: BTreeMap::new(),
    };
    Holder { consumer: Arc::new(consumer), key: full_name, not_after_s: None }
}

fn sources(ExtractFrom { headers, params, cookies }: &ExtractFrom) -> impl Iterator<Item = KeySource> {
    let header = |name: &crate::resources::HeaderName| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let prefix = if name == header::AUTHORIZATION { BEARER } else { "" };
        Some(KeySource::Header { name, prefix: prefix.to_owned() })
    };
    let headers: Vec<KeySource> = headers.iter().filter_map(header).collect();
    let params = params.iter().cloned().map(KeySource::Query);
    headers.into_iter().chain(params).chain(cookies.iter().cloned().map(KeySource::Cookie))
}
