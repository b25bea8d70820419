//! What the cluster is: its id and format, set by the entry that founds it, and what only all nodes together may change.

use serde::{Deserialize, Serialize};

use super::refused::{Refused, fits};
use super::sealed::Sealed;
use super::{Applied, TooNew};
use crate::raft::types::Member;

/// The newest format of proposals, state and snapshots that this program knows. A cluster has the one that it was founded
/// with or raised to, and only programs that know it may take part.
pub const FORMAT: u32 = 1;

/// No certificate and no sealed secret of the cluster is longer.
pub const MOST_SECRET_BYTES: usize = 16 << 10;
/// No more nodes are preferred: no cluster has more voters.
pub const MOST_PREFERRED: usize = 5;
/// The newest keys of gossip that are kept: one to send with, and the one before it.
pub const MOST_GOSSIP_KEYS: usize = 2;

/// The first proposal of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// The cluster's id: random.
    pub cluster: [u8; 16],
    /// The format that it begins with.
    pub format: u32,
    /// The node that founds it. Its id is [`FIRST_NODE`](super::nodes::FIRST_NODE).
    pub first: Member,
    /// How many voters there should be.
    pub voters: u8,
    /// What opens the doors.
    pub secrets: Secrets,
}

/// What opens the cluster's doors. Only hashes and sealed bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// A hash of the join token's secret; nobody joins without one.
    pub join_token: Option<[u8; 32]>,
    /// Who signs the nodes' certificates, if the cluster does that itself.
    pub authority: Option<Authority>,
    /// Keys of gossip, the newest last: it is the one to send with.
    pub gossip_keys: Vec<Sealed>,
}

/// The cluster's own certificate authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Sealed,
}

/// A change to what the cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The revision that the proposer saw.
    pub expects: u64,
    /// What becomes different.
    pub setting: Setting,
}

/// One thing that all nodes agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// How many voters there should be: 1, 3 or 5.
    Voters(u8),
    /// Another join token, or none.
    JoinToken(Option<[u8; 32]>),
    /// Other keys of gossip, the newest last.
    GossipKeys(Vec<Sealed>),
    /// Another certificate authority, or none.
    Authority(Option<Authority>),
    /// A newer format, once every node's program knows it.
    Format(u32),
    /// Other nodes that should vote before others can, the last named first.
    Preferred(Vec<u64>),
}

/// The cluster, once it was founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    pub id: [u8; 16],
    /// Its format.
    pub format: u32,
    /// The log index of the last change.
    pub revision: u64,
    /// How many voters there should be.
    pub voters: u8,
    /// What opens its doors.
    pub secrets: Secrets,
    /// Who should vote before others can, as an operator said; the last named first.
    pub preferred: Vec<u64>,
}

impl Cluster {
    pub(super) fn found(index: u64, founding: &Founding) -> Result<Self, Refused> {
        let Founding { cluster, format, first: _, voters, secrets } = founding;
        check_voters(*voters)?;
        secrets.check()?;
        Ok(Self {
            id: *cluster,
            format: *format,
            revision: index,
            voters: *voters,
            secrets: secrets.clone(),
            preferred: Vec::new(),
        })
    }

    pub(super) fn change(&mut self, index: u64, change: &Change) -> Result<Applied, Refused> {
        if change.expects != self.revision {
            let (expected, got) = (change.expects, self.revision);
            return Err(Refused::Conflict { what: "the cluster".to_owned(), expected, got });
        }
        let mut secrets = self.secrets.clone();
        match &change.setting {
            Setting::Voters(voters) => {
                check_voters(*voters)?;
                self.voters = *voters;
            }
            Setting::JoinToken(hash) => secrets.join_token = *hash,
            Setting::GossipKeys(keys) => secrets.gossip_keys.clone_from(keys),
            Setting::Authority(authority) => secrets.authority.clone_from(authority),
            Setting::Format(format) if *format < self.format => {
                return Err(Refused::invalid("format", "one that is not older", format));
            }
            Setting::Format(format) => self.format = *format,
            Setting::Preferred(nodes) if nodes.len() > MOST_PREFERRED => {
                return Err(Refused::full("preferred voters", MOST_PREFERRED));
            }
            Setting::Preferred(nodes) => self.preferred.clone_from(nodes),
        }
        secrets.check()?;
        self.secrets = secrets;
        self.revision = index;
        Ok(Applied::ClusterChanged { revision: index })
    }
}

impl Secrets {
    fn check(&self) -> Result<(), Refused> {
        if self.gossip_keys.len() > MOST_GOSSIP_KEYS {
            return Err(Refused::full("keys of gossip", MOST_GOSSIP_KEYS));
        }
        let keys = self.gossip_keys.iter().chain(self.authority.iter().map(|authority| &authority.key));
        for key in keys {
            fits("a sealed key", key.0.len(), MOST_SECRET_BYTES)?;
        }
        let certificate = self.authority.as_ref().map_or(0, |authority| authority.certificate.len());
        fits("the authority's certificate", certificate, MOST_SECRET_BYTES)
    }
}

/// Refuses to go on with what this program does not know. It must stop: other nodes may know it.
pub(super) fn expect_known(format: u32) -> Result<(), TooNew> {
    if format > FORMAT { Err(TooNew { known: FORMAT, got: format }) } else { Ok(()) }
}

fn check_voters(voters: u8) -> Result<(), Refused> {
    if [1, 3, 5].contains(&voters) { Ok(()) } else { Err(Refused::invalid("voters", "1, 3 or 5", voters)) }
}
