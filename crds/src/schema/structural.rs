//! From the JSON Schema that schemars makes to the structural form that API servers take: no references, no null
//! types, enums as lists, integers with bounds, and nothing that a structural schema forbids.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The structural schema of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.transforms.clear();
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    normalise(&mut schema);
    schema
}

fn normalise(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        // `true`: anything goes.
        *schema = json!({"x-kubernetes-preserve-unknown-fields": true});
        return;
    };
    unwrap_optional(fields);
    collect_enum(fields);
    drop_null(fields);
    bound_integers(fields);
    for name in ["title", "$schema"] {
        fields.remove(name);
    }
    if fields.get("additionalProperties").is_some_and(Value::is_boolean) {
        let open = fields.remove("additionalProperties") == Some(Value::Bool(true));
        if open {
            fields.insert("x-kubernetes-preserve-unknown-fields".into(), Value::Bool(true));
        }
    }
    if fields.get("default").is_some_and(is_empty) {
        fields.remove("default");
    }
    if let Some(Value::String(text)) = fields.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(normalise);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            normalise(inner);
        }
    }
}

/// `anyOf: [X, null]`, or a lone `allOf`, is X; what stands beside it wins.
fn unwrap_optional(fields: &mut Map<String, Value>) {
    for name in ["anyOf", "allOf"] {
        let Some(Value::Array(choices)) = fields.get(name) else {
            continue;
        };
        let mut real = choices.iter().filter(|choice| choice.get("type") != Some(&json!("null")));
        if let (Some(Value::Object(only)), None) = (real.next().cloned(), real.next()) {
            fields.remove(name);
            for (key, value) in only {
                fields.entry(key).or_insert(value);
            }
        }
    }
}

/// Variants with descriptions come as `oneOf` of constants and lists.
fn collect_enum(fields: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = fields.get("oneOf") else {
        return;
    };
    let values: Vec<Value> = variants
        .iter()
        .flat_map(|variant| match (variant.get("const"), variant.get("enum")) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            (None, _) => Vec::new(),
        })
        .collect();
    fields.remove("oneOf");
    fields.insert("type".into(), json!("string"));
    fields.insert("enum".into(), Value::Array(values));
}

fn drop_null(fields: &mut Map<String, Value>) {
    fields.remove("nullable");
    if let Some(Value::Array(types)) = fields.get("type") {
        let first = types.iter().find(|name| **name != json!("null")).cloned();
        fields.insert("type".into(), first.unwrap_or_else(|| json!("object")));
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// OpenAPI knows int32 and int64 alone; the bounds of the others are said in numbers.
fn bound_integers(fields: &mut Map<String, Value>) {
    if fields.get("type") != Some(&json!("integer")) {
        return;
    }
    let (format, bounds) = match fields.get("format").and_then(Value::as_str) {
        Some("uint16") => ("int32", Some((0, i64::from(u16::MAX)))),
        Some("uint32") => ("int64", Some((0, i64::from(u32::MAX)))),
        Some("int32") => ("int32", None),
        _ => ("int64", None),
    };
    fields.insert("format".into(), json!(format));
    if let Some((least, most)) = bounds {
        fields.entry("minimum").or_insert(json!(least));
        fields.entry("maximum").or_insert(json!(most));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}
