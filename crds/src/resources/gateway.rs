//! Gateway of Gateway API: listeners.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::SecretReference;
use super::text::{Group, Hostname, KindName, ObjectName, SectionName, Untyped};
use super::{GATEWAY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// The doors through which clients come.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySpec {
    /// Name of the GatewayClass.
    pub(crate) gateway_class_name: ObjectName,
    /// The doors.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "self.all(l, !(l.protocol in ['HTTP', 'TCP', 'UDP']) || !has(l.tls))",
        "message": "tls is not for the protocols HTTP, TCP, UDP",
    }, {
        "rule": "self.all(l, l.protocol != 'HTTPS' || !has(l.tls) || l.tls.mode == 'Terminate')",
        "message": "tls.mode must be Terminate for the protocol HTTPS",
    }, {
        "rule": "self.all(l, !(l.protocol in ['TCP', 'UDP']) || !has(l.hostname))",
        "message": "hostname is not for the protocols TCP, UDP",
    }]))]
    pub(crate) listeners: Vec<GatewayListener>,
    /// Addresses to ask for.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) addresses: Vec<Untyped>,
    /// Wishes for the machines that serve.
    pub(crate) infrastructure: Option<Untyped>,
    /// Which ListenerSets may add listeners.
    pub(crate) allowed_listeners: Option<Untyped>,
    /// TLS of the whole Gateway.
    pub(crate) tls: Option<Untyped>,
    /// Whether routes may attach without naming the Gateway.
    pub(crate) default_scope: Option<String>,
}

/// One door.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GatewayListener {
    /// Name of the listener.
    pub(crate) name: SectionName,
    /// The hosts it serves; all when absent.
    pub(crate) hostname: Option<Hostname>,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: u16,
    /// What it speaks: HTTP or HTTPS here.
    #[schemars(length(min = 1, max = 255))]
    pub(crate) protocol: String,
    /// TLS of the listener.
    pub(crate) tls: Option<ListenerTls>,
    /// Which routes may attach.
    #[serde(default)]
    pub(crate) allowed_routes: AllowedRoutes,
}

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.mode != 'Terminate' || (has(self.certificateRefs) && self.certificateRefs.size() > 0) || (has(self.options) && self.options.size() > 0)",
    "message": "certificateRefs or options are required when mode is Terminate",
}]))]
pub(crate) struct ListenerTls {
    /// Where TLS ends.
    #[serde(default)]
    pub(crate) mode: TlsMode,
    /// Secrets of type kubernetes.io/tls.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(crate) certificate_refs: Vec<SecretReference>,
    /// Settings of single implementations.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub(crate) options: BTreeMap<String, String>,
    /// How clients prove themselves.
    pub(crate) frontend_validation: Option<Untyped>,
}

/// Where TLS ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum TlsMode {
    /// Here.
    #[default]
    Terminate,
    /// Behind us.
    Passthrough,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AllowedRoutes {
    /// From which namespaces.
    #[serde(default)]
    pub(crate) namespaces: RouteNamespaces,
    /// Of which kinds.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) kinds: Vec<RouteKind>,
}

/// From which namespaces routes may attach.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteNamespaces {
    /// Which namespaces.
    #[serde(default)]
    pub(crate) from: FromNamespaces,
    /// Labels of the namespaces, for Selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selector: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Which namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum FromNamespaces {
    /// The Gateway's own.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those with certain labels.
    Selector,
    /// No route attaches.
    None,
}

/// A kind of route.
#[derive(Clone, Debug, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteKind {
    /// Group of the route.
    #[serde(default = "super::reference::gateway_group")]
    pub(crate) group: Group,
    /// Kind of the route.
    pub(crate) kind: KindName,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<GatewaySpec>("Gateway", GATEWAY_GROUP, &["v1", "v1beta1"], |spec| {
        Resource::Gateway(Box::new(spec))
    })
}
