//! What the APIs demand of a JSON schema beyond its meaning.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::Json;

/// A schema's members, unread.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Anthropic refuses a tool's schema that does not say that it is of an object.
pub(super) fn with_type(schema: &Json) -> Cow<'_, Json> {
    match members(schema.0.get()) {
        Some(members) if !members.contains_key("type") => Cow::Owned(begin(schema, r#""type":"object""#)),
        Some(_) | None => Cow::Borrowed(schema),
    }
}

/// OpenAI refuses a tool's schema of an object that names no properties.
pub(super) fn with_properties(schema: &Json) -> Cow<'_, Json> {
    match members(schema.0.get()) {
        Some(members) if is_object(&members) && !members.contains_key("properties") => {
            Cow::Owned(begin(schema, r#""properties":{}"#))
        }
        Some(_) | None => Cow::Borrowed(schema),
    }
}

/// OpenAI's condition for a strict schema: it is an object's, and every object in it requires all its properties and
/// forbids others.
pub(super) fn is_closed(schema: &Json) -> bool {
    let Ok(schema) = serde_json::from_str::<Value>(schema.0.get()) else {
        return false;
    };
    schema["type"] == "object" && all_closed(&schema)
}

fn all_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let open = describes_object(schema) && !requires_all(schema);
            !open && members.iter().all(|(keyword, value)| below_closed(keyword, value))
        }
        Value::Array(schemas) => schemas.iter().all(all_closed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// What stands below a keyword: schemas by name, values that are no schemas, or a schema or a list of them.
fn below_closed(keyword: &str, value: &Value) -> bool {
    match (keyword, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => named.values().all(all_closed),
        ("enum" | "const" | "default" | "examples", _) => true,
        (_, schema) => all_closed(schema),
    }
}

fn describes_object(schema: &Value) -> bool {
    let kind = &schema["type"];
    let one_of_several = kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"));
    kind == "object" || one_of_several || schema.get("properties").is_some()
}

fn requires_all(schema: &Value) -> bool {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let mut names = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
    schema["additionalProperties"] == false && names.all(|name| required.iter().any(|known| known == name))
}

fn is_object(members: &Members<'_>) -> bool {
    members.get("type").is_some_and(|kind| kind.get() == r#""object""#)
}

/// None if the schema is no object: then it is the upstream's to judge.
fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

/// The object `schema` with one member more.
fn begin(schema: &Json, member: &str) -> Json {
    let rest = schema.0.get().trim_start_matches('{').trim_start();
    let comma = if rest == "}" { "" } else { "," };
    let text = format!("{{{member}{comma}{rest}");
    Json(RawValue::from_string(text).expect("a member put before an object's others is JSON"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::value::RawValue;

    use super::{Json, is_closed, with_properties, with_type};

    #[test]
    fn only_what_is_missing_is_added() {
        #[rustfmt::skip]
        let cases = [
            // schema                              with a type                                with properties
            ("{}",                                 r#"{"type":"object"}"#,                    "{}"),
            ("{ }",                                r#"{"type":"object"}"#,                    "{ }"),
            (r#"{"type":"object"}"#,               r#"{"type":"object"}"#,                    r#"{"properties":{},"type":"object"}"#),
            (r#"{ "type": "object"}"#,             r#"{ "type": "object"}"#,                  r#"{"properties":{},"type": "object"}"#),
            (r#"{"properties":{"type":{}}}"#,      r#"{"type":"object","properties":{"type":{}}}"#, r#"{"properties":{"type":{}}}"#),
            (r#"{"type":"object","properties":{}}"#, r#"{"type":"object","properties":{}}"#,  r#"{"type":"object","properties":{}}"#),
            (r#"{"type":"string"}"#,               r#"{"type":"string"}"#,                    r#"{"type":"string"}"#), // wrong, but not ours to judge
            ("[1]",                                "[1]",                                     "[1]"),
        ];
        for (schema, typed, propertied) in cases {
            let json = Json(RawValue::from_string(schema.to_owned()).unwrap());
            let text = |made: Cow<'_, Json>| made.0.get().to_owned();
            assert_eq!(text(with_type(&json)), typed, "{schema}");
            assert_eq!(text(with_properties(&json)), propertied, "{schema}");
        }
    }

    #[test]
    fn closed_objects_are_told_from_open_ones() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#, true),
            (r#"{"type":"object","additionalProperties":false}"#, true), // no properties, so none is missing
            (r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#, false), // open to others
            (r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":{}}"#, false),
            (r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}"#, false), // b is optional
            (r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}"#, false), // below
            (r#"{"type":"object","properties":{"a":{"anyOf":[{"type":["object","null"]}]}},"required":["a"],"additionalProperties":false}"#, false),
            (r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"],"additionalProperties":false,"$defs":{"x":{"properties":{"b":{}}}}}"##, false),
            (r#"{"type":"object","properties":{"properties":{"type":"string","default":{"type":"object"}}},"required":["properties"],"additionalProperties":false}"#, true), // a name and a value, no schemas
            ("{}", false), // OpenAI wants an object
            ("[]", false),
        ];
        for (schema, closed) in cases {
            let json = Json(RawValue::from_string(schema.to_owned()).unwrap());
            assert_eq!(is_closed(&json), closed, "{schema}");
        }
    }
}
