//! Figures as tables in Markdown, as they stand in the README.

use std::fmt::Write as _;

use super::{Figures, Left, Phase, Setting};

/// One seed for all rows.
const SEED: u64 = 1;
/// Requests a second of the first table.
const RATE: u64 = 1_000;

/// Measures and prints all tables; rows are printed as they are there.
pub fn print() {
    println!("{}", head(&SHARES));
    let settings = [3, 10, 100].map(|nodes| [1_000, 100_000].map(|users| (nodes, users)));
    for (nodes, users) in settings.into_iter().flatten() {
        let setting = Setting { nodes, users, rate: RATE, seed: SEED };
        println!("{}", shares(setting, &setting.measure()));
    }
    println!("\n{}", head(&GROWTH));
    let by_rate = [100, 1_000, 10_000].map(|rate| (10, rate));
    let by_nodes = [3, 30, 100].map(|nodes| (nodes, RATE));
    for (nodes, rate) in by_rate.into_iter().chain(by_nodes) {
        let setting = Setting { nodes, users: 1_000, rate, seed: SEED };
        println!("{}", growth(setting, &setting.measure()));
    }
}

const SHARES: [&str; 14] = [
    "nodes",
    "users",
    "phase",
    "admitted",
    "entries / admitted",
    "items / admitted",
    "waited, of all",
    "for the organisation's",
    "wait p50 / p99, ms",
    "refused, of all",
    "of them after asking",
    "left at first refusal",
    "at first final one",
    "in the end",
];

/// A setting's two rows.
fn shares(setting: Setting, figures: &Figures) -> String {
    let Figures { steady, tail, organisation, users } = figures;
    let phase = |name: &str, phase: &Phase| {
        vec![
            name.to_owned(),
            phase.admitted.to_string(),
            ratio(phase.entries, phase.admitted),
            ratio(phase.items.all(), phase.admitted),
            percent(phase.waits_ms.len() as u64, phase.requests),
            percent(phase.waited_for_organisation, phase.requests),
            format!("{} / {}", phase.wait_ms(50), phase.wait_ms(99)),
            percent(phase.refused, phase.requests),
            percent(phase.refused_after_asking, phase.refused),
        ]
    };
    let mut first = vec![setting.nodes.to_string(), setting.users.to_string()];
    first.extend(phase("steady", steady));
    first.extend(left("organisation", &[*organisation]));
    let mut second = vec![String::new(), String::new()];
    second.extend(phase("tail", tail));
    second.extend(left("users", users));
    format!("{}\n{}", row(&first), row(&second))
}

/// Means over buckets.
fn left(whose: &str, buckets: &[Left]) -> Vec<String> {
    let mean = |shares: Vec<u64>| {
        if shares.is_empty() {
            return "-".to_owned();
        }
        percent(shares.iter().sum::<u64>(), 1_000_000 * shares.len() as u64)
    };
    let first = mean(buckets.iter().filter_map(|left| left.at_first_refusal).collect());
    let last = mean(buckets.iter().filter_map(|left| left.at_first_final_refusal).collect());
    let end = mean(buckets.iter().map(|left| left.in_the_end).collect());
    vec![format!("{whose} {first}"), last, end]
}

const GROWTH: [&str; 11] = [
    "nodes",
    "offered / s",
    "admitted / s",
    "entries / s",
    "items / s",
    "of the hot bucket",
    "of that a node",
    "needs",
    "wants",
    "reports",
    "closes",
];

/// A setting's row: what happens in a second of the steady phase.
fn growth(setting: Setting, figures: &Figures) -> String {
    let steady = &figures.steady;
    let items = &steady.items;
    let counts = [steady.admitted, steady.entries, items.all(), items.organisation];
    let mut cells = vec![setting.nodes.to_string(), setting.rate.to_string()];
    let a_second = |count: u64| ratio(count * 1_000, steady.length_ms);
    cells.extend(counts.map(a_second));
    cells.push(ratio(items.organisation * 1_000, steady.length_ms * setting.nodes as u64));
    cells.extend([items.needs, items.wants, items.reports, items.closes].map(a_second));
    row(&cells)
}

fn head(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rule: Vec<String> = names.iter().map(|_| "---".to_owned()).collect();
    format!("{}\n{}", row(&names), row(&rule))
}

fn row(cells: &[String]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        _ = write!(line, " {cell} |");
    }
    line
}

fn ratio(of: u64, by: u64) -> String {
    let fine = (of * 1_000).checked_div(by).unwrap_or_default();
    format!("{}.{:03}", fine / 1_000, fine % 1_000)
}

fn percent(of: u64, by: u64) -> String {
    let fine = (of * 100_000).checked_div(by).unwrap_or_default();
    format!("{}.{:03} %", fine / 1_000, fine % 1_000)
}
