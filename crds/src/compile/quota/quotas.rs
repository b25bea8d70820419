//! QuotaPolicies to budgets, by what their documentation promises: every bucket that matches is charged, and a request
//! passes while one of them has room. Each bucket is strict; those of one model are alternatives.
//!
//! Windows are aligned to their unit in UTC: in none of them is more than the quota spent.

use std::collections::BTreeMap;

use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension, Matcher};
use tollgate_ratelimit::window::{Fixed, Period, Window};

use super::budgets::{Context, add};
use super::measures::{self, Counted};
use super::selectors::{self, Selected};
use crate::compile::index::Entry;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    BucketRule, ModelQuota, PerModelQuota, QuotaDuration, QuotaMode, QuotaPolicySpec, QuotaValue,
    ServiceQuota,
};
use crate::snapshot::{BudgetBuilder, Condition, KeptBudget, Lacking, ResourceName};

/// What a policy counts when it does not say.
const DEFAULT_EXPRESSION: &str = "total_tokens";
/// Stands for all models of a backend.
const SERVICE: &str = "";

/// A policy and one of the backends that it is for.
struct Site<'s> {
    loaded: &'s Loaded,
    backend: ResourceName,
}

/// One bucket on its way to a budget.
struct Bucket<'b> {
    /// Where it is written, and its part of the budget's name.
    path: &'b str,
    name: String,
    value: &'b QuotaValue,
    counted: Counted,
    model: Option<&'b str>,
    selected: Selected,
    enforcement: Enforcement,
    alternatives: Option<u32>,
}

/// Compiles every QuotaPolicy. Of two for one model of one backend the first by name counts.
pub(super) fn compile(context: &Context<'_, '_>, budgets: &mut BudgetBuilder, problems: &mut Vec<Problem>) {
    let mut policies: Vec<Entry<'_, QuotaPolicySpec>> = context.index.quota_policies.iter().collect();
    policies.sort_by_key(|policy| &policy.loaded.name);
    let mut taken: BTreeMap<(ResourceName, String), ResourceName> = BTreeMap::new();
    for Entry { loaded, spec } in policies {
        let QuotaPolicySpec { target_refs, service_quota, per_model_quotas } = spec;
        if target_refs.is_empty() {
            problems.push(loaded.problem("spec.targetRefs", "none", "at least one AIServiceBackend"));
        }
        for (at, target) in target_refs.iter().enumerate() {
            let backend = ResourceName::new(&*loaded.name.namespace, &*target.name);
            if context.index.service_backends.find(&backend).is_none() {
                let what = context.index.missing("AIServiceBackend", &backend);
                problems.push(loaded.problem(&format!("spec.targetRefs[{at}]"), shown(&target.name), what));
                continue;
            }
            let site = Site { loaded, backend };
            let mut claim = |model: &str, path: &str, problems: &mut Vec<Problem>| {
                claim(&mut taken, &site, (model, path), problems)
            };
            if let Some(quota) = service_quota
                && claim(SERVICE, "spec.serviceQuota", problems)
            {
                service(context, &site, quota, (budgets, problems));
            }
            for (number, PerModelQuota { model_name, quota }) in per_model_quotas.iter().enumerate() {
                let path = format!("spec.perModelQuotas[{number}]");
                if claim(model_name, &format!("{path}.modelName"), problems) {
                    asked_for(context, &site, (&path, model_name), problems);
                    model(context, &site, (&path, model_name, quota), (budgets, problems));
                }
            }
        }
    }
}

fn claim(
    taken: &mut BTreeMap<(ResourceName, String), ResourceName>,
    site: &Site<'_>,
    (model, path): (&str, &str),
    problems: &mut Vec<Problem>,
) -> bool {
    let key = (site.backend.clone(), model.to_owned());
    if let Some(first) = taken.get(&key) {
        let what = format!("one quota a model and backend: {first} has that of {}, and counts", site.backend);
        problems.push(site.loaded.problem(path, shown(model), what));
        return false;
    }
    taken.insert(key, site.loaded.name.clone());
    true
}

/// A quota of a model that the backend is never asked for limits nothing: that is told.
fn asked_for(
    context: &Context<'_, '_>,
    site: &Site<'_>,
    (path, model): (&str, &str),
    problems: &mut Vec<Problem>,
) {
    let asked = context.routed.rules.iter().any(|rule| {
        let mut candidates =
            rule.candidates.iter().filter(|candidate| candidate.backend.name == site.backend);
        candidates.any(|candidate| match &candidate.model_override {
            Some(asked) => asked == model,
            // Matches that name no model may bring any.
            None => {
                rule.models.is_empty() || rule.any_model || rule.models.iter().any(|asked| asked == model)
            }
        })
    });
    if !asked {
        let what = format!(
            "a model that some rule asks {} for: a modelNameOverride, or a model that it matches; none is this",
            site.backend
        );
        problems.push(site.loaded.problem(&format!("{path}.modelName"), shown(model), what));
    }
}

fn service(
    context: &Context<'_, '_>,
    site: &Site<'_>,
    ServiceQuota { cost_expression, quota }: &ServiceQuota,
    (budgets, problems): (&mut BudgetBuilder, &mut Vec<Problem>),
) {
    let path = "spec.serviceQuota";
    let Some(counted) = counted(site, (path, cost_expression.as_deref()), problems) else { return };
    let bucket = Bucket {
        path,
        name: "service".to_owned(),
        value: quota,
        counted,
        model: None,
        selected: Selected::default(),
        enforcement: Enforcement::Strict,
        alternatives: None,
    };
    add(context, (site.loaded, path), kept(site, bucket), (budgets, problems));
}

fn model(
    context: &Context<'_, '_>,
    site: &Site<'_>,
    (path, model, quota): (&str, &str, &ModelQuota),
    (budgets, problems): (&mut BudgetBuilder, &mut Vec<Problem>),
) {
    let ModelQuota { cost_expression, mode: QuotaMode::Shared, default_bucket, bucket_rules } = quota;
    let path = format!("{path}.quota");
    let Some(counted) = counted(site, (&path, cost_expression.as_deref()), problems) else { return };
    if default_bucket.is_none() && bucket_rules.is_empty() {
        problems.push(site.loaded.problem(&path, "", "a defaultBucket or bucketRules: it limits nothing"));
    }
    let enforced = bucket_rules.iter().filter(|rule| !rule.shadow_mode).count();
    let several = enforced + usize::from(default_bucket.is_some()) > 1;
    let alternatives = several.then(|| budgets.next_alternatives());
    let mut take = |bucket: Bucket<'_>, problems: &mut Vec<Problem>| {
        let path = bucket.path;
        add(context, (site.loaded, path), kept(site, bucket), (&mut *budgets, problems));
    };
    if let Some(value) = default_bucket {
        let bucket = Bucket {
            path: &format!("{path}.defaultBucket"),
            name: format!("{model}/default"),
            value,
            counted: counted.clone(),
            model: Some(model),
            selected: Selected::default(),
            enforcement: Enforcement::Strict,
            alternatives,
        };
        take(bucket, problems);
    }
    for (number, BucketRule { client_selectors, quota, shadow_mode }) in bucket_rules.iter().enumerate() {
        let path = format!("{path}.bucketRules[{number}]");
        let Some(selected) = selectors::read(site.loaded, &path, client_selectors, problems) else {
            continue;
        };
        let bucket = Bucket {
            path: &path,
            name: format!("{model}/{number}"),
            value: quota,
            counted: counted.clone(),
            model: Some(model),
            selected,
            enforcement: if *shadow_mode { Enforcement::Shadow } else { Enforcement::Strict },
            alternatives: alternatives.filter(|_| !shadow_mode),
        };
        take(bucket, problems);
    }
}

fn counted(
    site: &Site<'_>,
    (path, expression): (&str, Option<&str>),
    problems: &mut Vec<Problem>,
) -> Option<Counted> {
    let source = expression.unwrap_or(DEFAULT_EXPRESSION);
    let read = measures::of_source(source);
    read.map_err(|what| {
        problems.push(site.loaded.problem(&format!("{path}.costExpression"), shown(source), what));
    })
    .ok()
}

fn kept(site: &Site<'_>, bucket: Bucket<'_>) -> KeptBudget {
    let Site { loaded, backend } = site;
    let Bucket { path: _, name, value, counted, model, selected, enforcement, alternatives } = bucket;
    let QuotaValue { limit, duration } = value;
    let every = match duration {
        QuotaDuration::Second => Period::Second,
        QuotaDuration::Minute => Period::Minute,
        QuotaDuration::Hour => Period::Hour,
        QuotaDuration::Day => Period::Day,
    };
    let Selected { mut matchers, mut conditions, per } = selected;
    let (unit, expression) = counted;
    matchers.push(Matcher { dimension: Dimension::Backend, patterns: vec![backend.to_string()] });
    conditions.extend(model.map(|model| Condition::UpstreamModel(model.to_owned())));
    KeptBudget {
        resource: format!("{} {}", loaded.kind, loaded.name),
        budget: Budget {
            name: format!("QuotaPolicy/{}/{}/{name}", loaded.name, backend.name),
            covers: Cover { matchers },
            per,
            unit,
            limit: *limit,
            window: Window::Fixed(Fixed { every, zone: "UTC".to_owned(), boundaries: Vec::new() }),
            enforcement,
            on_exhausted: OnExhausted::NextPriority,
        },
        expression,
        alternatives,
        by_backend: true,
        conditions,
        rules: None,
        lacking: Lacking::Uncovered,
    }
}
