//! One document to one resource, or to several where it is a list: which kind it is, its metadata, its content.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::lines::Lines;
use super::{Item, Loaded, ResourceName, Written};
use crate::problem::{Place, Problem, Severity};
use crate::resources::{Metadata, RejectedPolicy, Resource, definitions, ignored};
use crate::schema::{Definition, Shape, brief, check, metadata_schema};

/// Where a document came from, for problems of objects that have no name yet.
#[derive(Clone, Debug)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a str,
    pub(super) label: String,
    /// False where a variable was missing: that problem is told already, and nothing but what a policy protects counts.
    pub(super) sound: bool,
    /// The whole document.
    pub(super) written: &'a Written,
}

/// A served kind in one of its versions, with its schema read.
struct Known {
    definition: Arc<Definition>,
    version: &'static str,
    shape: Shape,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let read = |definition: Definition| {
        let definition = Arc::new(definition);
        definition.versions.iter().map(move |version| {
            let schema = definition.schema_in(version);
            let shape = Shape::read(&schema).expect("our own schemas are read by a test");
            Known { definition: Arc::clone(&definition), version, shape }
        })
    };
    definitions().into_iter().flat_map(read).collect()
});

static METADATA: LazyLock<Shape> =
    LazyLock::new(|| Shape::read(&metadata_schema()).expect("our own schemas are read by a test"));

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// Loads a document; what it can't load becomes problems.
pub(super) fn load(
    origin: &Origin<'_>,
    value: Value,
    mut lines: Lines,
    loaded: &mut Vec<Loaded>,
    problems: &mut Vec<Problem>,
) {
    let Value::Object(mut fields) = value else {
        problems.push(origin.problem(
            &lines,
            "",
            brief(&value),
            "a mapping with apiVersion, kind and metadata",
        ));
        return;
    };
    let is_list = fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    if let (true, Some(Value::Array(items))) = (is_list, fields.get_mut("items")) {
        let items = std::mem::take(items);
        let mut item_lines = lines.take("items");
        for (index, item) in items.into_iter().enumerate() {
            let lines = item_lines.take(&index.to_string());
            let label = format!("{} items[{index}]", origin.label);
            let written = Written {
                file: origin.file.to_owned(),
                line: lines.line,
                label: label.clone(),
                text: item.to_string(),
                variables: None,
                item: Some(Item { hidden: origin.written.has_variables(), sound: origin.sound }),
            };
            let origin = Origin { file: origin.file, label, sound: origin.sound, written: &written };
            load_one(&origin, item, lines, loaded, problems);
        }
        return;
    }
    load_one(origin, Value::Object(fields), lines, loaded, problems);
}

fn load_one(
    origin: &Origin<'_>,
    json: Value,
    lines: Lines,
    loaded: &mut Vec<Loaded>,
    problems: &mut Vec<Problem>,
) {
    let Identified { origin: named, known, metadata, fields } = match identify(origin, &json, &lines) {
        Ok(identified) => identified,
        Err(faults) => {
            loaded.extend(unserved_guard(origin, &json, lines));
            // What variables left behind is not worth more problems.
            return problems.extend(faults.into_iter().filter(|_| origin.sound));
        }
    };
    let resource = match content(&named, &lines, known, fields) {
        Ok(resource) if origin.sound => resource,
        Ok(_) => rejected(known, &json),
        Err(faults) => {
            problems.extend(faults.into_iter().filter(|_| origin.sound));
            rejected(known, &json)
        }
    };
    let namespace = match &metadata.namespace {
        _ if !known.definition.namespaced => String::new(),
        Some(namespace) => namespace.to_string(),
        None => DEFAULT_NAMESPACE.to_owned(),
    };
    let name = ResourceName { namespace, name: metadata.name.clone() };
    let (kind, file, written) = (known.definition.kind, origin.file.to_owned(), origin.written.clone());
    loaded.push(Loaded { resource, kind, name, json, metadata, file, lines, written });
}

/// An object of a kind that is served, with a name.
struct Identified<'a> {
    origin: Origin<'a>,
    known: &'static Known,
    metadata: Metadata,
    /// The rest of the object.
    fields: Map<String, Value>,
}

fn identify<'a>(origin: &Origin<'a>, json: &Value, lines: &Lines) -> Result<Identified<'a>, Vec<Problem>> {
    let Value::Object(mut fields) = json.clone() else {
        return Err(vec![origin.problem(
            lines,
            "",
            brief(json),
            "a mapping with apiVersion, kind and metadata",
        )]);
    };
    let mut faults = Vec::new();
    let mut text = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => text,
        other => {
            let value = other.as_ref().map(brief).unwrap_or_default();
            faults.push(origin.problem(
                lines,
                name,
                value,
                &format!("a text: {name} says what the object is"),
            ));
            String::new()
        }
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if !faults.is_empty() {
        return Err(faults);
    }
    fields.remove("status");
    let origin = origin.named(&kind, fields.get("metadata"));
    let known = find(&origin, lines, &api_version, &kind)?;
    let metadata = match metadata(&origin, lines, fields.remove("metadata")) {
        Ok(metadata) => metadata,
        Err(mut faults) => {
            faults.extend(content(&origin, lines, known, fields).err().into_iter().flatten());
            return Err(faults);
        }
    };
    Ok(Identified { origin, known, metadata, fields })
}

/// A policy of a kind that is not served, but whose absence would let anybody in.
fn unserved_guard(origin: &Origin<'_>, json: &Value, lines: Lines) -> Option<Loaded> {
    let kind = "SecurityPolicy";
    let group = json["apiVersion"].as_str()?.split('/').next()?;
    if json["kind"] != kind || group != "gateway.envoyproxy.io" {
        return None;
    }
    let metadata = json.get("metadata").cloned().unwrap_or_default();
    let metadata: Metadata = serde_json::from_value(metadata)
        .or_else(|_| serde_json::from_value(serde_json::json!({"name": kind})))
        .expect("a name is all that it needs");
    let text = |field: &str| json["metadata"][field].as_str().map(str::to_owned);
    let namespace = text("namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let name = ResourceName { namespace, name: text("name").unwrap_or_default() };
    let resource = Resource::RejectedPolicy(Box::new(RejectedPolicy::read(kind, json)?));
    let (file, written) = (origin.file.to_owned(), origin.written.clone());
    Some(Loaded { resource, kind, name, json: json.clone(), metadata, file, lines, written })
}

/// Of most kinds the name is left; a policy leaves its targets protected.
fn rejected(known: &Known, json: &Value) -> Resource {
    RejectedPolicy::read(known.definition.kind, json)
        .map_or(Resource::Rejected, |policy| Resource::RejectedPolicy(Box::new(policy)))
}

/// The kind, if we serve it in this version.
fn find(
    origin: &Origin<'_>,
    lines: &Lines,
    api_version: &str,
    kind: &str,
) -> Result<&'static Known, Vec<Problem>> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let of_kind = |known: &&Known| known.definition.kind == kind && known.definition.group == group;
    let Some(any) = KNOWN.iter().find(of_kind) else {
        let problem = origin.problem(lines, "kind", String::new(), &ignored(group, kind));
        return Err(vec![Problem { severity: Severity::NotHonoured, ..problem }]);
    };
    if let Some(known) = KNOWN.iter().filter(of_kind).find(|known| known.version == version) {
        return Ok(known);
    }
    let expected = format!("one of the versions {}", any.definition.versions.join(", "));
    Err(vec![origin.problem(lines, "apiVersion", api_version.to_owned(), &expected)])
}

fn metadata(origin: &Origin<'_>, lines: &Lines, value: Option<Value>) -> Result<Metadata, Vec<Problem>> {
    let mut value = value.unwrap_or_else(|| Value::Object(Map::new()));
    let faults = check(&mut value, &METADATA, "metadata", &|path| lines.text(path));
    if !faults.is_empty() {
        return Err(origin.problems(lines, faults));
    }
    serde_json::from_value(value)
        .map_err(|error| vec![origin.problem(lines, "metadata", String::new(), &error.to_string())])
}

fn content(
    origin: &Origin<'_>,
    lines: &Lines,
    known: &Known,
    fields: Map<String, Value>,
) -> Result<Resource, Vec<Problem>> {
    let mut value = Value::Object(fields);
    let mut faults = check(&mut value, &known.shape, "", &|path| lines.text(path));
    if !faults.is_empty() {
        if known.definition.kind == "Secret" {
            for fault in faults.iter_mut().filter(|fault| !fault.value.is_empty()) {
                "[redacted]".clone_into(&mut fault.value);
            }
        }
        return Err(origin.problems(lines, faults));
    }
    known.definition.read(value).map_err(|error| {
        vec![origin.problem(lines, "", String::new(), &format!("a {}: {error}", known.definition.kind))]
    })
}

impl<'a> Origin<'a> {
    /// Once the kind is known, and the name if there is one, problems carry them.
    fn named(&self, kind: &str, metadata: Option<&Value>) -> Origin<'a> {
        let text = |name: &str| metadata.and_then(|metadata| metadata[name].as_str());
        let known = KNOWN.iter().find(|known| known.definition.kind == kind);
        let has_namespace = known.is_some_and(|known| known.definition.namespaced);
        let namespace = text("namespace").or(has_namespace.then_some(DEFAULT_NAMESPACE));
        let label = match (text("name"), namespace) {
            (Some(name), Some(namespace)) => format!("{kind} {namespace}/{name}"),
            (Some(name), None) => format!("{kind} {name}"),
            (None, _) => format!("{kind} in {}", self.label),
        };
        let Origin { file, label: _, sound, written } = *self;
        Origin { file, label: crate::problem::shown(&label), sound, written }
    }

    fn problem(&self, lines: &Lines, field: &str, value: String, expected: &str) -> Problem {
        let (line, hidden) = lines.find(field);
        Problem {
            resource: self.label.clone(),
            field: field.to_owned(),
            value: if hidden && !value.is_empty() { "[redacted]".to_owned() } else { value },
            expected: expected.to_owned(),
            severity: Severity::Rejected,
            at: Some(Place { file: self.file.to_owned(), line }),
        }
    }

    fn problems(&self, lines: &Lines, faults: Vec<crate::schema::Fault>) -> Vec<Problem> {
        faults
            .into_iter()
            .map(|fault| self.problem(lines, &fault.path, fault.value, &fault.expected))
            .collect()
    }
}
