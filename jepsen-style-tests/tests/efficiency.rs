//! Leases use budgets up, and cost little: the smallest of the settings that the command `efficiency` prints.

use tollgate_jepsen::efficiency::{Figures, Left, Setting};

const SMALL: Setting = Setting { nodes: 3, users: 200, rate: 200, seed: 1 };
/// Half a percent, in parts of a million.
const LITTLE: u64 = 5_000;

#[test]
fn leases_leave_little_unused_and_cost_little() {
    for seed in 1..=5 {
        uses_it_up(Setting { seed, ..SMALL });
    }
}

fn uses_it_up(setting: Setting) {
    let Figures { steady, tail, organisation, users } = setting.measure();
    let Left { at_first_refusal, at_first_final_refusal, in_the_end, .. } = organisation;
    let at_first_refusal = at_first_refusal.expect("three times the limit is asked for");
    assert!(at_first_refusal < LITTLE, "{setting:?}: spendable at the first refusal: {at_first_refusal} ppm");
    assert_eq!(at_first_final_refusal.unwrap_or(0), 0, "{setting:?}: said to be spent, and was not");
    assert!(in_the_end < LITTLE, "{setting:?}: never used: {in_the_end} ppm");

    assert!(users.len() > 3, "{setting:?}: some users reach their limit: {users:?}");
    for user in &users {
        assert_eq!(user.at_first_final_refusal.unwrap_or(0), 0, "{setting:?}: said to be spent: {user:?}");
    }

    assert!(steady.admitted > 2_000 && tail.refused > 1_000, "both phases are seen: {steady:?}");
    let items = steady.items;
    assert!(items.all() < 3 * steady.admitted, "{} requests were let through: {items:?}", steady.admitted);
    // Two for each time that a lease lasts, at least a quarter of a second, and a report a second.
    let hot = items.organisation * 1_000 / steady.length_ms;
    assert!(hot < 9 * setting.nodes as u64, "items a second about the hottest bucket: {hot}");
}

#[test]
fn users_budgets_are_used_up_on_many_nodes() {
    for seed in 1..=3 {
        let setting = Setting { nodes: 10, users: 1_000, rate: 1_000, seed };
        let users = setting.measure().users;
        let at_first_refusal: u64 = users.iter().filter_map(|user| user.at_first_refusal).sum();
        let mean = at_first_refusal / users.len() as u64;
        assert!(users.len() > 6 && mean < LITTLE, "{setting:?}: spendable at the first refusal: {users:?}");
    }
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
