//! An upstream as the gateway calls it: addresses, TLS, what it speaks and with which credential.

use std::fmt;

use http::HeaderName;
use tollgate_api::endpoint::Schema;

use super::ResourceName;

/// One upstream: an AIServiceBackend with all that it refers to.
#[derive(Debug, PartialEq)]
pub struct Backend {
    /// The AIServiceBackend's name.
    pub name: ResourceName,
    /// What it speaks.
    pub schema: Schema,
    /// `api-version` and its peers, where the schema has one.
    pub version: Option<String>,
    /// Path prefix instead of the schema's own.
    pub prefix: Option<String>,
    /// Where it is; at least one.
    pub endpoints: Vec<Endpoint>,
    /// How it is called over TLS; clear text when absent.
    pub tls: Option<UpstreamTls>,
    /// Speak HTTP/2 without asking (h2c prior knowledge, or `h2` alone by ALPN).
    pub h2: bool,
    /// What the gateway proves itself with.
    pub credential: Option<Credential>,
    /// The project at Google Cloud that it is called in, and as whom.
    pub google: Option<Google>,
    /// How its requests are signed, where Amazon wants that.
    pub aws: Option<Aws>,
    /// The application that it is called as, where Azure wants tokens of Entra.
    pub azure: Option<AzureApp>,
    /// Where a caller may bring a credential of its own.
    pub credential_override: Option<CredentialOverride>,
    /// `host:port` of an HTTP CONNECT proxy on the way.
    pub forward_proxy: Option<String>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name to resolve, or an IP address.
    Host {
        /// DNS name, IPv4 or IPv6 address (without brackets).
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A Unix domain socket.
    Unix {
        /// Its path.
        path: String,
    },
}

/// How an upstream is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// Name for SNI and for the certificate check; the endpoint's own when absent.
    pub server_name: Option<String>,
    /// Who may have signed the certificate.
    pub roots: Roots,
    /// Names of which the certificate must carry one, instead of `server_name`; empty: `server_name` it is.
    pub alt_names: Vec<String>,
    /// Take any certificate. Only where an operator says so in so many words.
    pub skip_verify: bool,
}

/// Trusted certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The machine's own.
    System,
    /// These, as PEM.
    Pem(String),
}

/// What the gateway shows an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Which header it goes in.
    pub kind: CredentialKind,
    /// The secret itself.
    pub key: Sensitive,
}

/// The way a key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// `Authorization: Bearer …`
    ApiKey,
    /// `api-key: …`
    AzureApiKey,
    /// `x-api-key: …`
    AnthropicApiKey,
}

/// How models at Google Cloud are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Google {
    /// The project's id.
    pub project: String,
    /// The region, or `global`.
    pub region: String,
    /// Whose access tokens are used; absent: those of what the node finds around it, as Google's own libraries do.
    pub account: Option<ServiceAccount>,
}

/// An account that gets access tokens for what it signs, as Google's key files describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The account's name.
    pub client_email: String,
    /// Which of its keys the private key is.
    pub private_key_id: Option<String>,
    /// PKCS #8, as PEM; known to be a key of RSA.
    pub private_key: Sensitive,
    /// Where tokens are had; http or https.
    pub token_uri: String,
}

/// An application of Entra that gets access tokens for its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureApp {
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Its id.
    pub client_id: String,
    /// What it proves itself with.
    pub client_secret: Sensitive,
}

/// How requests to Amazon are signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aws {
    /// The region that they are signed for.
    pub region: String,
    /// Whose keys sign them.
    pub source: AwsSource,
}

/// Where keys of Amazon's come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AwsSource {
    /// They are these.
    Keys(AwsKeys),
    /// From what the node finds around it, as Amazon's own libraries do: environment, files, the machine's role.
    Surroundings,
}

/// A pair of keys of Amazon's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwsKeys {
    /// The name of the pair.
    pub access_key_id: String,
    /// What signs.
    pub secret_access_key: Sensitive,
    /// What keys for a while come with.
    pub session_token: Option<Sensitive>,
}

/// A credential that comes with the request. The header never reaches the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialOverride {
    /// Where the caller puts it; for keys of Amazon's, with what the names of its headers begin.
    pub header: HeaderName,
    /// Use the configured credential when the caller brings none; otherwise that is a 401.
    pub fall_back: bool,
}

/// Text that must not be seen: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sensitive(String);

impl Sensitive {
    /// Guards a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let credential = Credential { kind: CredentialKind::ApiKey, key: Sensitive::new("sk-1") };
        assert_eq!(format!("{credential:?} {}", credential.key).find("sk-1"), None);
        assert_eq!(credential.key.expose(), "sk-1");
    }
}
