//! `tollgate top`: the cluster at work, drawn anew each second: nodes, who spends how fast, and what is left of budgets.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::ask;
use super::fail;
use super::look::{NODES, print, table, word};
use crate::settings::{Ask, Top};

/// To the upper left, and everything below is gone.
const CLEAR: &str = "\x1b[H\x1b[J";
/// Lines of a list.
const MOST_LINES: usize = 12;
/// Cells of a bar.
const BAR: usize = 20;

/// What a node said at one moment.
struct Seen {
    at: Instant,
    status: Value,
    /// By consumer, of today.
    rows: Vec<Value>,
    budgets: Vec<Value>,
}

pub(crate) fn top(settings: &Top) -> ExitCode {
    let interval = Duration::from_secs(settings.interval);
    let mut before: Option<Seen> = None;
    loop {
        let now = match see(&settings.ask) {
            Ok(now) => now,
            Err(why) if before.is_none() => return fail(&why),
            // It may come back: what was there stays to be seen.
            Err(why) => {
                eprintln!("tollgate: {why}");
                sleep(interval);
                continue;
            }
        };
        let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        let drawn = format!("{time} UTC  {}", screen(before.as_ref(), &now));
        // The first one has no rates: the one that is asked for alone is the second.
        if settings.once {
            if before.is_some() {
                return print(&drawn);
            }
        } else {
            let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
            let shown = std::io::stdout().write_all(format!("{clear}{drawn}\n").as_bytes());
            if shown.and_then(|()| std::io::stdout().flush()).is_err() {
                return ExitCode::SUCCESS; // Nobody reads it any more.
            }
        }
        before = Some(now);
        sleep(interval);
    }
}

fn see(whom: &Ask) -> Result<Seen, String> {
    let asked = |path: &str| -> Result<Value, String> {
        let text = ask(whom, Method::GET, path)?;
        serde_json::from_str(&text).map_err(|error| format!("expected JSON from {}: {error}", whom.admin))
    };
    let list = |answer: Value, field: &str| answer[field].as_array().cloned().unwrap_or_default();
    let today = Timestamp::now().strftime("%Y-%m-%d");
    let path = format!("/v1/ledger?group_by=consumer&freshness=replica&since={today}");
    Ok(Seen {
        status: asked("/v1/status")?,
        rows: list(asked(&path)?, "rows"),
        budgets: list(asked("/v1/budgets")?, "budgets"),
        at: Instant::now(),
    })
}

fn screen(before: Option<&Seen>, now: &Seen) -> String {
    let cluster = &now.status["cluster"];
    let mut text = format!("cluster {}  leader {}\n\n", word(&cluster["id"]), word(&cluster["leader"]));
    text += &table(&cluster["nodes"], NODES);
    let wallet = &cluster["wallet"];
    let _to_a_string_always_succeeds = writeln!(
        text,
        "\nnode {}: requests running {}, waiting for leases {}, leases {}\n",
        word(&cluster["node"]),
        word(&now.status["running_requests"]),
        word(&wallet["waiting"]),
        word(&wallet["leases"])
    );
    text += &consumers(before, now);
    text += "\n";
    text += &budgets(&now.budgets);
    text
}

fn consumers(before: Option<&Seen>, now: &Seen) -> String {
    let earlier: BTreeMap<String, (u64, u64)> =
        before.iter().flat_map(|seen| &seen.rows).map(|row| (word(&row["consumer"]), spent(row))).collect();
    let passed_ms = before.map_or(0, |seen| now.at.duration_since(seen.at).as_millis());
    let rate = |now: u64, then: u64| rate(now.saturating_sub(then), passed_ms);
    let mut lines: Vec<(Reverse<u64>, Reverse<u64>, Value)> = now.rows.iter().map(|row| {
        let name = word(&row["consumer"]);
        let (requests, tokens) = spent(row);
        // Who is new since then has spent all of it since.
        let (requests_then, tokens_then) = earlier.get(&name).copied().unwrap_or_default();
        let faster = tokens.saturating_sub(tokens_then);
        let line = json!({
            "consumer": name, "requests_s": rate(requests, requests_then), "tokens_s": rate(tokens, tokens_then),
            "requests": requests, "tokens": tokens, "usd": row["cost_usd"],
        });
        (Reverse(faster), Reverse(tokens), line)
    }).collect();
    lines.sort_by_key(|(faster, tokens, _)| (*faster, *tokens));
    let all = lines.len();
    let shown: Vec<Value> = lines.into_iter().take(MOST_LINES).map(|(_, _, line)| line).collect();
    let columns = [
        ("CONSUMER, TODAY", "consumer"),
        ("REQUESTS/S", "requests_s"),
        ("TOKENS/S", "tokens_s"),
        ("REQUESTS", "requests"),
        ("TOKENS", "tokens"),
        ("USD", "usd"),
    ];
    table(&Value::from(shown), &columns) + &more(all)
}

/// Those first of which the least is left.
fn budgets(budgets: &[Value]) -> String {
    let mut lines: Vec<(u64, Value)> = Vec::new();
    for budget in budgets {
        for bucket in budget["buckets"].as_array().into_iter().flatten() {
            let number =
                |field: &str| bucket[field].as_i64().and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
            let limit = budget["limit"].as_u64().unwrap_or(0).max(1);
            let left = number("left").saturating_add(number("leased")).min(limit);
            let thousandths = u64::try_from(u128::from(left) * 1_000 / u128::from(limit)).unwrap_or(0);
            let cells = usize::try_from(thousandths).unwrap_or(0) * BAR / 1_000;
            let line = json!({
                "budget": budget["name"], "key": bucket["key"], "unit": budget["unit"], "limit": limit,
                "leased": bucket["leased"], "left": bucket["left"],
                "bar": format!("{:<width$} {}%", "#".repeat(cells), thousandths / 10, width = BAR),
            });
            lines.push((thousandths, line));
        }
    }
    lines.sort_by_key(|(left, _)| *left);
    let all = lines.len();
    let shown: Vec<Value> = lines.into_iter().take(MOST_LINES).map(|(_, line)| line).collect();
    let columns = [
        ("BUDGET", "budget"),
        ("KEY", "key"),
        ("UNIT", "unit"),
        ("LIMIT", "limit"),
        ("LEASED", "leased"),
        ("FREE", "left"),
        ("NOT SPENT", "bar"),
    ];
    table(&Value::from(shown), &columns) + &more(all)
}

fn more(all: usize) -> String {
    if all > MOST_LINES { format!("… and {} more\n", all - MOST_LINES) } else { String::new() }
}

/// Requests and tokens of a row.
fn spent(row: &Value) -> (u64, u64) {
    (row["requests"].as_u64().unwrap_or(0), row["usage"]["total"].as_u64().unwrap_or(0))
}

/// How many in a second, with a tenth.
fn rate(count: u64, passed_ms: u128) -> String {
    if passed_ms == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(count) * 10_000 / passed_ms;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at: Instant, rows: &[(&str, u64, u64)], budgets: &Value) -> Seen {
        let row = |(consumer, requests, total): &(&str, u64, u64)| json!({"consumer": consumer, "requests": requests, "usage": {"total": total}, "cost_usd": "0.10"});
        Seen {
            at,
            status: json!({"cluster": {"id": "c", "leader": 2, "node": 1, "nodes": [], "wallet": {}}, "running_requests": 3}),
            rows: rows.iter().map(row).collect(),
            budgets: budgets.as_array().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn who_spends_fastest_and_what_is_scarcest_come_first() {
        let budgets = json!([
            {"name": "a", "unit": "TotalTokens", "limit": 100, "buckets": [{"key": "", "left": 70, "leased": 10}]},
            {"name": "b", "unit": "TotalTokens", "limit": 100, "buckets": [{"key": "x", "left": -5, "leased": 0}]},
        ]);
        let then = Instant::now();
        let before = seen(then, &[("slow", 100, 9_000), ("fast", 10, 100)], &budgets);
        let now = seen(then + Duration::from_secs(2), &[("slow", 101, 9_010), ("fast", 30, 600)], &budgets);
        let drawn = screen(Some(&before), &now);
        let lines: Vec<Vec<&str>> = drawn.lines().map(|line| line.split_whitespace().collect()).collect();
        let at = |word: &str| lines.iter().position(|line| line.first() == Some(&word)).expect(word);
        assert_eq!(lines[at("fast")], ["fast", "10.0", "250.0", "30", "600", "0.10"]);
        assert_eq!(lines[at("slow")], ["slow", "0.5", "5.0", "101", "9010", "0.10"]);
        assert!(at("fast") < at("slow"), "{drawn}");
        assert_eq!(lines[at("b")], ["b", "x", "TotalTokens", "100", "0", "-5", "0%"]);
        assert_eq!(lines[at("a")].last(), Some(&"80%"), "what is leased is not spent yet");
        assert!(at("b") < at("a"), "{drawn}");
    }

    #[test]
    fn the_first_look_has_no_rates_and_long_lists_are_cut() {
        let names: Vec<String> = (0..15).map(|number| format!("user-{number}")).collect();
        let rows: Vec<(&str, u64, u64)> = names.iter().map(|name| (name.as_str(), 1, 10)).collect();
        let drawn = screen(None, &seen(Instant::now(), &rows, &json!([])));
        assert!(drawn.contains("… and 3 more"), "{drawn}");
        assert_eq!(
            drawn.lines().filter(|line| line.starts_with("user-") && line.contains(" - ")).count(),
            12
        );
    }
}
