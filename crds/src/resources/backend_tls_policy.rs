//! BackendTLSPolicy of Gateway API: how an upstream proves itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::LocalReference;
use super::text::{Group, Hostname, KindName, ObjectName, PreciseHostname, SectionName};
use super::{GATEWAY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// TLS from the gateway to its targets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendTlsPolicySpec {
    /// Whose connections; in the same namespace.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) target_refs: Vec<TlsTarget>,
    /// How the upstream's certificate is checked.
    pub(crate) validation: Validation,
    /// Settings of single implementations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub(crate) options: BTreeMap<String, String>,
}

/// What a BackendTLSPolicy is for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TlsTarget {
    /// Group of the target.
    pub(crate) group: Group,
    /// Kind of the target.
    pub(crate) kind: KindName,
    /// Name of the target.
    pub(crate) name: ObjectName,
    /// The one section of the target; all when absent.
    pub(crate) section_name: Option<SectionName>,
}

/// How a certificate is checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.caCertificateRefs) && self.caCertificateRefs.size() > 0) != (has(self.wellKnownCACertificates) && self.wellKnownCACertificates != '')",
    "message": "must have exactly one of caCertificateRefs, wellKnownCACertificates",
}]))]
pub(crate) struct Validation {
    /// Trusted authorities: ConfigMaps or Secrets with the key ca.crt.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) ca_certificate_refs: Vec<LocalReference>,
    /// Trusted authorities of the machine.
    #[serde(rename = "wellKnownCACertificates")]
    pub(crate) well_known_ca_certificates: Option<WellKnownAuthorities>,
    /// Name to ask for (SNI) and, without alternative names, to check.
    pub(crate) hostname: PreciseHostname,
    /// Names of which the certificate must carry one.
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub(crate) subject_alt_names: Vec<AltName>,
}

/// Sets of authorities that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum WellKnownAuthorities {
    /// Those of the machine.
    System,
}

/// A name in a certificate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type == 'Hostname' ? (has(self.hostname) && !has(self.uri)) : (has(self.uri) && !has(self.hostname))",
    "message": "must have hostname for the type Hostname, uri for the type URI, and not the other",
}]))]
pub(crate) struct AltName {
    /// What the name is.
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "the schema ties it to the other fields")]
    pub(crate) name_type: AltNameType,
    /// A host name.
    pub(crate) hostname: Option<Hostname>,
    /// A URI.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) uri: Option<String>,
}

/// What a name in a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum AltNameType {
    /// A host name.
    Hostname,
    /// A URI.
    #[serde(rename = "URI")]
    Uri,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<BackendTlsPolicySpec>(
        "BackendTLSPolicy",
        GATEWAY_GROUP,
        &["v1", "v1alpha3", "v1beta1"],
        |spec| Resource::BackendTlsPolicy(Box::new(spec)),
    )
}
