//! Sessions: which runs of which nodes may speak, and what each said last.

use serde::{Deserialize, Serialize};

use super::Ledger;
use super::command::{LeaseId, NodeId, SessionId};
use super::limits::{MOST_NODES, MOST_SESSIONS};
use super::outcome::{Answer, LeaseRecord, Outcome, Rejected, Unfinished};
use crate::fault::{self, Fault};
use crate::time::Timestamp;

/// A node may spend its leases for this long after it asked for them; any batch renews them all. It bounds how long a node
/// that is cut off goes on with a revoked key, a lowered limit or an old price.
pub const VALIDITY_MS: u64 = 30_000;
/// A session is fenced when its validity is over on the slowest clock that is believed possible (200 parts in a million),
/// and a second more.
pub const FENCED_AFTER_MS: u64 = VALIDITY_MS + VALIDITY_MS * 400 / 1_000_000 + 1_000;

/// One run of a node's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) last_sequence: u64,
    /// Said again if the same batch comes again.
    pub(crate) last_answer: Option<Answer>,
    pub(crate) heard_at: Timestamp,
    /// Silent for so long that it may not spend any more. What it holds stays counted, but nobody waits for it.
    pub(crate) fenced: bool,
}

impl Ledger {
    /// Opens a session, or names the one that this run of the node has already.
    pub(super) fn open_session(&mut self, node: NodeId, incarnation: u64) -> Outcome {
        let newest = self.incarnations.get(&node).copied();
        let known = self.sessions.iter().find(|(_, one)| one.node == node && one.incarnation == incarnation);
        let session = match known {
            Some((session, _)) => *session,
            None if newest.is_some_and(|newest| incarnation <= newest) => {
                return Outcome::Rejected(Rejected::OldIncarnation { newest: newest.unwrap_or_default() });
            }
            None if self.sessions.len() >= MOST_SESSIONS || self.next_session == u32::MAX => {
                return Outcome::Rejected(Rejected::full("sessions", MOST_SESSIONS));
            }
            None if newest.is_none() && self.incarnations.len() >= MOST_NODES => {
                return Outcome::Rejected(Rejected::full("nodes", MOST_NODES));
            }
            None => self.begin_session(node, incarnation),
        };
        Outcome::SessionOpened { session, earlier: self.unfinished(node, session) }
    }

    fn begin_session(&mut self, node: NodeId, incarnation: u64) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.incarnations.insert(node, incarnation);
        for earlier in self.sessions.values_mut().filter(|earlier| earlier.node == node) {
            earlier.fenced = true; // A node runs once: the earlier process is gone.
        }
        let fresh = Session {
            node,
            incarnation,
            last_sequence: 0,
            last_answer: None,
            heard_at: self.now,
            fenced: false,
        };
        self.sessions.insert(session, fresh);
        session
    }

    /// What earlier runs of `node` left open.
    fn unfinished(&self, node: NodeId, but: SessionId) -> Vec<Unfinished> {
        let earlier = self.sessions.iter().filter(|(id, one)| one.node == node && **id != but);
        earlier
            .map(|(id, one)| Unfinished {
                session: *id,
                incarnation: one.incarnation,
                last_sequence: one.last_sequence,
                leases: self.leases_of(*id).map(|slot| self.record(slot)).collect(),
            })
            .collect()
    }

    fn record(&self, slot: u32) -> LeaseRecord {
        let lease = &self.leases[slot];
        LeaseRecord {
            lease: self.lease_id(slot),
            granted: lease.granted,
            settled: lease.settled,
            overrun: lease.overrun,
            returned: lease.returned,
        }
    }

    pub(super) fn lease_id(&self, slot: u32) -> LeaseId {
        LeaseId { slot, generation: self.leases.generation(slot) }
    }

    /// Walks through all leases: sessions end seldom.
    pub(super) fn leases_of(&self, session: SessionId) -> impl Iterator<Item = u32> {
        self.leases.iter().filter(move |(_, lease)| lease.session == session).map(|(slot, _)| slot)
    }

    /// Ends a session. What its leases still hold is forfeited: counted as spent, since it may have been.
    pub(super) fn close_session(&mut self, session: SessionId) -> Outcome {
        if !self.sessions.contains_key(&session) {
            return Outcome::Rejected(Rejected::UnknownSession);
        }
        let leases: Vec<u32> = self.leases_of(session).collect();
        for slot in leases {
            self.forfeit(slot);
        }
        self.sessions.remove(&session);
        Outcome::Done
    }

    /// Ends all sessions of a node.
    pub(super) fn forget_node(&mut self, node: NodeId) -> Outcome {
        if !self.incarnations.contains_key(&node) {
            return Outcome::Rejected(Rejected::UnknownNode);
        }
        let of_node = self.sessions.iter().filter(|(_, one)| one.node == node);
        let sessions: Vec<SessionId> = of_node.map(|(id, _)| *id).collect();
        for session in sessions {
            self.close_session(session);
        }
        Outcome::Done
    }

    /// Fences sessions that were silent for too long.
    pub(super) fn fence_silent(&mut self) {
        let now = self.now;
        let silent = |one: &Session| !one.fenced && now.since(one.heard_at) > FENCED_AFTER_MS;
        let fenced: Vec<SessionId> =
            self.sessions.iter().filter(|(_, one)| silent(one)).map(|(id, _)| *id).collect();
        for id in fenced {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.fenced = true;
            }
            if fault::planted(Fault::ReclaimedByTimeout) {
                let leases: Vec<u32> = self.leases_of(id).collect();
                for slot in leases {
                    let outstanding = self.leases[slot].outstanding();
                    self.give_back(slot, outstanding);
                }
            }
        }
    }
}
