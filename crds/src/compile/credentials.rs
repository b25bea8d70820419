//! BackendSecurityPolicies to credentials, by the backend that they are for.
//!
//! A backend whose policy is not usable is never called without: the outcome says so, and the backend is left out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use http::{HeaderName, HeaderValue};

use super::aws;
use super::azure;
use super::certificates::{self, secret};
use super::google;
use super::index::{self, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    AI_GROUP, BackendSecurityPolicySpec, CredentialSource, DynamicMetadata, PolicyType, RequestHeaders,
    SecretKey,
};
use crate::snapshot::{Aws, AzureApp, Credential, CredentialKind, CredentialOverride, Google, ResourceName};

/// The key of a Secret that holds an API key.
const SECRET_KEY: &str = "apiKey";

/// Where a request may bring an access token of Google's.
const GOOGLE_HEADER: &str = "x-aigw-gcp-access-token";
/// And one of Entra's.
const AZURE_HEADER: &str = "x-aigw-azure-access-token";

/// With what the headers begin in which a request may bring keys of Amazon's: `access-key-id`, `secret-access-key` and
/// `session-token` follow.
const AWS_HEADERS: &str = "x-aigw-aws-";

/// What a policy comes to.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    Usable {
        shown: Shown,
        own: Option<CredentialOverride>,
    },
    /// The policy's problems say why.
    Unusable,
}

/// What an upstream is shown.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Key(Credential),
    Google(Google),
    Aws(Aws),
    Azure(AzureApp),
}

/// Every policy, by the AIServiceBackend that it is for.
pub(super) fn compile(index: &Index<'_>, problems: &mut Vec<Problem>) -> BTreeMap<ResourceName, Proof> {
    let unusable = index.without_credential.iter().map(|name| (name.clone(), Proof::Unusable));
    let mut by_backend: BTreeMap<ResourceName, Proof> = unusable.collect();
    for policy in index.security_policies.iter() {
        let proof = proof(index, policy, problems);
        for (at, target) in policy.spec.target_refs.iter().enumerate() {
            let field = format!("spec.targetRefs[{at}]");
            let name = ResourceName::new(&*policy.loaded.name.namespace, &*target.name);
            let complaint = if &*target.group != AI_GROUP {
                Some(format!("an AIServiceBackend: {} is not served yet", &*target.kind))
            } else if index.service_backends.find(&name).is_none() {
                Some(index.missing("AIServiceBackend", &name))
            } else if let Entry::Vacant(place) = by_backend.entry(name) {
                place.insert(proof.clone());
                None
            } else {
                Some("a backend that no earlier policy is for; the earlier one counts".to_owned())
            };
            problems.extend(complaint.map(|what| policy.loaded.problem(&field, shown(&target.name), what)));
        }
    }
    by_backend
}

fn proof(
    index: &Index<'_>,
    policy: index::Entry<'_, BackendSecurityPolicySpec>,
    problems: &mut Vec<Problem>,
) -> Proof {
    let BackendSecurityPolicySpec {
        target_refs: _,
        policy_type,
        api_key,
        azure_api_key,
        anthropic_api_key,
        aws_credentials,
        gcp_credentials,
        azure_credentials,
        credential_override,
    } = policy.spec;
    let loaded = policy.loaded;
    let (kind, field, key, default_header) = match policy_type {
        PolicyType::ApiKey => (CredentialKind::ApiKey, "spec.apiKey", api_key, "x-aigw-api-key"),
        PolicyType::AzureApiKey => {
            (CredentialKind::AzureApiKey, "spec.azureAPIKey", azure_api_key, "x-aigw-azure-api-key")
        }
        PolicyType::AnthropicApiKey => (
            CredentialKind::AnthropicApiKey,
            "spec.anthropicAPIKey",
            anthropic_api_key,
            "x-aigw-anthropic-api-key",
        ),
        PolicyType::GcpCredentials => {
            let google = google::read(index, loaded, gcp_credentials.as_ref(), problems);
            let own = read_override(loaded, credential_override.as_ref(), GOOGLE_HEADER, problems);
            return Proof::of(google.map(Shown::Google), own);
        }
        PolicyType::AwsCredentials => {
            let aws = aws::read(index, loaded, aws_credentials.as_ref(), problems);
            let own = read_override(loaded, credential_override.as_ref(), AWS_HEADERS, problems);
            return Proof::of(aws.map(Shown::Aws), own);
        }
        PolicyType::AzureCredentials => {
            let app = azure::read(index, loaded, azure_credentials.as_ref(), problems);
            let own = read_override(loaded, credential_override.as_ref(), AZURE_HEADER, problems);
            return Proof::of(app.map(Shown::Azure), own);
        }
    };
    let credential = read_key(index, loaded, (field, key.as_ref(), kind), problems);
    let own = read_override(loaded, credential_override.as_ref(), default_header, problems);
    Proof::of(credential.map(Shown::Key), own)
}

impl Proof {
    fn of(shown: Option<Shown>, own: Result<Option<CredentialOverride>, ()>) -> Self {
        match (shown, own) {
            (Some(shown), Ok(own)) => Self::Usable { shown, own },
            (_, _) => Self::Unusable,
        }
    }
}

fn read_key(
    index: &Index<'_>,
    loaded: &Loaded,
    (field, key, kind): (&str, Option<&SecretKey>, CredentialKind),
    problems: &mut Vec<Problem>,
) -> Option<Credential> {
    let reference = &key?.secret_ref;
    let from = (AI_GROUP, "BackendSecurityPolicy", loaded.name.namespace.as_str());
    let read = secret(index, from, reference).and_then(|secret| {
        let key = certificates::text(secret, SECRET_KEY, problems)?;
        if HeaderValue::from_str(key.expose()).is_ok() {
            return Ok(key);
        }
        let (field, what) = (secret.spec.field(SECRET_KEY), "a key without letters that no header can carry");
        Err(certificates::unusable(secret.loaded, &field, what, problems))
    });
    match read {
        Ok(key) => Some(Credential { kind, key }),
        Err(what) => {
            problems.push(loaded.problem(&format!("{field}.secretRef"), shown(&reference.name), what));
            None
        }
    }
}

/// Err: the override can't be done, and going on without it would do what the operator did not ask for.
fn read_override(
    loaded: &Loaded,
    source: Option<&CredentialSource>,
    default_header: &str,
    problems: &mut Vec<Problem>,
) -> Result<Option<CredentialOverride>, ()> {
    let Some(CredentialSource { from_request_headers, from_dynamic_metadata }) = source else {
        return Ok(None);
    };
    if let Some(DynamicMetadata { namespace: _, key: _, fallback_to_configured }) = from_dynamic_metadata {
        let field = "spec.credentialOverride.fromDynamicMetadata";
        let what = "fromRequestHeaders: there are no other filters here that could write metadata";
        if *fallback_to_configured {
            problems.push(loaded.not_honoured(field, what));
            return Ok(None);
        }
        problems.push(loaded.problem(field, "", what));
        return Err(());
    }
    let Some(RequestHeaders { header, fallback_to_configured }) = from_request_headers else {
        return Ok(None);
    };
    let name = header.as_ref().map_or(default_header, |header| header);
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        let field = "spec.credentialOverride.fromRequestHeaders.header";
        problems.push(loaded.problem(field, shown(name), "the name of a header"));
        return Err(());
    };
    Ok(Some(CredentialOverride { header, fall_back: *fallback_to_configured }))
}
