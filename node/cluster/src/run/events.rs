//! What happens in the store, for those who follow it.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tollgate_ratelimit::ledger::outcome::Nudge;

use crate::raft::state_machine::Event;
use crate::state::Part;

/// So many nudges are kept for who is slow. They are hints: those that are lost cost time, never correctness.
const MOST_NUDGES: usize = 1_024;

/// Follows the store of this node.
#[derive(Clone, Debug)]
pub struct Events {
    changes: watch::Sender<Changes>,
    nudges: broadcast::Sender<Arc<[Nudge]>>,
}

/// How often each part was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What the cluster is.
    pub cluster: u64,
    /// Who belongs to it.
    pub nodes: u64,
    /// What operators wrote.
    pub resources: u64,
}

impl Events {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self { changes: watch::Sender::default(), nudges: broadcast::Sender::new(MOST_NUDGES) }
    }

    /// Of what is different.
    pub fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    /// Hints to wallets. Every node hears of all.
    pub fn nudges(&self) -> broadcast::Receiver<Arc<[Nudge]>> {
        self.nudges.subscribe()
    }

    /// Passes on what the state machine tells.
    pub fn tell(&self, event: Event) {
        match event {
            Event::Nudges(nudges) => {
                let _nobody_listens = self.nudges.send(nudges.into());
            }
            Event::Changed(part) => self.changes.send_modify(|changes| match part {
                Part::Cluster => changes.cluster += 1,
                Part::Nodes => changes.nodes += 1,
                Part::Resources => changes.resources += 1,
            }),
            Event::Replaced => self.changes.send_modify(|changes| {
                changes.cluster += 1;
                changes.nodes += 1;
                changes.resources += 1;
            }),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}
