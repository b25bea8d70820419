//! Cases that teach the rules, and every state that five nodes can be in: no step is unsafe, and the steps end where they should.

use super::super::{Place, Revision};
use super::*;
use Course::{Drains, Leaves, Serves, Stays};
use Health::{Behind, Lost, Ready, Silent};

/// A cluster as the controller sees it, that does what it says.
#[derive(Clone, Debug)]
struct World {
    leader: NodeId,
    membership: Membership,
    standings: BTreeMap<NodeId, Standing>,
    wanted: usize,
    preferred: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Voter,
    Learner,
}
use Role::{Learner, Voter};

type Node = (NodeId, Role, Health, Course, &'static str);

/// Node 1 leads. A place is `region` or `region/zone`.
fn world(nodes: &[Node], wanted: usize) -> World {
    let place = |text: &str| {
        let (region, zone) = text.split_once('/').unwrap_or((text, ""));
        Place { region: region.into(), zone: zone.into() }
    };
    let voters = nodes.iter().filter(|node| node.1 == Voter).map(|node| node.0).collect();
    World {
        leader: 1,
        membership: Membership {
            at: Revision { term: 1, index: 1 },
            phase: Phase::Committed,
            voters: vec![voters],
            nodes: nodes.iter().map(|node| (node.0, place(node.4))).collect(),
        },
        standings: nodes
            .iter()
            .map(|node| (node.0, Standing { place: place(node.4), health: node.2, course: node.3 }))
            .collect(),
        wanted,
        preferred: Vec::new(),
    }
}

impl World {
    fn scene(&self) -> Scene<'_> {
        let Self { leader, membership, standings, wanted, preferred } = self;
        Scene { leader: *leader, membership, standings, wanted: *wanted, preferred }
    }

    fn voters(&self) -> &BTreeSet<NodeId> {
        self.membership.voters.last().expect("there are voters")
    }

    /// Does one step, and says why it should not have been proposed.
    fn step(&mut self, change: Change) -> Result<(), String> {
        let scene = self.scene();
        let sound = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        sound(change.on == self.membership.at, "for another membership")?;
        sound(self.membership.voters.iter().all(|voters| scene.can_act(voters)), "no majority answers")?;
        match change.step {
            Step::Vote(next) => {
                sound(scene.can_act(&next), "no majority of the new voters answers")?;
                sound(next.contains(&self.leader), "the leader votes itself out")?;
                let new = |node: &&NodeId| !self.membership.voters.iter().any(|voters| voters.contains(node));
                let fit = |node: &NodeId| scene.health(*node) == Ready && scene.course(*node) == Stays;
                sound(next.iter().filter(new).all(fit), "who is not ready becomes a voter")?;
                let answers =
                    |node: &&NodeId| scene.health(**node).answers() && scene.course(**node) == Stays;
                let before = self.voters().iter().filter(answers).count().min(scene.wanted());
                sound(next.iter().filter(answers).count() >= before, "good voters are lost")?;
                let grows = next.len() > self.voters().len() && scene.course(self.leader) == Stays;
                sound(!grows || next.len() % 2 == 1, "it grows to an even number")?;
                self.membership.voters = vec![next];
            }
            Step::Lead(node) => {
                sound(self.voters().contains(&node), "who does not vote cannot lead")?;
                sound(scene.health(node) == Ready, "who is behind cannot lead at once")?;
                sound(scene.course(self.leader) != Stays, "the leader need not go")?;
                sound(node != self.leader, "it leads already")?;
                self.leader = node;
            }
            Step::Remove(node) => {
                sound(!self.membership.voters.iter().any(|voters| voters.contains(&node)), "it votes")?;
                sound(scene.course(node) == Leaves, "nobody asked for it")?;
                self.membership.nodes.remove(&node);
                self.standings.remove(&node);
            }
        }
        self.membership.at.index += 1;
        Ok(())
    }

    /// Steps until none is due.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..12 {
            let Some(change) = plan(self.scene()) else { return self.has_arrived() };
            let said = change.step.to_string();
            self.step(change).map_err(|why| format!("{said}: {why}"))?;
        }
        Err("it never ends".to_owned())
    }

    fn count(&self, fits: impl Fn(&NodeId) -> bool) -> usize {
        self.membership.nodes.keys().filter(|node| fits(node)).count()
    }

    /// What must hold where nothing is left to do.
    fn has_arrived(&self) -> Result<(), String> {
        let scene = self.scene();
        let voters = self.voters();
        if !self.membership.voters.iter().all(|voters| scene.can_act(voters)) {
            return Ok(()); // Nothing could be done.
        }
        let sound = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        let ready = |node: &NodeId| scene.health(*node) == Ready && scene.course(*node) == Stays;
        let spare = |node: &NodeId| ready(node) && !voters.contains(node);
        let going = |node: &NodeId| scene.course(*node) != Stays;
        if self.count(ready) >= scene.wanted() {
            sound(voters.len() == scene.wanted(), "not as many voters as are wanted")?;
            sound(
                !voters.iter().any(|node| scene.health(*node) == Lost),
                "a lost voter though one could be had",
            )?;
            sound(!voters.iter().any(going), "a voter that goes though one could be had")?;
            let left_out = |node: &&NodeId| spare(node);
            sound(!self.preferred.iter().any(|node| left_out(&node)), "who is preferred does not vote")?;
        }
        let leader_goes = scene.course(self.leader) != Stays;
        sound(!leader_goes || !voters.iter().any(ready), "a leader that goes though another could lead")?;
        let staying = |node: &&NodeId| **node == self.leader || scene.course(**node) == Stays;
        let others = voters.iter().filter(staying).copied().collect();
        sound(*voters == others || !scene.can_act(&others), "a voter that goes though it is not needed")?;
        let settled = !voters.iter().any(going);
        if settled {
            sound(voters.len() <= scene.wanted(), "more voters than are wanted")?;
            sound(voters.len() % 2 == 1 || self.count(spare) == 0, "an even number though it could be odd")?;
            sound(self.crowding_is_least(), "voters could be spread better")?;
        }
        let leaves = |node: &NodeId| scene.course(*node) == Leaves && !voters.contains(node);
        sound(self.count(leaves) == 0, "who left is still a member")
    }

    /// Against every set that could be had by exchanging voters for spares.
    fn crowding_is_least(&self) -> bool {
        let scene = self.scene();
        let eligible: Vec<NodeId> = self
            .membership
            .nodes
            .keys()
            .copied()
            .filter(|node| {
                self.voters().contains(node) || scene.health(*node) == Ready && scene.course(*node) == Stays
            })
            .collect();
        let now = Crowding::of(self.voters(), &self.standings);
        (0_u32..1 << eligible.len())
            .map(|mask| {
                let chosen = eligible.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
                chosen.map(|(_, node)| *node).collect::<BTreeSet<_>>()
            })
            .filter(|set| set.len() == self.voters().len() && set.contains(&self.leader))
            .all(|set| now <= Crowding::of(&set, &self.standings))
    }
}

fn vote(nodes: &[NodeId]) -> Step {
    Step::Vote(nodes.iter().copied().collect())
}

#[test]
#[rustfmt::skip]
fn the_next_step() {
    use Step::{Lead, Remove};
    const L: Node = (1, Voter, Ready, Stays, "eu");
    let cases: [(&[Node], usize, Option<Step>, &str); 31] = [
        (&[L], 3, None, "alone, it votes alone"),
        (&[L, (2, Learner, Ready, Stays, "eu")], 3, None, "a second voter would only be one more that must not fail"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "eu")], 3, Some(vote(&[1, 2, 3])), "two at once: the number stays odd"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Behind, Stays, "eu")], 3, None, "who is behind waits"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "eu")], 1, None, "one is wanted"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "eu")], 0, None, "at least one is"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "eu"), (4, Learner, Ready, Stays, "eu"), (5, Learner, Ready, Stays, "eu")], 4, Some(vote(&[1, 2, 3])), "four are taken for three"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "eu"), (4, Learner, Ready, Stays, "eu"), (5, Learner, Ready, Stays, "eu")], 5, Some(vote(&[1, 2, 3, 4, 5])), "five at once"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "us"), (4, Learner, Ready, Stays, "ap")], 3, Some(vote(&[1, 3, 4])), "one a region"),
        (&[L, (2, Learner, Ready, Stays, "eu"), (3, Learner, Ready, Stays, "us"), (4, Learner, Ready, Stays, "us")], 3, Some(vote(&[1, 2, 3])), "two regions: one of them has two, and the oldest node serves"),
        (&[(1, Voter, Ready, Stays, "eu/a"), (2, Learner, Ready, Stays, "eu/a"), (3, Learner, Ready, Stays, "eu/b"), (4, Learner, Ready, Stays, "eu/c")], 3, Some(vote(&[1, 3, 4])), "one a zone"),
        (&[(1, Voter, Ready, Stays, "eu/a"), (2, Voter, Ready, Stays, "eu/a"), (3, Voter, Ready, Stays, "eu/b"), (4, Learner, Ready, Stays, "eu/c")], 3, Some(vote(&[1, 3, 4])), "an exchange for the sake of a zone"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Ready, Stays, "us"), (4, Learner, Ready, Stays, "ap")], 3, Some(vote(&[1, 3, 4])), "and of a region; never the leader"),
        (&[L, (2, Voter, Ready, Stays, "us"), (3, Voter, Ready, Stays, "ap"), (4, Learner, Ready, Stays, "sa")], 3, None, "nothing to be won"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Lost, Stays, "eu"), (4, Learner, Ready, Stays, "eu")], 3, Some(vote(&[1, 2, 4])), "a lost voter is replaced"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Silent, Stays, "eu"), (4, Learner, Ready, Stays, "eu")], 3, None, "a silent one may come back"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Lost, Stays, "eu"), (4, Learner, Behind, Stays, "eu")], 3, None, "nobody can take its place"),
        (&[L, (2, Voter, Silent, Stays, "eu"), (3, Voter, Lost, Stays, "eu"), (4, Learner, Ready, Stays, "eu")], 3, None, "no majority answers: hands off"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Lost, Leaves, "eu")], 3, Some(vote(&[1, 2])), "a forgotten voter votes no more"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Learner, Lost, Leaves, "eu")], 3, Some(Remove(3)), "and then is no member"),
        (&[L, (2, Learner, Lost, Stays, "eu")], 3, None, "nobody else is removed"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Ready, Drains, "eu")], 3, Some(vote(&[1, 2])), "who drains does not vote"),
        (&[L, (2, Learner, Ready, Serves, "us"), (3, Learner, Ready, Serves, "ap"), (4, Learner, Ready, Stays, "eu")], 3, None, "who is only to serve never votes, wherever it stands"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Ready, Serves, "eu"), (4, Learner, Ready, Stays, "eu")], 3, Some(vote(&[1, 2, 4])), "nor one that was started so anew"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Learner, Ready, Drains, "eu")], 3, None, "but stays a member"),
        (&[L, (2, Voter, Silent, Stays, "eu"), (3, Voter, Ready, Leaves, "eu")], 3, None, "without it no majority would answer"),
        (&[L, (2, Voter, Silent, Stays, "eu"), (3, Voter, Ready, Leaves, "eu"), (4, Learner, Ready, Stays, "eu")], 3, Some(vote(&[1, 2, 4])), "with another in its place one does"),
        (&[(1, Voter, Ready, Leaves, "eu"), (2, Voter, Ready, Stays, "eu"), (3, Voter, Ready, Stays, "eu")], 3, Some(Lead(2)), "a leader that goes hands over first"),
        (&[(1, Voter, Ready, Leaves, "eu"), (2, Learner, Ready, Stays, "eu")], 3, Some(vote(&[1, 2])), "to somebody that votes"),
        (&[(1, Voter, Ready, Leaves, "eu"), (2, Learner, Behind, Stays, "eu")], 3, None, "and is ready"),
        (&[L, (2, Voter, Ready, Stays, "eu"), (3, Voter, Ready, Stays, "us"), (4, Voter, Silent, Stays, "ap"), (5, Voter, Ready, Stays, "us")], 3, Some(vote(&[1, 2, 3])), "fewer are wanted: the silent one first, then where most stand"),
    ];
    for (number, (nodes, wanted, expected, why)) in cases.into_iter().enumerate() {
        let step = plan(world(nodes, wanted).scene()).map(|change| change.step);
        assert_eq!(step, expected, "case {number}: {why}");
    }
}

/// The nodes, who is preferred, the step, and why.
type Preference<'a> = (Vec<Node>, &'a [NodeId], Option<Step>, &'a str);

#[test]
#[rustfmt::skip]
fn who_is_preferred_votes_before_others() {
    const L: Node = (1, Voter, Ready, Stays, "eu");
    let three = [L, (2, Voter, Ready, Stays, "us"), (3, Voter, Ready, Stays, "ap")];
    let with = |more: &[Node]| [&three, more].concat();
    let (four, five) = ((4, Learner, Ready, Stays, "eu"), (5, Learner, Ready, Stays, "eu"));
    let cases: [Preference<'_>; 7] = [
        (with(&[four]),                                &[4],    Some(vote(&[1, 2, 4])), "instead of the youngest of the others, wherever it stands"),
        (with(&[four]),                                &[4, 3], Some(vote(&[1, 3, 4])), "not of one that is preferred, too"),
        (with(&[four, five]),                          &[5, 4], Some(vote(&[1, 4, 5])), "as many as there is room for; never instead of the leader"),
        (with(&[(4, Learner, Behind, Stays, "eu")]),   &[4],    None,                   "once it has caught up"),
        (with(&[(4, Learner, Ready, Drains, "eu")]),   &[4],    None,                   "not while it leaves"),
        (with(&[]),                                    &[2, 9], None,                   "it votes already; of a node that is gone nothing is expected"),
        (vec![L, (2, Learner, Ready, Stays, "eu")],    &[2],    None,                   "an even number is no better"),
    ];
    for (nodes, preferred, expected, why) in cases {
        let world = World { preferred: preferred.to_vec(), ..world(&nodes, 3) };
        assert_eq!(plan(world.scene()).map(|change| change.step), expected, "{why}");
    }
}

#[test]
fn an_unfinished_change_is_waited_for_and_completed() {
    let nodes = [1, 2, 3, 4].map(|id| (id, Voter, Ready, Stays, "eu"));
    let mut world = world(&nodes, 3);
    world.membership.voters = vec![[1, 2, 3].into(), [1, 2, 4].into()];
    world.membership.phase = Phase::Proposed;
    assert_eq!(plan(world.scene()), None, "it is not committed");
    world.membership.phase = Phase::Committed;
    assert_eq!(plan(world.scene()).map(|change| change.step), Some(vote(&[1, 2, 4])));
    world.leader = 3;
    assert_eq!(plan(world.scene()).map(|change| change.step), Some(Step::Lead(1)), "by who stays");
    world.leader = 1;
    for (silent, why) in [([2, 3], "of the old voters"), ([2, 4], "of the new ones")] {
        let mut world = world.clone();
        for node in silent {
            world.standings.get_mut(&node).unwrap().health = Silent;
        }
        assert_eq!(plan(world.scene()), None, "no majority {why} answers");
    }
}

/// Every state that a node can be in; one that is absent is none.
const STATES: [Option<(Role, Health, Course)>; 16] = [
    None,
    Some((Voter, Ready, Stays)),
    Some((Voter, Ready, Drains)),
    Some((Voter, Ready, Leaves)),
    Some((Voter, Behind, Stays)),
    Some((Voter, Behind, Leaves)),
    Some((Voter, Silent, Stays)),
    Some((Voter, Silent, Leaves)),
    Some((Voter, Lost, Stays)),
    Some((Voter, Lost, Leaves)),
    Some((Learner, Ready, Stays)),
    Some((Learner, Ready, Drains)),
    Some((Learner, Ready, Leaves)),
    Some((Learner, Behind, Stays)),
    Some((Learner, Silent, Stays)),
    Some((Learner, Lost, Leaves)),
];

/// All choices of `picks` numbers below `of`, in order and with repeats.
fn choices(of: usize, picks: u32) -> impl Iterator<Item = Vec<usize>> {
    let below = move |number: usize| (0..picks).map(move |digit| number / of.pow(digit) % of).collect();
    (0..of.pow(picks)).map(below)
}

fn check(states: &[usize], leader: Course, places: [&'static str; 5]) {
    let others = (2..).zip(states).zip(&places[1..]).filter_map(|((id, state), place)| {
        STATES[*state].map(|(role, health, course)| (id, role, health, course, *place))
    });
    let nodes: Vec<Node> = others.collect();
    // The leader is the oldest or the youngest node.
    for (wanted, leader_id) in [(3, 1), (3, 9), (5, 1), (5, 9)] {
        let mut nodes = nodes.clone();
        nodes.push((leader_id, Voter, Ready, leader, places[0]));
        // Who prefers has chosen the places, too.
        let preferences: &[&[NodeId]] = if places == ["eu"; 5] { &[&[], &[3], &[5, 2]] } else { &[&[]] };
        for preferred in preferences {
            let preferred = preferred.to_vec();
            let mut world = World { leader: leader_id, preferred, ..world(&nodes, wanted) };
            if let Err(why) = world.settle() {
                panic!("{why}\n{wanted} wanted of {nodes:?}\nended with {:?}", world.membership);
            }
        }
    }
}

/// Nodes in one place are alike, but for their ids, which decide only between equals: two orders of each choice are enough.
#[test]
fn from_every_state_of_five_nodes_the_steps_are_safe_and_arrive() {
    let sorted = choices(STATES.len(), 4).filter(|states| states.is_sorted());
    for mut states in sorted {
        for leader in [Stays, Drains, Leaves] {
            check(&states, leader, ["eu"; 5]);
            states.reverse();
            check(&states, leader, ["eu"; 5]);
        }
    }
}

/// The states that matter for places, in every order, with every way to spread five nodes over three regions or zones.
#[test]
fn wherever_five_nodes_stand_a_majority_survives_what_it_can() {
    let states = [1, 6, 8, 10];
    for places in choices(3, 4) {
        for places_are in [["eu", "us", "ap"], ["eu/a", "eu/b", "us/a"]] {
            let place = |number: usize| places_are[places[number]];
            let places = [places_are[0], place(0), place(1), place(2), place(3)];
            for picked in choices(states.len(), 4) {
                check(&picked.iter().map(|pick| states[*pick]).collect::<Vec<_>>(), Stays, places);
            }
        }
    }
}
