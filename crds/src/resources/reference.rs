//! References between resources, in the shapes that Gateway API fixed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{Group, KindName, Namespace, ObjectName, SectionName};

/// Where a route attaches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ParentReference {
    /// Group of the parent; `gateway.networking.k8s.io`.
    #[serde(default = "gateway_group")]
    pub(crate) group: Group,
    /// Kind of the parent; `Gateway`.
    #[serde(default = "gateway_kind")]
    pub(crate) kind: KindName,
    /// Namespace of the parent; the route's own when absent.
    pub(crate) namespace: Option<Namespace>,
    /// Name of the parent.
    pub(crate) name: ObjectName,
    /// The one listener to attach to; all when absent.
    pub(crate) section_name: Option<SectionName>,
    /// The one port to attach to; all when absent.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: Option<u16>,
}

/// What a policy is for, in its own namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TargetReference {
    /// Group of the target.
    pub(crate) group: Group,
    /// Kind of the target.
    pub(crate) kind: KindName,
    /// Name of the target.
    pub(crate) name: ObjectName,
}

/// What a policy of Envoy Gateway is for, in its own namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PolicyTarget {
    /// Group of the target.
    pub(crate) group: Group,
    /// Kind of the target.
    pub(crate) kind: KindName,
    /// Name of the target.
    pub(crate) name: ObjectName,
    /// A part of the target: a rule of a route.
    pub(crate) section_name: Option<SectionName>,
}

/// An object in the same namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LocalReference {
    /// Group of the object; empty for the core group.
    pub(crate) group: Group,
    /// Kind of the object.
    pub(crate) kind: KindName,
    /// Name of the object.
    pub(crate) name: ObjectName,
}

/// A Secret, or what stands for one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SecretReference {
    /// Group of the object; empty for the core group.
    #[serde(default = "core_group")]
    pub(crate) group: Group,
    /// Kind of the object; `Secret`.
    #[serde(default = "secret_kind")]
    pub(crate) kind: KindName,
    /// Name of the object.
    pub(crate) name: ObjectName,
    /// Namespace of the object; the referring object's own when absent. Another one needs a ReferenceGrant there.
    pub(crate) namespace: Option<Namespace>,
}

pub(super) fn gateway_group() -> Group {
    Group(super::GATEWAY_GROUP.to_owned())
}

fn gateway_kind() -> KindName {
    KindName("Gateway".to_owned())
}

pub(super) fn core_group() -> Group {
    Group(String::new())
}

pub(super) fn secret_kind() -> KindName {
    KindName("Secret".to_owned())
}
