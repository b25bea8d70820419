//! Schemas as Gemini's own clients write them, a part of OpenAPI 3.0, as JSON Schema, which everybody else reads.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::spelling::camel_name;
use crate::canonical::Json;

/// Deeper schemas than any API takes are cut off.
const DEEPEST: usize = 64;

/// The same schema in JSON Schema's words. What is no object is left as it is, for the upstream to judge.
pub(super) fn json_schema(schema: &Json) -> Json {
    let Ok(read) = serde_json::from_str::<Value>(schema.0.get()) else {
        return schema.clone();
    };
    let text = converted(read, DEEPEST).to_string();
    Json(RawValue::from_string(text).expect("a value's text is JSON"))
}

fn converted(schema: Value, depth: usize) -> Value {
    let Value::Object(members) = schema else {
        return schema;
    };
    if depth == 0 {
        return Value::Object(Map::new());
    }
    let mut nullable = false;
    let mut made = Map::new();
    for (name, value) in members {
        let name = camel_name(&name);
        let value = match (name.as_str(), value) {
            ("nullable", value) => {
                nullable = value == true;
                continue;
            }
            // How an answer orders its members; JSON Schema has no word for it.
            ("propertyOrdering", _) => continue,
            ("type", Value::String(kind)) if kind == "TYPE_UNSPECIFIED" => continue,
            ("type", Value::String(kind)) => Value::String(kind.to_ascii_lowercase()),
            ("properties" | "defs" | "$defs", Value::Object(named)) => {
                let named = named.into_iter().map(|(name, schema)| (name, converted(schema, depth - 1)));
                Value::Object(named.collect())
            }
            ("items" | "additionalProperties", schema) => converted(schema, depth - 1),
            ("anyOf", Value::Array(schemas)) => {
                schemas.into_iter().map(|schema| converted(schema, depth - 1)).collect()
            }
            // Google writes 64-bit numbers as text.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
                Value::String(number),
            ) => number.parse::<u64>().map_or(Value::String(number), Value::from),
            (_, value) => value,
        };
        made.insert(name, value);
    }
    if nullable && let Some(kind) = made.get_mut("type") {
        *kind = Value::from(vec![kind.take(), Value::from("null")]);
    }
    Value::Object(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_schemas_become_json_schemas() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"type":"STRING","nullable":true}"#,                                 r#"{"type":["string","null"]}"#),
            (r#"{"type":"OBJECT","properties":{"a_b":{"type":"INTEGER","format":"int32"}},"required":["a_b"],"property_ordering":["a_b"]}"#,
                                                                                     r#"{"properties":{"a_b":{"format":"int32","type":"integer"}},"required":["a_b"],"type":"object"}"#), // names of properties stay
            (r#"{"type":"ARRAY","items":{"type":"NUMBER"},"min_items":"1"}"#,        r#"{"items":{"type":"number"},"minItems":1,"type":"array"}"#),
            (r#"{"anyOf":[{"type":"STRING"},{"type":"TYPE_UNSPECIFIED"}]}"#,         r#"{"anyOf":[{"type":"string"},{}]}"#),
            (r#"{"type":"STRING","enum":["A","B"],"nullable":false}"#,               r#"{"enum":["A","B"],"type":"string"}"#),
            (r#"{"type":"object"}"#,                                                 r#"{"type":"object"}"#),
            ("[1]",                                                                  "[1]"),
        ];
        for (google, json) in cases {
            let schema = Json(RawValue::from_string(google.to_owned()).unwrap());
            assert_eq!(json_schema(&schema).0.get(), json, "{google}");
        }
    }
}
