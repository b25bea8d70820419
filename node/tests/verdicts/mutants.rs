//! Objects that differ from a good one in one place each, as its schema suggests: at every bound and one beyond it, every
//! choice and none, every type but the right one, twice what may be there once, without what is there and with what is not.

use serde_json::{Map, Value, json};

/// Longer lists than that are not made: their bound is that of a list that is made.
const LONGEST_LIST: u64 = 200;
/// Longer texts than that are not made.
const LONGEST_TEXT: u64 = 5_000;

/// An object, and what was done to it.
pub(crate) struct Mutant {
    pub(crate) done: String,
    pub(crate) object: Value,
}

/// All of one object.
pub(crate) fn mutants(object: &Value, schema: &Value) -> Vec<Mutant> {
    let mut all = vec![Mutant { done: "nothing".to_owned(), object: object.clone() }];
    let spec = &schema["properties"]["spec"];
    walk(&object["spec"], spec, "/spec", &mut |pointer, change| {
        let mut changed = object.clone();
        let done = format!("{pointer}: {}", brief(change.as_ref()));
        match change {
            Some(value) => *changed.pointer_mut(pointer).unwrap() = value,
            None => remove(&mut changed, pointer),
        }
        all.push(Mutant { done, object: changed });
    });
    all
}

/// Takes out what a change would be at a place: another value there, or none.
type Take<'a> = &'a mut dyn FnMut(&str, Option<Value>);

fn walk(value: &Value, schema: &Value, pointer: &str, take: Take<'_>) {
    for other in changed(value, schema) {
        take(pointer, Some(other));
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let inner = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                take(&pointer, None);
                walk(value, inner, &pointer, take);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                walk(value, &schema["items"], &format!("{pointer}/{place}"), take);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What else may stand in its place, or must not.
fn changed(value: &Value, schema: &Value) -> Vec<Value> {
    let mut others =
        vec![Value::Null, json!(true), json!(false), json!(7), json!("text"), json!([]), json!({})];
    match value {
        Value::String(_) => others.extend(texts(schema).map(Value::String)),
        Value::Number(_) => others.extend(numbers(schema)),
        Value::Array(items) => others.extend(lists(items, schema)),
        Value::Object(fields) => others.extend(objects(fields, schema)),
        Value::Null | Value::Bool(_) => {}
    }
    others
}

fn texts(schema: &Value) -> impl Iterator<Item = String> {
    let choices = schema["enum"].as_array().into_iter().flatten();
    let choices: Vec<String> = choices.map(|one| one.as_str().unwrap_or_default().to_owned()).collect();
    let most = schema["maxLength"].as_u64().unwrap_or(LONGEST_TEXT).min(LONGEST_TEXT);
    let long = [most, most + 1].map(|length| "x".repeat(usize::try_from(length).unwrap()));
    let odd = [
        "",
        " ",
        "Not A Name",
        "-x",
        "x.y",
        "*.x",
        "1",
        "-1",
        "1h",
        "30",
        "90s",
        "1.5",
        "2026-11-23",
        "tuesday",
    ];
    choices.into_iter().chain(long).chain(odd.map(str::to_owned))
}

fn numbers(schema: &Value) -> impl Iterator<Item = Value> {
    let bound = |name: &str| schema[name].as_i64();
    let at = [bound("minimum"), bound("minimum").map(|least| least - 1), bound("maximum")];
    let beyond = bound("maximum").map(|most| most + 1);
    let wide = [json!(0), json!(-1), json!(1.5), json!(5_000_000_000_i64)];
    at.into_iter().chain([beyond]).flatten().map(Value::from).chain(wide)
}

fn lists(items: &[Value], schema: &Value) -> Vec<Value> {
    let Some(first) = items.first() else { return Vec::new() };
    let mut others = vec![json!([first]), json!([first, first])];
    let most = schema["maxItems"].as_u64().filter(|most| *most <= LONGEST_LIST);
    for length in most.into_iter().flat_map(|most| [most, most + 1]) {
        others.push((0..length).map(|number| told_apart(first, schema, number)).collect());
    }
    others
}

/// An item as the first, of another name where items must have names of their own.
fn told_apart(first: &Value, schema: &Value, number: u64) -> Value {
    let mut item = first.clone();
    let keys: Vec<&str> = match schema["x-kubernetes-list-map-keys"].as_array() {
        Some(keys) => keys.iter().filter_map(Value::as_str).collect(),
        None => vec!["name", "path", "metadataKey"],
    };
    let differ = |text: &mut Value| {
        if let Value::String(text) = text {
            text.push_str(&number.to_string());
        }
    };
    if let Value::Object(fields) = &mut item {
        for key in keys {
            fields.get_mut(key).into_iter().for_each(differ);
        }
    } else {
        differ(&mut item);
    }
    item
}

fn objects(fields: &Map<String, Value>, schema: &Value) -> Vec<Value> {
    let with = |name: &str, value: Value| {
        let mut more = fields.clone();
        more.insert(name.to_owned(), value);
        Value::Object(more)
    };
    let mut others = vec![with("nonsense", json!(1))];
    if let Some(known) = schema["properties"].as_object() {
        let absent = known.iter().filter(|(name, _)| !fields.contains_key(*name));
        others.extend(absent.map(|(name, schema)| with(name, least(schema))));
    }
    let most = schema["maxProperties"].as_u64().filter(|_| schema["additionalProperties"].is_object());
    for count in most.into_iter().flat_map(|most| [most, most + 1]) {
        others.push((0..count).map(|number| (format!("k{number}"), json!("v"))).collect());
    }
    others
}

/// The least that a schema lets stand somewhere, but for rules and patterns.
fn least(schema: &Value) -> Value {
    let required = || schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match schema["type"].as_str() {
        Some("object") => {
            let fields = required().map(|name| (name.to_owned(), least(&schema["properties"][name])));
            Value::Object(fields.collect())
        }
        Some("array") => json!([least(&schema["items"])]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some(_) | None => schema["enum"].get(0).cloned().unwrap_or(json!("x")),
    }
}

fn remove(object: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&name);
}

fn brief(change: Option<&Value>) -> String {
    match change {
        None => "nothing there".to_owned(),
        Some(value) => value.to_string().chars().take(120).collect(),
    }
}
