//! An object of the API server as the store keeps it: what is read here, and nothing that changes by itself, so that a write
//! to its status is no news.

use std::sync::Arc;

use serde_json::{Map, Value};
use tollgate_cluster::state::resources::ResourceKey;
use tollgate_crds::{Loaded, Problem};

use crate::config::entry::{Entry, Held, Origin, Source};

/// Where problems say that it was read.
const FILE: &str = "kubernetes";
/// What is kept of metadata, besides annotations.
const KEPT: [&str; 5] = ["name", "namespace", "labels", "creationTimestamp", "generation"];
/// Annotations of others change without meaning for us, or hold all of the manifest.
const KEPT_ANNOTATIONS: [&str; 3] =
    ["aigateway.envoyproxy.io/", "gateway.networking.k8s.io/", "tollgate.dev/"];

/// See the file's purpose.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: ResourceKey,
    pub(crate) origin: Origin,
    /// As it would lie in the store. None: it can't be read at all.
    pub(crate) held: Option<Arc<Held>>,
    /// Why not.
    pub(crate) problems: Vec<Problem>,
    /// Counts changes of the spec.
    pub(crate) generation: i64,
    /// With group, as it was asked for.
    pub(crate) api_version: String,
    /// As it is there now.
    pub(crate) status: Value,
}

/// An object of a kind, named as it was asked for: items of a list do not say what they are.
pub(crate) struct Read<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    /// Seconds since 1970.
    pub(crate) at_s: u64,
}

impl Read<'_> {
    /// Reads it. None: it has no name, which no object of an API server lacks.
    pub(crate) fn object(&self, mut value: Value) -> Option<Object> {
        let fields = value.as_object_mut()?;
        let status = fields.remove("status").unwrap_or_default();
        let Value::Object(metadata) = fields.remove("metadata")? else { return None };
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let group = self.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let key = ResourceKey {
            group: group.to_owned(),
            kind: self.kind.to_owned(),
            namespace: text("namespace"),
            name: Some(text("name")).filter(|name| !name.is_empty())?,
        };
        let origin =
            Origin { uid: text("uid"), resource_version: text("resourceVersion").parse().unwrap_or(0) };
        let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(0);
        fields.insert("apiVersion".to_owned(), self.api_version.into());
        fields.insert("kind".to_owned(), self.kind.into());
        fields.insert("metadata".to_owned(), Value::Object(kept(metadata)));
        let (mut loaded, problems) = tollgate_crds::parse_as_is(FILE, &value.to_string());
        let held = loaded.pop().map(|loaded| Arc::new(Held::read(0, self.entry(&loaded, &origin))));
        let api_version = self.api_version.to_owned();
        Some(Object { key, origin, held, problems, generation, api_version, status })
    }

    fn entry(&self, loaded: &Loaded, origin: &Origin) -> Entry {
        Entry {
            source: Source::Kubernetes(origin.clone()),
            written_at_s: self.at_s,
            written: loaded.written().clone(),
            good: None,
        }
    }
}

impl Object {
    /// A text of its spec.
    pub(crate) fn spec_text(&self, field: &str) -> Option<&str> {
        self.spec()?.get(field)?.as_str()
    }

    /// Its spec.
    pub(crate) fn spec(&self) -> Option<&Value> {
        self.held.as_ref()?.written.as_ref()?.json.get("spec")
    }
}

fn kept(mut metadata: Map<String, Value>) -> Map<String, Value> {
    let annotations = metadata.remove("annotations");
    metadata.retain(|field, _| KEPT.contains(&field.as_str()));
    if let Some(Value::Object(mut annotations)) = annotations {
        annotations.retain(|name, _| KEPT_ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix)));
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), annotations.into());
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::entry::key_of;

    const KIND: Read<'static> = Read { api_version: "v1", kind: "ConfigMap", at_s: 7 };

    fn object(metadata: &Value) -> Value {
        json!({"metadata": metadata, "data": {"a": "$HOME"}, "status": {"x": 1}})
    }

    #[test]
    fn what_changes_by_itself_is_left_out() {
        let first = json!({"name": "m", "namespace": "n", "uid": "u-1", "resourceVersion": "7", "generation": 1,
            "managedFields": [], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}", "tollgate.dev/x": "y"}});
        let mut second = first.clone();
        second["resourceVersion"] = json!("8");
        second["managedFields"] = json!([{"manager": "x"}]);
        second["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!("{\"a\":1}");
        let (first, second) = (KIND.object(object(&first)).unwrap(), KIND.object(object(&second)).unwrap());
        let (one, other) = (first.held.unwrap(), second.held.unwrap());
        assert_eq!(one.entry.written, other.entry.written);
        assert_eq!((first.origin.resource_version, second.origin.resource_version), (7, 8));
        let loaded = one.written.as_ref().unwrap();
        assert_eq!(key_of(loaded), first.key);
        assert_eq!(loaded.json["data"]["a"], "$HOME", "no variables are put in");
        assert_eq!(loaded.json["metadata"]["annotations"], json!({"tollgate.dev/x": "y"}));
        assert_eq!(first.status, json!({"x": 1}));
        assert!(one.problems.is_empty(), "{:?}", one.problems);
    }

    #[test]
    fn what_has_no_name_is_none() {
        assert!(KIND.object(json!({"metadata": {}})).is_none());
        assert!(KIND.object(json!("x")).is_none());
    }
}
