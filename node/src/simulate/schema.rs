//! The smallest value that a JSON Schema allows, for structured output and tool arguments.
//!
//! Covers what clients generate: types, required properties, enums and constants, bounds, formats,
//! local `$ref`, `anyOf`, `oneOf`, `allOf`. What it does not know it reads as no restriction.

use std::cell::Cell;

use serde_json::{Map, Value, json};

/// Deeper than any real schema; a recursive one ends here.
const DEEPEST: u32 = 24;
/// Values in one answer: a schema of a few lines can ask for billions.
const MOST_VALUES: u32 = 10_000;
/// No answer needs more items or characters than this, whatever the schema says.
const LONGEST: u64 = 1000;

/// A value that `schema` allows.
pub(crate) fn example(schema: &Value) -> Value {
    let left = Cell::new(MOST_VALUES);
    Example { root: schema, left }.of(schema, 0)
}

struct Example<'a> {
    root: &'a Value,
    /// Values that may still be made.
    left: Cell<u32>,
}

impl Example<'_> {
    fn of(&self, schema: &Value, depth: u32) -> Value {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if depth > DEEPEST || left == 0 {
            return Value::Null;
        }
        if let Some(fixed) = fixed(schema) {
            return fixed.clone();
        }
        if let Some(target) = schema["$ref"].as_str() {
            return match target.strip_prefix('#').and_then(|path| self.root.pointer(path)) {
                Some(target) => self.of(target, depth + 1),
                None => Value::Null,
            };
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(first) = schema[union].get(0) {
                return self.of(first, depth + 1);
            }
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => Value::String(string(schema)),
            "integer" | "number" => number(schema),
            "boolean" => Value::Bool(true),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: u32) -> Value {
        let mut object = Map::new();
        let parts = schema["allOf"].as_array().map_or(&[][..], Vec::as_slice);
        for part in parts {
            if let Value::Object(fields) = self.of(part, depth + 1) {
                object.extend(fields);
            }
        }
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for name in required.iter().filter_map(Value::as_str) {
            if self.left.get() == 0 {
                break;
            }
            let value = match schema["properties"].get(name) {
                Some(property) => self.of(property, depth + 1),
                None => object.remove(name).unwrap_or(Value::Null),
            };
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }

    fn array(&self, schema: &Value, depth: u32) -> Value {
        let length = schema["minItems"].as_u64().unwrap_or(0).min(LONGEST);
        Value::Array(
            (0..length)
                .take_while(|_| self.left.get() > 0)
                .map(|_| self.of(&schema["items"], depth + 1))
                .collect(),
        )
    }
}

fn fixed(schema: &Value) -> Option<&Value> {
    schema.get("const").or_else(|| schema["enum"].get(0)).or_else(|| schema.get("default"))
}

/// The schema's type; of several the first that is not null; of none what its other words say.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("items").is_some() => "array",
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "object",
    }
}

fn string(schema: &Value) -> String {
    let known = match schema["format"].as_str() {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "ada@example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("uri") => "https://example.com/",
        Some(_) | None => "example",
    };
    let shortest = schema["minLength"].as_u64().unwrap_or(0).min(LONGEST);
    let longest = schema["maxLength"].as_u64().unwrap_or(LONGEST);
    let mut text: String = known.chars().take(to_usize(longest)).collect();
    while (text.len() as u64) < shortest {
        text.push('e');
    }
    text
}

fn number(schema: &Value) -> Value {
    if let Some(step) = schema.get("multipleOf")
        && schema.get("minimum").is_none()
    {
        return step.clone();
    }
    if let Some(least) = schema.get("minimum") {
        return least.clone();
    }
    if let Some(below) = schema["exclusiveMinimum"].as_i64() {
        return json!(below.saturating_add(1));
    }
    match schema.get("maximum") {
        Some(most) if most.as_f64().is_some_and(|most| most < 1.0) => most.clone(),
        Some(_) | None => json!(1),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn satisfies_schemas() {
        #[rustfmt::skip]
        let cases = [
            // schema, value: the why is in the schema's key words
            (json!({}),                                                     json!({})),
            (json!({"type": "string"}),                                     json!("example")),
            (json!({"type": "string", "maxLength": 3}),                     json!("exa")),
            (json!({"type": "string", "minLength": 9}),                     json!("exampleee")),
            (json!({"type": "string", "format": "date"}),                   json!("2026-01-01")),
            (json!({"type": "string", "enum": ["b", "a"]}),                 json!("b")),
            (json!({"const": 7}),                                           json!(7)),
            (json!({"type": "integer"}),                                    json!(1)),
            (json!({"type": "integer", "minimum": 5}),                      json!(5)),
            (json!({"type": "integer", "exclusiveMinimum": 5}),             json!(6)),
            (json!({"type": "number", "maximum": -2}),                      json!(-2)),
            (json!({"type": ["null", "boolean"]}),                          json!(true)),
            (json!({"type": "array", "items": {"type": "integer"}}),        json!([])),
            (json!({"type": "array", "minItems": 2, "items": {"const": 3}}), json!([3, 3])),
            (json!({"type": "object", "required": ["a"],
                    "properties": {"a": {"type": "string"}, "b": {}}}),     json!({"a": "example"})),
            (json!({"$ref": "#/$defs/x", "$defs": {"x": {"const": 1}}}),    json!(1)),
            (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}),     json!(1)),
            (json!({"allOf": [{"required": ["a"], "properties": {"a": {"const": 1}}}]}), json!({"a": 1})),
            (json!({"$ref": "#/nowhere"}),                                  json!(null)),
        ];
        for (schema, expected) in cases {
            assert_eq!(example(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_asks_for_billions_ends() {
        let both = json!({"required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
        let items = json!({"type": "array", "minItems": 1000, "items": {"$ref": "#"}});
        for schema in [both, items] {
            let text = example(&schema).to_string();
            assert!(text.len() < 1_000_000, "{} bytes", text.len());
        }
    }

    #[test]
    fn a_recursive_schema_ends() {
        let schema = json!({"required": ["next"], "properties": {"next": {"$ref": "#"}}});
        assert!(example(&schema).is_object());
    }
}
