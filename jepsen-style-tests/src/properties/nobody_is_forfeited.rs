//! Nothing is counted as spent for want of knowledge where every journal is whole and every node came back.

use super::Violated;
use crate::sim::world::World;

pub(super) fn check(world: &World) -> Result<(), Violated> {
    if !world.truth.lost.is_empty() {
        return Ok(());
    }
    let ledger = &world.cluster.ledger;
    let open: u64 = ledger.buckets().map(|bucket| bucket.forfeited).sum();
    let closed = world.truth.budgets.keys().flat_map(|id| ledger.closed(*id).1);
    let forfeited = open + closed.map(|closed| closed.forfeited).sum::<u64>();
    if forfeited == 0 {
        return Ok(());
    }
    Err(Violated::new("nobody is forfeited", format!("{forfeited} are, and no journal was lost")))
}
