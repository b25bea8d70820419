//! From what is written to what should serve: a resource that became bad serves in its last good version. Pure: the store's
//! resources in, a snapshot and problems out; the same on every node.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_crds::Loaded;
use tollgate_crds::Snapshot;
use tollgate_crds::{KeptBudget, Problem, ResourceName, Severity};

use super::entry::{Held, Holdings, name_of};

/// Why a budget can't become what is written, if so: what was spent of it was counted otherwise. The field and what was
/// expected of it.
pub(crate) type Counted<'a> = &'a dyn Fn(&KeptBudget) -> Option<(String, String)>;

/// What should serve now.
pub(crate) struct Revision {
    pub(crate) snapshot: Snapshot,
    /// About what is written, also where a last good version serves in its place.
    pub(crate) problems: Vec<Problem>,
    /// What is written and can't serve, by the names that problems use.
    pub(crate) bad: BTreeSet<String>,
    /// How many resources serve in an older version than the one that is written.
    pub(crate) kept_back: usize,
    /// The Secrets and ConfigMaps that any version of it takes, by kind.
    pub(crate) referred: BTreeSet<(&'static str, ResourceName)>,
    /// A budget is left out until one that was taken away is gone.
    pub(crate) waits: bool,
}

/// A resource and the version of it that serves.
struct Serving<'h> {
    held: &'h Held,
    version: Arc<Loaded>,
}

/// Makes the next revision.
pub(crate) fn revise(holdings: &Holdings, counted: Counted<'_>) -> Revision {
    let (mut problems, mut bad, mut kept_back) = (Vec::new(), BTreeSet::new(), 0);
    let mut serving = Vec::with_capacity(holdings.len());
    for (key, held) in holdings {
        problems.extend(held.problems.iter().cloned());
        let last_good = held.good.as_ref().filter(|_| !held.is_sound());
        kept_back += usize::from(last_good.is_some());
        if !held.is_sound() {
            bad.insert(name_of(key));
        }
        // What is rejected goes along: it may keep others protected.
        let version = last_good.or(held.written.as_ref());
        serving.extend(version.map(|version| Serving { held, version: Arc::clone(version) }));
    }
    // Problems come as people read: file by file, line by line.
    serving.sort_by(|a, b| place(a).cmp(&place(b)));

    let (mut snapshot, mut found) = compile(&serving, counted);
    problems.extend(found.iter().cloned());
    let mut referred = snapshot.referred.clone();
    for layer in 0..LAYERS {
        let of_layer = rejected(&found).into_iter().filter(|name| layer_of_named(name) == layer).collect();
        let swapped = go_back(&mut serving, &of_layer);
        bad.extend(of_layer);
        if swapped > 0 {
            kept_back += swapped;
            (snapshot, found) = compile(&serving, counted);
            referred.extend(snapshot.referred.iter().cloned());
        }
    }

    let uncounted = uncounted(&snapshot, counted);
    let waits = !uncounted.is_empty();
    if waits {
        serving.retain(|one| uncounted.iter().all(|(name, _)| key(&one.version) != *name));
        (snapshot, _) = compile(&serving, counted);
    }
    Revision { snapshot, problems: once_each(problems), bad, kept_back, referred, waits }
}

/// What others refer to goes back first: what refers to it may be good with it, and is then not held back.
const LAYERS: usize = 5;

fn layer_of_named(resource: &str) -> usize {
    layer_of(resource.split(' ').next().unwrap_or_default())
}

/// The layer of a kind.
pub(crate) fn layer_of(kind: &str) -> usize {
    match kind {
        "Secret" | "ConfigMap" | "GatewayClass" | "GatewayConfig" | "ReferenceGrant" => 0,
        "Gateway"
        | "Backend"
        | "BackendTLSPolicy"
        | "BackendSecurityPolicy"
        | "SecurityPolicy"
        | "ClientTrafficPolicy" => 1,
        "AIServiceBackend" | "Consumer" | "PriceList" => 2,
        "AIGatewayRoute" => 3,
        _ => LAYERS - 1,
    }
}

/// Resources that do not compile go back to their last good version, if that is another one.
fn go_back(serving: &mut [Serving<'_>], rejected: &BTreeSet<String>) -> usize {
    let mut swapped = 0;
    for Serving { held, version } in serving {
        let last_good = held.good.as_ref().filter(|_| rejected.contains(&key(version)));
        if let Some(last_good) = last_good.filter(|one| !one.is_rejected() && one.json != version.json) {
            *version = Arc::clone(last_good);
            swapped += 1;
        }
    }
    swapped
}

fn compile(serving: &[Serving<'_>], counted: Counted<'_>) -> (Snapshot, Vec<Problem>) {
    let all: Vec<Arc<Loaded>> = serving.iter().map(|one| Arc::clone(&one.version)).collect();
    let (snapshot, mut problems) = tollgate_crds::compile(&all);
    for (name, (field, expected)) in uncounted(&snapshot, counted) {
        let written = all.iter().find(|one| key(one) == name);
        problems.extend(written.map(|one| one.problem(&format!("spec.{field}"), "", expected)));
    }
    (snapshot, problems)
}

/// Whose budgets the ledger can't keep as they are written, and why.
fn uncounted(snapshot: &Snapshot, counted: Counted<'_>) -> Vec<(String, (String, String))> {
    let all = snapshot.quota.budgets.all().iter();
    all.filter_map(|kept| Some((kept.resource.clone(), counted(kept)?))).collect()
}

fn place<'h>(one: &Serving<'h>) -> (&'h str, usize) {
    let written = &one.held.entry.written;
    (&written.file, written.line)
}

/// Several resources of one document tell what is wrong with all of it.
fn once_each(problems: Vec<Problem>) -> Vec<Problem> {
    let mut told: Vec<Problem> = Vec::with_capacity(problems.len());
    let mut seen = BTreeSet::new();
    for problem in problems {
        if seen.insert(problem.to_string()) {
            told.push(problem);
        }
    }
    told
}

pub(super) fn rejected(problems: &[Problem]) -> BTreeSet<String> {
    let rejected = problems.iter().filter(|problem| problem.severity == Severity::Rejected);
    rejected.map(|problem| problem.resource.clone()).collect()
}

/// How problems name a resource.
fn key(one: &Loaded) -> String {
    format!("{} {}", one.kind, one.name)
}

#[cfg(test)]
#[path = "revision_test.rs"]
mod tests;
