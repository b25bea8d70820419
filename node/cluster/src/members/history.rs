//! What the leader saw of the nodes over time: the only place of the controller where time counts.
//!
//! It begins anew with each leader, so that a new one waits as long as any before it calls a node ready or lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Course, Follower, Health, Membership, NodeId, Place, Replication, Standing};
use crate::gossip::view::{Duty, View};

/// How long something must hold before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A node that answered within this time answers.
    pub answer: Duration,
    /// A follower with fewer entries to go follows closely.
    pub lag: u64,
    /// A node that follows closely for this long is ready.
    pub ready: Duration,
    /// A node that neither answers nor is seen for this long is lost.
    pub lost: Duration,
    /// A node that drains for this long does not come back soon: it is more than a restart.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(2),
            lag: 100,
            ready: Duration::from_secs(3),
            lost: Duration::from_mins(10),
            drain: Duration::from_secs(30),
        }
    }
}

/// What is seen at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Who is there, by gossip.
    pub view: &'a View,
    /// Who belongs to the cluster.
    pub membership: &'a Membership,
    /// Who follows.
    pub replication: &'a Replication,
    /// Who was forgotten. Who leaves by itself says so by gossip.
    pub leaving: &'a BTreeSet<NodeId>,
}

/// Since when what holds.
#[derive(Clone, Debug, Default)]
pub struct History {
    patience: Patience,
    nodes: BTreeMap<NodeId, Since>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Since {
    close: Option<Duration>,
    gone: Option<Duration>,
    draining: Option<Duration>,
}

impl History {
    /// Nothing was seen yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, nodes: BTreeMap::new() }
    }

    /// Adds what is seen at `now`, counted from any fixed moment, and tells what is to be held of each member.
    pub fn observe(&mut self, sight: Sight<'_>, now: Duration) -> BTreeMap<NodeId, Standing> {
        let members = &sight.membership.nodes;
        self.nodes.retain(|node, _| members.contains_key(node));
        members.iter().map(|(&node, place)| (node, self.standing(node, place, sight, now))).collect()
    }

    fn standing(&mut self, node: NodeId, place: &Place, sight: Sight<'_>, now: Duration) -> Standing {
        let Patience { answer, lag, ready, lost, drain } = self.patience;
        let leads = node == sight.replication.leader;
        let follower = sight.replication.followers.get(&node).copied().unwrap_or_default();
        let Follower { matched, answered } = follower;
        let answers = leads || answered.is_some_and(|ago| ago <= answer);
        let peer = sight.view.get(&node);
        let close =
            leads || answers && peer.is_some() && sight.replication.last.saturating_sub(matched) < lag;
        let gone = !answers && peer.is_none();
        let duty = peer.map_or(Duty::Serving, |peer| peer.news.duty);
        let draining = duty == Duty::Draining;

        let since = self.nodes.entry(node).or_default();
        since.close = close.then(|| since.close.unwrap_or(now));
        since.gone = gone.then(|| since.gone.unwrap_or(now));
        since.draining = draining.then(|| since.draining.unwrap_or(now));
        let held =
            |since: Option<Duration>, long| since.is_some_and(|since| now.saturating_sub(since) >= long);
        let health = if leads || held(since.close, ready) {
            Health::Ready
        } else if answers {
            Health::Behind
        } else if held(since.gone, lost) {
            Health::Lost
        } else {
            Health::Silent
        };
        let course = if sight.leaving.contains(&node) || duty == Duty::Leaving {
            Course::Leaves
        } else if held(since.draining, drain) {
            Course::Drains
        } else if peer.is_some_and(|peer| peer.about.stays_learner) {
            Course::Serves
        } else {
            Course::Stays
        };
        Standing { place: place.clone(), health, course }
    }
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
