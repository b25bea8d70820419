//! What counts as a peer, and what of it is said.

use super::*;

fn about() -> About {
    let member = Member { name: "n1".into(), address: "n1:1".into(), region: "eu".into(), zone: "a".into() };
    About { member, admin: String::new(), version: "0.1.0".into(), stays_learner: false }
}

fn state(said: &BTreeMap<String, String>) -> NodeState {
    let mut state = NodeState::for_test();
    for (key, value) in said {
        state.set(key, value);
    }
    state
}

fn id(node: &str, generation: u64) -> ChitchatId {
    ChitchatId::new(node, generation, ([127, 0, 0, 1], 9).into())
}

#[test]
fn what_is_said_is_understood() {
    let unhealthy = [("eu/openai".to_owned(), 5), ("eu/azure/2".to_owned(), 6)].into();
    let news = News { duty: Duty::Draining, unhealthy };
    let live = [(id("3", 7), state(&say(&about(), &news, 42)))].into();
    let gossip = ([127, 0, 0, 1], 9).into();
    let peer = Peer { about: about(), news, applied: 42, generation: 7, gossip };
    assert_eq!(view(&live), [(3, peer)].into());
}

#[test]
#[rustfmt::skip]
fn who_does_not_say_enough_does_not_count() {
    let full = say(&about(), &News::default(), 1);
    let without = |key: &str| { let mut said = full.clone(); said.remove(key); said };
    let with = |key: &str, value: &str| { let mut said = full.clone(); said.insert(key.into(), value.into()); said };
    let cases = [
        // node        said                      counts  why
        ("3",          full.clone(),             true),
        ("3",          with("later", "x"),       true),  // a newer version says more
        ("3",          with("health/b", "soon"), true),  // one bad hint is only itself lost
        ("n3",         full.clone(),             false), // not an id
        ("-3",         full.clone(),             false),
        ("3",          BTreeMap::new(),          false), // its state did not come yet
        ("3",          without("rpc"),           false),
        ("3",          without("name"),          false),
        ("3",          without("region"),        false),
        ("3",          without("zone"),          false),
        ("3",          without("version"),       false),
        ("3",          without("duty"),          false),
        ("3",          with("duty", "sleeping"), false),
        ("3",          with("applied", "many"),  false),
    ];
    for (number, (node, said, counts)) in cases.into_iter().enumerate() {
        assert_eq!(view(&[(id(node, 1), state(&said))].into()).len(), usize::from(counts), "case {number}");
    }
}

#[test]
fn the_last_start_of_a_node_is_the_node() {
    let said = |applied| state(&say(&about(), &News::default(), applied));
    let applied = |live: &[(ChitchatId, NodeState)]| -> Vec<_> {
        view(&live.iter().cloned().collect()).into_iter().map(|(node, peer)| (node, peer.applied)).collect()
    };
    let starts =
        [(id("3", 9), said(9)), (id("3", 10), said(10)), (id("3", 8), said(8)), (id("4", 1), said(1))];
    assert_eq!(applied(&starts), [(3, 10), (4, 1)]);
    let spelled_otherwise = [(id("03", 10), said(10)), (id("3", 9), said(9))];
    assert_eq!(applied(&spelled_otherwise), [(3, 10)], "not by the order in which they come");
}

#[test]
fn a_node_says_little() {
    let unhealthy = (0..100_u64).map(|n| (format!("region/backend-{n:03}"), 1_700_000_000_000 + n)).collect();
    let mut longest = about();
    longest.member.name = "n".repeat(480);
    let crowded = longest.check().unwrap_err();
    assert!(crowded.to_string().contains(&crowded.len.to_string()));
    longest.member.name = "n".repeat(440);
    longest.check().unwrap();
    let said = say(&longest, &News { duty: Duty::Draining, unhealthy }, u64::MAX);
    let len: usize = said.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(len <= SAID_MOST, "{len} bytes");
    assert!(said.contains_key("health/region/backend-099"), "what lasts longest is said first");
    assert!(!said.contains_key("health/region/backend-000"));
}
