//! What operators wrote, as they wrote it. One proposal changes any number of resources, all or none, and may say which
//! revisions it goes out from: so a resync is one diff, and two writers can't undo each other unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Applied;
use super::refused::{Refused, fits};
use super::sealed::Sealed;

/// So many resources are kept.
pub const MOST_RESOURCES: usize = 50_000;
/// No manifest is longer. With its name it fits into one chunk of a snapshot.
pub const MOST_MANIFEST_BYTES: usize = (1 << 20) - 4_096;
/// All manifests together are not longer.
pub const MOST_BYTES: u64 = 256 << 20;
/// No part of a name is longer, as in Kubernetes.
pub const MOST_NAME_BYTES: usize = 253;

/// Names a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceKey {
    /// As `gateway.networking.k8s.io`; empty for the core group.
    pub group: String,
    /// As `HTTPRoute`.
    pub kind: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A resource as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manifest {
    /// The text.
    Plain(Vec<u8>),
    /// The text of what is secret.
    Sealed(Sealed),
}

/// A resource in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The log index of the entry that wrote it.
    pub revision: u64,
    /// As it was written.
    pub manifest: Manifest,
}

/// What becomes of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which one.
    pub key: ResourceKey,
    /// What must be true of it now.
    pub expects: Expected,
    /// As it will be; none takes it away.
    pub manifest: Option<Manifest>,
}

/// What a writer expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// Anything.
    Any,
    /// Nothing.
    Absent,
    /// What it has seen.
    Revision(u64),
}

/// All resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Shared, so that a reader takes all of them with it at the cost of their names.
    all: BTreeMap<ResourceKey, Arc<Resource>>,
    bytes: u64,
    revision: u64,
}

impl Resources {
    /// The log index of the last entry that changed one.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The resource of that name.
    pub fn resource(&self, key: &ResourceKey) -> Option<&Arc<Resource>> {
        self.all.get(key)
    }

    /// All of them by name.
    pub fn all(&self) -> impl Iterator<Item = (&ResourceKey, &Arc<Resource>)> {
        self.all.iter()
    }

    pub(super) fn edit(&mut self, index: u64, edits: &[Edit]) -> Result<Applied, Refused> {
        self.check(edits)?;
        for edit in edits {
            let there = self.all.get(&edit.key);
            if there.map(|resource| &resource.manifest) == edit.manifest.as_ref() {
                continue; // As it is already: it keeps its revision.
            }
            self.revision = index;
            let before = match &edit.manifest {
                Some(manifest) => {
                    self.bytes += manifest.bytes();
                    let resource = Resource { revision: index, manifest: manifest.clone() };
                    self.all.insert(edit.key.clone(), Arc::new(resource))
                }
                None => self.all.remove(&edit.key),
            };
            self.bytes -= before.map_or(0, |resource| resource.manifest.bytes());
        }
        Ok(Applied::ResourcesEdited { revision: self.revision })
    }

    /// Whether all edits can be done.
    fn check(&self, edits: &[Edit]) -> Result<(), Refused> {
        let mut seen = BTreeSet::new();
        let (mut count, mut bytes) = (self.all.len(), self.bytes);
        for Edit { key, expects, manifest } in edits {
            key.check()?;
            if !seen.insert(key) {
                return Err(Refused::invalid("edits", "one edit of each resource", format!("two of {key}")));
            }
            let there = self.all.get(key);
            expects.check(key, there.map_or(0, |resource| resource.revision))?;
            if let Some(manifest) = manifest {
                fits(&format!("{key}"), manifest.slice().len(), MOST_MANIFEST_BYTES)?;
                count += usize::from(there.is_none());
                bytes += manifest.bytes();
            } else {
                count -= usize::from(there.is_some());
            }
            bytes -= there.map_or(0, |resource| resource.manifest.bytes());
        }
        if count > MOST_RESOURCES {
            return Err(Refused::full("resources", MOST_RESOURCES));
        }
        if bytes > MOST_BYTES {
            return Err(Refused::TooLong { what: "all manifests".to_owned(), bytes, most: MOST_BYTES });
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, key: ResourceKey, resource: Resource) {
        self.bytes += resource.manifest.bytes();
        self.all.insert(key, Arc::new(resource));
    }

    pub(super) const fn restore_revision(&mut self, revision: u64) {
        self.revision = revision;
    }
}

impl Expected {
    fn check(self, key: &ResourceKey, got: u64) -> Result<(), Refused> {
        let expected = match self {
            Self::Any => return Ok(()),
            Self::Absent => 0,
            Self::Revision(revision) => revision,
        };
        if expected == got { Ok(()) } else { Err(Refused::Conflict { what: key.to_string(), expected, got }) }
    }
}

impl Manifest {
    fn slice(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Sealed(sealed) => &sealed.0,
        }
    }

    fn bytes(&self) -> u64 {
        self.slice().len() as u64
    }
}

impl ResourceKey {
    fn check(&self) -> Result<(), Refused> {
        let Self { group, kind, namespace, name } = self;
        for (what, text) in [("group", group), ("kind", kind), ("namespace", namespace), ("name", name)] {
            fits(what, text.len(), MOST_NAME_BYTES)?;
        }
        for (what, text) in [("kind", kind), ("name", name)] {
            if text.is_empty() {
                return Err(Refused::invalid(what, "not to be empty", "nothing"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name } = self;
        write!(f, "{kind}.{group} {namespace}/{name}")
    }
}
