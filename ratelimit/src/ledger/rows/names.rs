//! The names that rows are about, each kept once and called by a number. Numbers are handed out in the order of commands, so
//! that all members have the same ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MOST_ROWS, Rows};

/// The most names: three a row.
const MOST_NAMES: usize = 3 * MOST_ROWS;
/// The longest name, in bytes.
const MOST_NAME_BYTES: usize = 256;

/// A name's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct NameId(u32);

impl NameId {
    /// [`Rows::OTHER`].
    pub(super) const OTHER: Self = Self(0);
}

/// All names, by number and by name. The first is [`Rows::OTHER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    by_number: Vec<Arc<str>>,
    by_name: BTreeMap<Arc<str>, NameId>,
}

impl Default for Names {
    fn default() -> Self {
        let other: Arc<str> = Rows::OTHER.into();
        Self { by_number: vec![Arc::clone(&other)], by_name: BTreeMap::from([(other, NameId::OTHER)]) }
    }
}

impl Names {
    /// The number of a name, which gets one if it has none. That of [`Rows::OTHER`] if it can't have one.
    pub(super) fn number(&mut self, name: &str) -> NameId {
        if let Some(known) = self.known(name) {
            return known;
        }
        if name.len() > MOST_NAME_BYTES || self.by_number.len() >= MOST_NAMES {
            return NameId::OTHER;
        }
        self.insert(name.into())
    }

    /// The number of a name that has one.
    pub(super) fn known(&self, name: &str) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    /// The name of a number. [`Rows::OTHER`] for one that was never handed out.
    pub(super) fn name(&self, id: NameId) -> &str {
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.by_number.get(place).map_or(Rows::OTHER, |name| name)
    }

    /// All names in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.by_number.iter().skip(1).map(|name| &**name)
    }

    /// Takes the next name of a snapshot. A name that is there already would shift all numbers after it.
    pub(super) fn restore(&mut self, name: &str) {
        self.insert(name.into());
    }

    fn insert(&mut self, name: Arc<str>) -> NameId {
        let id = NameId(u32::try_from(self.by_number.len()).expect("fewer than MOST_NAMES"));
        self.by_number.push(Arc::clone(&name));
        self.by_name.insert(name, id);
        id
    }
}
