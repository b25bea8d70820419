//! From what somebody asks the admin API for to what has to change in the store: all of it or nothing. Pure.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;

use tollgate_cluster::state::resources::{Expected, ResourceKey};
use tollgate_crds::{Loaded, Problem, Severity};

use super::entry::{Entry, Held, Holdings, MOST_ENTRY_BYTES, Source, key_of, name_of};
use super::plan::{Change, taken};
use super::revision::{Counted, rejected, revise};

/// What was asked for.
pub(crate) struct Asked {
    pub(crate) loaded: Vec<Loaded>,
    /// From reading it.
    pub(crate) problems: Vec<Problem>,
    /// Seconds since 1970.
    pub(crate) at_s: u64,
}

/// What can be done.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) changes: Vec<Change>,
    /// What becomes of each, by the names that problems use.
    pub(crate) done: BTreeMap<String, Done>,
    /// What is understood and not honoured.
    pub(crate) warnings: Vec<Problem>,
}

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Created,
    Changed,
    Unchanged,
    Deleted,
}

/// Puts resources there. Err: nothing is to be done, and why.
pub(crate) fn apply(holdings: &Holdings, asked: Asked, counted: Counted<'_>) -> Result<Edits, Vec<Problem>> {
    let Asked { loaded, mut problems, at_s } = asked;
    let mut edits = Edits::default();
    let mut after = holdings.clone();
    for one in &loaded {
        let (key, name) = (key_of(one), name_of(&key_of(one)));
        let held = holdings.get(&key);
        let entry =
            Entry { source: Source::Api, written_at_s: at_s, written: one.written().clone(), good: None };
        let free = match edits.done.entry(name) {
            btree_map::Entry::Vacant(free) => free,
            btree_map::Entry::Occupied(_) => {
                problems.push(one.problem("metadata.name", one.name.to_string(), "each resource once"));
                continue;
            }
        };
        if let Some(other) = held.filter(|held| held.entry.source != Source::Api) {
            problems.push(taken(one, other));
        } else if entry.encode().len() > MOST_ENTRY_BYTES {
            problems.push(one.problem("", "", format!("at most {MOST_ENTRY_BYTES} bytes")));
        } else if held.is_some_and(|held| held.entry.written == entry.written) {
            free.insert(Done::Unchanged);
        } else {
            free.insert(if held.is_some() { Done::Changed } else { Done::Created });
            let expects = held.map_or(Expected::Absent, |held| Expected::Revision(held.revision));
            after.insert(key.clone(), Arc::new(Held::read(0, entry.clone())));
            edits.changes.push(Change { key, expects, entry: Some(entry) });
        }
    }
    // What is asked for must be good, and must leave good what is.
    let names: BTreeSet<&String> = edits.done.keys().collect();
    let before = revise(holdings, counted).problems;
    let found = revise(&after, counted).problems.into_iter();
    problems.extend(found.filter(|one| names.contains(&one.resource) || !before.contains(one)));
    if rejected(&problems).is_empty() {
        edits.warnings = problems;
        Ok(edits)
    } else {
        problems.retain(|problem| problem.severity == Severity::Rejected);
        Err(once_each(problems))
    }
}

/// Takes resources away. What refers to them says so from then on.
pub(crate) fn delete(holdings: &Holdings, keys: &[ResourceKey]) -> Result<Edits, Vec<Problem>> {
    let (mut edits, mut problems) = (Edits::default(), Vec::new());
    for key in keys {
        let problem = |expected: String| Problem {
            resource: name_of(key),
            field: String::new(),
            value: String::new(),
            expected,
            severity: Severity::Rejected,
            at: None,
        };
        match holdings.get(key) {
            None => problems.push(problem("a resource that exists".to_owned())),
            Some(held) if held.entry.source != Source::Api => {
                let Entry { source, written, .. } = &held.entry;
                let what = "a resource from api: this one is to be taken away where it came from";
                problems.push(problem(format!("{what}, {source} ({}:{})", written.file, written.line)));
            }
            Some(held) if edits.done.insert(name_of(key), Done::Deleted).is_none() => {
                let expects = Expected::Revision(held.revision);
                edits.changes.push(Change { key: key.clone(), expects, entry: None });
            }
            Some(_named_twice) => {}
        }
    }
    if problems.is_empty() { Ok(edits) } else { Err(problems) }
}

fn once_each(problems: Vec<Problem>) -> Vec<Problem> {
    let mut told: Vec<Problem> = Vec::new();
    for problem in problems {
        if !told.contains(&problem) {
            told.push(problem);
        }
    }
    told
}

impl Done {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(holdings: &Holdings, asked: Asked) -> Result<Edits, Vec<Problem>> {
        super::apply(holdings, asked, &|_| None)
    }

    fn asked(text: &str) -> Asked {
        let (loaded, problems) = tollgate_crds::parse_as_is("api", text);
        Asked { loaded, problems, at_s: 1 }
    }

    fn secret(name: &str, key: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{apiKey: \"{key}\"}}\n"
        )
    }

    fn policy(secret: &str) -> String {
        format!(
            "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: BackendSecurityPolicy\nmetadata: {{name: p}}\nspec:\n  \
             targetRefs: [{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: b}}]\n  type: APIKey\n  \
             apiKey: {{secretRef: {{name: {secret}}}}}\n---\n\
             apiVersion: aigateway.envoyproxy.io/v1beta1\nkind: AIServiceBackend\nmetadata: {{name: b}}\nspec:\n  \
             schema: {{name: OpenAI}}\n  backendRef: {{group: tollgate.dev, kind: Host, name: \"127.0.0.1:9000\"}}\n"
        )
    }

    fn put(holdings: &mut Holdings, edits: Edits) {
        for Change { key, entry, .. } in edits.changes {
            match entry {
                Some(entry) => _ = holdings.insert(key, Arc::new(Held::read(5, entry))),
                None => _ = holdings.remove(&key),
            }
        }
    }

    #[test]
    fn all_is_taken_or_nothing_is() {
        let mut holdings = Holdings::new();
        let good = apply(&holdings, asked(&(secret("k", "sk-1") + &policy("k")))).unwrap();
        assert_eq!(good.changes.len(), 3);
        assert!(good.changes.iter().all(|change| change.expects == Expected::Absent));
        put(&mut holdings, good);
        let from_files = secret("f", "sk-2");
        let loaded = tollgate_crds::parse_as_is("a.yaml", &from_files).0.remove(0);
        let entry =
            Entry { source: Source::Files, written_at_s: 0, written: loaded.written().clone(), good: None };
        holdings.insert(key_of(&loaded), Arc::new(Held::read(6, entry)));

        #[rustfmt::skip]
        let rows = [
            // asked for                                      a word of the problem
            (secret("n", "x") + &policy("absent"),            "absent"),            // it refers to nobody
            (secret("n", "x") + "---\nkind: [",               "expected YAML"),     // it can't be read
            (secret("n", "x") + &secret("n", "y"),            "each resource once"),
            (secret("n", "x") + &secret("f", "y"),            "one from files (a.yaml:1)"), // it is not ours
            (secret("k", ""),                                 "is empty"),          // what is there needs it
        ];
        for (text, word) in rows {
            let problems = apply(&holdings, asked(&text)).unwrap_err();
            assert!(problems.iter().any(|one| one.to_string().contains(word)), "{word}: {problems:?}");
        }

        let again = apply(&holdings, asked(&(secret("k", "sk-1") + &secret("n", "x")))).unwrap();
        let done: Vec<_> = again.done.iter().map(|(name, done)| (name.as_str(), *done)).collect();
        assert_eq!(done, [("Secret default/k", Done::Unchanged), ("Secret default/n", Done::Created)]);
        assert_eq!(again.changes.len(), 1);
        let changed = apply(&holdings, asked(&secret("k", "sk-3"))).unwrap();
        assert_eq!(changed.changes[0].expects, Expected::Revision(5));
    }

    #[test]
    fn only_what_is_ours_is_taken_away() {
        let mut holdings = Holdings::new();
        put(&mut holdings, apply(&Holdings::new(), asked(&secret("k", "sk-1"))).unwrap());
        let key = holdings.keys().next().unwrap().clone();
        let absent = ResourceKey { name: "absent".to_owned(), ..key.clone() };
        let deleted = delete(&holdings, &[key.clone(), key.clone()]).unwrap();
        assert_eq!((deleted.changes.len(), deleted.done["Secret default/k"]), (1, Done::Deleted));
        let problems = delete(&holdings, &[key.clone(), absent]).unwrap_err();
        assert_eq!(problems[0].to_string(), "Secret default/absent: expected a resource that exists");

        let entry = Entry { source: Source::Files, ..holdings[&key].entry.clone() };
        holdings.insert(key.clone(), Arc::new(Held::read(6, entry)));
        let problems = delete(&holdings, &[key]).unwrap_err();
        assert!(problems[0].to_string().contains("where it came from, files (api:1)"), "{problems:?}");
    }
}
