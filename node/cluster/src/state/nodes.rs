//! Who belongs to the cluster. An id is the log index of the entry that registered the node: so it is handed out once, and
//! never again, whatever becomes of its node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_ratelimit::time::Timestamp;

use super::Applied;
use super::refused::{Refused, fits};
use crate::raft::types::Member;

/// The node that founds the cluster. No entry that registers a node has this index: the first ones are Raft's own.
pub const FIRST_NODE: u64 = 1;
/// So many nodes may be registered at once.
pub const MOST_NODES: usize = 1_000;
/// So many forgotten ones are remembered by name; older ones are unknown, and refused all the same.
pub const MOST_FORGOTTEN: usize = 10_000;
/// No name, address, region or zone is longer: a host name's length, and a port's.
pub const MOST_TEXT_BYTES: usize = 260;

/// A node asks to belong to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Random, chosen by the node: asked twice with the same one, the same id is given.
    pub request: [u8; 16],
    /// What it says of itself.
    pub member: Member,
}

/// A node's process has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Which one.
    pub node: u64,
    /// Which run of it: larger than all before. Said twice, nothing is changed by the second time.
    pub incarnation: u64,
    /// What it says of itself now.
    pub member: Member,
}

/// A node never comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// Which one.
    pub node: u64,
    /// The leader's clock. It is raised to the one before where it ran backwards.
    pub at: Timestamp,
}

/// All nodes that there are, and that there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    known: BTreeMap<u64, Node>,
    forgotten: BTreeMap<u64, Forgotten>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it asked for its id with.
    pub request: [u8; 16],
    /// What it said of itself last.
    pub member: Member,
    /// Its newest run; 0 before the first.
    pub incarnation: u64,
}

/// A node that never comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// What it had asked for its id with.
    pub request: [u8; 16],
    /// What it was called.
    pub name: String,
    /// When it was forgotten.
    pub at: Timestamp,
}

impl Nodes {
    /// The node of that id.
    pub fn node(&self, id: u64) -> Option<&Node> {
        self.known.get(&id)
    }

    /// All nodes by id.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Node)> {
        self.known.iter().map(|(id, node)| (*id, node))
    }

    /// Nodes that never come back, by id.
    pub fn forgotten(&self) -> impl Iterator<Item = (u64, &Forgotten)> {
        self.forgotten.iter().map(|(id, node)| (*id, node))
    }

    pub(super) fn register(&mut self, id: u64, asked: &Registration) -> Result<Applied, Refused> {
        check(&asked.member)?;
        if let Some((id, _)) = self.known.iter().find(|(_, node)| node.request == asked.request) {
            return Ok(Applied::Registered { node: *id });
        }
        if let Some((id, gone)) = self.forgotten.iter().find(|(_, node)| node.request == asked.request) {
            return Err(Refused::ForgottenNode { node: *id, name: gone.name.clone() });
        }
        if self.known.len() >= MOST_NODES {
            return Err(Refused::full("nodes", MOST_NODES));
        }
        let Registration { request, member } = asked.clone();
        self.known.insert(id, Node { request, member, incarnation: 0 });
        Ok(Applied::Registered { node: id })
    }

    pub(super) fn arrive(&mut self, arrival: &Arrival) -> Result<Applied, Refused> {
        let Arrival { node: id, incarnation, member } = arrival;
        check(member)?;
        self.expect_known(*id)?;
        let node = self.known.get_mut(id).ok_or(Refused::UnknownNode { node: *id })?;
        let same = *incarnation == node.incarnation && *member == node.member;
        if *incarnation <= node.incarnation && !same {
            let (newest, got) = (node.incarnation, *incarnation);
            return Err(Refused::OldIncarnation { node: *id, newest, got });
        }
        node.incarnation = *incarnation;
        node.member.clone_from(member);
        Ok(Applied::Arrived)
    }

    /// Whether there was anything left to forget. Forgetting twice is no fault.
    pub(super) fn forget(&mut self, farewell: Farewell) -> Result<Applied, Refused> {
        let Farewell { node: id, at } = farewell;
        if self.forgotten.contains_key(&id) {
            return Ok(Applied::Forgotten);
        }
        let Node { request, member, .. } = self.known.remove(&id).ok_or(Refused::UnknownNode { node: id })?;
        self.forgotten.insert(id, Forgotten { request, name: member.name, at });
        if self.forgotten.len() > MOST_FORGOTTEN {
            self.forgotten.pop_first();
        }
        Ok(Applied::Forgotten)
    }

    /// Refuses an id that is of no node, or of one that was forgotten.
    pub fn expect_known(&self, id: u64) -> Result<(), Refused> {
        if self.known.contains_key(&id) {
            return Ok(());
        }
        Err(match self.forgotten.get(&id) {
            Some(gone) => Refused::ForgottenNode { node: id, name: gone.name.clone() },
            None => Refused::UnknownNode { node: id },
        })
    }

    pub(super) fn restore(&mut self, id: u64, node: Node) {
        self.known.insert(id, node);
    }

    pub(super) fn restore_forgotten(&mut self, id: u64, node: Forgotten) {
        self.forgotten.insert(id, node);
    }
}

fn check(member: &Member) -> Result<(), Refused> {
    let Member { name, address, region, zone } = member;
    for (what, text) in [("name", name), ("address", address), ("region", region), ("zone", zone)] {
        fits(what, text.len(), MOST_TEXT_BYTES)?;
    }
    for (what, text) in [("name", name), ("address", address)] {
        if text.is_empty() {
            return Err(Refused::invalid(what, "not to be empty", "nothing"));
        }
    }
    Ok(())
}
