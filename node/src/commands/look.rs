//! Commands that ask a running node and print what it says.

use std::fmt::Write as _;
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::ask::ask;
use super::fail;
use crate::settings::{Ask, BudgetCommand, LedgerLook, Look, NodeCommand, RotateCommand};

pub(crate) fn status(look: &Look) -> ExitCode {
    show(look, "/v1/status", |status| {
        let cluster = &status["cluster"];
        let mut text = format!(
            "cluster {}\nnode {} ({}), leader {}, term {}, entry {} applied, {} behind\n\n",
            word(&cluster["id"]),
            word(&cluster["node"]),
            word(&cluster["name"]),
            word(&cluster["leader"]),
            word(&cluster["term"]),
            word(&cluster["applied"]),
            word(&cluster["lag"]),
        );
        text += &table(&cluster["nodes"], NODES);
        let wallet = &cluster["wallet"];
        let _to_a_string_always_succeeds = writeln!(
            text,
            "\nleases {}, requests running {}, waiting for leases {}",
            word(&wallet["leases"]),
            word(&status["running_requests"]),
            word(&wallet["waiting"]),
        );
        for problem in status["config"]["problems"].as_array().into_iter().flatten() {
            let _to_a_string_always_succeeds = writeln!(
                text,
                "problem: {} {}: expected {}",
                word(&problem["resource"]),
                word(&problem["field"]),
                word(&problem["expected"])
            );
        }
        text
    })
}

pub(crate) fn budgets(command: &BudgetCommand) -> ExitCode {
    match command {
        BudgetCommand::List(look) => show(look, "/v1/budgets", |answer| {
            let columns =
                &[("NAME", "name"), ("UNIT", "unit"), ("LIMIT", "limit"), ("ENFORCEMENT", "enforcement")];
            table(&answer["budgets"], columns)
        }),
        BudgetCommand::Show { name, look } => {
            let budget = match ask(&look.ask, Method::GET, "/v1/budgets").and_then(|text| named(&text, name))
            {
                Ok(budget) => budget,
                Err(why) => return fail(&why),
            };
            if look.json {
                return print(&format!("{budget:#}\n"));
            }
            let columns = &[
                ("KEY", "key"),
                ("ALLOWED", "allowed"),
                ("SPENT", "spent"),
                ("LEASED", "leased"),
                ("LEFT", "left"),
            ];
            let head =
                format!("{}: {} {}\n", word(&budget["name"]), word(&budget["limit"]), word(&budget["unit"]));
            print(&(head + &table(&budget["buckets"], columns)))
        }
    }
}

/// The budget of that name; without its namespace, if there is but one.
fn named(answer: &str, name: &str) -> Result<Value, String> {
    let answer: Value =
        serde_json::from_str(answer).map_err(|error| format!("the node's answer: {error}"))?;
    let all = answer["budgets"].as_array().into_iter().flatten();
    let is_it = |one: &&Value| {
        let full = one["name"].as_str().unwrap_or_default();
        full == name || full.split_once('/').is_some_and(|(_, short)| short == name)
    };
    let found: Vec<&Value> = all.filter(is_it).collect();
    if let Some(one) = found.iter().find(|one| one["name"] == name) {
        return Ok((**one).clone());
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(format!("there is no budget `{name}`; tollgate budget list names those that there are")),
        several => {
            let names: Vec<String> = several.iter().map(|one| word(&one["name"])).collect();
            Err(format!("`{name}` is the name of several budgets: {}", names.join(", ")))
        }
    }
}

pub(crate) fn ledger(look: &LedgerLook) -> ExitCode {
    let mut path = format!("/v1/ledger?group_by={}", escaped(&look.group_by));
    let filters = [
        ("consumer", &look.consumer),
        ("model", &look.model),
        ("backend", &look.backend),
        ("since", &look.since),
        ("until", &look.until),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            let _to_a_string_always_succeeds = write!(path, "&{name}={}", escaped(value));
        }
    }
    if look.replica {
        path += "&freshness=replica";
    }
    if look.csv {
        path += "&format=csv";
        return match ask(&look.look.ask, Method::GET, &path) {
            Ok(text) => print(&text),
            Err(why) => fail(&why),
        };
    }
    show(&look.look, &path, |answer| {
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        let flat: Vec<Value> = rows
            .into_iter()
            .map(|mut row| {
                for (name, field) in [("input", "input"), ("output", "output"), ("total", "total")] {
                    row[name] = row["usage"][field].clone();
                }
                row
            })
            .collect();
        let named = [
            ("ORGANIZATION", "organization"),
            ("TEAM", "team"),
            ("CONSUMER", "consumer"),
            ("MODEL", "model"),
            ("BACKEND", "backend"),
            ("DAY", "day"),
            ("HOUR", "hour"),
        ];
        let there = |column: &(&str, &str)| flat.iter().any(|row| !row[column.1].is_null());
        let mut columns: Vec<(&str, &str)> = named.into_iter().filter(there).collect();
        columns.extend([
            ("REQUESTS", "requests"),
            ("INPUT", "input"),
            ("OUTPUT", "output"),
            ("TOTAL", "total"),
            ("USD", "cost_usd"),
        ]);
        table(&Value::Array(flat), &columns)
    })
}

pub(crate) fn nodes(command: &NodeCommand) -> ExitCode {
    match command {
        NodeCommand::List(look) => show(look, "/v1/nodes", |nodes| table(nodes, NODES)),
        NodeCommand::Leave(whom) => act(ask(whom, Method::POST, "/v1/nodes/leave")),
        NodeCommand::Promote { id, ask: whom } => {
            act(ask(whom, Method::POST, &format!("/v1/nodes/{id}/promote")))
        }
        NodeCommand::Forget { id, ask: whom } => {
            act(ask(whom, Method::POST, &format!("/v1/nodes/{id}/forget")))
        }
    }
}

pub(crate) fn rotate(command: &RotateCommand) -> ExitCode {
    match command {
        RotateCommand::JoinToken { valid_hours, ask: whom } => {
            let query = valid_hours.map(|hours| format!("?valid_hours={hours}")).unwrap_or_default();
            act(ask(whom, Method::POST, &format!("/v1/cluster/join-token{query}")))
        }
        RotateCommand::GossipKey(whom) => act(ask(whom, Method::POST, "/v1/cluster/gossip-key")),
    }
}

pub(crate) fn snapshot(whom: &Ask) -> ExitCode {
    act(ask(whom, Method::POST, "/v1/snapshot"))
}

pub(super) const NODES: &[(&str, &str)] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("ADDRESS", "address"),
    ("REGION", "region"),
    ("ZONE", "zone"),
    ("ROLE", "role"),
    ("LEADER", "leader"),
    ("DUTY", "duty"),
    ("APPLIED", "applied"),
];

fn act(answer: Result<String, String>) -> ExitCode {
    match answer {
        Ok(text) => print(&text),
        Err(why) => fail(&why),
    }
}

/// Asks, and prints the answer: as it came, or as people read it.
fn show(look: &Look, path: &str, described: impl FnOnce(&Value) -> String) -> ExitCode {
    let text = match ask(&look.ask, Method::GET, path) {
        Ok(text) => text,
        Err(why) => return fail(&why),
    };
    if look.json {
        return print(&text);
    }
    match serde_json::from_str(&text) {
        Ok(value) => print(&described(&value)),
        Err(error) => fail(&format!("expected JSON from {}: {error}", look.ask.admin)),
    }
}

/// A reader that has seen enough closes the pipe: that is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => fail(&error.to_string()),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Rows in columns as wide as they need to be.
pub(super) fn table(rows: &Value, columns: &[(&str, &str)]) -> String {
    let cells: Vec<Vec<String>> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| columns.iter().map(|(_, field)| word(&row[*field])).collect())
        .collect();
    let width = |column: usize| {
        let of_cells = cells.iter().map(|row| row[column].chars().count());
        of_cells.chain([columns[column].0.len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut columns.iter().map(|(head, _)| *head));
    for row in &cells {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A value in one word.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => String::new(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _to_a_string_always_succeeds = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = json!([{"a": "x", "b": 1}, {"a": "longer", "b": null}]);
        assert_eq!(table(&rows, &[("A", "a"), ("BEE", "b")]), "A       BEE\nx       1\nlonger  -\n");
    }

    #[test]
    fn a_budget_is_found_without_its_namespace_if_there_is_but_one() {
        let answer = r#"{"budgets": [{"name": "a/x"}, {"name": "b/x"}, {"name": "b/y"}, {"name": "x"}, {"name": "b/p/0"}]}"#;
        let of = |name| named(answer, name).map(|one| word(&one["name"]));
        for (name, want) in [("b/x", "b/x"), ("y", "b/y"), ("x", "x"), ("p/0", "b/p/0")] {
            assert_eq!(of(name).as_deref(), Ok(want));
        }
        assert!(of("z").is_err_and(|why| why.contains("there is no budget `z`")));
        let two = r#"{"budgets": [{"name": "a/x"}, {"name": "b/x"}]}"#;
        assert!(named(two, "x").is_err_and(|why| why.contains("a/x, b/x")));
    }

    #[test]
    fn what_a_query_could_misread_is_escaped() {
        assert_eq!(escaped("a b&c=d/e,f"), "a%20b%26c%3Dd/e,f");
    }
}
