//! translate: what exactly goes to this candidate? Body in its dialect, path, headers, and the credential that only it
//! may see. Done anew for each attempt, since each backend may speak another dialect.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_api::edit::Segments;
use tollgate_api::exchange::{self, Project, Replies, Target};
use tollgate_crds::{AwsKeys, Candidate, Rule};

use super::accept::{Accepted, MODEL_HEADER};
use super::hop;
use super::refusal::Refusal;
use crate::upstream::credentials::{self, NoCredential};

/// One attempt, ready to be sent.
pub(crate) struct Prepared {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Segments,
    pub(crate) replies: Replies,
    /// The client's own keys, to sign with in place of the backend's.
    pub(crate) own_keys: Option<AwsKeys>,
}

/// Set anew for the upstream, or met already.
const NOT_FORWARDED: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::ACCEPT_ENCODING, // A compressed answer could not be metered.
];

/// Prepares an attempt at `candidate`. `output_cap` is what the reservation covers.
pub(crate) fn prepare(
    accepted: &Accepted,
    rule: &Rule,
    candidate: &Candidate,
    output_cap: Option<u64>,
) -> Result<Prepared, Refusal> {
    let backend = &candidate.backend;
    let model = candidate.model_override.as_deref().unwrap_or(&accepted.peek.model);
    let target = Target {
        schema: backend.schema,
        version: backend.version.as_deref(),
        prefix: backend.prefix.as_deref(),
        project: backend
            .google
            .as_ref()
            .map(|google| Project { name: &google.project, region: &google.region }),
        model,
        edits: &candidate.body,
        output_cap,
    };
    let upstream =
        exchange::prepare(accepted.endpoint, &accepted.headers, &accepted.body, &accepted.peek, &target)
            .map_err(Refusal::Untranslatable)?;

    let mut headers = forwarded(accepted, rule, candidate, upstream.translated);
    for (name, value) in &upstream.headers {
        headers.insert(name.clone(), value.clone());
    }
    if candidate.model_override.is_some()
        && let Ok(value) = HeaderValue::from_str(model)
    {
        headers.insert(MODEL_HEADER, value);
    }
    for name in &candidate.headers.remove {
        headers.remove(name);
    }
    for (name, value) in &candidate.headers.set {
        headers.insert(name.clone(), value.clone());
    }
    let refused = |reason| match reason {
        NoCredential::NotSent(header) => Refusal::MissingCredential { header },
        NoCredential::Unfit => Refusal::NoBackend { route: backend.name.to_string() },
    };
    credentials::inject(backend, &accepted.headers, &mut headers).map_err(refused)?;
    let own_keys = credentials::own_keys(backend, &accepted.headers).map_err(refused)?;
    let exchange::UpstreamRequest { path, body, replies, .. } = upstream;
    Ok(Prepared { path, headers, body, replies, own_keys })
}

/// The client's headers without those that end here: per hop, credentials, control headers, and those of a dialect that
/// the upstream does not speak.
fn forwarded(accepted: &Accepted, rule: &Rule, candidate: &Candidate, translated: bool) -> HeaderMap {
    let dialect = accepted.endpoint.dialect();
    let our_account = credentials::own_key(&candidate.backend, &accepted.headers).is_none();
    let mut headers = HeaderMap::with_capacity(accepted.headers.len() + 4);
    for (name, value) in hop::end_to_end(&accepted.headers) {
        let ends_here = NOT_FORWARDED.contains(name)
            || credentials::is_credential(name)
            || rule.candidates.iter().any(|candidate| credentials::overrides(&candidate.backend, name))
            || (our_account && credentials::is_of_an_account(name))
            || (translated && exchange::belongs_to(dialect, name));
        if !ends_here {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}
