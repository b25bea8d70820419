//! Who may refer across namespaces (Gateway API, ReferenceGrant): the namespace that is referred to says so.

use std::collections::BTreeSet;

use crate::load::Loaded;
use crate::resources::ReferenceGrantSpec;
use crate::snapshot::ResourceName;

/// All grants.
#[derive(Debug, Default)]
pub(super) struct Grants<'a> {
    grants: Vec<(&'a str, &'a ReferenceGrantSpec)>,
    names: BTreeSet<&'a ResourceName>,
}

/// A reference from one object to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'a> {
    /// Group, kind and namespace of the object that refers.
    pub(super) from: (&'a str, &'a str, &'a str),
    /// Group and kind of the object referred to.
    pub(super) to: (&'a str, &'a str),
    pub(super) target: &'a ResourceName,
}

impl<'a> Grants<'a> {
    /// False when the name is taken.
    pub(super) fn add(&mut self, loaded: &'a Loaded, spec: &'a ReferenceGrantSpec) -> bool {
        let fresh = self.names.insert(&loaded.name);
        if fresh {
            self.grants.push((&loaded.name.namespace, spec));
        }
        fresh
    }

    /// True inside one namespace, and where a grant in the target's namespace says so.
    pub(super) fn permit(&self, reference: Reference<'_>) -> bool {
        let Reference { from: (group, kind, namespace), to, target } = reference;
        if namespace == target.namespace {
            return true;
        }
        self.grants.iter().filter(|(of, _)| *of == target.namespace).any(
            |(_, ReferenceGrantSpec { from: who, to: what })| {
                let asked = who
                    .iter()
                    .any(|who| &*who.group == group && &*who.kind == kind && &*who.namespace == namespace);
                let given = what.iter().any(|what| {
                    let name = what.name.as_ref().is_none_or(|name| **name == *target.name);
                    &*what.group == to.0 && &*what.kind == to.1 && name
                });
                asked && given
            },
        )
    }

    /// What would have to be there.
    pub(super) fn wanted(reference: Reference<'_>) -> String {
        let Reference { from: (_, kind, namespace), to, target } = reference;
        format!(
            "a ReferenceGrant in namespace {} that lets {kind} of namespace {namespace} refer to {} {}",
            target.namespace, to.1, target.name
        )
    }
}
