//! Clients' proposals on their way: to some node, on to the leader, and again for as long as no answer came. What is asked again
//! carries the same ids, so that it counts once.

use openraft::errors::{ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_ratelimit::time::Timestamp;

use super::types::SimTypes;
use super::world::{World, pause, within};

/// Who asks from outside of the cluster: their wires are never cut, but lose messages as others do.
const OUTSIDE: u64 = 0;
const PATIENCE_MS: u64 = 1_500;

/// What a client hears.
enum Heard {
    Done(ClientWriteResponse<SimTypes>),
    /// It is not the leader; perhaps it knows who is.
    Elsewhere(Option<u64>),
    /// Nothing: it may have been done, may be done later, or never.
    Nothing,
}

/// Proposes until an answer comes. The proposal is made anew each time, at the clock of the node that is asked. None once the
/// run has found something.
pub(super) async fn propose(
    world: &World,
    proposal: impl Fn(Timestamp) -> Proposal + Sync,
) -> Option<(u64, Applied)> {
    let mut leader = None;
    while !world.has_failed() {
        let Some(node) = leader.take().or_else(|| anybody(world)) else {
            pause(100).await;
            continue;
        };
        let asked = proposal(world.clock(node));
        match ask(world, node, asked.clone()).await {
            Heard::Done(response) => {
                world.expect(world.with(|world| world.witness.told(response.log_id, &asked)));
                return Some((response.log_id.index, response.data));
            }
            Heard::Elsewhere(known) => {
                leader = known;
                pause(world.dice(|dice| dice.between(1, 60))).await;
            }
            Heard::Nothing => {
                world.with(|world| world.figures.unknown += 1);
                pause(world.dice(|dice| dice.between(1, 200))).await;
            }
        }
    }
    None
}

fn anybody(world: &World) -> Option<u64> {
    let up = world.all_running();
    (!up.is_empty()).then(|| up[world.dice(|dice| dice.index(up.len()))].0)
}

async fn ask(world: &World, node: u64, proposal: Proposal) -> Heard {
    let heard = within(PATIENCE_MS, async {
        if !world.travel(OUTSIDE, node).await {
            return Heard::Nothing;
        }
        let Some(running) = world.running(node) else { return Heard::Elsewhere(None) };
        let answer = running.raft.client_write(proposal).await;
        if !world.is_running(node, running.run) || !world.travel(node, OUTSIDE).await {
            return Heard::Nothing;
        }
        match answer {
            Ok(response) => Heard::Done(response),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => Heard::Elsewhere(to.leader_id),
            Err(_) => Heard::Nothing,
        }
    });
    heard.await.unwrap_or(Heard::Nothing)
}
