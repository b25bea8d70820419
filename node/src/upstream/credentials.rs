//! Which key an upstream gets to see: the backend's own, or the client's where the policy's override says so. Nothing
//! that a client sent as a credential passes otherwise.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_api::endpoint::Schema;
use tollgate_crds::{AwsKeys, Backend, CredentialKind, Sensitive};

/// Headers in which clients send keys, for us or for a provider.
const CREDENTIALS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Headers that say which of a key's accounts pays: with another's key they are refused, or charge whom they should not.
const ACCOUNTS: [HeaderName; 6] = [
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
    HeaderName::from_static("anthropic-workspace-id"),
    HeaderName::from_static("anthropic-user-profile-id"),
    HeaderName::from_static("x-goog-user-project"),
];
/// Control headers of the per-request credential override.
const OVERRIDE_PREFIX: &str = "x-aigw-";
/// What Amazon reads of a signature beside `authorization`. (What is Bedrock's own begins with `x-amzn-`.)
const AWS_PREFIX: &str = "x-amz-";

/// Whether this request header is a credential, or asks for one to be used: never forwarded as it came.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    let begins = |prefix: &str| name.as_str().starts_with(prefix);
    CREDENTIALS.contains(name) || begins(OVERRIDE_PREFIX) || begins(AWS_PREFIX)
}

/// Whether this request header goes with the client's own key only.
pub(crate) fn is_of_an_account(name: &HeaderName) -> bool {
    ACCOUNTS.contains(name)
}

/// Whether clients send a key for `backend` in this header: it is for that backend alone.
pub(crate) fn overrides(backend: &Backend, name: &HeaderName) -> bool {
    backend.credential_override.as_ref().is_some_and(|own| match backend.aws {
        Some(_) => name.as_str().starts_with(own.header.as_str()),
        None => own.header == *name,
    })
}

/// The key that the client sent for `backend`, where the policy lets it.
pub(crate) fn own_key<'a>(backend: &Backend, client: &'a HeaderMap) -> Option<&'a str> {
    let own = backend.credential_override.as_ref()?;
    let sent = client.get(&own.header)?.to_str().ok()?;
    // The header may be the one in which clients send bearer tokens.
    Some(sent.strip_prefix("Bearer ").unwrap_or(sent).trim()).filter(|key| !key.is_empty())
}

/// The keys with which the client wants its request to `backend` signed, where the policy lets it. Half a pair is none.
pub(crate) fn own_keys(backend: &Backend, client: &HeaderMap) -> Result<Option<AwsKeys>, NoCredential> {
    let (Some(_), Some(own)) = (&backend.aws, &backend.credential_override) else {
        return Ok(None);
    };
    let name = |part: &str| HeaderName::try_from(format!("{}{part}", own.header)).ok();
    let sent = |part: &str| {
        let value = client.get(name(part)?)?.to_str().ok()?.trim();
        Some(value.to_owned()).filter(|value| !value.is_empty())
    };
    let missing = match (sent("access-key-id"), sent("secret-access-key")) {
        (Some(access_key_id), Some(secret)) => {
            let secret_access_key = Sensitive::new(secret);
            let session_token = sent("session-token").map(Sensitive::new);
            return Ok(Some(AwsKeys { access_key_id, secret_access_key, session_token }));
        }
        (None, None) if own.fall_back => return Ok(None),
        (None, _) => "access-key-id",
        (Some(_), None) => "secret-access-key",
    };
    Err(name(missing).map_or(NoCredential::Unfit, NoCredential::NotSent))
}

/// Why a request can't be given a credential.
#[derive(Debug)]
pub(crate) enum NoCredential {
    /// The policy wants the client's own key, and the client sent none in this header.
    NotSent(HeaderName),
    /// The key can't stand in a header.
    Unfit,
}

/// Puts the backend's key into `headers`, in the place where its provider looks for it.
pub(crate) fn inject(
    backend: &Backend,
    client: &HeaderMap,
    headers: &mut HeaderMap,
) -> Result<(), NoCredential> {
    let own = match &backend.credential_override {
        None => None,
        Some(own) => {
            headers.remove(&own.header);
            let key = own_key(backend, client);
            if key.is_none() && !own.fall_back {
                return Err(NoCredential::NotSent(own.header.clone()));
            }
            key
        }
    };
    let (kind, key) = match (&backend.credential, own) {
        (Some(credential), own) => (credential.kind, own.unwrap_or(credential.key.expose()).to_owned()),
        // The caller's own token; the account's is put there when the request is sent.
        (None, Some(own)) => (CredentialKind::ApiKey, own.to_owned()),
        (None, None) => return Ok(()),
    };
    let (name, text) = match kind {
        CredentialKind::ApiKey if backend.google.is_none() && backend.schema == Schema::GcpVertexAi => {
            (HeaderName::from_static("x-goog-api-key"), key)
        }
        CredentialKind::ApiKey => (header::AUTHORIZATION, format!("Bearer {key}")),
        CredentialKind::AzureApiKey => (HeaderName::from_static("api-key"), key),
        CredentialKind::AnthropicApiKey => (HeaderName::from_static("x-api-key"), key),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| NoCredential::Unfit)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
