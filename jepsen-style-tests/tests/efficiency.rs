//! Leases use budgets up, and cost little: the smallest of the settings that the command `efficiency` prints.

use tollgate_jepsen::efficiency::{Figures, Left, Setting};

const SMALL: Setting = Setting { nodes: 3, users: 200, rate: 200, seed: 1 };
/// Half a percent, in parts of a million.
const LITTLE: u64 = 5_000;

#[test]
fn leases_leave_little_unused_and_cost_little() {
    let Figures { steady, tail, organisation, users } = SMALL.measure();
    let Left { at_first_refusal, at_first_final_refusal, in_the_end, .. } = organisation;
    let at_first_refusal = at_first_refusal.expect("three times the limit is asked for");
    assert!(at_first_refusal < LITTLE, "spendable when a request was first refused: {at_first_refusal} ppm");
    assert_eq!(
        at_first_final_refusal.unwrap_or(0),
        0,
        "spendable when the budget was first said to be spent"
    );
    assert!(in_the_end < LITTLE, "never used: {in_the_end} ppm");

    assert!(users.len() > 3, "some users reach their limit: {users:?}");
    for user in &users {
        assert_eq!(user.at_first_final_refusal.unwrap_or(0), 0, "said to be spent, and was not: {user:?}");
    }

    assert!(steady.admitted > 2_000 && tail.refused > 1_000, "both phases are seen: {steady:?}");
    let items = steady.items;
    assert!(items.all() < 3 * steady.admitted, "items for {} requests: {items:?}", steady.admitted);
    // Two for each lease time of at least a quarter of a second, one report, and the waits at the window's start.
    let hot = items.organisation * 1_000 / steady.length_ms;
    assert!(hot < 10 * SMALL.nodes as u64, "items a second about the hottest bucket: {hot}");
}

#[test]
fn items_about_a_hot_bucket_do_not_grow_with_the_rate() {
    let hot = |rate| {
        let steady = Setting { rate, ..SMALL }.measure().steady;
        steady.items.organisation * 1_000 / steady.length_ms
    };
    let (slow, fast) = (hot(200), hot(2_000));
    assert!(fast < 4 * slow, "ten times the rate: {slow} and {fast} items a second");
}
