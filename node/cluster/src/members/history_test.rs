//! Over time: what it takes to be ready, lost, or to be believed that one drains.

use super::super::{Phase, Revision};
use super::*;
use crate::gossip::view::{About, News, Peer};

const NODE: NodeId = 2;

/// What is seen of a node at one moment: its answer's age, its lag, and its duty as gossip has it.
type Seen = (Option<u64>, u64, Option<Duty>);

fn peer(about: About, duty: Duty) -> Peer {
    Peer {
        about,
        news: News { duty, ..News::default() },
        applied: 0,
        generation: 1,
        gossip: ([127, 0, 0, 1], 1).into(),
    }
}

struct Cluster {
    history: History,
    membership: Membership,
    leaving: BTreeSet<NodeId>,
    about: About,
}

impl Cluster {
    fn new() -> Self {
        let membership = Membership {
            at: Revision::default(),
            phase: Phase::Committed,
            voters: vec![[1, NODE].into()],
            nodes: [(1, Place::default()), (NODE, Place::default())].into(),
        };
        let history = History::new(Patience::default());
        Self { history, membership, leaving: BTreeSet::new(), about: About::default() }
    }

    fn observe(&mut self, at_s: u64, (answered, lag, duty): Seen) -> BTreeMap<NodeId, Standing> {
        let follower = Follower { matched: 1_000 - lag, answered: answered.map(Duration::from_secs) };
        let replication = Replication { leader: 1, last: 1_000, followers: [(NODE, follower)].into() };
        let view = duty.map(|duty| (NODE, peer(self.about.clone(), duty))).into_iter().collect();
        let Self { history, membership, leaving, about: _ } = self;
        let sight = Sight { view: &view, membership, replication: &replication, leaving };
        history.observe(sight, Duration::from_secs(at_s))
    }
}

#[test]
#[rustfmt::skip]
fn health_takes_time() {
    use Duty::Serving;
    use Health::{Behind, Lost, Ready, Silent};
    let steps: [(u64, Seen, Health); 22] = [
        //  at  answered    lag  by gossip        health    why
        (    0, (None,       0,  None),           Silent),  // nothing is known yet
        (    1, (Some(0),  900,  Some(Serving)),  Behind),  // it has just come
        (    2, (Some(0),   99,  Some(Serving)),  Behind),  // close, but not for long
        (    4, (Some(0),  100,  Some(Serving)),  Behind),  // once too far: it begins again
        (    5, (Some(0),   99,  Some(Serving)),  Behind),
        (    7, (Some(2),    0,  Some(Serving)),  Behind),  // an answer may be this old
        (    8, (Some(0),    0,  Some(Serving)),  Ready),   // close for three seconds
        (    9, (Some(0),    0,  None),           Behind),  // nobody else sees it
        (   10, (Some(0),    0,  Some(Serving)),  Behind),
        (   13, (Some(0),    0,  Some(Serving)),  Ready),
        (   14, (Some(3),    0,  Some(Serving)),  Silent),  // this old is too old
        (  700, (Some(690),  0,  Some(Serving)),  Silent),  // gossip still sees it: the way to it is broken, not the node
        (  701, (Some(691),  0,  None),           Silent),  // from here on nobody does
        ( 1300, (Some(1290), 0,  None),           Silent),
        ( 1301, (Some(1291), 0,  None),           Lost),    // ten minutes
        ( 1302, (Some(1292), 0,  Some(Serving)),  Silent),  // seen again
        ( 1303, (Some(1293), 0,  None),           Silent),  // and it begins again
        ( 1902, (Some(1892), 0,  None),           Silent),
        ( 1903, (Some(1893), 0,  None),           Lost),
        ( 1904, (Some(0),    0,  None),           Behind),  // back
        ( 1905, (None,       0,  None),           Silent),  // another leader's metrics
        ( 1000, (None,       0,  None),           Silent),  // a clock that runs back proves nothing
    ];
    let mut cluster = Cluster::new();
    for (step, (at_s, seen, health)) in steps.into_iter().enumerate() {
        let standings = cluster.observe(at_s, seen);
        assert_eq!(standings[&NODE].health, health, "step {step}");
        assert_eq!(standings[&1].health, Ready, "the leader follows itself");
    }
}

#[test]
#[rustfmt::skip]
fn a_drain_counts_when_it_is_no_restart() {
    use Duty::{Draining, Serving};
    let steps: [(u64, Option<Duty>, Course); 8] = [
        // at  by gossip         course            why
        (   0, Some(Serving),    Course::Stays),
        (  10, Some(Draining),   Course::Stays),   // perhaps a restart
        (  20, None,             Course::Stays),   // it was one
        (  30, Some(Serving),    Course::Stays),
        (  40, Some(Draining),   Course::Stays),
        (  69, Some(Draining),   Course::Stays),
        (  70, Some(Draining),   Course::Drains),  // half a minute
        (  71, Some(Serving),    Course::Stays),   // it thought better of it
    ];
    let mut cluster = Cluster::new();
    for (step, (at_s, duty, course)) in steps.into_iter().enumerate() {
        assert_eq!(cluster.observe(at_s, (Some(0), 0, duty))[&NODE].course, course, "step {step}");
    }
    cluster.about.stays_learner = true;
    assert_eq!(cluster.observe(71, (Some(0), 0, Some(Serving)))[&NODE].course, Course::Serves, "started anew as a learner");
    cluster.leaving.insert(NODE);
    assert_eq!(cluster.observe(72, (Some(0), 0, Some(Serving)))[&NODE].course, Course::Leaves, "it was told to");
}

#[test]
fn who_is_no_member_is_forgotten() {
    let mut cluster = Cluster::new();
    cluster.observe(0, (Some(0), 0, Some(Duty::Serving)));
    let place = cluster.membership.nodes.remove(&NODE).unwrap();
    assert_eq!(cluster.observe(1, (Some(0), 0, Some(Duty::Serving))).keys().collect::<Vec<_>>(), [&1]);
    cluster.membership.nodes.insert(NODE, place);
    let standings = cluster.observe(9, (Some(0), 0, Some(Duty::Serving)));
    assert_eq!(standings[&NODE].health, Health::Behind, "it begins again");
}
