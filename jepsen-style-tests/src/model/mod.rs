//! The quota's promises, tried in every state that can be reached: an exhaustive search over small worlds, in which nodes
//! spend, crash and speak through a network that loses, repeats and reorders, and the ledger is the real one.
//!
//! ```text
//!  node ── batch ──▶ network ── any time, any order, any number of times ──▶ Ledger::apply
//!    ◀── answer, or never ◀──────────────────────────────────────────────────────┘
//! ```
//!
//! What the network holds it may deliver at any time and again; what it never delivers is lost. A recall is not told apart
//! from a node that gives back by itself, which it may do at any time. A batch is never merged with those of others: one
//! entry of the log with many batches is the same as many entries with one stamp.

mod node;
mod promises;
pub mod scopes;
pub mod search;
mod world;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use stateright::{Model, Property};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::fault::Fault;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Amount;

use self::node::Node;
pub use self::node::{Ask, Say};
pub use self::promises::LIMITS_HOLD;
pub use self::scopes::{Copies, Journals, Scope};
pub use self::world::{World, Wrong};

/// The model: a scope, and a guard that is taken away.
pub struct Quota {
    /// What is explored.
    pub scope: Scope,
    /// What is planted.
    pub fault: Option<Fault>,
}

/// A state. It is another one exactly when its bytes differ.
#[derive(Clone)]
pub struct State {
    pub(crate) world: Arc<World>,
    bytes: Arc<[u8]>,
}

/// One thing that happens. Numbers are places in lists of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A node sends a batch.
    Send(usize, Say),
    /// The network delivers a batch, which the leader stamps.
    Deliver(usize, Stamp),
    /// A node hears an answer.
    Hear(usize, usize),
    /// A node reserves some of a lease for a request.
    Start(usize, usize),
    /// The request that reserved some of a lease ends, and did cost so much.
    Finish(usize, usize, Amount),
    /// The leader's clock goes on.
    Advance,
    /// The leader says so.
    Tick,
    /// A process ends without a word.
    Crash(usize),
    /// The next process of a node begins.
    Restart(usize),
    /// It settles what its predecessor left, one step.
    Settle(usize),
    /// It has no journal to do so.
    Forfeit(usize),
    /// An operator gives a node up.
    Forget(usize),
    /// An operator changes the limit.
    Limit(Amount),
}

/// By whose clock a command is stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The leader's.
    Now,
    /// A new leader's, whose clock is a moment behind.
    Behind,
}

impl State {
    fn new(world: World) -> Self {
        let bytes = postcard::to_allocvec(&world).expect("a world is plain data").into();
        Self { world: Arc::new(world), bytes }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl Model for Quota {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(World::new(self.scope.nodes, self.scope.limit, self.moment(0)))]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.wrong.is_some() {
            return;
        }
        for (index, node) in world.nodes.iter().enumerate() {
            // Nodes are alike: the second one begins after the first.
            let before = index.checked_sub(1).map(|before| &world.nodes[before]);
            if before.is_none_or(has_begun) {
                self.of_node(world, index, node, actions);
            }
        }
        for index in 0..world.network.len() {
            actions.push(Action::Deliver(index, Stamp::Now));
            if self.scope.late_stamps && world.clock > 0 {
                actions.push(Action::Deliver(index, Stamp::Behind));
            }
        }
        if world.clock + 1 < self.scope.moments_ms.len() {
            actions.push(Action::Advance);
        }
        if world.clock > 0 {
            actions.push(Action::Tick);
        }
        actions.extend(self.scope.limits.get(world.spare.limits).map(|limit| Action::Limit(*limit)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut world = World::clone(&last.world);
        let (now, fault) = (self.moment(world.clock), self.fault);
        match action {
            Action::Send(node, say) => {
                let run = world.nodes[node].run.as_mut()?;
                let batch = run.send(say, self.scope.ask, fault);
                world.network.push(batch);
            }
            Action::Deliver(index, Stamp::Now) => world.deliver(index, now, fault),
            Action::Deliver(index, Stamp::Behind) => {
                world.deliver(index, self.moment(world.clock - 1), fault);
            }
            Action::Hear(node, reply) => world.hear(node, reply, self.scope.copies),
            Action::Start(node, lease) => {
                world.nodes[node].run.as_mut()?.leases[lease].start(self.scope.hold);
            }
            Action::Finish(node, lease, cost) => world.finish(node, lease, cost),
            Action::Advance => world.clock += 1,
            Action::Tick => {
                world.apply(&Command::Tick, now, fault);
            }
            Action::Crash(node) => world.crash(node),
            Action::Restart(node) => world.restart(node, now, fault),
            Action::Settle(node) => world.settle(node, now, fault),
            Action::Forfeit(node) => world.forfeit(node, now, fault),
            Action::Forget(node) => world.forget(node, now, fault),
            Action::Limit(limit) => world.limit(limit, now, fault),
        }
        Some(State::new(world))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties()
    }
}

fn has_begun(node: &Node) -> bool {
    node.incarnation > 1 || node.journal.is_some() || node.run.as_ref().is_none_or(|run| run.sequence > 0)
}

impl Quota {
    fn moment(&self, clock: usize) -> Timestamp {
        Timestamp(self.scope.moments_ms[clock])
    }

    fn of_node(&self, world: &World, index: usize, node: &Node, actions: &mut Vec<Action>) {
        let scope = &self.scope;
        let Some(run) = &node.run else {
            actions.push(Action::Restart(index));
            return;
        };
        if run.sequence < scope.batches {
            let window =
                usize::try_from(scope.moments_ms[world.clock] / world::WINDOW_MS).unwrap_or(usize::MAX);
            let wanted = scope.says.iter().filter(|say| run.wants(**say, window));
            actions.extend(wanted.map(|say| Action::Send(index, *say)));
        }
        actions.extend((0..run.replies.len()).map(|reply| Action::Hear(index, reply)));
        for (place, lease) in run.leases.iter().enumerate() {
            if lease.reserved == 0 && lease.avail() > 0 {
                actions.push(Action::Start(index, place));
            }
            if lease.reserved > 0 {
                let costs = scope.costs.iter().filter(|cost| scope.overruns || **cost <= lease.reserved);
                actions.extend(costs.map(|cost| Action::Finish(index, place, *cost)));
            }
        }
        let begun = has_begun(node);
        if begun && node.journal.is_none() && world.spare.crashes < scope.crashes {
            actions.push(Action::Crash(index));
        }
        if node.journal.is_some() {
            match scope.journals {
                Journals::Kept => actions.push(Action::Settle(index)),
                Journals::Lost => actions.push(Action::Forfeit(index)),
                Journals::Either => actions.extend([Action::Settle(index), Action::Forfeit(index)]),
            }
        }
        if begun && world.spare.forgotten < scope.forgotten {
            actions.push(Action::Forget(index));
        }
    }
}
