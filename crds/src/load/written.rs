//! A resource as it was written, to be kept and read again elsewhere: its text and the variables that were put into it.
//!
//! Read again it gives the same resource and the same problems, with the same lines. What may be shown of it to people is
//! the same without its secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Document, Loaded, read_document};
use crate::problem::Problem;

/// Stands in the place of what is secret.
const REDACTED: &str = "REDACTED";
/// Of a Secret, these say nothing secret.
const OPEN_FIELDS: [&str; 4] = ["apiVersion", "kind", "type", "immutable"];
const OPEN_METADATA: [&str; 5] = ["name", "namespace", "labels", "creationTimestamp", "uid"];

/// One resource as it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The file's name, as the reader gave it.
    pub file: String,
    /// Where the text begins in it, counted from 1.
    pub line: usize,
    /// Names it where nothing better is known.
    pub(super) label: String,
    pub(super) text: String,
    /// What `${NAME}` stood for when it was read. None: `$` means nothing.
    pub(super) variables: Option<BTreeMap<String, String>>,
    /// It was an item of a list: its text was made from what had been read.
    pub(super) item: Option<Item>,
}

/// What is no longer to be seen in an item's text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// Variables went into the list.
    pub(super) hidden: bool,
    /// All of them were set.
    pub(super) sound: bool,
}

impl Written {
    /// Reads it again.
    pub fn load(&self) -> (Option<Loaded>, Vec<Problem>) {
        let variable = |name: &str| self.variables.as_ref().and_then(|all| all.get(name).cloned());
        let document = Document {
            file: &self.file,
            label: self.label.clone(),
            text: &self.text,
            first_line: self.line,
            item: self.item,
        };
        let (mut loaded, problems) = read_document(&document, self.variables.is_some().then_some(&variable));
        (loaded.pop(), problems)
    }

    /// Whether variables were put in: any of its values may be secret.
    pub fn has_variables(&self) -> bool {
        let put_in = self.variables.as_ref().is_some_and(|all| !all.is_empty());
        put_in || self.item.is_some_and(|item| item.hidden)
    }

    /// As people may see it: variables as they were written, and nothing of what a Secret holds.
    pub fn shown(&self) -> Value {
        let as_written = super::yaml::read(&self.text, self.line, None).ok().and_then(|(tree, _)| tree);
        let Some((mut value, _)) = as_written else { return Value::Null };
        if value["kind"] == "Secret" || self.item.is_some_and(|item| item.hidden) {
            redact_object(&mut value);
        }
        value
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Written({}:{}, {} bytes)", self.file, self.line, self.text.len())
    }
}

/// Unknown fields may be misspelt ones: only what is known to be harmless stays.
fn redact_object(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return redact(value) };
    for (name, field) in fields.iter_mut() {
        if let (Some(metadata), "metadata") = (field.as_object_mut(), name.as_str()) {
            redact_but(metadata, &OPEN_METADATA);
        } else if !OPEN_FIELDS.contains(&name.as_str()) {
            redact(field);
        }
    }
}

fn redact_but(fields: &mut Map<String, Value>, open: &[&str]) {
    for (name, field) in fields.iter_mut() {
        if !open.contains(&name.as_str()) {
            redact(field);
        }
    }
}

/// Keys stay: they are names.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(redact),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = Value::from(REDACTED),
    }
}

#[cfg(test)]
#[path = "written_test.rs"]
mod tests;
