//! A structural schema, read once for checking: patterns and rules compiled.

use std::collections::BTreeMap;

use cel::Program;
use regex::Regex;
use serde_json::Value;

/// What a value may be.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) kind: ShapeKind,
    pub(crate) default: Option<Value>,
    pub(crate) rules: Vec<Rule>,
}

/// The kinds of values.
#[derive(Debug, Default)]
pub(crate) enum ShapeKind {
    /// Not judged.
    #[default]
    Any,
    Object(ObjectShape),
    List(ListShape),
    Text(TextShape),
    Integer {
        least: i64,
        most: i64,
    },
    Boolean,
    /// A whole number or a text, both read as a text.
    IntegerOrText,
}

/// A mapping with named fields, or with free keys.
#[derive(Debug, Default)]
pub(crate) struct ObjectShape {
    pub(crate) fields: BTreeMap<String, Shape>,
    pub(crate) required: Vec<String>,
    /// What free keys hold; none: a field without a name here is refused.
    pub(crate) others: Option<Box<Shape>>,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// A list.
#[derive(Debug)]
pub(crate) struct ListShape {
    pub(crate) item: Box<Shape>,
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) unique: Unique,
}

/// What may not come twice in a list.
#[derive(Debug)]
pub(crate) enum Unique {
    Nothing,
    Items,
    By(Vec<String>),
}

/// A text.
#[derive(Debug)]
pub(crate) struct TextShape {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) pattern: Option<Regex>,
    pub(crate) one_of: Vec<String>,
    pub(crate) date_time: bool,
}

/// A CEL rule over `self`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) program: Program,
    pub(crate) message: String,
}

impl Shape {
    /// Reads a structural schema. Schemas are made from our own types, so that a fault in one is a fault of ours;
    /// a test reads them all.
    pub(crate) fn read(schema: &Value) -> Result<Self, String> {
        let kind = match schema["type"].as_str() {
            Some("object") => ShapeKind::Object(object(schema)?),
            Some("array") => ShapeKind::List(list(schema)?),
            Some("string") => ShapeKind::Text(text(schema)?),
            Some("integer") => ShapeKind::Integer {
                least: schema["minimum"].as_i64().unwrap_or(i64::MIN),
                most: schema["maximum"].as_i64().unwrap_or(i64::MAX),
            },
            Some("boolean") => ShapeKind::Boolean,
            None if schema["x-kubernetes-int-or-string"] == true => ShapeKind::IntegerOrText,
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => ShapeKind::Any,
            Some(_) | None => return Err(format!("a schema of no known type: {schema}")),
        };
        let default = schema.get("default").cloned();
        let rules = schema["x-kubernetes-validations"].as_array();
        let rules = rules.into_iter().flatten().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { kind, default, rules })
    }
}

fn object(schema: &Value) -> Result<ObjectShape, String> {
    let mut fields = BTreeMap::new();
    if let Value::Object(properties) = &schema["properties"] {
        for (name, property) in properties {
            fields.insert(name.clone(), Shape::read(property)?);
        }
    }
    let others = match schema.get("additionalProperties") {
        Some(others) => Some(Shape::read(others)?),
        None if schema["x-kubernetes-preserve-unknown-fields"] == true => Some(Shape::default()),
        None => None,
    };
    Ok(ObjectShape {
        fields,
        required: texts(&schema["required"]),
        others: others.map(Box::new),
        least: bound(&schema["minProperties"], 0),
        most: bound(&schema["maxProperties"], usize::MAX),
    })
}

fn list(schema: &Value) -> Result<ListShape, String> {
    let unique = match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => Unique::By(texts(&schema["x-kubernetes-list-map-keys"])),
        Some("set") => Unique::Items,
        Some(_) | None => Unique::Nothing,
    };
    Ok(ListShape {
        item: Box::new(Shape::read(&schema["items"])?),
        least: bound(&schema["minItems"], 0),
        most: bound(&schema["maxItems"], usize::MAX),
        unique,
    })
}

fn text(schema: &Value) -> Result<TextShape, String> {
    let pattern =
        schema["pattern"].as_str().map(Regex::new).transpose().map_err(|error| error.to_string())?;
    Ok(TextShape {
        least: bound(&schema["minLength"], 0),
        most: bound(&schema["maxLength"], usize::MAX),
        pattern,
        one_of: texts(&schema["enum"]),
        date_time: schema["format"] == "date-time",
    })
}

fn rule(rule: &Value) -> Result<Rule, String> {
    let text = rule["rule"].as_str().ok_or("a rule without text")?;
    let message = rule["message"].as_str().ok_or("a rule without a message")?;
    let program = Program::compile(text).map_err(|error| format!("{text}: {error}"))?;
    Ok(Rule { program, message: message.to_owned() })
}

fn bound(value: &Value, otherwise: usize) -> usize {
    value.as_u64().and_then(|bound| usize::try_from(bound).ok()).unwrap_or(otherwise)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_every_kind_is_read() {
        for definition in crate::resources::definitions() {
            let shape = Shape::read(&definition.schema_in(definition.versions[0]));
            assert!(shape.is_ok(), "{}: {:?}", definition.kind, shape.err());
        }
    }
}
