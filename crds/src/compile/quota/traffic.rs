//! BackendTrafficPolicies to budgets: each rule of a global rate limit is one, strict, in the unit that its cost names.
//!
//! What differs from Envoy's service, which charges after the answer: a request is held before it is sent, so that the
//! limit is never passed. Windows are those of the calendar in UTC, a month has the days that it has.

use std::collections::BTreeMap;

use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension};
use tollgate_ratelimit::window::{Fixed, Period, Window};

use super::budgets::{Context, add};
use super::measures;
use super::prices::fingerprint;
use super::selectors::{self, Selected};
use super::targets::{self, Claimed, Policy};
use crate::compile::index::Entry;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    BackendTrafficPolicySpec, CostFrom, CostMetadata, CostSpecifier, GlobalRateLimit, RateLimit,
    RateLimitCost, RateLimitRule, RateLimitType, RateLimitUnit, RateLimitValue, TRAFFIC_FIELDS,
};
use crate::snapshot::{BudgetBuilder, KeptBudget, Lacking};

/// Where llmRequestCosts put their counts.
const COST_NAMESPACE: &str = "io.envoy.ai_gateway";
/// What a request counts when it comes and nothing is said.
const DEFAULT_COUNT: u64 = 1;

/// Rules of one target, and what they count.
struct Share {
    label: String,
    rules: Vec<usize>,
    source: String,
}

/// Compiles every BackendTrafficPolicy.
pub(super) fn compile(context: &Context<'_, '_>, budgets: &mut BudgetBuilder, problems: &mut Vec<Problem>) {
    let policies: Vec<Entry<'_, BackendTrafficPolicySpec>> = context.index.traffic_policies.iter().collect();
    let targets: Vec<Policy<'_>> = policies
        .iter()
        .map(|Entry { loaded, spec }| Policy {
            loaded,
            target_ref: spec.target_ref.as_ref(),
            target_refs: &spec.target_refs,
        })
        .collect();
    let claims = targets::claim((context.index, context.routed), &targets, problems);
    for (number, Entry { loaded, spec }) in policies.into_iter().enumerate() {
        others(loaded, spec, problems);
        let claims: Vec<&Claimed> = claims.iter().filter(|claimed| claimed.policy == number).collect();
        for Claimed { label, .. } in claims.iter().filter(|claimed| claimed.rules.is_empty()) {
            let what = format!(
                "rules of {label} that no more specific policy is for: there are none, and this is for nobody"
            );
            problems.push(loaded.not_honoured("spec.targetRefs", what));
        }
        for (at, rule) in rules(loaded, spec, problems).iter().enumerate() {
            compile_rule(context, loaded, (at, rule, &claims), (budgets, problems));
        }
    }
}

/// Tells every field that is not read.
fn others(loaded: &Loaded, spec: &BackendTrafficPolicySpec, problems: &mut Vec<Problem>) {
    let BackendTrafficPolicySpec { target_ref, target_refs, rate_limit: _ } = spec;
    let written = loaded.json["spec"].as_object();
    let written = written.into_iter().flat_map(|fields| fields.iter().filter(|(_, value)| !value.is_null()));
    for (field, _) in written.filter(|(field, _)| !TRAFFIC_FIELDS.contains(&field.as_str())) {
        let what = "rateLimit alone: nothing else of this policy is served";
        problems.push(loaded.not_honoured(&format!("spec.{field}"), what));
    }
    if target_ref.is_none() && target_refs.is_empty() {
        problems.push(loaded.problem("spec.targetRefs", "none", "at least one target"));
    }
}

fn rules<'s>(
    loaded: &Loaded,
    spec: &'s BackendTrafficPolicySpec,
    problems: &mut Vec<Problem>,
) -> &'s [RateLimitRule] {
    let Some(RateLimit { limit_type, global, local }) = &spec.rate_limit else { return &[] };
    if local.is_some() || *limit_type == Some(RateLimitType::Local) {
        let what = "a global limit: each holds over all nodes here, and local ones are not served";
        problems.push(loaded.not_honoured("spec.rateLimit.local", what));
    }
    match global {
        Some(GlobalRateLimit { rules }) if *limit_type != Some(RateLimitType::Local) => rules,
        Some(_) | None => &[],
    }
}

fn compile_rule(
    context: &Context<'_, '_>,
    loaded: &Loaded,
    (at, rule, claims): (usize, &RateLimitRule, &[&Claimed]),
    (budgets, problems): (&mut BudgetBuilder, &mut Vec<Problem>),
) {
    let RateLimitRule { client_selectors, limit, cost, shared, shadow_mode } = rule;
    let path = format!("spec.rateLimit.global.rules[{at}]");
    if limit.from_metadata.is_some() {
        let what = "requests and unit: there are no other filters here that could write a limit";
        problems.push(loaded.not_honoured(&format!("{path}.limit.fromMetadata"), what));
    }
    let Some(selected) = selectors::read(loaded, &path, client_selectors, problems) else { return };
    let claimed: Vec<(String, Vec<usize>)> = if *shared {
        let mut all: Vec<usize> = claims.iter().flat_map(|claimed| &claimed.rules).copied().collect();
        all.sort_unstable();
        vec![("shared".to_owned(), all)]
    } else {
        claims.iter().map(|claimed| (claimed.label.clone(), claimed.rules.clone())).collect()
    };
    for (label, rules) in claimed.into_iter().filter(|(_, rules)| !rules.is_empty()) {
        let shares = match shares(context, (label, &rules), cost.as_ref()) {
            Ok(shares) => shares,
            Err((field, value, what)) => {
                problems.push(loaded.problem(&format!("{path}.{field}"), value, what));
                return;
            }
        };
        if *shared && shares.len() > 1 {
            let what = "routes that count the same under one key: they don't, and do not share a counter";
            problems.push(loaded.not_honoured(&format!("{path}.shared"), what));
        }
        for share in shares {
            let kept = kept(loaded, (at, limit, *shadow_mode), (share, *shared), &selected);
            match kept {
                Ok(kept) => add(context, (loaded, &path), kept, (budgets, problems)),
                Err(what) => problems.push(loaded.problem(&format!("{path}.cost"), "", what)),
            }
        }
    }
}

/// The rules, by what their routes count.
fn shares(
    context: &Context<'_, '_>,
    (label, rules): (String, &[usize]),
    cost: Option<&RateLimitCost>,
) -> Result<Vec<Share>, (&'static str, String, String)> {
    let mut by_source: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for rule in rules {
        by_source.entry(source(context, *rule, cost)?).or_default().push(*rule);
    }
    let several = by_source.len() > 1;
    let share = |(source, rules): (String, Vec<usize>)| Share {
        label: if several { format!("{label}/{}", fingerprint(&source)) } else { label.clone() },
        rules,
        source,
    };
    Ok(by_source.into_iter().map(share).collect())
}

/// What a request counts in all, as an expression.
fn source(
    context: &Context<'_, '_>,
    rule: usize,
    cost: Option<&RateLimitCost>,
) -> Result<String, (&'static str, String, String)> {
    let (request, response) = cost
        .map_or((None, None), |RateLimitCost { request, response }| (request.as_ref(), response.as_ref()));
    let on_request = match request {
        None => DEFAULT_COUNT,
        Some(CostSpecifier { from: CostFrom::Number, number, metadata: _ }) => number.unwrap_or(0),
        Some(CostSpecifier { from: CostFrom::Metadata, .. }) => {
            let what = "a Number: when a request comes nothing is counted yet".to_owned();
            return Err(("cost.request.from", "Metadata".to_owned(), what));
        }
    };
    let counted = match response {
        None => None,
        Some(CostSpecifier { from: CostFrom::Number, number, metadata: _ }) => {
            return constant(on_request.saturating_add(number.unwrap_or(0)));
        }
        Some(CostSpecifier { from: CostFrom::Metadata, metadata, number: _ }) => metadata.as_ref(),
    };
    let Some(CostMetadata { namespace, key }) = counted else { return constant(on_request) };
    if namespace != COST_NAMESPACE {
        let what = format!("{COST_NAMESPACE}: there are no other filters here that write metadata");
        return Err(("cost.response.metadata.namespace", shown(namespace), what));
    }
    let of_rule = &context.routed.rules[rule];
    let Some(cost) = of_rule.costs.iter().find(|cost| cost.metadata_key == *key) else {
        let what = format!("a metadataKey of llmRequestCosts of {} or its Gateway", of_rule.route);
        return Err(("cost.response.metadata.key", shown(key), what));
    };
    Ok(match on_request {
        0 => measures::source(cost).to_owned(),
        more => format!("({}) + {more}u", measures::source(cost)),
    })
}

fn constant(count: u64) -> Result<String, (&'static str, String, String)> {
    match count {
        0 => Err(("cost", "0".to_owned(), "a count of more than nothing: it would limit nobody".to_owned())),
        count => Ok(format!("{count}u")),
    }
}

fn kept(
    loaded: &Loaded,
    (at, limit, shadow_mode): (usize, &RateLimitValue, bool),
    (share, shared): (Share, bool),
    selected: &Selected,
) -> Result<KeptBudget, String> {
    let Share { label, rules, source } = share;
    let RateLimitValue { requests, unit: window, from_metadata: _ } = limit;
    let (unit, expression) = measures::of_source(&source)?;
    let every = match window {
        RateLimitUnit::Second => Period::Second,
        RateLimitUnit::Minute => Period::Minute,
        RateLimitUnit::Hour => Period::Hour,
        RateLimitUnit::Day => Period::Day,
        RateLimitUnit::Month => Period::Month,
        RateLimitUnit::Year => Period::Year,
    };
    let mut per = selected.per.clone();
    // Each route of a Gateway has counters of its own.
    if !shared && label.starts_with("gateway/") {
        per.insert(0, Dimension::Route);
    }
    Ok(KeptBudget {
        resource: format!("{} {}", loaded.kind, loaded.name),
        budget: Budget {
            name: format!("BackendTrafficPolicy/{}/{at}/{label}", loaded.name),
            covers: Cover { matchers: selected.matchers.clone() },
            per,
            unit,
            limit: *requests,
            window: Window::Fixed(Fixed { every, zone: "UTC".to_owned(), boundaries: Vec::new() }),
            enforcement: if shadow_mode { Enforcement::Shadow } else { Enforcement::Strict },
            on_exhausted: OnExhausted::Refuse,
        },
        expression,
        alternatives: None,
        by_backend: false,
        conditions: selected.conditions.clone(),
        rules: Some(rules.into()),
        lacking: Lacking::Uncovered,
    })
}
