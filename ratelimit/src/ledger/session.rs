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
    pub(crate) standing: Standing,
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Spend, and ask for more.
    Speaks,
    /// Silent for so long that it may not spend any more. What it holds stays counted, but nobody waits for it. It goes on
    /// once it speaks again.
    Fenced,
    /// A newer run of its node has begun: a node runs once, so this process is gone. What it sent may still arrive, and the
    /// newer run says the rest in its name; it settles, and is granted nothing.
    Superseded,
    /// Its node was forgotten, and its leases are forfeited. Should its process live and speak, it needs another session, and
    /// this one is closed. Should the node start again, that run settles what this one's journal has still to tell: it is
    /// superseded then.
    Forgotten,
}

impl Standing {
    /// After a batch.
    pub(super) const fn heard(self) -> Self {
        match self {
            Self::Speaks | Self::Fenced => Self::Speaks,
            Self::Superseded | Self::Forgotten => self,
        }
    }
}

/// Whether it only settles.
pub(super) fn is_superseded(session: Option<&Session>) -> bool {
    session.is_none_or(|session| session.standing == Standing::Superseded)
}

impl Session {
    /// Whether it is this run, and that may still speak.
    fn is_run(&self, node: NodeId, incarnation: u64) -> bool {
        let may_speak = matches!(self.standing, Standing::Speaks | Standing::Fenced);
        self.node == node && self.incarnation == incarnation && may_speak
    }
}

impl Ledger {
    /// Opens a session, or names the one that this run of the node has already.
    pub(super) fn open_session(&mut self, node: NodeId, incarnation: u64) -> Outcome {
        let newest = self.incarnations.get(&node).copied();
        let known = self.sessions.iter().find(|(_, one)| one.is_run(node, incarnation)).map(|(id, _)| *id);
        let session = match known {
            Some(session) => session,
            None if newest.is_some_and(|newest| incarnation <= newest) => {
                return Outcome::Rejected(Rejected::OldIncarnation { newest: newest.unwrap_or_default() });
            }
            None if !self.has_room_for_session() => {
                return Outcome::Rejected(Rejected::full("sessions", MOST_SESSIONS));
            }
            None if newest.is_none() && self.incarnations.len() >= MOST_NODES => {
                return Outcome::Rejected(Rejected::full("nodes", MOST_NODES));
            }
            None => self.begin_session(node, incarnation),
        };
        Outcome::SessionOpened { session, earlier: self.unfinished(node, session) }
    }

    /// Those of forgotten nodes make room, the oldest first.
    fn has_room_for_session(&mut self) -> bool {
        if self.sessions.len() >= MOST_SESSIONS {
            let oldest = self.sessions.iter().find(|(_, one)| one.standing == Standing::Forgotten);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.sessions.remove(&oldest);
            }
        }
        self.sessions.len() < MOST_SESSIONS && self.next_session < u32::MAX
    }

    fn begin_session(&mut self, node: NodeId, incarnation: u64) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.incarnations.insert(node, incarnation);
        for earlier in self.sessions.values_mut().filter(|earlier| earlier.node == node) {
            earlier.standing = Standing::Superseded;
        }
        let fresh = Session {
            node,
            incarnation,
            last_sequence: 0,
            last_answer: None,
            heard_at: self.now,
            standing: Standing::Speaks,
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

    pub(super) fn leases_of(&self, session: SessionId) -> impl Iterator<Item = u32> {
        self.held.get(&session).into_iter().flatten().copied()
    }

    /// Whether it may be waited for.
    pub(super) fn speaks(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.standing == Standing::Speaks)
    }

    /// Ends a session. What its leases still hold is forfeited: counted as spent, since it may have been.
    pub(super) fn close_session(&mut self, session: SessionId) -> Outcome {
        if !self.sessions.contains_key(&session) {
            return Outcome::Rejected(Rejected::UnknownSession);
        }
        self.forfeit_all(session);
        self.sessions.remove(&session);
        Outcome::Done
    }

    fn forfeit_all(&mut self, session: SessionId) {
        let leases: Vec<u32> = self.leases_of(session).collect();
        for slot in leases {
            self.forfeit(slot);
        }
        self.held.remove(&session);
    }

    /// Ends all sessions of a node. What they have not told is not lost yet: they are remembered, so that the node's next run
    /// can tell it, if there is one.
    pub(super) fn forget_node(&mut self, node: NodeId) -> Outcome {
        if !self.incarnations.contains_key(&node) {
            return Outcome::Rejected(Rejected::UnknownNode);
        }
        let of_node = self.sessions.iter().filter(|(_, one)| one.node == node);
        let sessions: Vec<SessionId> = of_node.map(|(id, _)| *id).collect();
        for id in sessions {
            self.forfeit_all(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.standing = Standing::Forgotten;
                session.last_answer = None;
            }
        }
        Outcome::Done
    }

    /// Fences sessions that were silent for too long.
    pub(super) fn fence_silent(&mut self) {
        let now = self.now;
        let silent =
            |one: &Session| one.standing == Standing::Speaks && now.since(one.heard_at) > FENCED_AFTER_MS;
        let fenced: Vec<SessionId> =
            self.sessions.iter().filter(|(_, one)| silent(one)).map(|(id, _)| *id).collect();
        for id in fenced {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.standing = Standing::Fenced;
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
