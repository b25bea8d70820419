//! What GCPCredentials come to: a project, a region, and the account whose access tokens are used.

use rustls::crypto::ring::sign::RsaSigningKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::certificates::{self, secret};
use super::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AI_GROUP, GcpCredentials, GcpCredentialsFile};
use crate::snapshot::{Google, Sensitive, ServiceAccount};

/// The key of a Secret that holds an account's key file.
const SECRET_KEY: &str = "service_account.json";

/// Where tokens are had if the file does not say.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A key file of Google's, as far as it is used. It has more members.
#[derive(Deserialize)]
struct KeyFile {
    r#type: String,
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// None where a problem says why.
pub(super) fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    credentials: Option<&GcpCredentials>,
    problems: &mut Vec<Problem>,
) -> Option<Google> {
    let GcpCredentials { project_name, region, credentials_file, workload_identity_federation_config } =
        credentials?;
    if workload_identity_federation_config.is_some() {
        let field = "spec.gcpCredentials.workloadIdentityFederationConfig";
        let what =
            "credentialsFile: workload identity federation is not served yet; its backends are not called";
        problems.push(loaded.problem(field, "", what));
        return None;
    }
    let (project, region) = (project_name.clone(), region.clone());
    let Some(GcpCredentialsFile { secret_ref }) = credentials_file else {
        return Some(Google { project, region, account: None });
    };
    let from = (AI_GROUP, "BackendSecurityPolicy", loaded.name.namespace.as_str());
    let account = secret(index, from, secret_ref).and_then(|secret| {
        let file = certificates::text(secret, SECRET_KEY, problems)?;
        account(file.expose()).map_err(|what| {
            certificates::unusable(secret.loaded, &secret.spec.field(SECRET_KEY), what, problems)
        })
    });
    match account {
        Ok(account) => Some(Google { project, region, account: Some(account) }),
        Err(what) => {
            let field = "spec.gcpCredentials.credentialsFile.secretRef";
            problems.push(loaded.problem(field, shown(&secret_ref.name), what));
            None
        }
    }
}

/// The account of a key file. What came is not told: it is secret.
pub fn account(file: &str) -> Result<ServiceAccount, String> {
    let file: KeyFile = serde_json::from_str(file).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        format!("a key file of a service account, in JSON; it can't be read at {place}")
    })?;
    let KeyFile { r#type, client_email, private_key, private_key_id, token_uri } = file;
    if r#type != "service_account" {
        return Err("a key file of type service_account".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes());
    if !key.is_ok_and(|key| matches!(key, PrivateKeyDer::Pkcs8(_)) && RsaSigningKey::new(&key).is_ok()) {
        return Err("a private_key of RSA, in PEM as PKCS #8".to_owned());
    }
    let token_uri = token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
    let uri = token_uri.parse::<http::Uri>().ok();
    let is_http =
        uri.is_some_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if !is_http {
        return Err("a token_uri that begins with https:// or http://".to_owned());
    }
    Ok(ServiceAccount { client_email, private_key_id, private_key: Sensitive::new(private_key), token_uri })
}
