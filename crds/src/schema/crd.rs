//! CustomResourceDefinitions of our kinds, from the same schemas that check files.

use serde_json::{Value, json};

use super::{Crd, Definition, yaml};
use crate::resources::definitions;

/// The CRD YAML of the AI gateway's kinds, several documents; the same text on every call.
pub fn crd_yaml() -> String {
    let documents = definitions().into_iter().filter_map(|definition| {
        let crd = definition.crd.as_ref()?;
        Some(format!("---\n{}", yaml::write(&document(&definition, crd))))
    });
    documents.collect()
}

fn document(definition: &Definition, crd: &Crd) -> Value {
    let Crd { plural, short_names } = crd;
    let mut names = json!({
        "kind": definition.kind,
        "listKind": format!("{}List", definition.kind),
        "plural": plural,
        "singular": definition.kind.to_ascii_lowercase(),
    });
    if !short_names.is_empty() {
        names["shortNames"] = json!(short_names);
    }
    let stored = definition.versions.first();
    let versions: Vec<Value> = definition
        .versions
        .iter()
        .map(|version| {
            let mut entry = version_entry(definition, version);
            if Some(version) == stored {
                entry["storage"] = json!(true);
            } else {
                entry["deprecated"] = json!(true);
                entry["deprecationWarning"] = json!(format!(
                    "{}/{version} {} is deprecated; use {}",
                    definition.group,
                    definition.kind,
                    stored.expect("a kind has a version")
                ));
            }
            entry
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{}", definition.group)},
        "spec": {
            "group": definition.group,
            "names": names,
            "scope": if definition.namespaced { "Namespaced" } else { "Cluster" },
            "versions": versions,
        },
    })
}

fn version_entry(definition: &Definition, version: &str) -> Value {
    let mut schema = definition.schema_in(version);
    let described =
        [("apiVersion", "Group and version of this object's form."), ("kind", "Kind of this object.")];
    for (name, description) in described {
        schema["properties"][name] = json!({"type": "string", "description": description});
    }
    schema["properties"]["metadata"] = json!({"type": "object"}); // API servers know what is in it, and want nothing said.
    schema["properties"]["status"] = status(definition.kind);
    schema["description"] = schema["properties"]["spec"]["description"].clone();
    json!({
        "name": version,
        "served": true,
        "storage": false,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{
            "name": "Status",
            "type": "string",
            "description": "Type of the newest condition.",
            "jsonPath": ".status.conditions[-1:].type",
        }],
    })
}

fn status(kind: &str) -> Value {
    let mut conditions = json!({
        "type": "array",
        "description": "What became of the resource; the newest last.",
        "items": condition(),
    });
    if kind == "GatewayConfig" {
        conditions["maxItems"] = json!(8);
        conditions["x-kubernetes-list-type"] = json!("map");
        conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    }
    json!({
        "type": "object",
        "description": "Written by the gateway.",
        "properties": {"conditions": conditions},
    })
}

/// A condition as Kubernetes defines it (meta/v1).
fn condition() -> Value {
    json!({
        "type": "object",
        "description": "One statement about the resource.",
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        "properties": {
            "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When the status last changed."},
            "message": {"type": "string", "maxLength": 32768, "description": "The reason for people."},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "Generation that the statement is about."},
            "reason": {
                "type": "string", "minLength": 1, "maxLength": 1024,
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                "description": "The reason for programs.",
            },
            "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether the statement holds."},
            "type": {
                "type": "string", "maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                "description": "What is stated: Accepted or NotAccepted.",
            },
        },
    })
}

#[cfg(test)]
#[path = "crd_test.rs"]
mod tests;
