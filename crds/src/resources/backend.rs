//! Backend of Envoy Gateway: where an upstream is.

use schemars::JsonSchema;
use serde::Deserialize;

use super::backend_tls_policy::WellKnownAuthorities;
use super::reference::{LocalReference, SecretReference};
use super::text::{PreciseHostname, Untyped};
use super::{ENVOY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// The addresses of an upstream.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type != 'DynamicResolver' || !has(self.endpoints)",
    "message": "DynamicResolver has no endpoints",
}]))]
pub struct BackendSpec {
    /// Where the addresses come from.
    #[serde(default, rename = "type")]
    pub(crate) backend_type: BackendType,
    /// The addresses.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default)]
    pub(crate) endpoints: Option<Vec<BackendEndpoint>>,
    /// Protocols that the upstream speaks.
    #[serde(default)]
    pub(crate) app_protocols: Vec<String>,
    /// Used only when others fail.
    pub(crate) fallback: Option<bool>,
    /// TLS to the upstream.
    pub(crate) tls: Option<BackendTls>,
}

/// Where the addresses of a Backend come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum BackendType {
    /// They are listed.
    #[default]
    Endpoints,
    /// They are resolved from each request's host.
    DynamicResolver,
}

/// One address: exactly one of name, IP, or socket.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.fqdn) && !has(self.ip) && !has(self.unix)) || (!has(self.fqdn) && has(self.ip) && !has(self.unix)) || (!has(self.fqdn) && !has(self.ip) && has(self.unix))",
    "message": "must have exactly one of fqdn, ip, unix",
}]))]
pub(crate) struct BackendEndpoint {
    /// A name to resolve.
    pub(crate) fqdn: Option<FqdnEndpoint>,
    /// An IP address.
    pub(crate) ip: Option<IpEndpoint>,
    /// A Unix domain socket.
    pub(crate) unix: Option<UnixEndpoint>,
    /// The zone that the address is in.
    pub(crate) zone: Option<String>,
    /// Host name for health checks.
    pub(crate) hostname: Option<String>,
}

/// A name to resolve.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FqdnEndpoint {
    /// The name.
    pub(crate) hostname: PreciseHostname,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: u16,
}

/// An IP address.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct IpEndpoint {
    /// The address.
    #[schemars(length(min = 2, max = 45), regex(pattern = r"^[0-9a-fA-F:.]+$"))]
    pub(crate) address: String,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: u16,
}

/// A Unix domain socket.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UnixEndpoint {
    /// Its path; the system allows 108 bytes with the final zero.
    #[schemars(length(min = 1, max = 107))]
    pub(crate) path: String,
}

/// TLS to a Backend.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(has(self.caCertificateRefs) && has(self.wellKnownCACertificates))",
        "message": "caCertificateRefs and wellKnownCACertificates exclude each other",
    },
    {
        "rule": "!(has(self.insecureSkipVerify) && self.insecureSkipVerify && (has(self.caCertificateRefs) || has(self.wellKnownCACertificates)))",
        "message": "insecureSkipVerify excludes authorities",
    },
]))]
pub(crate) struct BackendTls {
    /// Trusted authorities: ConfigMaps or Secrets with the key ca.crt.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) ca_certificate_refs: Option<Vec<LocalReference>>,
    /// Trusted authorities of the machine.
    #[serde(rename = "wellKnownCACertificates")]
    pub(crate) well_known_ca_certificates: Option<WellKnownAuthorities>,
    /// Take any certificate.
    pub(crate) insecure_skip_verify: Option<bool>,
    /// Name to ask for and to check.
    pub(crate) sni: Option<PreciseHostname>,
    /// Certificate to show the upstream.
    pub(crate) client_certificate_ref: Option<SecretReference>,
    /// Lowest TLS version.
    pub(crate) min_version: Option<String>,
    /// Highest TLS version.
    pub(crate) max_version: Option<String>,
    /// Cipher suites.
    pub(crate) ciphers: Option<Untyped>,
    /// Key exchange groups.
    #[serde(rename = "ecdhCurves")]
    pub(crate) ecdh_curves: Option<Untyped>,
    /// Signature algorithms.
    pub(crate) signature_algorithms: Option<Untyped>,
    /// Protocols to offer by ALPN.
    #[serde(rename = "alpnProtocols")]
    pub(crate) alpn_protocols: Option<Untyped>,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<BackendSpec>("Backend", ENVOY_GROUP, &["v1alpha1"], |spec| {
        Resource::Backend(Box::new(spec))
    })
}
