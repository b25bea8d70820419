//! Two members that applied the same log are in the same state, to the byte, also if one began from a snapshot.

use super::Violated;
use crate::sim::world::World;

pub(super) fn check(world: &mut World) -> Result<(), Violated> {
    let (one, other) = world.cluster.states();
    if one == other {
        return Ok(());
    }
    let at = one.iter().zip(&other).position(|(one, other)| one != other);
    let what = format!("{} and {} bytes, the first that differs is {at:?}", one.len(), other.len());
    Err(Violated::new("members agree", what))
}
