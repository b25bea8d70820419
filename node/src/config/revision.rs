//! From what is written now and what was good before to what should serve: a resource that became bad keeps serving in
//! its last good version, and only a resource that was taken away goes. Pure: texts in, resources and problems out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tollgate_crds::Loaded;
use tollgate_crds::Snapshot;
use tollgate_crds::{Place, Problem, Severity};

/// One file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: Result<String, String>,
}

/// The last good version of each resource, by file and by the resource's name.
#[derive(Clone, Default)]
pub(crate) struct Good {
    files: BTreeMap<String, BTreeMap<String, Arc<Loaded>>>,
}

/// What should serve now.
pub(crate) struct Revision {
    pub(crate) snapshot: Snapshot,
    /// About what is written, also where a last good version serves in its place.
    pub(crate) problems: Vec<Problem>,
    pub(crate) good: Good,
    /// How many resources serve in an older version than the one that is written.
    pub(crate) kept_back: usize,
}

/// Makes the next revision.
pub(crate) fn revise(good: &Good, texts: &[Text], variable: &dyn Fn(&str) -> Option<String>) -> Revision {
    let mut problems = Vec::new();
    let mut written: BTreeMap<String, Vec<Arc<Loaded>>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut kept_back = 0;
    for file in texts {
        let empty = BTreeMap::new();
        let before = good.files.get(&file.name).unwrap_or(&empty);
        let (loaded, found) = read(file, variable);
        let (serving, kept) = mend(loaded, &found, before);
        kept_back += kept;
        problems.extend(found);
        written.insert(file.name.clone(), serving);
        order.push(&file.name);
        for (name, resources) in below(good, file, texts) {
            kept_back += resources.len();
            written.insert(name.clone(), resources.values().cloned().collect());
            order.push(name);
        }
    }

    let (mut snapshot, mut found) = compile(&order, &written);
    problems.extend(found.iter().cloned());
    let mut bad = BTreeSet::new();
    for layer in 0..LAYERS {
        let of_layer = rejected(&found).into_iter().filter(|name| layer_of(name) == layer).collect();
        let swapped = go_back(good, &mut written, &of_layer);
        bad.extend(of_layer);
        if swapped > 0 {
            kept_back += swapped;
            (snapshot, found) = compile(&order, &written);
        }
    }

    let good = Good { files: remember(good, &written, &bad) };
    Revision { snapshot, problems, good, kept_back }
}

/// The files that a folder held while it could be read: what can't be seen is not taken away.
fn below<'g>(
    good: &'g Good,
    folder: &Text,
    texts: &[Text],
) -> impl Iterator<Item = (&'g String, &'g BTreeMap<String, Arc<Loaded>>)> {
    let unread = folder.text.is_err().then_some(&folder.name);
    good.files.iter().filter(move |(name, _)| {
        let named_itself = || texts.iter().any(|text| text.name == **name);
        unread.is_some_and(|folder| Path::new(name).starts_with(folder)) && !named_itself()
    })
}

fn read(file: &Text, variable: &dyn Fn(&str) -> Option<String>) -> (Vec<Loaded>, Vec<Problem>) {
    match &file.text {
        Ok(text) => tollgate_crds::parse(&file.name, text, variable),
        Err(reason) => {
            let problem = Problem {
                resource: file.name.clone(),
                field: String::new(),
                value: reason.clone(),
                expected: "a file that can be read".to_owned(),
                severity: Severity::Rejected,
                at: Some(Place { file: file.name.clone(), line: 1 }),
            };
            (Vec::new(), vec![problem])
        }
    }
}

/// Puts the last good version in the place of each resource that did not load. A problem that names no known resource
/// may hide any of the file's, so none of them is taken away.
fn mend(
    loaded: Vec<Loaded>,
    problems: &[Problem],
    before: &BTreeMap<String, Arc<Loaded>>,
) -> (Vec<Arc<Loaded>>, usize) {
    let rejected = rejected(problems);
    let unnamed =
        rejected.iter().any(|name| !before.contains_key(name) && loaded.iter().all(|one| key(one) != *name));
    let mut kept = 0;
    let mut serving: Vec<Arc<Loaded>> = Vec::with_capacity(loaded.len());
    for one in loaded {
        let bad = one.is_rejected() || rejected.contains(&key(&one));
        match before.get(&key(&one)).filter(|last_good| bad && !last_good.is_rejected()) {
            Some(last_good) => {
                kept += 1;
                serving.push(Arc::clone(last_good));
            }
            None => serving.push(Arc::new(one)),
        }
    }
    let present: BTreeSet<String> = serving.iter().map(|one| key(one)).collect();
    for (name, last_good) in before {
        if !present.contains(name) && (unnamed || rejected.contains(name)) {
            kept += usize::from(!last_good.is_rejected());
            serving.push(Arc::clone(last_good));
        }
    }
    (serving, kept)
}

/// What others refer to goes back first: what refers to it may be good with it, and is then not held back.
const LAYERS: usize = 4;

fn layer_of(resource: &str) -> usize {
    match resource.split(' ').next().unwrap_or_default() {
        "Secret" | "ConfigMap" | "GatewayClass" | "GatewayConfig" | "ReferenceGrant" => 0,
        "Gateway" | "Backend" | "BackendTLSPolicy" | "BackendSecurityPolicy" => 1,
        "AIServiceBackend" => 2,
        _ => LAYERS - 1,
    }
}

/// Resources that do not compile go back to their last good version, if that is another one.
fn go_back(
    good: &Good,
    written: &mut BTreeMap<String, Vec<Arc<Loaded>>>,
    rejected: &BTreeSet<String>,
) -> usize {
    let mut swapped = 0;
    for (file, resources) in written {
        let Some(before) = good.files.get(file) else {
            continue;
        };
        for one in resources {
            let last_good = before.get(&key(one)).filter(|_| rejected.contains(&key(one)));
            if let Some(last_good) =
                last_good.filter(|last_good| !last_good.is_rejected() && last_good.json != one.json)
            {
                *one = Arc::clone(last_good);
                swapped += 1;
            }
        }
    }
    swapped
}

/// What may be gone back to next time: the written version where it is good, else what was good before.
fn remember(
    good: &Good,
    written: &BTreeMap<String, Vec<Arc<Loaded>>>,
    rejected: &BTreeSet<String>,
) -> BTreeMap<String, BTreeMap<String, Arc<Loaded>>> {
    let mut files = BTreeMap::new();
    for (file, resources) in written {
        let before = good.files.get(file);
        let mut remembered = BTreeMap::new();
        for one in resources {
            let name = key(one);
            let last_good = before.and_then(|before| before.get(&name)).filter(|_| rejected.contains(&name));
            if last_good.is_some() || !rejected.contains(&name) {
                remembered.insert(name, Arc::clone(last_good.unwrap_or(one)));
            }
        }
        files.insert(file.clone(), remembered);
    }
    files
}

fn compile(order: &[&str], written: &BTreeMap<String, Vec<Arc<Loaded>>>) -> (Snapshot, Vec<Problem>) {
    let all: Vec<Arc<Loaded>> = order.iter().flat_map(|file| written[*file].iter().cloned()).collect();
    tollgate_crds::compile(&all)
}

fn rejected(problems: &[Problem]) -> BTreeSet<String> {
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
