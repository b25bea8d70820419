//! What a budget may come to cover, as far as manifests tell: for problems that would otherwise show at the first request.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_ratelimit::cover::{self, Cover, Dimension};

use super::Routed;
use crate::snapshot::{Candidate, KeptBudget, MODEL_HEADER, Rule};

/// A rule and one of its candidates that a budget may cover.
#[derive(Clone, Copy)]
pub(super) struct Reached<'r> {
    pub(super) rule: &'r Arc<Rule>,
    pub(super) candidate: &'r Candidate,
}

/// Every rule and candidate whose requests the budget may cover.
pub(super) fn reached<'r>(routed: Routed<'r>, budget: &KeptBudget) -> Vec<Reached<'r>> {
    let covers = &budget.budget.covers;
    let mut all = Vec::new();
    for rule in routed.rules {
        let here = budget.rules.as_ref().is_none_or(|rules| rules.binary_search(&rule.index).is_ok());
        if !here || !may_be(covers, &Dimension::Route, &rule.route.to_string()) {
            continue;
        }
        for candidate in &rule.candidates {
            if may_be(covers, &Dimension::Backend, &candidate.backend.name.to_string()) {
                all.push(Reached { rule, candidate });
            }
        }
    }
    all
}

/// The models that an upstream may be asked for, as far as they are known by name: the override, or else the models
/// that the rule matches and the budget covers.
pub(super) fn models<'r>(reached: Reached<'r>, budget: &KeptBudget) -> BTreeSet<&'r str> {
    let covered = |model: &&str| may_be(&budget.budget.covers, &Dimension::Model, model);
    let asked = reached.rule.models.iter().map(String::as_str).filter(covered);
    match &reached.candidate.model_override {
        Some(model) if reached.rule.models.is_empty() => BTreeSet::from([model.as_str()]),
        Some(model) => asked.map(|_| model.as_str()).collect(),
        None => asked.collect(),
    }
}

fn may_be(covers: &Cover, dimension: &Dimension, value: &str) -> bool {
    let of_dimension = covers.matchers.iter().filter(|matcher| matcher.dimension == *dimension);
    of_dimension
        .into_iter()
        .all(|matcher| matcher.patterns.iter().any(|pattern| cover::matches(pattern, value)))
}

/// The exact models that a rule's matches ask for.
pub(in crate::compile) fn exact_models(conditions: &[Vec<crate::snapshot::HeaderMatch>]) -> Vec<String> {
    let exact = conditions.iter().flatten().filter(|header| header.name == MODEL_HEADER);
    let names: BTreeSet<&str> = exact.filter_map(|header| header.value.exact()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Whether some match takes models that it does not name.
pub(in crate::compile) fn matches_any_model(conditions: &[Vec<crate::snapshot::HeaderMatch>]) -> bool {
    let names_one =
        |header: &crate::snapshot::HeaderMatch| header.name == MODEL_HEADER && header.value.exact().is_some();
    !conditions.iter().all(|headers| headers.iter().any(names_one))
}
