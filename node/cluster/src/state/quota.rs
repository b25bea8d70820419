//! The quota core as a part of the store. Who may open a session is for the nodes to say, and the rest for the ledger.

use tollgate_ratelimit::ledger::command::{Command, NodeId};
use tollgate_ratelimit::ledger::outcome::{Nudge, Outcome, Rejected};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::{Ledger, ledger};

use super::nodes::Nodes;
use super::refused::Refused;

/// So many commands may be in one entry. Each has bounds of its own.
pub const MOST_COMMANDS: usize = 10_000;

/// Commands as they come out of the log.
#[derive(Clone, Copy)]
pub(super) struct Commands<'a> {
    pub(super) at: Timestamp,
    pub(super) commands: &'a [Command],
}

/// Applies commands in order. Nudges are for whoever holds sessions on this node.
pub(super) fn apply(
    ledger: &mut Ledger,
    nodes: &Nodes,
    asked: Commands<'_>,
) -> Result<(Vec<Outcome>, Vec<Nudge>), Refused> {
    if asked.commands.len() > MOST_COMMANDS {
        return Err(Refused::full("commands in one entry", MOST_COMMANDS));
    }
    let mut nudges = Vec::new();
    let outcomes = asked.commands.iter().map(|command| {
        if let Some(rejected) = not_for_the_ledger(command, nodes) {
            return Outcome::Rejected(rejected);
        }
        let applied = ledger.apply(command, asked.at);
        nudges.extend(applied.nudges);
        applied.outcome
    });
    Ok((outcomes.collect(), nudges))
}

/// Closes what a node that never comes back had open.
pub(super) fn forget(ledger: &mut Ledger, node: u64, at: Timestamp) -> Vec<Nudge> {
    // A node that never opened a session is unknown to the ledger: there is nothing to close.
    let ledger::outcome::Applied { outcome: _, nudges } =
        ledger.apply(&Command::ForgetNode { node: NodeId(node) }, at);
    nudges
}

/// What the ledger must not see: sessions of nodes that are none, and forgetting a node's sessions but not the node.
fn not_for_the_ledger(command: &Command, nodes: &Nodes) -> Option<Rejected> {
    match command {
        Command::OpenSession { node, .. } if nodes.node(node.0).is_none() => Some(Rejected::UnknownNode),
        Command::ForgetNode { .. } => Some(Rejected::Invalid {
            field: "command".to_owned(),
            expected: "the proposal that forgets a node as a whole".to_owned(),
        }),
        Command::OpenSession { .. }
        | Command::SetBudget(_)
        | Command::DeleteBudget { .. }
        | Command::ExtendCalendar { .. }
        | Command::Batches(_)
        | Command::CloseSession { .. }
        | Command::Adjust(_)
        | Command::Tick => None,
    }
}
