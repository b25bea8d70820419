//! `jwt`: issuers, and what their tokens are verified against.

use std::sync::Arc;

use http::{HeaderName, header};
use serde_json::Value;

use super::api_keys::BEARER;
use crate::compile::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    ClaimToHeader, Jwt, JwtExtractor, JwtHeader, JwtProvider, LocalJwks, RemoteJwks, ValueReference,
};
use crate::snapshot::{ClaimHeader, Issuer, Jwks, JwtAccess, KeySource, MODEL_HEADER, ResourceName};

/// The parameter of the query in which a token may stand where nothing is said (RFC 6750, section 2.3).
const TOKEN_PARAMETER: &str = "access_token";
/// The key of a ConfigMap that holds a key set.
const JWKS_KEY: &str = "jwks";

/// The issuers of a policy. Those that can't be used are left out, which lets nobody more in; None where none is left.
pub(super) fn compile(
    index: &Index<'_>,
    loaded: &Loaded,
    Jwt { optional, providers }: &Jwt,
    problems: &mut Vec<Problem>,
) -> Option<JwtAccess> {
    let mut issuers = Vec::new();
    for (at, provider) in providers.iter().enumerate() {
        let path = format!("spec.jwt.providers[{at}]");
        match issuer(index, loaded, (&path, provider), problems) {
            Ok(issuer) => issuers.push(Arc::new(issuer)),
            Err((field, value, what)) => {
                problems.push(loaded.problem(&format!("{path}.{field}"), value, what));
            }
        }
    }
    (!issuers.is_empty()).then_some(JwtAccess { issuers, optional: *optional })
}

fn issuer(
    index: &Index<'_>,
    loaded: &Loaded,
    (path, provider): (&str, &JwtProvider),
    problems: &mut Vec<Problem>,
) -> Result<Issuer, (String, String, String)> {
    let JwtProvider {
        name,
        issuer,
        audiences,
        remote_jwks,
        local_jwks,
        claim_to_headers,
        recompute_route: _,
        extract_from,
    } = provider;
    let jwks = match (remote_jwks, local_jwks) {
        (Some(remote), _) => fetched(loaded, (path, remote), problems),
        (None, local) => {
            let local = local.as_ref().map_or(Ok(String::new()), |local| here(index, loaded, local));
            let text = local.map_err(|what| ("localJWKS.valueRef".to_owned(), String::new(), what))?;
            let keys: Option<Value> = serde_json::from_str(&text).ok();
            if keys.is_none_or(|set| set["keys"].as_array().is_none_or(Vec::is_empty)) {
                let what = "a key set: JSON with a list of keys (RFC 7517)".to_owned();
                return Err(("localJWKS".to_owned(), String::new(), what));
            }
            Jwks::Local(text)
        }
    };
    let claims = claim_to_headers.iter().enumerate().map(|(at, claim)| {
        read_claim(claim).ok_or_else(|| {
            let what = format!("the name of a header, and not {MODEL_HEADER}, which the gateway sets");
            (format!("claimToHeaders[{at}].header"), shown(&claim.header), what)
        })
    });
    Ok(Issuer {
        name: format!("{}/{name}", loaded.name),
        issuer: issuer.clone().filter(|issuer| !issuer.is_empty()),
        audiences: audiences.clone(),
        jwks,
        claims: claims.collect::<Result<_, _>>()?,
        sources: extract_from.as_ref().map_or_else(usual_sources, sources),
    })
}

fn fetched(loaded: &Loaded, (path, remote): (&str, &RemoteJwks), problems: &mut Vec<Problem>) -> Jwks {
    let RemoteJwks { uri, backend_ref, backend_refs, backend_settings, cache_duration } = remote;
    let others = [
        ("backendRef", backend_ref),
        ("backendRefs", backend_refs),
        ("backendSettings", backend_settings),
        ("cacheDuration", cache_duration),
    ];
    for (field, _) in others.iter().filter(|(_, value)| value.is_some()) {
        let what = "uri alone: it is fetched straight from there";
        problems.push(loaded.not_honoured(&format!("{path}.remoteJWKS.{field}"), what));
    }
    Jwks::Remote { uri: uri.clone() }
}

fn here(index: &Index<'_>, loaded: &Loaded, local: &LocalJwks) -> Result<String, String> {
    let LocalJwks { jwks_type: _, inline, value_ref } = local;
    if let Some(inline) = inline {
        return Ok(inline.clone());
    }
    let Some(ValueReference { group, kind, name }) = value_ref else { return Ok(String::new()) };
    let is_config_map = group.as_deref().unwrap_or_default().is_empty()
        && kind.as_deref().is_none_or(|kind| kind == "ConfigMap");
    if !is_config_map {
        return Err("a ConfigMap of the core group".to_owned());
    }
    let target = ResourceName::new(&*loaded.name.namespace, &**name);
    let found = index.config_map(&target)?;
    let data = &found.spec.data;
    let text = data.get(JWKS_KEY).or_else(|| data.values().next());
    text.cloned().ok_or_else(|| format!("a ConfigMap with a key {JWKS_KEY}"))
}

fn read_claim(ClaimToHeader { header, claim }: &ClaimToHeader) -> Option<ClaimHeader> {
    let header = HeaderName::from_bytes(header.as_bytes()).ok().filter(|name| *name != MODEL_HEADER)?;
    Some(ClaimHeader { header, claim: claim.split('.').map(str::to_owned).collect() })
}

fn usual_sources() -> Vec<KeySource> {
    let bearer = KeySource::Header { name: header::AUTHORIZATION, prefix: BEARER.to_owned() };
    vec![bearer, KeySource::Query(TOKEN_PARAMETER.to_owned())]
}

fn sources(JwtExtractor { headers, cookies, params }: &JwtExtractor) -> Vec<KeySource> {
    let header = |JwtHeader { name, value_prefix }: &JwtHeader| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(KeySource::Header { name, prefix: value_prefix.clone().unwrap_or_default() })
    };
    let headers = headers.iter().filter_map(header);
    let params = params.iter().cloned().map(KeySource::Query);
    headers.chain(params).chain(cookies.iter().cloned().map(KeySource::Cookie)).collect()
}
