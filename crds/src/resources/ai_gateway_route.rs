//! AIGatewayRoute: which models go to which backends.

use schemars::JsonSchema;
use serde::Deserialize;

use super::llm_request_cost::LlmRequestCost;
use super::mutation::{BodyMutation, HeaderMutation};
use super::reference::ParentReference;
use super::text::{
    GatewayDuration, Group, HeaderName, Hostname, KindName, Namespace, ObjectName, SectionName,
};
use super::{AI_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// Routes requests for models to backends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AiGatewayRouteSpec {
    /// The Gateways to attach to.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-validations" = [
        {"rule": "self.all(parent, parent.kind == 'Gateway')", "message": "only Gateway is a parent"},
    ]))]
    pub(crate) parent_refs: Vec<ParentReference>,
    /// The hosts to answer for; all that the listeners allow when empty.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) hostnames: Vec<Hostname>,
    /// The rules; the most specific match wins, not the first.
    #[schemars(length(max = 15), extend("x-kubernetes-validations" = [{
        "rule": "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
        "message": "names of rules must differ",
    }]))]
    pub(crate) rules: Vec<RouteRule>,
    /// What finished requests are charged; each key here replaces the same key of the Gateway's GatewayConfig.
    #[serde(default, rename = "llmRequestCosts")]
    #[schemars(length(max = 36))]
    pub(crate) llm_request_costs: Vec<LlmRequestCost>,
}

/// One rule: what it matches and whom it asks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteRule {
    /// Name of the rule, for policies and metrics.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self != 'route-not-found'", "message": "the name must not be route-not-found, which is reserved"},
    ]))]
    pub(crate) name: Option<SectionName>,
    /// Whom to ask.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-validations" = [
        {
            "rule": "self.all(ref, has(ref.kind)) || self.all(ref, !has(ref.kind))",
            "message": "AIServiceBackend and InferencePool can't be mixed in one rule",
        },
        {
            "rule": "self.filter(ref, has(ref.kind)).size() <= 1",
            "message": "at most one InferencePool in a rule",
        },
    ]))]
    pub(crate) backend_refs: Vec<BackendRef>,
    /// What the rule answers for: any one of these, or everything when empty.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub(crate) matches: Vec<RouteMatch>,
    /// Bounds on time.
    pub(crate) timeouts: Option<Timeouts>,
    /// Longest silence of the upstream; none when absent.
    pub(crate) stream_idle_timeout: Option<GatewayDuration>,
    /// `owned_by` of the rule's models in the list of models.
    pub(crate) models_owned_by: Option<String>,
    /// `created` of the rule's models in the list of models; the route's own age when absent.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) models_created_at: Option<String>,
    /// Leave the rule's models out of the list of models.
    #[serde(default)]
    pub(crate) exclude_from_models_endpoint: bool,
}

/// One conjunction of conditions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteMatch {
    /// Conditions on headers; all must hold. `x-ai-eg-model` is the model that the body asks for.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) headers: Vec<HttpHeaderMatch>,
}

/// A condition on a header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpHeaderMatch {
    /// How the value is compared.
    #[serde(default, rename = "type")]
    pub(crate) match_type: HeaderMatchType,
    /// Name of the header, in any case.
    pub(crate) name: HeaderName,
    /// The value, or the pattern that the whole value must fit.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) value: String,
}

/// How a header's value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum HeaderMatchType {
    /// The same bytes.
    #[default]
    Exact,
    /// The whole value fits the pattern.
    RegularExpression,
}

/// A backend of a rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.group) == has(self.kind)", "message": "group and kind go together"},
    {
        "rule": "!has(self.kind) || (self.group == 'inference.networking.k8s.io' && self.kind == 'InferencePool')",
        "message": "only InferencePool of inference.networking.k8s.io is referred to by group and kind",
    },
]))]
pub(crate) struct BackendRef {
    /// Name of the AIServiceBackend or InferencePool.
    #[schemars(length(min = 1))]
    pub(crate) name: ObjectName,
    /// Its namespace; the route's own when absent. Another one needs a ReferenceGrant there.
    pub(crate) namespace: Option<Namespace>,
    /// Group of an InferencePool; absent for an AIServiceBackend.
    #[expect(dead_code, reason = "the schema ties it to kind")]
    pub(crate) group: Option<Group>,
    /// Kind of an InferencePool; absent for an AIServiceBackend.
    pub(crate) kind: Option<KindName>,
    /// The model to ask this backend for.
    pub(crate) model_name_override: Option<String>,
    /// Changes to the request's headers for this backend.
    pub(crate) header_mutation: Option<HeaderMutation>,
    /// Changes to the request's body for this backend.
    pub(crate) body_mutation: Option<BodyMutation>,
    /// Share of the requests among backends of one priority.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) weight: u32,
    /// Lower numbers are tried first; 0 when absent, unless the Backend is a fallback.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub(crate) priority: Option<u32>,
}

/// Bounds on time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// The whole exchange, the stream included; 60s when absent, none when 0s.
    pub(crate) request: Option<GatewayDuration>,
    /// One attempt at one backend; none when absent or 0s.
    pub(crate) backend_request: Option<GatewayDuration>,
}

fn one() -> u32 {
    1
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<AiGatewayRouteSpec>("AIGatewayRoute", AI_GROUP, &["v1beta1", "v1alpha1"], |spec| {
        Resource::AiGatewayRoute(Box::new(spec))
    })
    .with_crd(Crd { plural: "aigatewayroutes", short_names: &[] })
}
