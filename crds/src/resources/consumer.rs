//! Consumer: who calls, and how the gateway recognises them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{NameText, ObjectName};
use super::{OWN_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// A caller: what budgets and the ledger know it by, and what it proves itself with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerSpec {
    /// The organisation that it belongs to.
    pub(crate) organization: Option<NameText>,
    /// The team that it belongs to.
    pub(crate) team: Option<NameText>,
    /// The user that it is.
    pub(crate) user: Option<NameText>,
    /// What else budgets may tell it by.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    pub(crate) labels: BTreeMap<String, NameText>,
    /// The keys that it may present. Each lives until it is taken away or its notAfter.
    #[serde(default)]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) api_keys: Vec<ApiKey>,
    /// The subject of the tokens that it may present.
    pub(crate) jwt: Option<JwtSubject>,
}

/// A key, by the Secret that holds it or by its hash alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.secretRef) != has(self.hash)", "message": "a key has either secretRef or hash"},
]))]
pub(crate) struct ApiKey {
    /// What budgets and the ledger call the key.
    #[schemars(length(min = 1, max = 63), regex(pattern = super::text::DNS_LABEL))]
    pub(crate) name: String,
    /// The Secret that holds the key.
    pub(crate) secret_ref: Option<KeyReference>,
    /// The key's SHA-256, as `sha256:` and 64 hexadecimal digits in lower case.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub(crate) hash: Option<String>,
    /// The moment from which the key is refused.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) not_after: Option<String>,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeyReference {
    /// Name of the Secret.
    pub(crate) name: ObjectName,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) key: String,
}

/// A subject of one issuer's tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JwtSubject {
    /// The token's `iss`, as a SecurityPolicy's provider has it.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) issuer: String,
    /// The token's `sub`.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) subject: String,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<ConsumerSpec>("Consumer", OWN_GROUP, &["v1alpha1"], |spec| {
        Resource::Consumer(Box::new(spec))
    })
    .with_crd(Crd { plural: "consumers", short_names: &[] })
}
