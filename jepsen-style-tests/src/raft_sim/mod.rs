//! The real consensus code in one thread, from one seed: openraft on simulated time, our log's writer and store over a disk
//! whose power can be cut, our state machine and its snapshots, behind a network that delays, loses and is cut.
//!
//! ```text
//!  spenders ─┐                 ┌─ Wire ── delays, losses, cuts
//!  editors ──┼─ ask ─▶ node ───┤
//!  operator ─┘         ▲       └─ Raft ─▶ LogStore ─▶ Writer ─▶ MemoryDisk      crash: what was not synced is gone
//!                      │            └───▶ Witnessed ─▶ StateMachine ─▶ Shelf ─▶ MemoryFolder
//!               nemesis: crashes, cuts, moves leaders, loses a disk
//! ```
//!
//! What is looked at while it runs: each index holds one entry and one state on all nodes, what a client was told of is what is
//! there, no budget is exceeded, a current read misses nothing, no node stops by itself. And at the end, once all is mended:
//! all nodes hold the same bytes, and the ledger has what clients did, each batch once.

mod ask;
mod books;
pub mod campaign;
mod editor;
mod folder;
mod health;
mod machine;
mod nemesis;
mod operator;
mod spender;
pub mod types;
mod wire;
mod witness;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use tollgate_ratelimit::fault::{self, Fault};

use self::world::World;
use crate::properties::Violated;

/// Things go wrong for so long.
const LENGTH_MS: u64 = 10_000;

/// A guard that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The log says that entries are durable before they are.
    AcknowledgeBeforeDurable,
    /// A snapshot counts before it is on the disk.
    SnapshotUnsynced,
    /// The ledger applies a batch that it has applied before.
    NoDeduplication,
    /// A node whose disk was lost comes back with its old id.
    IdUsedAgain,
}

/// All of them.
pub const ALL: [Planted; 4] = [
    Planted::AcknowledgeBeforeDurable,
    Planted::SnapshotUnsynced,
    Planted::NoDeduplication,
    Planted::IdUsedAgain,
];

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// What did not hold.
    pub violated: Option<Violated>,
    /// What happened.
    pub figures: Figures,
    /// A checksum of all entries: the same seed makes the same ones.
    pub entries: u32,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that a lease covered.
    pub requests: u64,
    /// Proposals that were answered.
    pub told: u64,
    /// Proposals of which nobody knew what became of them, and which were asked again.
    pub unknown: u64,
    /// Resources edited.
    pub edits: u64,
    /// Reads that must be current.
    pub reads: u64,
    /// Machines that started.
    pub starts: u64,
    /// Machines that crashed.
    pub crashes: u64,
    /// Wires that were cut.
    pub cuts: u64,
    /// Snapshots that came from another node.
    pub installed: u64,
    /// Nodes that took another's place.
    pub replaced: u64,
}

/// Runs a seed to its end, or to the first promise that does not hold. A panic is a violation as well.
pub fn run(seed: u64, planted: Option<Planted>) -> Report {
    fault::plant((planted == Some(Planted::NoDeduplication)).then_some(Fault::SequenceUnchecked));
    let world = World::new(seed, planted);
    let mut runtime = SimRuntime::with_seed(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(drive(&world))));
    fault::plant(None);
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.fail(Violated::new("no panic", text.unwrap_or_default()));
    }
    world.with(|world| {
        let figures = Figures { told: world.witness.told, ..world.figures };
        Report { violated: world.violated.take(), figures, entries: world.witness.sum() }
    })
}

async fn drive(world: &World) {
    let voters = world.dice(|dice| dice.pick(&[3, 3, 3, 5]));
    if operator::found(world, voters).await.is_none() {
        return world.fail(Violated::new("a cluster can be founded", "something was refused".to_owned()));
    }
    let spenders = (1..=4).map(|number| SimRuntime::spawn(spender::live(world.clone(), number)));
    let editors = ["one", "one", "two"].map(|name| SimRuntime::spawn(editor::live(world.clone(), name)));
    let clients: Vec<_> = spenders.chain(editors).collect();
    let replacing = nemesis::run(world, LENGTH_MS).await;
    health::heal(world).await;
    if let Some(Err(error)) = futures_util::future::OptionFuture::from(replacing).await {
        world.fail(Violated::new("no operator panics", error.to_string()));
    }
    for client in clients {
        if let Err(error) = client.await {
            world.fail(Violated::new("no client panics", error.to_string()));
        }
    }
    if !world.has_failed() {
        world.expect(health::converge(world).await);
    }
}

impl Figures {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        let Self { requests, told, unknown, edits, reads, starts, crashes, cuts, installed, replaced } =
            other;
        self.requests += requests;
        self.told += told;
        self.unknown += unknown;
        self.edits += edits;
        self.reads += reads;
        self.starts += starts;
        self.crashes += crashes;
        self.cuts += cuts;
        self.installed += installed;
        self.replaced += replaced;
    }
}
