//! `tollgate apply`, `get` and `delete`: resources through a node's admin API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use http::Method;
use serde_json::Value;
use tollgate_crds::{Loaded, Severity, Written};

use super::ask::{Message, ask, tell};
use super::fail;
use super::look::{print, table, word};
use crate::admin::resources::{PATH, WRITTEN};
use crate::config;
use crate::settings::{Apply, Ask, Delete, Get, Output};

pub(crate) fn apply(settings: &Apply) -> ExitCode {
    let query = if settings.dry_run { "?dry-run=true" } else { "" };
    let sent = read(&settings.files).and_then(|loaded| send(&settings.ask, (Method::PUT, query), &loaded));
    match sent {
        Ok(answer) => told(&answer),
        Err(why) => fail(&why),
    }
}

pub(crate) fn delete(settings: &Delete) -> ExitCode {
    let answer = if settings.files.is_empty() {
        match settings.named() {
            Some((kind, name)) => tell(&settings.ask, Method::DELETE, &path(&settings.ask, kind, name), None),
            None => return fail("expected KIND NAME, or files after -f"),
        }
    } else {
        read(&settings.files).and_then(|loaded| send(&settings.ask, (Method::DELETE, ""), &loaded))
    };
    match answer {
        Ok(answer) => told(&answer),
        Err(why) => fail(&why),
    }
}

pub(crate) fn get(settings: &Get) -> ExitCode {
    let Get { ask: whom, kind, name, output } = settings;
    let asked = match name {
        Some(name) => ask(whom, Method::GET, &path(whom, kind, name)),
        None => ask(whom, Method::GET, &format!("{PATH}?kind={}", escaped(kind))),
    };
    let answer: Value = match asked.and_then(|text| parsed(&text)) {
        Ok(answer) => answer,
        Err(why) => return fail(&why),
    };
    let all = answer["resources"].as_array().cloned().unwrap_or_else(|| vec![answer]);
    match output {
        Some(Output::Json) if name.is_some() => print(&format!("{:#}\n", all[0]["object"])),
        Some(Output::Json) => {
            let objects: Vec<&Value> = all.iter().map(|one| &one["object"]).collect();
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
            print(&format!("{list:#}\n"))
        }
        Some(Output::Yaml) => {
            let documents: Vec<String> =
                all.iter().map(|one| tollgate_crds::yaml_of(&one["object"])).collect();
            print(&documents.join("---\n"))
        }
        Some(Output::Name) => {
            let names: Vec<String> =
                all.iter().map(|one| format!("{} {}\n", word(&one["kind"]), named(one))).collect();
            print(&names.concat())
        }
        None => {
            let problems = all.iter().flat_map(|one| one["problems"].as_array().into_iter().flatten());
            let problems: Vec<String> = problems.map(|one| format!("\n{}", problem(one))).collect();
            let problems = problems.concat();
            let columns = [
                ("KIND", "kind"),
                ("NAMESPACE", "namespace"),
                ("NAME", "name"),
                ("SOURCE", "source"),
                ("STATUS", "status"),
            ];
            print(&format!(
                "{}{problems}{}",
                table(&Value::from(all), &columns),
                if problems.is_empty() { "" } else { "\n" }
            ))
        }
    }
}

/// The resources of files, with variables put in. What is wrong with them is told before anybody is asked.
fn read(files: &[PathBuf]) -> Result<Vec<Loaded>, String> {
    let (mut loaded, mut rejected) = (Vec::new(), Vec::new());
    for file in config::read_files(files) {
        let name = file.path.display().to_string();
        let text = file.text.map_err(|reason| format!("{name}: {reason}"))?;
        let (of_file, problems) = tollgate_crds::parse(&name, &text, &|name| std::env::var(name).ok());
        loaded.extend(of_file);
        for problem in problems {
            match problem.severity {
                Severity::Rejected => rejected.push(format!("\n{problem}")),
                Severity::NotHonoured => eprintln!("{problem}"),
            }
        }
    }
    if !rejected.is_empty() {
        return Err(format!("nothing was changed, since:{}", rejected.concat()));
    }
    if loaded.is_empty() {
        let named: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("no resources found in {}", named.join(", ")));
    }
    Ok(loaded)
}

fn send(whom: &Ask, (method, query): (Method, &str), loaded: &[Loaded]) -> Result<String, String> {
    let written: Vec<&Written> = loaded.iter().map(Loaded::written).collect();
    let body = serde_json::to_vec(&written).map_err(|error| error.to_string())?;
    tell(whom, method, &format!("{PATH}{query}"), Some(Message { kind: WRITTEN, body: body.into() }))
}

/// What became of each.
fn told(answer: &str) -> ExitCode {
    let answer = match parsed(answer) {
        Ok(answer) => answer,
        Err(why) => return fail(&why),
    };
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("{}", word(warning));
    }
    let tried = if answer["dry_run"] == true { " (tried only)" } else { "" };
    let lines = answer["resources"].as_array().into_iter().flatten();
    let lines = lines.map(|one| format!("{} {}{tried}\n", word(&one["resource"]), word(&one["action"])));
    print(&lines.collect::<String>())
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON from the admin API: {error}"))
}

/// `NAMESPACE/NAME`, or a name in the namespace `default`, or one of a kind without namespaces.
fn path(whom: &Ask, kind: &str, name: &str) -> String {
    let (namespace, bare) = name.split_once('/').unwrap_or(("default", name));
    let without = format!("{PATH}/{}/{}", escaped(kind), escaped(bare));
    // Which kinds have none, the node knows.
    if !name.contains('/') && ask(whom, Method::GET, &without).is_ok() {
        return without;
    }
    format!("{PATH}/{}/{}/{}", escaped(kind), escaped(namespace), escaped(bare))
}

fn named(one: &Value) -> String {
    match one["namespace"].as_str() {
        None | Some("") => word(&one["name"]),
        Some(namespace) => format!("{namespace}/{}", word(&one["name"])),
    }
}

fn problem(one: &Value) -> String {
    let at = &one["at"];
    let place =
        if at.is_null() { String::new() } else { format!("{}:{}: ", word(&at["file"]), word(&at["line"])) };
    let said: BTreeMap<&str, &str> = ["resource", "field", "value", "expected"]
        .into_iter()
        .map(|name| (name, one[name].as_str().unwrap_or_default()))
        .collect();
    let field = if said["field"].is_empty() { String::new() } else { format!("{}: ", said["field"]) };
    let got = if said["value"].is_empty() { String::new() } else { format!(", got {}", said["value"]) };
    format!("{place}{}: {field}expected {}{got}", said["resource"], said["expected"])
}

/// As a part of a path.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
