//! What operators write: resources, their validation, and [`compile`] into one [`Snapshot`].
//!
//! ```text
//! text ─ parse ─▶ Vec<Loaded> ─ compile ─▶ Snapshot      every step also gives Vec<Problem>
//!          │                       │
//!   YAML, ${VARIABLES},     references, grants,
//!   schema, CEL rules       defaults, index
//! ```
//!
//! Pure: no clock, socket, file or environment; the same input gives the same output. Nothing fails as a whole: one
//! bad document, resource or reference leaves the others serving and becomes a [`Problem`].
//!
//! Read in this order: `resources/` (one Kind a file, as written), `schema/` (what a field may hold, from the same
//! types), `load/` (text to resources), `compile/` (resources to snapshot), `snapshot/` (what the gateway reads).

mod compile;
mod load;
mod problem;
mod resources;
mod schema;
mod snapshot;

pub use compile::{aws_keys, compile, google_account};
pub use load::{Loaded, Written, parse, parse_as_is};
pub use problem::{Place, Problem, Severity};
pub use resources::{
    AiGatewayRouteSpec, AiServiceBackendSpec, BackendSecurityPolicySpec, BackendSpec, BackendTlsPolicySpec,
    BackendTrafficPolicySpec, BudgetSpec, ClientTrafficPolicySpec, ConfigMapContent, ConsumerSpec,
    GatewayClassSpec, GatewayConfigSpec, GatewaySpec, Kind, PriceListSpec, QuotaPolicySpec,
    ReferenceGrantSpec, RejectedPolicy, Resource, SecretContent, SecurityPolicySpec, kinds,
};
pub use schema::{crd_yaml, yaml_of};
pub use snapshot::{
    Access, ApiKeyAccess, Aws, AwsKeys, AwsSource, AzureApp, Backend, BudgetTable, Candidate, ClaimHeader,
    Consumer, ConsumerTable, Cost, CostFacts, Credential, CredentialKind, CredentialOverride, Endpoint,
    Google, HeaderEdits, Holder, HostPattern, Issuer, IssuerTable, Jwks, JwtAccess, KeptBudget, KeyRefused,
    KeySource, Listener, MODEL_HEADER, Price, PriceTable, Protocol, Quota, RequestFacts, ResourceName, Roots,
    RouteTable, Rule, Sensitive, ServiceAccount, Snapshot, UpstreamTls,
};
