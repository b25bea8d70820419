//! The cluster's resources as an API server has them: events of its kinds in, what has to change in the store out. Pure.
//!
//! ```text
//!  Init, Listed…, InitDone ─▶ ┐
//!  Applied, Deleted ────────▶ ├ objects by kind ─ whose are they? ─ who refers to what? ─ against the store ─▶ Plan
//!  Missing, Forbidden, Stalled┘
//! ```
//!
//! 1. What a list does not have is gone; that nothing was said of it is no proof. Hence nothing goes before every kind was
//!    listed once, so that no route loses for a moment what another list is about to bring.
//! 2. Nothing comes before every kind was listed or is known not to answer: a change of leaders is one difference.
//! 3. What came from elsewhere (files, the admin API) stays as it is; what has its name here is told so.
//! 4. Secrets and ConfigMaps come into the store only while something there takes them.
//! 5. A mirror lives as long as one term of its leader: it begins with nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tollgate_cluster::state::resources::ResourceKey;
use tollgate_crds::{Problem, ResourceName};

use super::object::Object;
use super::ours::Ours;
use crate::config::entry::{Entry, Held, Holdings, MOST_ENTRY_BYTES, Source, name_of};
use crate::config::plan::{Change, changes, expected, last_good, taken};
use crate::config::revision::{Counted, layer_of, revise};

/// A kind that is not found so many times in a row is not there: a server that starts does not know all of its kinds yet.
const LOOKS_UNTIL_MISSING: u32 = 2;
/// Changes in one proposal.
const MOST_CHANGES: usize = 256;
/// Their bytes, but for a single one that is longer.
const MOST_BATCH_BYTES: usize = 4 << 20;

/// What happened to one kind.
#[derive(Debug)]
pub(crate) enum Event {
    /// A whole list begins.
    Init,
    /// One object of it.
    Listed(Box<Object>),
    /// It is over.
    InitDone,
    /// An object is new or another one.
    Applied(Box<Object>),
    /// An object is gone.
    Deleted(Box<Object>),
    /// The API server was asked, and does not have the kind.
    Missing,
    /// It does not show the kind to us.
    Forbidden,
    /// No list can be had.
    Stalled,
}

/// What is known of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Unknown,
    Stalled,
    Forbidden,
    /// Not found so many times.
    Missing(u32),
    Known,
}

#[derive(Debug, Default)]
struct Watched {
    phase: Phase,
    objects: BTreeMap<ResourceKey, Arc<Object>>,
    /// Of the list that has begun.
    staged: BTreeMap<ResourceKey, Arc<Object>>,
}

/// See the file's purpose.
#[derive(Debug)]
pub(crate) struct Mirror {
    controller: String,
    kinds: BTreeMap<&'static str, Watched>,
    /// The Secrets and ConfigMaps that something took or looked for when it was compared last, by kind.
    referred: Option<BTreeSet<(&'static str, ResourceName)>>,
}

/// What has to change.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order in which they do least harm while only some are done.
    pub(crate) changes: Vec<Change>,
    /// About objects that can't be put there.
    pub(crate) problems: Vec<Problem>,
    /// Those whose number ran backwards: the API server's own store was set back.
    pub(crate) set_back: Vec<ResourceKey>,
}

impl Mirror {
    /// Nothing is known yet of these kinds. Classes of this controller are ours.
    pub(crate) fn new(controller: &str, kinds: impl Iterator<Item = &'static str>) -> Self {
        let kinds = kinds.map(|kind| (kind, Watched::default())).collect();
        Self { controller: controller.to_owned(), kinds, referred: None }
    }

    /// Takes what happened to a kind. False: it is of no concern to the store, as a status that was written.
    pub(crate) fn take(&mut self, kind: &str, event: Event) -> bool {
        let is_news = match &event {
            Event::Applied(object) | Event::Deleted(object) => self.is_taken(object),
            Event::Init
            | Event::Listed(_)
            | Event::InitDone
            | Event::Missing
            | Event::Forbidden
            | Event::Stalled => true,
        };
        let Some(watched) = self.kinds.get_mut(kind) else { return false };
        match event {
            Event::Init => watched.staged.clear(),
            Event::Listed(object) => _ = watched.staged.insert(object.key.clone(), Arc::from(object)),
            Event::InitDone => {
                watched.objects = std::mem::take(&mut watched.staged);
                watched.phase = Phase::Known;
            }
            Event::Applied(object) => return watched.apply(*object) && is_news,
            Event::Deleted(object) => {
                // Another one may have its name already.
                let known = watched.objects.get(&object.key);
                if known.is_some_and(|known| known.origin.uid == object.origin.uid) {
                    watched.objects.remove(&object.key);
                }
            }
            Event::Missing => watched.miss(),
            Event::Forbidden if watched.phase != Phase::Known => watched.phase = Phase::Forbidden,
            Event::Stalled if watched.phase == Phase::Unknown => watched.phase = Phase::Stalled,
            // What was known is all there is to go by.
            Event::Forbidden | Event::Stalled => {}
        }
        is_news
    }

    /// Whether it may matter: of Secrets and ConfigMaps most are others'.
    fn is_taken(&self, object: &Object) -> bool {
        let ResourceKey { group: _, kind, namespace, name } = &object.key;
        let named = |(of_kind, one): &(&str, ResourceName)| {
            of_kind == kind && one.namespace == *namespace && one.name == *name
        };
        !is_content(kind) || self.referred.as_ref().is_none_or(|all| all.iter().any(named))
    }

    /// The kinds of which nothing is known.
    pub(crate) fn unknown(&self) -> Vec<&'static str> {
        let unknown = self.kinds.iter().filter(|(_, watched)| watched.phase == Phase::Unknown);
        unknown.map(|(kind, _)| *kind).collect()
    }

    /// The objects of a kind as they are there now.
    pub(crate) fn objects(&self, kind: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.kinds.get(kind).into_iter().flat_map(|watched| watched.objects.values())
    }

    /// Whether what is not among a kind's objects is not there.
    pub(super) fn is_certain(&self, kind: &str, holdings: &Holdings) -> bool {
        match self.kinds.get(kind).map(|watched| watched.phase) {
            Some(Phase::Known) => true,
            Some(Phase::Missing(looks)) => {
                let is_held = |(key, held): (&ResourceKey, &Arc<Held>)| key.kind == kind && is_mirrored(held);
                looks >= LOOKS_UNTIL_MISSING || !holdings.iter().any(is_held)
            }
            Some(Phase::Unknown | Phase::Stalled | Phase::Forbidden) | None => false,
        }
    }

    /// The name of the controller whose classes are ours.
    pub(super) fn controller(&self) -> &str {
        &self.controller
    }

    /// What has to change in the store. None: not enough is known yet.
    pub(crate) fn plan(&mut self, holdings: &Holdings, counted: Counted<'_>) -> Option<Plan> {
        if self.kinds.values().any(|watched| watched.phase == Phase::Unknown) {
            return None;
        }
        let wanted = self.wanted(holdings);
        let now = revise(holdings, counted);
        let mut plan = Plan::default();
        let mut after = holdings.clone();
        let is_settled = self.may_delete(holdings);
        if is_settled {
            after.retain(|key, held| {
                !is_mirrored(held) || wanted.contains_key(key) || !self.is_certain(&key.kind, holdings)
            });
        }
        for (key, object) in &wanted {
            let is_bad = now.bad.contains(&name_of(key));
            if let Some(next) = plan.next(object, (holdings.get(key), is_bad)) {
                after.insert(key.clone(), next);
            }
        }
        let then = revise(&after, counted);
        let referred: BTreeSet<_> =
            then.referred.iter().map(|(kind, name)| (*kind, &*name.namespace, &*name.name)).collect();
        after.retain(|key, held| {
            let name = (key.kind.as_str(), key.namespace.as_str(), key.name.as_str());
            let stays = !is_content(&key.kind) || referred.contains(&name);
            stays || !is_mirrored(held) || (!is_settled && holdings.contains_key(key))
        });
        plan.problems.retain(|problem| !then.problems.contains(problem));
        let gone = holdings.iter().filter(|(key, _)| !after.contains_key(key));
        plan.changes.extend(changes(holdings, &after, (&then.bad, of_kubernetes)));
        plan.changes.sort_by_key(|change| layer_of(&change.key.kind));
        let mut deleted: Vec<Change> = gone
            .map(|(key, held)| Change { key: key.clone(), expects: expected(Some(held)), entry: None })
            .collect();
        self.referred = Some(then.referred);
        deleted.sort_by_key(|change| std::cmp::Reverse(layer_of(&change.key.kind)));
        plan.changes.extend(deleted);
        Some(plan)
    }

    /// Whether all is known that may keep something from going.
    fn may_delete(&self, holdings: &Holdings) -> bool {
        let is_settled = |(kind, watched): (&&'static str, &Watched)| {
            watched.phase == Phase::Forbidden || self.is_certain(kind, holdings)
        };
        self.kinds.iter().all(is_settled)
    }

    /// The objects that are ours to serve; of Secrets and ConfigMaps all, since it is not known yet which are taken.
    fn wanted(&self, holdings: &Holdings) -> BTreeMap<ResourceKey, Arc<Object>> {
        let ours = Ours::find(self, holdings);
        let all = self.kinds.values().flat_map(|watched| watched.objects.values());
        let ours = all.filter(|object| ours.contains(object));
        ours.map(|object| (object.key.clone(), Arc::clone(object))).collect()
    }
}

impl Watched {
    /// Whether it is another one than before, as far as the store is concerned.
    fn apply(&mut self, object: Object) -> bool {
        let known = self.objects.get(&object.key).filter(|known| known.origin.uid == object.origin.uid);
        let versions = known.map(|known| (known.origin.resource_version, object.origin.resource_version));
        // The same one twice, or an old one: it was known better.
        if versions.is_some_and(|(known, new)| new != 0 && new <= known) {
            return false;
        }
        let written = |object: &Object| object.held.as_ref().map(|held| held.entry.written.clone());
        let is_same =
            known.is_some_and(|known| written(known).is_some() && written(known) == written(&object));
        self.objects.insert(object.key.clone(), Arc::new(object));
        !is_same
    }

    fn miss(&mut self) {
        let looks = if let Phase::Missing(looks) = self.phase { looks } else { 0 };
        self.phase = Phase::Missing(looks.saturating_add(1));
        if looks + 1 >= LOOKS_UNTIL_MISSING {
            self.objects.clear();
        }
    }
}

impl Plan {
    /// What becomes of an object that is wanted. None: nothing.
    fn next(&mut self, object: &Object, (there, is_bad): (Option<&Arc<Held>>, bool)) -> Option<Arc<Held>> {
        let Some(read) = &object.held else {
            self.problems.extend(object.problems.iter().cloned());
            return None;
        };
        let Some(there) = there else { return self.fits(read) };
        let Source::Kubernetes(origin) = &there.entry.source else {
            self.problems.extend(read.written.as_ref().map(|written| taken(written, there)));
            return None;
        };
        let is_same_one = origin.uid == object.origin.uid;
        if is_same_one && there.entry.written == read.entry.written {
            return None;
        }
        if is_same_one && object.origin.resource_version < origin.resource_version {
            self.set_back.push(object.key.clone());
        }
        let good = last_good(there, is_bad);
        self.fits(&Arc::new(Held::read(0, Entry { good, ..read.entry.clone() })))
    }

    fn fits(&mut self, next: &Arc<Held>) -> Option<Arc<Held>> {
        if next.entry.encode().len() <= MOST_ENTRY_BYTES {
            return Some(Arc::clone(next));
        }
        let what = format!("at most {MOST_ENTRY_BYTES} bytes with the version before it");
        self.problems.extend(next.written.as_ref().map(|written| written.problem("", "", what)));
        None
    }
}

/// Cuts changes into proposals.
pub(crate) fn batches(changes: &[Change]) -> Vec<&[Change]> {
    let mut batches = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, change) in changes.iter().enumerate() {
        let more = change.entry.as_ref().map_or(0, |entry| entry.encode().len());
        if at > begin && (at - begin == MOST_CHANGES || bytes + more > MOST_BATCH_BYTES) {
            batches.push(&changes[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += more;
    }
    if begin < changes.len() {
        batches.push(&changes[begin..]);
    }
    batches
}

/// Whether it came from here.
pub(super) fn is_mirrored(held: &Held) -> bool {
    of_kubernetes(&held.entry.source)
}

fn of_kubernetes(source: &Source) -> bool {
    matches!(source, Source::Kubernetes(_))
}

/// Of no use by themselves, and often somebody else's.
fn is_content(kind: &str) -> bool {
    kind == "Secret" || kind == "ConfigMap"
}

#[cfg(test)]
#[path = "mirror_test.rs"]
mod tests;
