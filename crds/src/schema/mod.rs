//! What a field may hold, made from the resource types: one schema for files and for API servers.
//!
//! ```text
//! Rust type ─ schemars ─▶ JSON Schema ─ structural ─▶ structural schema ─▶ CRD YAML (crd.rs)
//!                                                            └─▶ Shape (shape.rs) ─▶ check (check.rs)
//! ```

mod check;
mod crd;
mod date_time;
mod shape;
mod structural;
mod yaml;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::resources::{Metadata, Resource};

pub use crd::crd_yaml;
pub use yaml::write as yaml_of;

pub(crate) use check::{Fault, brief, check, push_index, push_key};
pub(crate) use date_time::{day, seconds};
pub(crate) use shape::Shape;

/// A Kind that is served: its names, its schema, and how it is read.
pub(crate) struct Definition {
    pub(crate) kind: &'static str,
    pub(crate) group: &'static str,
    /// The first is the one that is stored.
    pub(crate) versions: &'static [&'static str],
    pub(crate) namespaced: bool,
    pub(crate) crd: Option<Crd>,
    /// The structural schema of the object without apiVersion, kind, metadata and status, in the version that is stored.
    schema: Value,
    read: Box<dyn Fn(Value) -> Result<Resource, serde_json::Error> + Send + Sync>,
}

/// What a CustomResourceDefinition says beside the schema.
pub(crate) struct Crd {
    pub(crate) plural: &'static str,
    pub(crate) short_names: &'static [&'static str],
}

/// A Kind whose content is under `spec`.
pub(crate) fn definition_of_spec<Spec: JsonSchema + DeserializeOwned + 'static>(
    kind: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    make: fn(Spec) -> Resource,
) -> Definition {
    let spec = structural::schema_of::<Spec>();
    Definition {
        kind,
        group,
        versions,
        namespaced: true,
        crd: None,
        schema: json!({"type": "object", "required": ["spec"], "properties": {"spec": spec}}),
        read: Box::new(move |mut content| serde_json::from_value(content["spec"].take()).map(make)),
    }
}

/// A Kind of the core group, whose content stands beside its metadata.
pub(crate) fn definition_of_content<Content: JsonSchema + DeserializeOwned + 'static>(
    kind: &'static str,
    make: fn(Content) -> Resource,
) -> Definition {
    Definition {
        kind,
        group: "",
        versions: &["v1"],
        namespaced: true,
        crd: None,
        schema: structural::schema_of::<Content>(),
        read: Box::new(move |content| serde_json::from_value(content).map(make)),
    }
}

impl Definition {
    pub(crate) fn with_crd(self, crd: Crd) -> Self {
        Self { crd: Some(crd), ..self }
    }

    pub(crate) fn without_namespace(self) -> Self {
        Self { namespaced: false, ..self }
    }

    /// The schema of one of its versions. The one difference: a policy of v1alpha1 has no room for an override of its
    /// credential.
    pub(crate) fn schema_in(&self, version: &str) -> Value {
        let mut schema = self.schema.clone();
        if self.kind == "BackendSecurityPolicy" && version == "v1alpha1" {
            schema["properties"]["spec"]["maxProperties"] = json!(3);
        }
        schema
    }

    /// Reads content that passed [`check`].
    pub(crate) fn read(&self, content: Value) -> Result<Resource, serde_json::Error> {
        (self.read)(content)
    }
}

/// The structural schema of an object's metadata.
pub(crate) fn metadata_schema() -> Value {
    structural::schema_of::<Metadata>()
}
