//! From what is held of the nodes to the next step. The aim is a set of voters; a step goes there if it is safe now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::placement::{Crowding, Neighbours};
use super::{Change, Course, Health, Membership, NodeId, Phase, Standing, Step};

/// What the leader decides on.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who decides.
    pub leader: NodeId,
    /// What holds.
    pub membership: &'a Membership,
    /// What is held of each member.
    pub standings: &'a BTreeMap<NodeId, Standing>,
    /// How many should vote: 3 or 5. An even number is taken for the odd one below it.
    pub wanted: usize,
    /// Who should vote before others can, as an operator said.
    pub preferred: &'a [NodeId],
}

/// The next step, if one is due and safe.
pub fn plan(scene: Scene<'_>) -> Option<Change> {
    let membership = scene.membership;
    match membership.phase {
        Phase::Proposed => return None,
        Phase::Committed => {}
    }
    if !membership.voters.iter().all(|voters| scene.can_act(voters)) {
        return None;
    }
    let step = match membership.voters.as_slice() {
        [] => None,
        [voters] => scene.toward(scene.aim(voters), voters).or_else(|| scene.removal()),
        // A leader fell between the two halves of a change: the next one completes it.
        [.., next] => scene.completion(next),
    };
    step.map(|step| Change { on: membership.at, step })
}

impl Scene<'_> {
    /// Whether a majority of these answers now.
    fn can_act(&self, voters: &BTreeSet<NodeId>) -> bool {
        let answering = voters.iter().filter(|node| self.health(**node).answers()).count();
        answering > voters.len() / 2
    }

    fn completion(&self, next: &BTreeSet<NodeId>) -> Option<Step> {
        if next.contains(&self.leader) {
            return Some(Step::Vote(next.clone()));
        }
        self.ready(next).map(Step::Lead)
    }

    fn toward(&self, mut aim: BTreeSet<NodeId>, voters: &BTreeSet<NodeId>) -> Option<Step> {
        if !aim.contains(&self.leader) {
            let successors = aim.intersection(voters).copied().collect();
            if let Some(successor) = self.ready(&successors) {
                return Some(Step::Lead(successor));
            }
            // Nobody can follow it yet: it goes on leading until those vote who can.
            aim.insert(self.leader);
        }
        (aim != *voters && self.can_act(&aim)).then_some(Step::Vote(aim))
    }

    fn ready(&self, nodes: &BTreeSet<NodeId>) -> Option<NodeId> {
        nodes.iter().copied().find(|node| self.health(*node) == Health::Ready)
    }

    /// Who should vote, given who votes now and who could.
    fn aim(&self, voters: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let stays = |node: &&NodeId| self.course(**node) == Course::Stays;
        let mut aim: BTreeSet<NodeId> = voters.iter().filter(stays).copied().collect();
        let mut spare: BTreeSet<NodeId> = self.membership.nodes.keys().filter(stays).copied().collect();
        spare.retain(|node| !voters.contains(node) && self.health(*node) == Health::Ready);

        let lost: Vec<NodeId> =
            aim.iter().filter(|node| self.health(**node) == Health::Lost).copied().collect();
        for node in lost.into_iter().take(spare.len()) {
            aim.remove(&node);
            self.add_best(&mut aim, &mut spare);
        }
        for _ in 0..self.room(aim.len(), spare.len()) {
            self.add_best(&mut aim, &mut spare);
        }
        while let Some(worst) = self.worst(&aim).filter(|_| aim.len() > self.wanted()) {
            aim.remove(&worst);
        }
        self.prefer(&mut aim, &mut spare);
        self.spread(&mut aim, &mut spare);
        aim
    }

    /// Exchanges voters for those that an operator prefers.
    fn prefer(&self, aim: &mut BTreeSet<NodeId>, spare: &mut BTreeSet<NodeId>) {
        for by in self.preferred {
            let others = aim.iter().copied().filter(|node| !self.is_preferred(*node)).collect();
            if !spare.contains(by) {
                continue;
            }
            let Some(out) = self.worst(&others) else { return };
            spare.remove(by);
            aim.remove(&out);
            aim.insert(*by);
        }
    }

    fn is_preferred(&self, node: NodeId) -> bool {
        self.preferred.contains(&node)
    }

    fn wanted(&self) -> usize {
        self.wanted.saturating_sub(1) / 2 * 2 + 1
    }

    /// How many to add: as many as there are, up to the wanted number, to an odd one.
    fn room(&self, voters: usize, spare: usize) -> usize {
        let most = (voters + spare).min(self.wanted());
        let odd = most.saturating_sub(usize::from(most.is_multiple_of(2)));
        odd.saturating_sub(voters)
    }

    /// One that is preferred, else the spare that is loneliest among the voters; the oldest of these.
    fn add_best(&self, aim: &mut BTreeSet<NodeId>, spare: &mut BTreeSet<NodeId>) {
        let rank =
            |node: &NodeId| (!self.is_preferred(*node), Neighbours::of(*node, aim, self.standings), *node);
        let best = spare.iter().copied().min_by_key(rank);
        if let Some(best) = best {
            spare.remove(&best);
            aim.insert(best);
        }
    }

    /// The worst is the least healthy, of these one that is not preferred, of these the one with most neighbours, of these the
    /// youngest. Never the leader.
    fn worst(&self, aim: &BTreeSet<NodeId>) -> Option<NodeId> {
        let others = aim.iter().copied().filter(|node| *node != self.leader);
        others.max_by_key(|node| {
            let neighbours = Neighbours::of(*node, aim, self.standings);
            (self.health(*node), !self.is_preferred(*node), neighbours, *node)
        })
    }

    /// Exchanges voters for spares as long as that lets more of a place fail. Each exchange lessens the crowding, so it ends.
    fn spread(&self, aim: &mut BTreeSet<NodeId>, spare: &mut BTreeSet<NodeId>) {
        loop {
            let now = Crowding::of(aim, self.standings);
            let mut best = None;
            for out in aim.iter().copied().filter(|node| *node != self.leader && !self.is_preferred(*node)) {
                for by in spare.iter().copied() {
                    let mut then = aim.clone();
                    then.remove(&out);
                    then.insert(by);
                    let rank =
                        (Crowding::of(&then, self.standings), Reverse(self.health(out)), by, Reverse(out));
                    if rank.0 < now && best.is_none_or(|best| rank < best) {
                        best = Some(rank);
                    }
                }
            }
            let Some((_, _, by, Reverse(out))) = best else { return };
            aim.remove(&out);
            aim.insert(by);
            spare.remove(&by);
        }
    }

    /// Who was told to leave, and votes no more.
    fn removal(&self) -> Option<Step> {
        let votes = |node: &NodeId| self.membership.voters.iter().any(|voters| voters.contains(node));
        let mut leaving = self.membership.nodes.keys().filter(|node| self.course(**node) == Course::Leaves);
        leaving.find(|node| !votes(node)).map(|node| Step::Remove(*node))
    }

    /// Of whom nothing is known, nothing is expected.
    fn health(&self, node: NodeId) -> Health {
        self.standings.get(&node).map_or(Health::Silent, |standing| standing.health)
    }

    fn course(&self, node: NodeId) -> Course {
        self.standings.get(&node).map_or(Course::Stays, |standing| standing.course)
    }
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
