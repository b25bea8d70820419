//! How well a set of nodes is spread over regions and zones.

use std::collections::{BTreeMap, BTreeSet};

use super::{NodeId, Place, Standing};

/// By how many voters too many stand in one place: a majority survives the loss of any one region where `regions` is 0, and that of any
/// one zone where `zones` is. Less is better, regions first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crowding {
    regions: usize,
    zones: usize,
}

/// How many of a set share a node's place. Less is better, regions first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbours {
    in_region: usize,
    in_zone: usize,
}

impl Crowding {
    pub(super) fn of(voters: &BTreeSet<NodeId>, standings: &BTreeMap<NodeId, Standing>) -> Self {
        let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
        let mut zones: BTreeMap<&Place, usize> = BTreeMap::new();
        for place in voters.iter().filter_map(|node| standings.get(node)).map(|standing| &standing.place) {
            *regions.entry(&place.region).or_default() += 1;
            *zones.entry(place).or_default() += 1;
        }
        let may_fail = voters.len().saturating_sub(1) / 2;
        let beyond = |most: Option<usize>| most.unwrap_or(0).saturating_sub(may_fail);
        Self { regions: beyond(regions.into_values().max()), zones: beyond(zones.into_values().max()) }
    }
}

impl Neighbours {
    pub(super) fn of(
        node: NodeId,
        voters: &BTreeSet<NodeId>,
        standings: &BTreeMap<NodeId, Standing>,
    ) -> Self {
        let mut neighbours = Self { in_region: 0, in_zone: 0 };
        let Some(place) = standings.get(&node).map(|standing| &standing.place) else { return neighbours };
        let others = voters.iter().filter(|other| **other != node).filter_map(|other| standings.get(other));
        for other in others.filter(|other| other.place.region == place.region) {
            neighbours.in_region += 1;
            neighbours.in_zone += usize::from(other.place.zone == place.zone);
        }
        neighbours
    }
}
