//! The resources as operators write them: one Kind a file, each field with its limits and rules beside it.
//!
//! The types carry their limits as schema attributes. The same schema checks manifests from files and is printed as
//! the CRD for API servers, so that both give one verdict. Readers of a spec destructure it without `..`: a new
//! field does not compile until someone says what becomes of it.

mod ai_gateway_route;
mod ai_service_backend;
mod backend;
mod backend_security_policy;
mod backend_tls_policy;
mod backend_traffic_policy;
mod budget;
mod client_selector;
mod client_traffic_policy;
mod config_map;
mod consumer;
mod foreign;
mod gateway;
mod gateway_class;
mod gateway_config;
mod kinds;
mod llm_request_cost;
mod metadata;
mod mutation;
mod price_list;
mod quota_policy;
mod reference;
mod reference_grant;
mod rejected_policy;
mod secret;
mod security_policy;
mod text;

pub use ai_gateway_route::AiGatewayRouteSpec;
pub use ai_service_backend::AiServiceBackendSpec;
pub use backend::BackendSpec;
pub use backend_security_policy::BackendSecurityPolicySpec;
pub use backend_tls_policy::BackendTlsPolicySpec;
pub use backend_traffic_policy::BackendTrafficPolicySpec;
pub use budget::BudgetSpec;
pub use client_traffic_policy::ClientTrafficPolicySpec;
pub use config_map::ConfigMapContent;
pub use consumer::ConsumerSpec;
pub use gateway::GatewaySpec;
pub use gateway_class::GatewayClassSpec;
pub use gateway_config::GatewayConfigSpec;
pub use kinds::{Kind, kinds};
pub use price_list::PriceListSpec;
pub use quota_policy::QuotaPolicySpec;
pub use reference_grant::ReferenceGrantSpec;
pub use rejected_policy::RejectedPolicy;
pub use secret::SecretContent;
pub use security_policy::SecurityPolicySpec;

pub(crate) use ai_gateway_route::{
    BackendRef, HeaderMatchType, HttpHeaderMatch, RouteMatch, RouteRule, Timeouts,
};
pub(crate) use ai_service_backend::{BackendObjectReference, HeaderValueFilter, SchemaName, VersionedSchema};
pub(crate) use backend::{BackendEndpoint, BackendTls, BackendType};
pub(crate) use backend_security_policy::{
    AwsCredentials, AwsCredentialsFile, AzureCredentials, CredentialSource, DynamicMetadata, GcpCredentials,
    GcpCredentialsFile, PolicyType, RequestHeaders, SecretKey,
};
pub(crate) use backend_tls_policy::{AltName, Validation, WellKnownAuthorities};
pub(crate) use backend_traffic_policy::{
    CostFrom, CostMetadata, CostSpecifier, GlobalRateLimit, READ_FIELDS as TRAFFIC_FIELDS, RateLimit,
    RateLimitCost, RateLimitRule, RateLimitType, RateLimitUnit, RateLimitValue,
};
pub(crate) use budget::{
    BudgetMatch, BudgetWindow, DivisionText, HeaderPattern, OnExhaustedText, PeriodText,
};
pub(crate) use client_selector::{
    ClientSelector, HeaderSelector, HeaderSelectorType, MethodSelector, PathSelector, PathSelectorType,
    SourceSelector, SourceSelectorType,
};
pub(crate) use client_traffic_policy::{
    ClientConnection, READ_FIELDS as CLIENT_FIELDS, READ_OF_CONNECTION as CLIENT_CONNECTION_FIELD,
};
pub(crate) use consumer::{ApiKey, JwtSubject, KeyReference};
pub(crate) use foreign::ignored;
pub(crate) use gateway::{FromNamespaces, GatewayListener, ListenerTls, TlsMode};
pub(crate) use gateway_config::{ExtProc, ForwardProxy};
pub(crate) use llm_request_cost::{CostType, LlmRequestCost};
pub(crate) use metadata::Metadata;
pub(crate) use mutation::{BodyMutation, HeaderMutation};
pub(crate) use price_list::{BuiltIn, Currency, PriceEntry, PriceTier, TokenPrices};
pub(crate) use quota_policy::{
    BucketRule, ModelQuota, PerModelQuota, QuotaDuration, QuotaMode, QuotaValue, ServiceQuota,
};
pub(crate) use reference::{LocalReference, ParentReference, PolicyTarget, SecretReference};
pub(crate) use rejected_policy::Protection;
pub(crate) use security_policy::{
    ApiKeyAuth, ClaimToHeader, ExtractFrom, HARMLESS_FIELDS, Jwt, JwtExtractor, JwtHeader, JwtProvider,
    LocalJwks, READ_FIELDS as SECURITY_FIELDS, RemoteJwks, ValueReference,
};
pub(crate) use text::{DateText, GatewayDuration, HeaderName, NameText, Pattern, PriceText, Untyped};

use crate::schema::Definition;

/// The group of the AI gateway's own kinds.
pub(crate) const AI_GROUP: &str = "aigateway.envoyproxy.io";
/// The group of Gateway API.
pub(crate) const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// The group of Envoy Gateway.
pub(crate) const ENVOY_GROUP: &str = "gateway.envoyproxy.io";
/// Our own group.
pub(crate) const OWN_GROUP: &str = "tollgate.dev";

/// A resource's content, past the checks of its schema.
#[derive(Clone, Debug)]
pub enum Resource {
    /// Gateway API: who looks after Gateways.
    GatewayClass(Box<GatewayClassSpec>),
    /// Gateway API: listeners.
    Gateway(Box<GatewaySpec>),
    /// Models to backends.
    AiGatewayRoute(Box<AiGatewayRouteSpec>),
    /// What an upstream speaks.
    AiServiceBackend(Box<AiServiceBackendSpec>),
    /// How the gateway proves itself to an upstream.
    BackendSecurityPolicy(Box<BackendSecurityPolicySpec>),
    /// What holds for a whole Gateway.
    GatewayConfig(Box<GatewayConfigSpec>),
    /// Envoy Gateway: where an upstream is.
    Backend(Box<BackendSpec>),
    /// Gateway API: how an upstream proves itself.
    BackendTlsPolicy(Box<BackendTlsPolicySpec>),
    /// Core: secrets.
    Secret(Box<SecretContent>),
    /// Core: texts.
    ConfigMap(Box<ConfigMapContent>),
    /// Gateway API: who may refer into a namespace.
    ReferenceGrant(Box<ReferenceGrantSpec>),
    /// Envoy Gateway: limits of routes.
    BackendTrafficPolicy(Box<BackendTrafficPolicySpec>),
    /// Envoy Gateway: how clients are treated.
    ClientTrafficPolicy(Box<ClientTrafficPolicySpec>),
    /// Envoy Gateway: what callers have to prove.
    SecurityPolicy(Box<SecurityPolicySpec>),
    /// Limits of backends.
    QuotaPolicy(Box<QuotaPolicySpec>),
    /// Ours: who calls.
    Consumer(Box<ConsumerSpec>),
    /// Ours: what may be spent.
    Budget(Box<BudgetSpec>),
    /// Ours: what models cost.
    PriceList(Box<PriceListSpec>),
    /// A policy that protects its targets and did not pass its checks: they are not used without it.
    RejectedPolicy(Box<RejectedPolicy>),
    /// Any other resource that did not pass its checks: who refers to it is told so.
    Rejected,
}

/// Every Kind that is served.
pub(crate) fn definitions() -> [Definition; 18] {
    [
        gateway_class::definition(),
        gateway::definition(),
        ai_gateway_route::definition(),
        ai_service_backend::definition(),
        backend_security_policy::definition(),
        gateway_config::definition(),
        backend::definition(),
        backend_tls_policy::definition(),
        secret::definition(),
        config_map::definition(),
        reference_grant::definition(),
        backend_traffic_policy::definition(),
        client_traffic_policy::definition(),
        quota_policy::definition(),
        security_policy::definition(),
        consumer::definition(),
        budget::definition(),
        price_list::definition(),
    ]
}

#[cfg(test)]
#[path = "limits_test.rs"]
mod limits;
#[cfg(test)]
#[path = "quota_limits_test.rs"]
mod quota_limits;
