//! From resources to one snapshot: references resolved, permissions checked, defaults applied, everything indexed.
//!
//! ```text
//! index ─▶ security ─▶ clients ─▶ gateways ─▶ attach (routes to listeners) ─┐
//!      └─▶ credentials, tls ─▶ backends ─────────────┴─▶ rules ─▶ quota ─▶ Snapshot
//! ```
//!
//! Each step takes what the one before made and adds to one list of problems. What can't be made safe is left out: a
//! backend whose credential or TLS is not usable is called by nobody, a route that is not allowed attaches nowhere.

mod attach;
mod aws;
mod azure;
mod backends;
mod certificates;
mod clients;
mod costs;
mod credentials;
mod edits;
mod endpoints;
mod gateways;
mod google;
mod grants;
mod index;
mod quota;
mod rules;
mod security;
mod tls;

pub use aws::keys as aws_keys;
pub use google::account as google_account;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::load::Loaded;
use crate::problem::Problem;
use crate::snapshot::{Snapshot, TableBuilder};

use index::Index;

/// Compiles resources into a snapshot. Never fails as a whole; the same resources in the same order give the same
/// snapshot and the same problems.
///
/// From files any GatewayClass is taken as ours, whatever its controllerName; a watcher that sees classes of others
/// leaves those out before.
pub fn compile<L: Borrow<Loaded>>(resources: &[L]) -> (Snapshot, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut index = Index::new(resources, &mut problems);
    let guards = security::compile(&mut index, &mut problems);
    let bounds = clients::compile(&mut index, &mut problems);
    let gateways = gateways::compile(&index, &bounds, &mut problems);
    let routes = attach::routes(&index, &gateways, &mut problems);
    let prepared = backends::prepare(&index, &mut problems);
    let proxies = backends::proxies(&routes, &prepared, &mut problems);
    let usable: BTreeMap<_, _> = prepared
        .into_iter()
        .map(|(name, prepared)| {
            let proxy = proxies.get(&name).cloned().flatten();
            (name, prepared.finish(proxy))
        })
        .collect();
    let mut table = TableBuilder::default();
    let context = rules::Context { index: &index, backends: &usable, guards: &guards };
    for route in &routes {
        rules::compile(&context, route, &mut table, &mut problems);
    }
    let table = table.build();
    let backends: Vec<_> = usable.values().map(|usable| Arc::clone(&usable.backend)).collect();
    let gateways_of = routes.iter().map(|route| {
        let names = route.gateways.iter().map(|gateway| gateway.name.clone()).collect();
        (route.loaded.name.clone(), names)
    });
    let gateways_of = gateways_of.collect();
    let known = quota::Routed { rules: table.rules(), backends: &backends, gateways: &gateways_of };
    let quota = quota::compile(&index, known, guards.issuers, &mut problems);
    let snapshot = Snapshot {
        listeners: gateways.into_iter().flat_map(gateways::CompiledGateway::into_listeners).collect(),
        backends,
        routes: table,
        quota,
        referred: index.into_referred(),
    };
    (snapshot, problems)
}

#[cfg(test)]
mod quota_test;
#[cfg(test)]
#[path = "compile_test.rs"]
mod tests;
