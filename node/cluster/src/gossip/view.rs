//! What nodes say of themselves, as chitchat's keys and as values. A hint each: mutual TLS confirms who is who.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use chitchat::{ChitchatId, NodeState};

use crate::raft::types::Member;

/// A node's id in Raft.
pub type NodeId = u64;

/// Who is there: live nodes, this one among them.
pub type View = BTreeMap<NodeId, Peer>;

/// Bytes of keys and values of one node, all together. chitchat's datagrams carry those of every node.
pub const SAID_MOST: usize = 1_024;
/// What of it is for backends.
const HEALTH_MOST: usize = 448;
/// What of it is for duty and applied index.
const STATE_MOST: usize = 64;
/// The rest is for what does not change.
const ABOUT_MOST: usize = SAID_MOST - HEALTH_MOST - STATE_MOST;

const NAME: &str = "name";
const RPC: &str = "rpc";
const ADMIN: &str = "admin";
const REGION: &str = "region";
const ZONE: &str = "zone";
const VERSION: &str = "version";
const LEARNER: &str = "learner";
/// What a node that stays a learner says under that key; others leave it empty.
const STAYS: &str = "stays";
const DUTY: &str = "duty";
const APPLIED: &str = "applied";
const HEALTH: &str = "health/";

/// What does not change while a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// As in the membership.
    pub member: Member,
    /// Where its admin API is: `host:port`, or empty.
    pub admin: String,
    /// The program's version.
    pub version: String,
    /// It serves, and is never to vote.
    pub stays_learner: bool,
}

/// Whether a node takes new requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duty {
    /// It does.
    #[default]
    Serving,
    /// It finishes what it has, and is about to stop.
    Draining,
    /// The same, and it never comes back: it wants to be no voter and no member any more.
    Leaving,
}

/// What changes while a node runs, and others should know at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whether it takes new requests.
    pub duty: Duty,
    /// Backends that its breakers opened for, and until when, in milliseconds since 1970.
    pub unhealthy: BTreeMap<String, u64>,
}

/// A live node, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What does not change.
    pub about: About,
    /// What does.
    pub news: News,
    /// The last entry of the log that it applied.
    pub applied: u64,
    /// When it started: the highest one of a node is the node.
    pub generation: u64,
    /// Where it gossips.
    pub gossip: SocketAddr,
}

/// More than fits gossip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// Bytes of name, addresses, region, zone and version with their keys.
    pub len: usize,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len;
        write!(
            f,
            "name, addresses, region, zone and version take {len} bytes of gossip; at most {ABOUT_MOST} fit"
        )
    }
}

impl std::error::Error for TooMuch {}

impl About {
    /// Refuses what would crowd every datagram of the cluster.
    pub(super) fn check(&self) -> Result<(), TooMuch> {
        let len = self.entries().iter().map(|(key, value)| key.len() + value.len()).sum();
        if len <= ABOUT_MOST { Ok(()) } else { Err(TooMuch { len }) }
    }

    fn entries(&self) -> [(&'static str, &str); 7] {
        [
            (NAME, &self.member.name),
            (RPC, &self.member.address),
            (ADMIN, &self.admin),
            (REGION, &self.member.region),
            (ZONE, &self.member.zone),
            (VERSION, &self.version),
            (LEARNER, if self.stays_learner { STAYS } else { "" }),
        ]
    }
}

/// The keys that a node publishes.
pub(super) fn say(about: &About, news: &News, applied: u64) -> BTreeMap<String, String> {
    let mut said: BTreeMap<String, String> =
        about.entries().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    said.insert(DUTY.to_owned(), news.duty.name().to_owned());
    said.insert(APPLIED.to_owned(), applied.to_string());
    said.extend(say_health(&news.unhealthy));
    said
}

/// As many as fit, those that stay longest first: others find the rest out by themselves.
fn say_health(unhealthy: &BTreeMap<String, u64>) -> Vec<(String, String)> {
    let mut by_end: Vec<_> = unhealthy.iter().collect();
    by_end.sort_by_key(|(_, until_ms)| std::cmp::Reverse(**until_ms));
    let mut room = HEALTH_MOST;
    let mut said = Vec::new();
    for (backend, until_ms) in by_end {
        let (key, value) = (format!("{HEALTH}{backend}"), until_ms.to_string());
        if let Some(rest) = room.checked_sub(key.len() + value.len()) {
            room = rest;
            said.push((key, value));
        }
    }
    said
}

/// The live nodes as they describe themselves. Of a node that started again only the last start counts, and one that does not say
/// where it is does not count at all.
pub(super) fn view(live: &BTreeMap<ChitchatId, NodeState>) -> View {
    let mut view = View::new();
    for (id, state) in live {
        if let Some((node, peer)) = peer(id, state) {
            view.entry(node).and_modify(|known| known.supersede(&peer)).or_insert(peer);
        }
    }
    view
}

fn peer(id: &ChitchatId, state: &NodeState) -> Option<(NodeId, Peer)> {
    let node = id.node_id.parse().ok()?;
    let text = |key| state.get(key).map(str::to_owned);
    let member = Member { name: text(NAME)?, address: text(RPC)?, region: text(REGION)?, zone: text(ZONE)? };
    let stays_learner = state.get(LEARNER)? == STAYS;
    let about = About { member, admin: text(ADMIN)?, version: text(VERSION)?, stays_learner };
    let unhealthy = state
        .iter_prefix(HEALTH)
        .filter_map(|(key, until)| Some((key.strip_prefix(HEALTH)?.to_owned(), until.value.parse().ok()?)))
        .collect();
    let news = News { duty: Duty::from_name(state.get(DUTY)?)?, unhealthy };
    let applied = state.get(APPLIED)?.parse().ok()?;
    Some((
        node,
        Peer { about, news, applied, generation: id.generation_id, gossip: id.gossip_advertise_addr },
    ))
}

impl Peer {
    fn supersede(&mut self, other: &Self) {
        if other.generation > self.generation {
            *self = other.clone();
        }
    }
}

impl Duty {
    /// As it is said, and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Serving, Self::Draining, Self::Leaving].into_iter().find(|duty| duty.name() == name)
    }
}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
