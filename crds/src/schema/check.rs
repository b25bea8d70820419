//! A value against a shape, as an API server does it: nulls dropped, defaults filled in, unknown fields refused, and
//! rules evaluated only where the value's own form is right. Every fault is found, not only the first.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env};
use serde_json::{Map, Value};

use super::date_time;
use super::shape::{ListShape, ObjectShape, Rule, Shape, ShapeKind, TextShape, Unique};
use crate::problem::shown;

/// A value that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `spec.rules[0].name`
    pub(crate) path: String,
    pub(crate) value: String,
    pub(crate) expected: String,
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The text that stands at a path, where something else was read from it.
pub(crate) type Texts<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// Checks `value` and fills its defaults in. `path` is where it stands in its document. Where a text is due and
/// `texts` has one, it is taken: a variable's value may look like a number, or like nothing.
pub(crate) fn check(value: &mut Value, shape: &Shape, path: &str, texts: Texts<'_>) -> Vec<Fault> {
    let mut checker = Checker { path: path.to_owned(), faults: Vec::new(), texts };
    checker.value(value, shape);
    checker.faults
}

struct Checker<'t> {
    path: String,
    faults: Vec<Fault>,
    texts: Texts<'t>,
}

impl Checker<'_> {
    fn value(&mut self, value: &mut Value, shape: &Shape) {
        let before = self.faults.len();
        self.restore(value, shape);
        match (&shape.kind, &mut *value) {
            (ShapeKind::Any, _) | (ShapeKind::Boolean, Value::Bool(_)) => {}
            (ShapeKind::Object(object), Value::Object(fields)) => self.object(fields, object),
            (ShapeKind::List(list), Value::Array(items)) => self.list(items, list),
            (ShapeKind::Text(text), Value::String(value)) => self.text(value, text),
            (ShapeKind::Integer { least, most }, Value::Number(number)) => {
                let fits = number.as_i64().is_some_and(|number| (*least..=*most).contains(&number));
                if !fits {
                    self.fault(number.to_string(), integers(*least, *most));
                }
            }
            (ShapeKind::IntegerOrText, Value::String(text)) if !text.is_empty() => {}
            (ShapeKind::IntegerOrText, Value::Number(number)) if number.is_u64() => {
                *value = Value::String(number.to_string());
            }
            (kind, value) => {
                let brief = brief(value);
                self.fault(brief, kind.wanted());
            }
        }
        if self.faults.len() == before && !shape.rules.is_empty() {
            self.rules(value, &shape.rules);
        }
    }

    fn restore(&self, value: &mut Value, shape: &Shape) {
        if let (ShapeKind::Text(_) | ShapeKind::IntegerOrText, false) = (&shape.kind, value.is_string())
            && let Some(text) = (self.texts)(&self.path)
        {
            *value = Value::String(text.to_owned());
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>, shape: &ObjectShape) {
        for (name, field) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
            if let Some(shape) = shape.fields.get(name).or(shape.others.as_deref()) {
                self.at_key(name, |checker| checker.restore(field, shape));
            }
        }
        // An API server drops nulls of fields that can't be null.
        fields.retain(|_, value| !value.is_null());
        for (name, field) in &shape.fields {
            if let (Some(default), false) = (&field.default, fields.contains_key(name)) {
                fields.insert(name.clone(), default.clone());
            }
        }
        for name in shape.required.iter().filter(|name| !fields.contains_key(*name)) {
            self.at_key(name, |checker| {
                checker.fault(String::new(), "a value: the field is required".to_owned());
            });
        }
        if fields.len() < shape.least || fields.len() > shape.most {
            self.fault(format!("{} fields", fields.len()), count("field", shape.least, shape.most));
        }
        for (name, value) in fields {
            match (shape.fields.get(name), &shape.others) {
                (Some(field), _) => self.at_key(name, |checker| checker.value(value, field)),
                (None, Some(others)) => self.at_key(name, |checker| checker.value(value, others)),
                (None, None) => {
                    let known: Vec<&str> = shape.fields.keys().map(String::as_str).collect();
                    let expected = format!("no such field; known are {}", known.join(", "));
                    let brief = brief(value);
                    self.at_key(name, |checker| checker.fault(brief, expected));
                }
            }
        }
    }

    fn list(&mut self, items: &mut [Value], shape: &ListShape) {
        if items.len() < shape.least || items.len() > shape.most {
            self.fault(format!("{} entries", items.len()), count("entr", shape.least, shape.most));
            // A list far too long is not worth a fault for each entry.
            return;
        }
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter_mut().enumerate() {
            let end = self.path.len();
            push_index(&mut self.path, index);
            self.value(item, &shape.item);
            let key = match &shape.unique {
                Unique::Nothing => None,
                Unique::Items => Some((item.to_string(), "entries that differ".to_owned())),
                Unique::By(keys) => {
                    let key: Vec<String> = keys.iter().map(|key| item[key].to_string()).collect();
                    Some((key.join(" "), format!("entries that differ in {}", keys.join(", "))))
                }
            };
            if let Some((key, expected)) = key
                && !seen.insert(key.clone())
            {
                self.fault(key, expected);
            }
            self.path.truncate(end);
        }
    }

    fn text(&mut self, value: &str, shape: &TextShape) {
        let chars = value.chars().count();
        if !shape.one_of.is_empty() && !shape.one_of.iter().any(|one| one == value) {
            self.fault(shown(value), format!("one of {}", shape.one_of.join(", ")));
        } else if chars < shape.least || chars > shape.most {
            self.fault(format!("{chars} characters"), count("character", shape.least, shape.most));
        } else if let Some(pattern) = shape.pattern.as_ref().filter(|pattern| !pattern.is_match(value)) {
            self.fault(shown(value), format!("a text that fits {pattern}"));
        } else if shape.date_time && date_time::seconds(value).is_none() {
            self.fault(shown(value), "a moment such as 2026-01-31T12:00:00Z".to_owned());
        }
    }

    fn rules(&mut self, value: &Value, rules: &[Rule]) {
        let Ok(this) = cel::to_value(value) else {
            self.fault(brief(value), "a value that rules can be evaluated on".to_owned());
            return;
        };
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("self", this);
        for rule in rules {
            match rule.program.execute(&context) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(cel::Value::Bool(false)) => self.fault(brief(value), wanted(rule)),
                Ok(other) => {
                    self.fault(brief(value), format!("{} (it gave {:?})", wanted(rule), other.type_of()));
                }
                Err(error) => {
                    self.fault(brief(value), format!("{} (it failed: {error})", wanted(rule)));
                }
            }
        }
    }

    fn at_key(&mut self, key: &str, then: impl FnOnce(&mut Self)) {
        let end = self.path.len();
        push_key(&mut self.path, key);
        then(self);
        self.path.truncate(end);
    }

    fn fault(&mut self, value: String, expected: String) {
        self.faults.push(Fault { path: self.path.clone(), value, expected });
    }
}

impl ShapeKind {
    fn wanted(&self) -> String {
        match self {
            Self::Any => "anything".to_owned(),
            Self::Object(_) => "a mapping".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Integer { least, most } => integers(*least, *most),
            Self::Boolean => "true or false".to_owned(),
            Self::IntegerOrText => "a whole number that is not negative, or a text".to_owned(),
        }
    }
}

/// Messages are sentences, as API servers show them.
fn wanted(rule: &Rule) -> String {
    format!("this rule to be met: {}", rule.message)
}

/// Appends a field to a path: `a.b`, or `a[b.c/d]` where the name itself has dots.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if key.contains(['.', '/', '[', ']']) {
        path.push('[');
        path.push_str(key);
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Appends an entry to a path: `a[0]`.
pub(crate) fn push_index(path: &mut String, index: usize) {
    path.push('[');
    path.push_str(&index.to_string());
    path.push(']');
}

fn integers(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, i64::MAX) => "a whole number".to_owned(),
        (least, i64::MAX) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

fn count(noun: &str, least: usize, most: usize) -> String {
    let noun = |bound: usize| match (noun, bound) {
        ("entr", 1) => "entry".to_owned(),
        ("entr", _) => "entries".to_owned(),
        (noun, 1) => noun.to_owned(),
        (noun, _) => format!("{noun}s"),
    };
    match (least, most) {
        (0, most) => format!("at most {most} {}", noun(most)),
        (least, usize::MAX) => format!("at least {least} {}", noun(least)),
        (least, most) if least == most => format!("exactly {most} {}", noun(most)),
        (least, most) => format!("from {least} to {most} {}", noun(most)),
    }
}

/// A value as a problem shows it.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => shown(text),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
