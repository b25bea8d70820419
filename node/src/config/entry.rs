//! A resource as it lies in the store: who put it there, as it was written, and the last good version where that is another
//! one. What may be secret is sealed under its own name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_cluster::identity::ClusterId;
use tollgate_cluster::identity::secret::{ClusterSecret, Purpose};
use tollgate_cluster::state::resources::{MOST_MANIFEST_BYTES, Manifest, ResourceKey};
use tollgate_cluster::state::sealed::Sealed;
use tollgate_crds::{Loaded, Problem, Severity, Written};

/// Raised when older programs could not read what is written.
const FORMAT: u32 = 1;
/// What sealing adds, and some.
const SEAL_BYTES: usize = 64;
/// The longest entry.
pub(crate) const MOST_ENTRY_BYTES: usize = MOST_MANIFEST_BYTES - SEAL_BYTES;

/// Who put a resource there. Nobody changes what another one did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The files of a node.
    Files,
    /// The admin API.
    Api,
    /// An API server.
    Kubernetes(Origin),
    /// The environment of this node. Never in the store.
    Environment,
}

/// Which object of an API server it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) uid: String,
    /// Grows with every change to the object, unless the API server's own store was set back.
    pub(crate) resource_version: u64,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) source: Source,
    /// Seconds since 1970.
    pub(crate) written_at_s: u64,
    pub(crate) written: Written,
    /// Serves while what is written does not.
    pub(crate) good: Option<Written>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<E> {
    format: u32,
    #[serde(flatten)]
    entry: E,
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct Held {
    /// Of the store; 0 for what is in none.
    pub(crate) revision: u64,
    pub(crate) entry: Entry,
    pub(crate) written: Option<Arc<Loaded>>,
    pub(crate) good: Option<Arc<Loaded>>,
    /// What is wrong with it, whatever else there is.
    pub(crate) problems: Vec<Problem>,
}

/// All of them.
pub(crate) type Holdings = BTreeMap<ResourceKey, Arc<Held>>;

impl Entry {
    /// The bytes of an entry that is not sealed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Versioned { format: FORMAT, entry: self }).expect("texts and numbers are JSON")
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let broken =
            |error: serde_json::Error| format!("expected a resource as this program keeps it: {error}");
        let Head { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if format > FORMAT {
            return Err(format!("written in format {format}, this program knows {FORMAT}: run a newer one"));
        }
        serde_json::from_slice(bytes).map(|Versioned { entry, .. }| entry).map_err(broken)
    }

    fn may_be_secret(&self, key: &ResourceKey) -> bool {
        let versions = [Some(&self.written), self.good.as_ref()];
        key.kind == "Secret" || versions.into_iter().flatten().any(Written::has_variables)
    }
}

impl Held {
    pub(crate) fn read(revision: u64, entry: Entry) -> Self {
        let (written, problems) = entry.written.load();
        let good = entry.good.as_ref().and_then(|good| good.load().0).map(Arc::new);
        Self { revision, written: written.map(Arc::new), good, problems, entry }
    }

    /// Whether it passes its own checks.
    pub(crate) fn is_sound(&self) -> bool {
        let rejected = self.problems.iter().any(|problem| problem.severity == Severity::Rejected);
        !rejected && self.written.as_ref().is_some_and(|written| !written.is_rejected())
    }
}

/// Seals and opens.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) secret: ClusterSecret,
    pub(crate) cluster: ClusterId,
}

impl Vault {
    /// An entry as it goes into the store.
    pub(crate) fn manifest(&self, key: &ResourceKey, entry: &Entry) -> Manifest {
        let bytes = entry.encode();
        if !entry.may_be_secret(key) {
            return Manifest::Plain(bytes);
        }
        let named = (&bytes[..], &*key.to_string());
        Manifest::Sealed(Sealed(self.secret.seal_as(self.cluster, Purpose::Resources, named)))
    }

    /// An entry as it came from there, or why it can't be read.
    pub(crate) fn entry(&self, key: &ResourceKey, manifest: &Manifest) -> Result<Entry, String> {
        match manifest {
            Manifest::Plain(bytes) => Entry::decode(bytes),
            Manifest::Sealed(Sealed(bytes)) => {
                let opened = self.secret.open_as(self.cluster, Purpose::Resources, (bytes, &key.to_string()));
                Entry::decode(&opened.map_err(|error| error.to_string())?)
            }
        }
    }
}

/// The key of a resource in the store.
pub(crate) fn key_of(loaded: &Loaded) -> ResourceKey {
    // A policy that lacks even a name guards its namespace all the same.
    let name = if loaded.name.name.is_empty() { "-" } else { &loaded.name.name };
    ResourceKey {
        group: loaded.group().to_owned(),
        kind: loaded.kind.to_owned(),
        namespace: loaded.name.namespace.clone(),
        name: name.to_owned(),
    }
}

/// How problems name a resource.
pub(crate) fn name_of(key: &ResourceKey) -> String {
    let ResourceKey { group: _, kind, namespace, name } = key;
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Api => "api",
            Self::Kubernetes(_) => "kubernetes",
            Self::Environment => "environment",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault { secret: ClusterSecret::random(), cluster: ClusterId::random() }
    }

    fn entry(text: &str) -> (ResourceKey, Entry) {
        let variable = |name: &str| (name == "KEY").then(|| "sk-1".to_owned());
        let (loaded, _) = tollgate_crds::parse("a.yaml", text, &variable);
        let written = loaded[0].written().clone();
        (key_of(&loaded[0]), Entry { source: Source::Files, written_at_s: 7, written, good: None })
    }

    const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {k: sk-1}\n";
    const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: VALUE}\n";

    #[test]
    fn what_may_be_secret_is_sealed_under_its_name() {
        let from_variable = MAP.replace("VALUE", "\"${KEY}\"");
        #[rustfmt::skip]
        let rows = [
            (SECRET,         true),   // a Secret always is
            (&from_variable, true),   // who knows what the variable held
            (MAP,            false),
        ];
        let vault = vault();
        for (text, sealed) in rows {
            let (key, entry) = entry(text);
            let manifest = vault.manifest(&key, &entry);
            assert_eq!(matches!(manifest, Manifest::Sealed(_)), sealed, "{text}");
            assert_eq!(vault.entry(&key, &manifest), Ok(entry), "{text}");
            let (Manifest::Plain(bytes) | Manifest::Sealed(Sealed(bytes))) = &manifest;
            assert!(!sealed || !String::from_utf8_lossy(bytes).contains("sk-1"), "{text}");
            let other = ResourceKey { name: "b".to_owned(), ..key };
            assert_eq!(vault.entry(&other, &manifest).is_err(), sealed, "moved to another name: {text}");
        }
        let (key, mut entry) = entry(MAP);
        entry.good = Some(self::entry(&from_variable).1.written);
        assert!(
            matches!(vault.manifest(&key, &entry), Manifest::Sealed(_)),
            "the version before it counts, too"
        );
    }

    #[test]
    fn what_a_newer_program_wrote_is_told() {
        let (key, entry) = entry(MAP);
        let text = String::from_utf8(entry.encode()).unwrap().replace("\"format\":1", "\"format\":2");
        let error = vault().entry(&key, &Manifest::Plain(text.into_bytes())).unwrap_err();
        assert!(error.contains("format 2"), "{error}");
        assert!(vault().entry(&key, &Manifest::Plain(b"{".to_vec())).is_err());
    }
}
