//! The names that rows are about, each kept once and called by a number. Numbers are handed out in the order of commands, so
//! that all members have the same ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

    fn insert(&mut self, name: Arc<str>) -> NameId {
        let id = NameId(u32::try_from(self.by_number.len()).expect("fewer than MOST_NAMES"));
        self.by_number.push(Arc::clone(&name));
        self.by_name.insert(name, id);
        id
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.by_number.iter().map(|name| &**name))
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        let mut names = Self::default();
        if written.first().map(String::as_str) != Some(Rows::OTHER) || written.len() > MOST_NAMES {
            return Err(D::Error::custom(format!(
                "expected 1 to {MOST_NAMES} names, {:?} first",
                Rows::OTHER
            )));
        }
        for name in &written[1..] {
            if names.known(name).is_some() {
                return Err(D::Error::custom(format!("expected each name once, not {name:?} again")));
            }
            names.insert(name.as_str().into());
        }
        Ok(names)
    }
}
