//! Nothing is counted as spent for want of knowledge where every journal is whole and every node came back: but what hangs on
//! an answer that cost more than was held, in a process that died before it noted so.

use super::Violated;
use super::books_close::told;
use crate::sim::world::World;

pub(super) fn check(world: &World) -> Result<(), Violated> {
    let truth = &world.truth;
    if !truth.lost.is_empty() {
        return Ok(());
    }
    for ((budget, start), told) in told(world) {
        let of_window =
            truth.spent.iter().filter(|((name, from), _)| name.budget == budget && *from == start);
        let unproven: u64 = of_window.map(|(_, spent)| spent.unproven).sum();
        if told.forfeited > 0 && unproven == 0 {
            let what = format!("{told:?} of {budget:?} from {}, and no journal was lost", start.0);
            return Err(Violated::new("nobody is forfeited", what));
        }
    }
    Ok(())
}
