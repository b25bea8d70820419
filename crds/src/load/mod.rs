//! From text to resources: documents, YAML, `${VARIABLES}`, schema checks.
//!
//! ```text
//! text ─ split ─▶ documents ─ yaml ─▶ JSON value + line of every node ─ object ─▶ Loaded
//! ```
//!
//! A document that fails at any step is a problem; those before and after it load.

mod lines;
mod object;
mod scalar;
mod split;
mod written;
mod yaml;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::problem::{Place, Problem, Severity};
use crate::resources::{Metadata, Resource};
use crate::snapshot::ResourceName;

use lines::Lines;
use written::Item;

pub use written::Written;

/// A resource past the checks of its schema, and where it was read.
#[derive(Debug)]
pub struct Loaded {
    /// Its content.
    pub resource: Resource,
    /// Its Kind.
    pub kind: &'static str,
    /// Its namespace (`default` where it named none; empty for kinds that have none) and name.
    pub name: ResourceName,
    /// The object with variables replaced, as JSON. Contains secrets where the resource does.
    pub json: Value,
    pub(crate) metadata: Metadata,
    file: String,
    lines: Lines,
    written: Written,
}

/// Parses a YAML or JSON text of several documents. `variable` looks `${NAME}` up.
///
/// Lists (`kind: List`) are unpacked. Kinds that are not served are problems that say so; unknown fields are problems
/// with their path, as strict decoding has them.
pub fn parse(
    file: &str,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Loaded>, Vec<Problem>) {
    read(file, text, Some(variable))
}

/// As [`parse`], but `$` means nothing: for texts that did not come from an operator's files, such as objects of an
/// API server.
pub fn parse_as_is(file: &str, text: &str) -> (Vec<Loaded>, Vec<Problem>) {
    read(file, text, None)
}

/// Looks a variable up.
pub(crate) type Variables<'a> = Option<&'a dyn Fn(&str) -> Option<String>>;

fn read(file: &str, text: &str, variables: Variables<'_>) -> (Vec<Loaded>, Vec<Problem>) {
    let mut all = (Vec::new(), Vec::new());
    for (number, split::Document { text, first_line }) in (1..).zip(split::documents(text)) {
        let label = format!("document {number}");
        let (loaded, problems) =
            read_document(&Document { file, label, text, first_line, item: None }, variables);
        all.0.extend(loaded);
        all.1.extend(problems);
    }
    all
}

/// One document of a file.
struct Document<'a> {
    file: &'a str,
    label: String,
    text: &'a str,
    first_line: usize,
    /// Made from an item of a list.
    item: Option<Item>,
}

fn read_document(document: &Document<'_>, variables: Variables<'_>) -> (Vec<Loaded>, Vec<Problem>) {
    let Document { file, label, text, first_line, item } = document;
    let used = RefCell::new(BTreeMap::new());
    let noted = |name: &str| {
        let value = variables?(name)?;
        used.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let read = yaml::read(text, *first_line, variables.is_some().then_some(&noted));
    let (tree, faults) = read.unwrap_or_else(|fault| (None, vec![fault]));
    let sound = faults.is_empty() && item.is_none_or(|item| item.sound);
    let problem = |fault: yaml::DocumentFault| Problem {
        resource: label.clone(),
        field: fault.field,
        value: fault.value,
        expected: fault.expected,
        severity: Severity::Rejected,
        at: Some(Place { file: (*file).to_owned(), line: fault.line }),
    };
    let mut problems: Vec<Problem> = faults.into_iter().map(problem).collect();
    let mut loaded = Vec::new();
    if let Some((value, mut lines)) = tree {
        if item.is_some_and(|item| item.hidden) {
            lines.hide();
        }
        let written = Written {
            file: (*file).to_owned(),
            line: *first_line,
            label: label.clone(),
            text: (*text).to_owned(),
            variables: variables.is_some().then(|| used.into_inner()),
            item: *item,
        };
        let origin = object::Origin { file, label: label.clone(), sound, written: &written };
        object::load(&origin, value, lines, &mut loaded, &mut problems);
    }
    (loaded, problems)
}

impl Loaded {
    /// True when it did not pass its checks, and only says so.
    pub fn is_rejected(&self) -> bool {
        matches!(self.resource, Resource::Rejected | Resource::RejectedPolicy(_))
    }

    /// As it was written, to be kept and read again.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The group of its kind; empty for the core's.
    pub fn group(&self) -> &str {
        let version = self.json["apiVersion"].as_str().unwrap_or_default();
        version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// A problem with a field of this resource. The value is hidden where it came from a variable or a Secret.
    pub fn problem(&self, field: &str, value: impl Into<String>, expected: impl Into<String>) -> Problem {
        let (line, hidden) = self.lines.find(field);
        let hidden = hidden || matches!(self.resource, Resource::Secret(_));
        let value = value.into();
        Problem {
            resource: format!("{} {}", self.kind, self.name),
            field: field.to_owned(),
            value: if hidden && !value.is_empty() { "[redacted]".to_owned() } else { value },
            expected: expected.into(),
            severity: Severity::Rejected,
            at: Some(Place { file: self.file.clone(), line }),
        }
    }

    /// A field that is understood but without effect here.
    pub(crate) fn not_honoured(&self, field: &str, expected: impl Into<String>) -> Problem {
        Problem { severity: Severity::NotHonoured, ..self.problem(field, "", expected) }
    }
}

/// The documents of a text as JSON: for tests that read our own output.
#[cfg(test)]
pub(crate) fn documents_as_json(text: &str) -> Vec<Value> {
    let read =
        |document: &split::Document<'_>| yaml::read(document.text, document.first_line, None).unwrap().0;
    split::documents(text).iter().filter_map(read).map(|(value, _)| value).collect()
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
