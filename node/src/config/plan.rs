//! From what files say to what has to change in the store. Files are the whole truth about what came from files: what is no
//! longer in them goes. What can't be read is not taken away. Pure: texts and the store's resources in, changes out.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::path::Path;
use std::sync::Arc;

use tollgate_cluster::state::resources::{Expected, ResourceKey};
use tollgate_crds::{Loaded, Place, Problem, Severity};

use super::entry::{Entry, Held, Holdings, MOST_ENTRY_BYTES, Source, key_of, name_of};
use super::revision::{Counted, rejected, revise};

/// One file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: Result<String, String>,
}

/// What becomes of one resource of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: ResourceKey,
    pub(crate) expects: Expected,
    /// None takes it away.
    pub(crate) entry: Option<Entry>,
}

/// What files ask for.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    /// Those that the store's resources do not tell themselves: about what can't be put there.
    pub(crate) problems: Vec<Problem>,
    /// How many resources stay although the files do not have them in a state that can be read.
    pub(crate) kept: usize,
    /// How many names belong to somebody else.
    pub(crate) taken: usize,
}

/// What files have.
pub(crate) struct Files<'a> {
    pub(crate) texts: &'a [Text],
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Seconds since 1970, of the newest.
    pub(crate) written_at_s: u64,
    pub(crate) counted: Counted<'a>,
}

/// What the files want, and what of it can't be told.
#[derive(Default)]
struct Wanted {
    resources: BTreeMap<ResourceKey, Loaded>,
    problems: Vec<Problem>,
    taken: usize,
    /// Of these files no resource is taken away.
    unread: BTreeSet<String>,
    /// Nor are these.
    unclear: BTreeSet<String>,
}

/// Works out the changes.
pub(crate) fn plan(holdings: &Holdings, files: &Files<'_>) -> Plan {
    let mut wanted = Wanted::default();
    for text in files.texts {
        wanted.read(text, holdings, files.variable);
    }
    let now = revise(holdings, files.counted);
    let mut plan = Plan::default();
    let mut after = holdings.clone();
    for (key, held) in holdings.iter().filter(|(_, held)| held.entry.source == Source::Files) {
        if wanted.resources.contains_key(key) {
            continue;
        }
        if wanted.keeps(key, held, files.texts) {
            plan.kept += usize::from(!now.bad.contains(&name_of(key)));
            continue;
        }
        after.remove(key);
        plan.changes.push(Change { key: key.clone(), expects: expected(Some(held)), entry: None });
    }
    for (key, loaded) in &wanted.resources {
        let held = holdings.get(key);
        if held.is_some_and(|held| held.entry.written == *loaded.written()) {
            continue;
        }
        let entry = Entry {
            source: Source::Files,
            written_at_s: files.written_at_s,
            written: loaded.written().clone(),
            good: held.and_then(|held| last_good(held, now.bad.contains(&name_of(key)))),
        };
        if entry.encode().len() > MOST_ENTRY_BYTES {
            let what = format!("at most {MOST_ENTRY_BYTES} bytes with the version before it");
            wanted.problems.push(loaded.problem("", "", what));
            continue;
        }
        after.insert(key.clone(), Arc::new(Held::read(0, entry)));
    }
    let then = revise(&after, files.counted);
    plan.changes.extend(changes(holdings, &after, (&then.bad, |source| *source == Source::Files)));
    plan.taken = wanted.taken;
    wanted.problems.retain(|problem| !then.problems.contains(problem));
    plan.problems = wanted.problems;
    plan
}

/// What differs of what is `ours`. Of what is good as it is written, no other version is kept.
pub(crate) fn changes<'a>(
    before: &'a Holdings,
    after: &'a Holdings,
    (bad, ours): (&'a BTreeSet<String>, fn(&Source) -> bool),
) -> impl Iterator<Item = Change> + 'a {
    after.iter().filter_map(move |(key, held)| {
        let stale = held.entry.good.is_some() && !bad.contains(&name_of(key));
        let there = before.get(key);
        let changed = there.is_none_or(|there| !Arc::ptr_eq(there, held));
        if !ours(&held.entry.source) || !(changed || stale) {
            return None;
        }
        let good = held.entry.good.clone().filter(|_| !stale);
        let entry = Entry { good, ..held.entry.clone() };
        Some(Change { key: key.clone(), expects: expected(there), entry: Some(entry) })
    })
}

/// The version to go back to, when another one is written.
pub(crate) fn last_good(held: &Held, is_bad: bool) -> Option<tollgate_crds::Written> {
    if is_bad { held.entry.good.clone() } else { Some(held.entry.written.clone()) }
}

pub(crate) fn expected(held: Option<&Arc<Held>>) -> Expected {
    held.map_or(Expected::Absent, |held| Expected::Revision(held.revision))
}

impl Wanted {
    fn read(&mut self, file: &Text, holdings: &Holdings, variable: &dyn Fn(&str) -> Option<String>) {
        let (loaded, found) = match &file.text {
            Ok(text) => tollgate_crds::parse(&file.name, text, variable),
            Err(reason) => (Vec::new(), vec![unreadable(file, reason)]),
        };
        let of_file = |held: &Arc<Held>| held.entry.written.file == file.name;
        let known: BTreeSet<String> = holdings
            .iter()
            .filter(|(_, held)| of_file(held))
            .map(|(key, _)| name_of(key))
            .chain(loaded.iter().map(|one| name_of(&key_of(one))))
            .collect();
        let rejected = rejected(&found);
        // A problem that names no known resource may hide any of the file's.
        if rejected.iter().any(|name| !known.contains(name)) {
            self.unread.insert(file.name.clone());
        }
        self.unclear.extend(rejected);
        self.problems.extend(found);
        for one in loaded {
            self.want(one, holdings);
        }
    }

    fn want(&mut self, one: Loaded, holdings: &Holdings) {
        let key = key_of(&one);
        let other = holdings.get(&key).filter(|held| held.entry.source != Source::Files);
        if let Some(other) = other {
            self.taken += 1;
            self.problems.push(taken(&one, other));
            return;
        }
        match self.resources.entry(key) {
            btree_map::Entry::Occupied(_) => {
                let what = "a name that no earlier resource of the kind has; the earlier one counts";
                self.problems.push(one.problem("metadata.name", one.name.to_string(), what));
            }
            btree_map::Entry::Vacant(free) => _ = free.insert(one),
        }
    }

    fn keeps(&self, key: &ResourceKey, held: &Held, texts: &[Text]) -> bool {
        let file = &held.entry.written.file;
        // What a folder held while it could be read.
        let below = |text: &Text| {
            let named_itself = || texts.iter().any(|text| text.name == *file);
            text.text.is_err() && Path::new(file).starts_with(&text.name) && !named_itself()
        };
        self.unread.contains(file) || self.unclear.contains(&name_of(key)) || texts.iter().any(below)
    }
}

/// The one that is there stays.
pub(crate) fn taken(one: &Loaded, other: &Held) -> Problem {
    let Entry { source, written, .. } = &other.entry;
    let what = format!(
        "a name that is free: there is one from {source} ({}:{}), which stays",
        written.file, written.line
    );
    one.problem("metadata.name", one.name.to_string(), what)
}

fn unreadable(file: &Text, reason: &str) -> Problem {
    Problem {
        resource: file.name.clone(),
        field: String::new(),
        value: reason.to_owned(),
        expected: "a file that can be read".to_owned(),
        severity: Severity::Rejected,
        at: Some(Place { file: file.name.clone(), line: 1 }),
    }
}
