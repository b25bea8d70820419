//! What the store takes and what it refuses, entry by entry; that it is the same on every node, and after a snapshot.

use tollgate_ratelimit::ledger::command::{Command, NodeId};
use tollgate_ratelimit::ledger::outcome::{Outcome, Rejected};
use tollgate_ratelimit::time::Timestamp;

use super::cluster::{Authority, Change, FORMAT, Founding, MOST_SECRET_BYTES, Secrets, Setting};
use super::nodes::{Arrival, FIRST_NODE, Farewell, Registration};
use super::resources::{Edit, Expected, MOST_MANIFEST_BYTES, Manifest, ResourceKey};
use super::sealed::Sealed;
use super::snapshot::RestoreError;
use super::*;
use crate::raft::types::Member;

const CLUSTER: [u8; 16] = *b"the one and only";

fn member(name: &str) -> Member {
    Member { name: name.to_owned(), address: format!("{name}:7000"), ..Member::default() }
}

fn founding() -> Founding {
    Founding {
        cluster: CLUSTER,
        format: FORMAT,
        first: member("n1"),
        voters: 3,
        secrets: Secrets { gossip_keys: vec![Sealed(vec![1; 48])], ..Secrets::default() },
    }
}

fn found(change: impl FnOnce(&mut Founding)) -> Proposal {
    let mut founding = founding();
    change(&mut founding);
    Proposal::Found(Box::new(founding))
}

fn change(expects: u64, setting: Setting) -> Proposal {
    Proposal::Change(Box::new(Change { expects, setting }))
}

fn register(request: u8, name: &str) -> Proposal {
    Proposal::Register(Box::new(Registration { request: [request; 16], member: member(name) }))
}

fn arrive(node: u64, incarnation: u64, name: &str) -> Proposal {
    Proposal::Arrive(Box::new(Arrival { node, incarnation, member: member(name) }))
}

fn forget(node: u64) -> Proposal {
    Proposal::Forget(Farewell { node, at: Timestamp(50) })
}

fn key(name: &str) -> ResourceKey {
    let [group, kind, namespace] = ["tollgate.dev", "Budget", "default"].map(str::to_owned);
    ResourceKey { group, kind, namespace, name: name.to_owned() }
}

fn edit(name: &str, expects: Expected, text: Option<&str>) -> Edit {
    let manifest = text.map(|text| Manifest::Plain(text.as_bytes().to_vec()));
    Edit { key: key(name), expects, manifest }
}

fn open(node: u64) -> Proposal {
    let commands = vec![Command::OpenSession { node: NodeId(node), incarnation: 1 }];
    Proposal::Quota { at: Timestamp(10), commands }
}

fn written(state: &State) -> Vec<u8> {
    state.write(b"here".to_vec(), Vec::new()).expect("memory")
}

/// A state after these entries, the first at index 2, as in a real log.
fn after(proposals: &[Proposal]) -> State {
    let mut state = State::new(1);
    for (index, proposal) in (2..).zip(proposals) {
        state.apply(index, proposal).expect("known");
    }
    state
}

/// Applies one entry after another and compares each answer. A refusal must leave the bytes as they were.
fn check(steps: &[(Proposal, Applied, &str)]) -> State {
    let mut state = State::new(1);
    for (index, (proposal, expected, why)) in (2..).zip(steps) {
        let before = written(&state);
        let effect = state.apply(index, proposal).expect("known");
        assert_eq!(effect.applied, *expected, "entry {index}: {why}");
        if matches!(expected, Applied::Refused(_)) {
            assert_eq!(written(&state), before, "entry {index} was refused and left something: {why}");
            assert_eq!(effect.changed, None, "{why}");
        }
    }
    state
}

fn refused(refused: Refused) -> Applied {
    Applied::Refused(refused)
}

fn conflict(what: &str, expected: u64, got: u64) -> Applied {
    refused(Refused::Conflict { what: what.to_owned(), expected, got })
}

#[test]
fn a_cluster_is_founded_once_and_before_all_else() {
    let voters = |got: &str| refused(Refused::invalid("voters", "1, 3 or 5", got));
    let other = found(|founding| founding.cluster = [9; 16]);
    let even = found(|founding| founding.voters = 4);
    let nameless = found(|founding| founding.first.name.clear());
    let large = Authority { certificate: vec![0; MOST_SECRET_BYTES + 1], key: Sealed(vec![]) };
    let (bytes, most) = (MOST_SECRET_BYTES as u64 + 1, MOST_SECRET_BYTES as u64);
    let too_long = refused(Refused::TooLong { what: "the authority's certificate".to_owned(), bytes, most });
    let changed = |revision| Applied::ClusterChanged { revision };
    #[rustfmt::skip]
    let steps = [
        (register(2, "n2"),                      refused(Refused::NotFounded), "nothing comes before the founding"),
        (open(1),                                refused(Refused::NotFounded), "not even what the ledger would refuse"),
        (even,                                   voters("4"),                  "an even number is no better than one less"),
        (nameless,          refused(Refused::invalid("name", "not to be empty", "nothing")), "the first node is a node"),
        (found(|_| ()),                          Applied::Founded,             "a cluster"),
        (found(|_| ()),                          Applied::Founded,             "asked twice: the answer was lost"),
        (other,             refused(Refused::AlreadyFounded { cluster: CLUSTER }), "another cluster's founding"),
        (change(5, Setting::Voters(5)),          conflict("the cluster", 5, 6), "going out from what never was"),
        (change(6, Setting::Voters(5)),          changed(10),                  "going out from what is"),
        (change(6, Setting::Voters(3)),          conflict("the cluster", 6, 10), "the second of two who saw the same"),
        (change(10, Setting::Voters(2)),         voters("2"),                  "an even number"),
        (change(10, Setting::Authority(Some(large))), too_long,                "limits are kept later, too"),
        (change(10, Setting::GossipKeys(vec![Sealed(vec![]); 3])),
                            refused(Refused::full("keys of gossip", 2)),       "one old key at most"),
        (change(10, Setting::Format(0)),
                            refused(Refused::invalid("format", "one that is not older", 0)), "never back"),
        (change(10, Setting::JoinToken(Some([7; 32]))), changed(16),           "a token"),
        (change(16, Setting::Preferred(vec![1; 6])), refused(Refused::full("preferred voters", 5)), "more than may vote"),
        (change(16, Setting::Preferred(vec![9, 1])), changed(18),              "who should vote first"),
    ];
    let state = check(&steps);
    let cluster = state.cluster().expect("founded");
    assert_eq!((cluster.voters, cluster.secrets.join_token, cluster.revision), (5, Some([7; 32]), 18));
    assert_eq!(cluster.preferred, [9, 1]);
    assert_eq!(state.nodes().node(FIRST_NODE).map(|node| node.member.name.as_str()), Some("n1"));
}

#[test]
fn a_newer_format_stops_the_node_and_is_not_refused() {
    let too_new = Err(TooNew { known: FORMAT, got: FORMAT + 1 });
    let mut state = State::new(1);
    assert_eq!(state.apply(2, &found(|founding| founding.format = FORMAT + 1)), too_new);
    state.apply(3, &found(|_| ())).expect("known");
    let before = written(&state);
    assert_eq!(state.apply(4, &change(3, Setting::Format(FORMAT + 1))), too_new);
    assert_eq!(written(&state), before);
}

#[test]
fn an_id_is_handed_out_once() {
    let registered = |node| Applied::Registered { node };
    let old = |newest, got| refused(Refused::OldIncarnation { node: 3, newest, got });
    let gone = |name: &str| refused(Refused::ForgottenNode { node: 3, name: name.to_owned() });
    #[rustfmt::skip]
    let steps = [
        (found(|_| ()),         Applied::Founded,  "a cluster"),
        (register(2, "n2"),     registered(3),     "the entry's index is the id"),
        (register(2, "n2"),     registered(3),     "asked twice, the same one"),
        (register(3, "n2"),     registered(5),     "a name is only a label"),
        (arrive(3, 1, "n2"),    Applied::Arrived,  "its first run"),
        (arrive(3, 1, "n2"),    Applied::Arrived,  "said twice"),
        (arrive(3, 1, "copy"),  old(1, 1),         "a copy of its data folder, elsewhere"),
        (arrive(3, 4, "moved"), Applied::Arrived,  "runs need not be counted without gaps"),
        (arrive(3, 2, "n2"),    old(4, 2),         "an old run that comes late"),
        (arrive(4, 1, "n2"),    refused(Refused::UnknownNode { node: 4 }), "an id that was never handed out"),
        (forget(3),             Applied::Forgotten, "it never comes back"),
        (forget(3),             Applied::Forgotten, "said twice"),
        (forget(4),             refused(Refused::UnknownNode { node: 4 }), "there is none"),
        (arrive(3, 5, "moved"), gone("moved"),     "and it does come back"),
        (register(2, "n2"),     gone("moved"),     "its request is no way around"),
        (register(4, "n2"),     registered(17),    "as a new one it may"),
    ];
    let state = check(&steps);
    assert_eq!(state.nodes().all().map(|(id, _)| id).collect::<Vec<_>>(), [1, 5, 17]);
    assert_eq!(state.nodes().forgotten().map(|(id, gone)| (id, gone.at.0)).collect::<Vec<_>>(), [(3, 50)]);
}

#[test]
fn sessions_are_for_nodes_that_are_known() {
    let mut state = after(&[found(|_| ()), register(2, "n2")]);
    let mut outcome = |index, proposal: &Proposal| {
        let effect = state.apply(index, proposal).expect("known");
        let Applied::Quota(mut outcomes) = effect.applied else { panic!("{effect:?}") };
        outcomes.pop().expect("one")
    };
    assert!(matches!(outcome(4, &open(3)), Outcome::SessionOpened { .. }));
    assert_eq!(outcome(5, &open(4)), Outcome::Rejected(Rejected::UnknownNode), "no node has this id");
    let bypass = vec![Command::ForgetNode { node: NodeId(3) }];
    let rejected = outcome(6, &Proposal::Quota { at: Timestamp(20), commands: bypass });
    assert!(
        matches!(rejected, Outcome::Rejected(Rejected::Invalid { .. })),
        "a node is forgotten as a whole"
    );

    assert_eq!(state.quota().sessions().count(), 1);
    state.apply(7, &forget(3)).expect("known");
    assert_eq!(state.quota().sessions().count(), 0, "forgetting a node closes its sessions");
    assert_eq!(state.quota().now(), Timestamp(50), "at the leader's time");
    let effect = state.apply(8, &open(3)).expect("known");
    assert_eq!(effect.applied, Applied::Quota(vec![Outcome::Rejected(Rejected::UnknownNode)]));
}

#[test]
fn an_entry_has_a_bound_of_commands() {
    let mut state = after(&[found(|_| ())]);
    let commands = vec![Command::Tick; quota::MOST_COMMANDS + 1];
    let effect = state.apply(3, &Proposal::Quota { at: Timestamp(99), commands }).expect("known");
    let expected = Refused::full("commands in one entry", quota::MOST_COMMANDS);
    assert_eq!(effect.applied, Applied::Refused(expected));
    assert_eq!(state.quota().now(), Timestamp(0), "none of them was applied");
}

#[test]
fn resources_change_together_or_not_at_all() {
    use Expected::{Absent, Any, Revision};
    let edited = |revision| Applied::ResourcesEdited { revision };
    let budget = |name: &str| key(name).to_string();
    let long = "x".repeat(MOST_MANIFEST_BYTES + 1);
    let (bytes, most) = (long.len() as u64, MOST_MANIFEST_BYTES as u64);
    let twice = Refused::invalid("edits", "one edit of each resource", format!("two of {}", key("a")));
    #[rustfmt::skip]
    let steps = [
        (vec![edit("a", Absent, Some("1")), edit("b", Absent, Some("1"))], edited(3), "two at once"),
        (vec![edit("c", Any, Some("1")), edit("a", Absent, Some("2"))], conflict(&budget("a"), 0, 3), "c is not written either"),
        (vec![edit("a", Revision(3), Some("2")), edit("b", Revision(2), None)], conflict(&budget("b"), 2, 3), "nor a changed"),
        (vec![edit("a", Revision(3), Some("2")), edit("b", Revision(3), None)], edited(6), "what was seen is what is"),
        (vec![edit("a", Any, Some("2"))],                 edited(6),  "as it is already: its revision stays"),
        (vec![edit("a", Revision(6), Some("3"))],         edited(8),  "so it is still the one that was seen"),
        (vec![edit("b", Any, None)],                      edited(8),  "taking away what is not there"),
        (vec![edit("b", Revision(3), None)],              conflict(&budget("b"), 3, 0), "unless it was expected"),
        (vec![edit("a", Any, Some("4")), edit("a", Any, None)], refused(twice), "which one would it be?"),
        (vec![edit("", Any, Some("1"))], refused(Refused::invalid("name", "not to be empty", "nothing")), "no name"),
        (vec![edit("d", Any, Some("1")), edit("e", Any, Some(&long))],
                      refused(Refused::TooLong { what: budget("e"), bytes, most }), "one is too long: none is written"),
        (vec![edit("d", Any, Some(&long[1..]))],          edited(14), "the longest"),
        (vec![],                                          edited(14), "nothing to do"),
    ];
    let founded = (found(|_| ()), Applied::Founded, "a cluster");
    let edits = steps.map(|(edits, expected, why)| (Proposal::Edit(edits), expected, why));
    let state = check(&[vec![founded], edits.to_vec()].concat());
    let names: Vec<_> = state.resources().all().map(|(key, one)| (key.name.as_str(), one.revision)).collect();
    assert_eq!(names, [("a", 8), ("d", 14)]);
    written(&state);
}

/// Something of everything.
fn full() -> State {
    let sealed =
        Edit { manifest: Some(Manifest::Sealed(Sealed(vec![9; 99]))), ..edit("s", Expected::Any, None) };
    after(&[
        found(|_| ()),
        register(2, "n2"),
        register(3, "n3"),
        forget(4),
        arrive(3, 7, "n2"),
        open(3),
        Proposal::Edit(vec![edit("a", Expected::Any, Some("kind: Budget")), sealed]),
        Proposal::Edit(vec![edit("a", Expected::Any, None)]),
    ])
}

#[test]
fn a_snapshot_restores_to_the_same_bytes() {
    let state = full();
    let bytes = written(&state);
    let restored = State::read(bytes.as_slice(), 77).expect("whole");
    assert_eq!(restored.position, b"here");
    assert_eq!(written(&restored.state), bytes, "whatever the seed");
    assert_eq!(restored.state.resources().revision(), 9, "also where the last change took something away");
    assert_eq!(
        written(&State::read(written(&State::new(1)).as_slice(), 1).expect("whole").state),
        written(&State::new(2))
    );

    let mut both = [state, restored.state];
    for (index, proposal) in (10..).zip([register(9, "n9"), forget(3), open(10), found(|_| ())]) {
        let effects = both.each_mut().map(|state| state.apply(index, &proposal).expect("known"));
        assert_eq!(effects[0], effects[1], "and goes on as the same");
    }
    assert_eq!(written(&both[0]), written(&both[1]));
}

#[test]
fn a_snapshot_that_was_cut_or_changed_is_refused() {
    let bytes = written(&full());
    for length in 0..bytes.len() {
        let why = State::read(&bytes[..length], 1).map(|_| ()).expect_err("cut");
        assert!(!why.may_be_whole(), "cut at {length}: {why}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(State::read(flipped.as_slice(), 1).is_err(), "bit {bit}");
    }
}

#[test]
fn a_snapshot_of_a_newer_format_is_refused_by_its_name() {
    let mut state = full();
    state.cluster.as_mut().expect("founded").format = FORMAT + 1;
    let why = State::read(written(&state).as_slice(), 1).map(|_| ()).expect_err("newer");
    assert_eq!(why, RestoreError::TooNew(TooNew { known: FORMAT, got: FORMAT + 1 }));
    assert!(why.may_be_whole(), "an older snapshot is no way around");
    assert_eq!(why.to_string(), "the cluster uses format 2, this program knows 1: run a newer one");
}
