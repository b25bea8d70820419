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
mod yaml;

use serde_json::Value;

use crate::problem::{Place, Problem, Severity};
use crate::resources::{Metadata, Resource};
use crate::snapshot::ResourceName;

use lines::Lines;

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
    let mut loaded = Vec::new();
    let mut problems = Vec::new();
    for (number, document) in (1..).zip(split::documents(text)) {
        let label = format!("document {number}");
        let (tree, faults) = match yaml::read(document.text, document.first_line, variables) {
            Ok(read) => read,
            Err(fault) => (None, vec![fault]),
        };
        let origin = object::Origin { file, label, sound: faults.is_empty() };
        problems.extend(faults.into_iter().map(|fault| Problem {
            resource: origin.label.clone(),
            field: fault.field,
            value: fault.value,
            expected: fault.expected,
            severity: Severity::Rejected,
            at: Some(Place { file: file.to_owned(), line: fault.line }),
        }));
        if let Some((value, lines)) = tree {
            object::load(&origin, value, lines, &mut loaded, &mut problems);
        }
    }
    (loaded, problems)
}

impl Loaded {
    /// True when it did not pass its checks, and only says so.
    pub fn is_rejected(&self) -> bool {
        matches!(self.resource, Resource::Rejected | Resource::RejectedPolicy(_))
    }

    /// A problem with a field of this resource. The value is hidden where it came from a variable or a Secret.
    pub(crate) fn problem(
        &self,
        field: &str,
        value: impl Into<String>,
        expected: impl Into<String>,
    ) -> Problem {
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
