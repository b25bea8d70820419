//! The rules of attached routes: matches into the table, references into candidates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::attach::AttachedRoute;
use super::backends::Usable;
use super::costs;
use super::edits;
use super::grants::{Grants, Reference};
use super::index::Index;
use super::quota::{exact_models, matches_any_model};
use super::security::Guards;
use crate::problem::{Problem, shown};
use crate::resources::{
    AI_GROUP, AiGatewayRouteSpec, BackendRef, GatewayDuration, HeaderMatchType, HttpHeaderMatch, RouteMatch,
    RouteRule, Timeouts,
};
use crate::schema::seconds;
use crate::snapshot::{
    Candidate, Cost, HeaderMatch, Listing, NewEntry, ResourceName, Rule, TableBuilder, ValueMatch,
};

/// Bound on a whole exchange where the route says nothing; Envoy AI Gateway's.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// The owner of models where the rule names none.
const OWNER: &str = "tollgate";
/// The priority of a Backend that is only a fallback, where the reference says nothing.
const FALLBACK_PRIORITY: u32 = 1;

/// What rules are compiled against.
pub(super) struct Context<'a, 'i> {
    pub(super) index: &'i Index<'a>,
    pub(super) backends: &'i BTreeMap<ResourceName, Usable>,
    pub(super) guards: &'i Guards,
}

/// Compiles a route's rules into the table. A route that hangs nowhere is compiled for its problems alone.
pub(super) fn compile(
    context: &Context<'_, '_>,
    route: &AttachedRoute<'_>,
    table: &mut TableBuilder,
    problems: &mut Vec<Problem>,
) {
    // Parents and hosts were read when the route was attached.
    let AiGatewayRouteSpec { parent_refs: _, hostnames: _, rules, llm_request_costs } = route.spec;
    let costs = route_costs(route, llm_request_costs, problems);
    for (at, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        let RouteRule {
            name,
            backend_refs,
            matches,
            timeouts,
            stream_idle_timeout,
            models_owned_by,
            models_created_at,
            exclude_from_models_endpoint,
        } = rule;
        let (request_timeout, attempt_timeout) = read_timeouts(route, &path, timeouts.as_ref(), problems);
        let conditions = read_matches(route, (&path, matches), problems);
        let gateways = route.gateways.iter().map(|gateway| &gateway.name);
        let Ok(access) = context.guards.of(&route.loaded.name, name.as_deref(), gateways) else {
            let what =
                "a SecurityPolicy of its own: those of its Gateways differ, and it is not served without";
            problems.push(route.loaded.problem(&path, "", what));
            continue;
        };
        let compiled = Arc::new(Rule {
            access,
            models: exact_models(&conditions),
            any_model: matches_any_model(&conditions),
            route: route.loaded.name.clone(),
            name: name.as_ref().map(|name| name.to_string()),
            candidates: candidates(context, route, (&path, backend_refs), problems),
            request_timeout,
            attempt_timeout,
            stream_idle_timeout: stream_idle_timeout.as_ref().and_then(bound),
            costs: costs.clone(),
            index: table.next_index(),
        });
        let listing = (!exclude_from_models_endpoint).then(|| Listing {
            owned_by: models_owned_by.clone().unwrap_or_else(|| OWNER.to_owned()),
            created_at_s: models_created_at.as_deref().and_then(seconds).unwrap_or(route.created_at_s),
        });
        if route.attachments.is_empty() {
            continue;
        }
        table.add_rule(&compiled);
        for headers in conditions {
            table.add(NewEntry {
                rule: Arc::clone(&compiled),
                headers,
                attachments: Arc::clone(&route.attachments),
                listing: listing.clone(),
            });
        }
    }
}

fn route_costs(
    route: &AttachedRoute<'_>,
    written: &[crate::resources::LlmRequestCost],
    problems: &mut Vec<Problem>,
) -> Vec<Cost> {
    let own = costs::compile(route.loaded, "spec.llmRequestCosts", written, problems);
    let (merged, disputed) =
        costs::merge(&own, route.gateways.iter().map(|gateway| gateway.costs.as_slice()));
    for key in disputed {
        let what = "Gateways that agree on the cost of this key; the first counts";
        let problem = route.loaded.not_honoured("spec.parentRefs", what);
        problems.push(Problem { value: shown(&key), ..problem });
    }
    merged
}

fn read_timeouts(
    route: &AttachedRoute<'_>,
    path: &str,
    timeouts: Option<&Timeouts>,
    problems: &mut Vec<Problem>,
) -> (Option<Duration>, Option<Duration>) {
    let Some(Timeouts { request, backend_request }) = timeouts else {
        return (Some(REQUEST_TIMEOUT), None);
    };
    let whole = request.as_ref().map_or(Some(REQUEST_TIMEOUT), bound);
    let attempt = backend_request.as_ref().and_then(bound);
    if let (Some(whole), Some(longer)) =
        (whole, attempt.filter(|attempt| whole.is_some_and(|whole| *attempt > whole)))
    {
        let field = format!("{path}.timeouts.backendRequest");
        let what = format!("at most the request's own {whole:?}, which ends the attempt first");
        // Served all the same: an attempt is merely ended earlier than it says.
        problems.push(route.loaded.not_honoured(&field, format!("{what}, got {longer:?}")));
    }
    (whole, attempt)
}

/// 0s is no bound.
fn bound(duration: &GatewayDuration) -> Option<Duration> {
    Some(duration.length()).filter(|length| !length.is_zero())
}

/// One list of conditions for each match that can be read; a rule without matches has one without conditions.
fn read_matches(
    route: &AttachedRoute<'_>,
    (path, matches): (&str, &[RouteMatch]),
    problems: &mut Vec<Problem>,
) -> Vec<Vec<HeaderMatch>> {
    if matches.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, RouteMatch { headers }) in matches.iter().enumerate() {
        let before = problems.len();
        let mut conditions: Vec<HeaderMatch> = Vec::new();
        for (number, header) in headers.iter().enumerate() {
            let field = format!("{path}.matches[{at}].headers[{number}]");
            match read_header(header) {
                Ok(condition) if conditions.iter().any(|other| other.name == condition.name) => {
                    // Gateway API: only the first entry of an equivalent name counts.
                    let what = "each header once, in whatever case; the first counts";
                    problems.push(route.loaded.not_honoured(&format!("{field}.name"), what));
                }
                Ok(condition) => conditions.push(condition),
                Err((name, what)) => {
                    let value = if name == "value" { &*header.value } else { &*header.name };
                    problems.push(route.loaded.problem(&format!("{field}.{name}"), shown(value), what));
                }
            }
        }
        // A match that lost a condition would answer for more than it should.
        let lost =
            problems[before..].iter().any(|problem| problem.severity == crate::problem::Severity::Rejected);
        if !lost {
            all.push(conditions);
        }
    }
    all
}

fn read_header(header: &HttpHeaderMatch) -> Result<HeaderMatch, (&'static str, String)> {
    let HttpHeaderMatch { match_type, name, value } = header;
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| ("name", "the name of a header".to_owned()))?;
    let value = match match_type {
        HeaderMatchType::Exact => ValueMatch::Exact(value.clone()),
        HeaderMatchType::RegularExpression => ValueMatch::pattern(value)
            .map_err(|error| ("value", format!("a regular expression of moderate size ({error})")))?,
    };
    Ok(HeaderMatch { name, value })
}

fn candidates(
    context: &Context<'_, '_>,
    route: &AttachedRoute<'_>,
    (path, references): (&str, &[BackendRef]),
    problems: &mut Vec<Problem>,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (at, reference) in references.iter().enumerate() {
        candidates.extend(candidate(
            context,
            route,
            (&format!("{path}.backendRefs[{at}]"), reference),
            problems,
        ));
    }
    // Stable: within one priority the order of the manifest stays.
    candidates.sort_by_key(|candidate: &Candidate| candidate.priority);
    candidates
}

fn candidate(
    context: &Context<'_, '_>,
    route: &AttachedRoute<'_>,
    (path, reference): (&str, &BackendRef),
    problems: &mut Vec<Problem>,
) -> Option<Candidate> {
    let BackendRef {
        name,
        namespace,
        group: _,
        kind,
        model_name_override,
        header_mutation,
        body_mutation,
        weight,
        priority,
    } = reference;
    let loaded = route.loaded;
    if kind.is_some() {
        let what = "an AIServiceBackend: InferencePool is not served yet";
        problems.push(loaded.problem(&format!("{path}.kind"), "InferencePool", what));
        return None;
    }
    let own = loaded.name.namespace.as_str();
    let target = ResourceName::new(namespace.as_ref().map_or(own, |namespace| namespace), &**name);
    let permission = Reference {
        from: (AI_GROUP, "AIGatewayRoute", own),
        to: (AI_GROUP, "AIServiceBackend"),
        target: &target,
    };
    let found = if !context.index.grants.permit(permission) {
        Err(Grants::wanted(permission))
    } else if context.index.service_backends.find(&target).is_none() {
        Err(context.index.missing("AIServiceBackend", &target))
    } else {
        let usable = context.backends.get(&target);
        usable.ok_or_else(|| {
            format!("an AIServiceBackend that can be called: {target} has problems of its own")
        })
    };
    let edits = edits::read(loaded, path, (header_mutation.as_ref(), body_mutation.as_ref()), problems);
    let usable = match found {
        Ok(usable) => usable,
        Err(what) => {
            problems.push(loaded.problem(&format!("{path}.name"), shown(name), what));
            return None;
        }
    };
    let (headers, body) = edits::merge(&edits?, &usable.edits);
    if *weight == 0 {
        // Gateway API: no requests at all, not even as the last resort.
        return None;
    }
    Some(Candidate {
        backend: Arc::clone(&usable.backend),
        model_override: model_name_override.clone().filter(|model| !model.is_empty()),
        weight: *weight,
        priority: priority.unwrap_or(if usable.fallback { FALLBACK_PRIORITY } else { 0 }),
        headers,
        body,
    })
}
