//! What operators see of a node's part in the cluster: gauges and totals that are read when somebody asks. What has to be
//! measured where it happens is recorded there, under the names below.

use metrics::{counter, gauge};
use openraft::Instant as _;

use crate::gossip::{run as gossiping, socket};
use crate::run::Node;
use crate::wallet::{Till, TillStats};

/// How long an entry takes from its proposal here until it is applied here.
pub(crate) const COMMIT: &str = "tollgate.raft.commit.seconds";
/// How long the journal takes to be safe against lost power.
pub(crate) const FLUSH: &str = "tollgate.journal.flush.seconds";
/// A batch's way to the leader and back.
pub(crate) const ROUND_TRIP: &str = "tollgate.batches.round_trip.seconds";
/// How long requests waited that had to wait for a lease.
pub(crate) const WAIT: &str = "tollgate.leases.wait.seconds";
/// Leases that the ledger granted, or raised.
pub(crate) const GRANTED: &str = "tollgate.leases.granted";
/// Leases that the ledger asked to be given back in part.
pub(crate) const RECALLED: &str = "tollgate.leases.recalled";
/// What the ledger did not grant, by its reason.
pub(crate) const DENIED: &str = "tollgate.leases.denied";
/// Records that the journal took.
const RECORDS: &str = "tollgate.journal.records";

/// Nodes of the cluster that nobody hears of.
const MISSING: &str = "tollgate.gossip.missing";

const TERM: &str = "tollgate.raft.term";
const LEADS: &str = "tollgate.raft.leads";
const LEADER: &str = "tollgate.raft.leader";
const VOTERS: &str = "tollgate.raft.voters";
const LAST: &str = "tollgate.raft.last_entry";
const APPLIED: &str = "tollgate.raft.applied_entry";
const SNAPSHOT: &str = "tollgate.raft.snapshot_entry";
const LAG: &str = "tollgate.raft.lag_entries";
const FOLLOWER_LAG: &str = "tollgate.raft.follower_lag_entries";
const QUORUM_AGE: &str = "tollgate.raft.quorum_age";
const PROPOSED: &str = "tollgate.batches.entries";
const CARRIED: &str = "tollgate.batches.carried";
const SENT: &str = "tollgate.batches.sent";
const RESENT: &str = "tollgate.batches.resent";
const ITEMS: &str = "tollgate.batches.items";
const REJECTED: &str = "tollgate.batches.items_rejected";
const RECONNECTS: &str = "tollgate.batches.reconnects";
const LEASES: &str = "tollgate.leases.open";
const BUCKETS: &str = "tollgate.leases.buckets";
const HELD: &str = "tollgate.leases.held";
const FREE: &str = "tollgate.leases.free";
const WAITING: &str = "tollgate.leases.waiting";
const WAITED: &str = "tollgate.leases.waited";
const REFUSED: &str = "tollgate.leases.refused";
const BYTES: &str = "tollgate.journal.bytes";
const FLUSHES: &str = "tollgate.journal.flushes";
const FAILS: &str = "tollgate.journal.fails";

/// Every name, and what it says.
pub const DESCRIPTIONS: [(&str, &str); 42] = [
    (COMMIT, "Seconds from a proposal of batches to its being applied, on the leader."),
    (FLUSH, "Seconds that a flush of the journal took."),
    (ROUND_TRIP, "Seconds from a batch to its answer."),
    (WAIT, "Seconds that requests waited which had to wait for a lease."),
    (GRANTED, "Leases that were granted to this node, or raised."),
    (RECALLED, "Leases that this node was asked to give back in part."),
    (DENIED, "What this node asked for and was not granted, by reason."),
    (RECORDS, "Records that the journal took."),
    (TERM, "Raft's term."),
    (LEADS, "1 on the leader."),
    (LEADER, "The leader's id; 0 where none is known."),
    (VOTERS, "Nodes that vote."),
    (LAST, "The last entry of this node's log."),
    (APPLIED, "The last entry that was applied here."),
    (SNAPSHOT, "The last entry in this node's newest snapshot."),
    (LAG, "Entries in the log that are not applied here yet."),
    (FOLLOWER_LAG, "Entries that a follower does not have yet; on the leader."),
    (QUORUM_AGE, "Seconds since a majority was heard of; on the leader."),
    (PROPOSED, "Entries that this node proposed for batches, as the leader."),
    (CARRIED, "Batches in them."),
    (SENT, "Batches that this node sent."),
    (RESENT, "How often one was sent again."),
    (ITEMS, "Items in the batches that were sent."),
    (REJECTED, "Items that the ledger did not take: more than a few are a fault of ours."),
    (RECONNECTS, "Ways to a leader that were opened."),
    (LEASES, "Leases that this node has."),
    (BUCKETS, "Buckets that this node knows."),
    (HELD, "Held by running requests, in the units of their budgets."),
    (FREE, "Leased and not held."),
    (WAITING, "Requests that wait for a lease now."),
    (WAITED, "Requests that had to wait for a lease."),
    (REFUSED, "Requests that budgets refused."),
    (BYTES, "Bytes of the journal's file."),
    (FLUSHES, "Flushes of the journal."),
    (gossiping::PEERS, "Nodes that are there, this one among them."),
    (MISSING, "Nodes of the cluster that are not heard of."),
    (gossiping::RESTARTS, "How often gossip had to be started again."),
    (socket::SENT, "Gossip's datagrams that were sent."),
    (socket::UNSENT, "Gossip's datagrams that could not be sent."),
    (socket::RECEIVED, "Gossip's datagrams that were taken."),
    (socket::DROPPED, "Datagrams on gossip's port that were dropped: strangers', repeated, too old."),
    (FAILS, "1 while the journal takes no records."),
];

/// Sets all gauges and totals to what they are now.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats; what is shown is far below 2^52")]
pub fn observe(node: &Node, till: &Till) {
    let set = |name: &'static str, value: u64| gauge!(name).set(value as f64);
    let raft = node.metrics();
    let applied = raft.last_applied.as_ref().map_or(0, |at| at.index);
    let last = raft.last_log_index.unwrap_or(0);
    set(TERM, raft.current_term);
    set(LEADS, u64::from(raft.current_leader == Some(node.id())));
    set(LEADER, raft.current_leader.unwrap_or(0));
    set(VOTERS, raft.membership_config.membership().voter_ids().count() as u64);
    set(LAST, last);
    set(APPLIED, applied);
    set(SNAPSHOT, raft.snapshot.as_ref().map_or(0, |at| at.index));
    set(LAG, last.saturating_sub(applied));
    for (follower, matched) in raft.replication.iter().flatten() {
        let has = matched.as_ref().map_or(0, |at| at.index);
        gauge!(FOLLOWER_LAG, "node" => follower.to_string()).set(last.saturating_sub(has) as f64);
    }
    if let Some(at) = raft.last_quorum_acked {
        gauge!(QUORUM_AGE).set(at.elapsed().as_secs_f64());
    }
    let there = node.gossip().peers().borrow().clone();
    let members = raft.membership_config.membership().nodes();
    set(MISSING, members.filter(|(id, _)| !there.contains_key(*id)).count() as u64);
    let desk = node.desk().stats();
    counter!(PROPOSED).absolute(desk.entries);
    counter!(CARRIED).absolute(desk.batches);

    let TillStats {
        wallet,
        batches,
        copies,
        items,
        waits,
        refused,
        reconnects,
        journal_bytes,
        journal_flushes,
        journal_records,
    } = till.stats();
    counter!(SENT).absolute(batches);
    counter!(RESENT).absolute(copies);
    counter!(ITEMS).absolute(items);
    counter!(REJECTED).absolute(wallet.rejected);
    counter!(RECONNECTS).absolute(reconnects);
    set(LEASES, wallet.leases as u64);
    set(BUCKETS, wallet.purses as u64);
    set(HELD, wallet.held);
    set(FREE, wallet.avail);
    set(WAITING, wallet.waiting as u64);
    counter!(WAITED).absolute(waits);
    counter!(REFUSED).absolute(refused);
    set(BYTES, journal_bytes);
    counter!(RECORDS).absolute(journal_records);
    counter!(FLUSHES).absolute(journal_flushes);
    set(FAILS, u64::from(till.failure().is_some()));
}
