//! Budgets by what they cover. Each is found by one of its conditions, the one that tells most apart, so that a lookup
//! looks at the budgets of this user, that team or that model, and not at those of everybody else.

use std::collections::HashMap;

use tollgate_ratelimit::budget::{Budget, Key};
use tollgate_ratelimit::cover::{self, Dimension, Facts};
use tollgate_ratelimit::key::KeyTooLong;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::window::{self, Fixed, Window};

use super::condition::Condition;
use super::facts::{AddressText, Names, RequestFacts, for_core};
use super::patterns::PatternIndex;
use crate::snapshot::{Cost, ResourceName};

/// A budget, and what the gateway needs to keep it.
#[derive(Clone, Debug)]
pub struct KeptBudget {
    /// The kind and name of its resource: `Budget default/acme-monthly`.
    pub resource: String,
    /// As the core keeps it, but for a calendar's boundaries: see [`KeptBudget::definition`]. Its name is unique and
    /// stays what it is while the resource does.
    pub budget: Budget,
    /// How a request is counted where the unit is an expression; its key is the unit's source.
    pub expression: Option<Cost>,
    /// Budgets of one number are alternatives: a request that several of them cover needs one that can hold all of it.
    /// It is taken from each that can; those that can't are left out of the hold. None: it is needed in any case.
    pub alternatives: Option<u32>,
    /// Depends on which backend is asked: to be looked up again when another one is tried.
    pub by_backend: bool,
    pub(crate) conditions: Vec<Condition>,
    /// The rules (by index) that it is for, in order; all when absent.
    pub(crate) rules: Option<Box<[usize]>>,
    pub(crate) lacking: Lacking,
}

/// What a request is that lacks a value which the budget is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// In a bucket with all others that lack it: leaving a header out opens no way around a budget.
    Together,
    /// Not covered, as Envoy's distinct descriptors have it.
    Uncovered,
}

/// All budgets.
#[derive(Debug, Default)]
pub struct BudgetTable {
    all: Vec<KeptBudget>,
    by_value: Vec<(Dimension, PatternIndex<Found>)>,
    by_rule: HashMap<usize, Vec<u32>>,
    everybody: Vec<u32>,
    /// `namespace/name` of each rule's route, by the rule's index.
    routes: Vec<String>,
    backends: HashMap<ResourceName, String>,
    looks_at_requests: bool,
    #[cfg(test)]
    pub(crate) looked_at: std::sync::atomic::AtomicUsize,
}

/// A budget, by one pattern of one of its matchers.
#[derive(Clone, Copy, Debug)]
struct Found {
    budget: u32,
    matcher: u32,
    pattern: u32,
}

/// Collects budgets.
#[derive(Debug, Default)]
pub(crate) struct BudgetBuilder {
    all: Vec<KeptBudget>,
    alternatives: u32,
}

impl BudgetTable {
    /// Visits every budget that covers the request, each with the key of the bucket that it falls into. A key that is too
    /// long is to be refused: shortening it could make one bucket out of two people's.
    ///
    /// Nothing is allocated once `buffer` has grown.
    pub fn for_request(
        &self,
        request: &RequestFacts<'_>,
        buffer: &mut String,
        mut visit: impl FnMut(&KeptBudget, Result<&str, KeyTooLong>),
    ) {
        let address = AddressText::new(request.source);
        let (label, header) = (|name: &str| request.label(name), |name: &str| request.header(name));
        let facts = for_core(request, self.names(request, &address), (&label, &header));
        let mut look = |budget: &KeptBudget| {
            #[cfg(test)]
            self.looked_at.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if budget.covers(request, &facts)
                && let Some(key) = budget.key(&facts, buffer)
            {
                visit(budget, key);
            }
        };
        for at in self.everybody.iter().chain(self.by_rule.get(&request.rule.index).into_iter().flatten()) {
            look(&self.all[*at as usize]);
        }
        for (dimension, index) in &self.by_value {
            let Some(value) = facts.value(dimension) else { continue };
            index.fitting(value, |found: Found| {
                let budget = &self.all[found.budget as usize];
                if budget.is_first(found, value) {
                    look(budget);
                }
            });
        }
    }

    /// Whether some budget looks at more of a request than its consumer, key, model, rule and candidate: at its headers,
    /// where it came from, or how it is addressed. Without one, what covers a request covers the next one that has all of
    /// these in common.
    pub fn looks_at_requests(&self) -> bool {
        self.looks_at_requests
    }

    /// Every budget, by the order of the resources: for telling the ledger.
    pub fn all(&self) -> &[KeptBudget] {
        &self.all
    }

    fn names<'a>(&'a self, request: &RequestFacts<'_>, address: &'a AddressText) -> Names<'a> {
        Names {
            route: self.routes.get(request.rule.index).map_or("", String::as_str),
            backend: self.backends.get(&request.candidate.backend.name).map_or("", String::as_str),
            source: address.get(),
        }
    }
}

impl KeptBudget {
    /// The budget with the boundaries of its calendar's windows, from the one that `at` lies in. Who proposes it asks; so
    /// does who extends it. Err: no such time zone, which `compile` has told already.
    pub fn definition(&self, at: Timestamp, boundaries: usize) -> Result<Budget, window::UnknownZone> {
        let mut budget = self.budget.clone();
        if let Window::Fixed(Fixed { every, zone, boundaries: known }) = &mut budget.window {
            *known = window::upcoming(*every, zone, at, boundaries)?;
        }
        Ok(budget)
    }

    fn looks_at_requests(&self) -> bool {
        let mut looked_at =
            self.budget.covers.matchers.iter().map(|matcher| &matcher.dimension).chain(&self.budget.per);
        self.conditions.iter().any(Condition::looks_at_requests)
            || looked_at.any(|dimension| match dimension {
                Dimension::Header(_) | Dimension::Source => true,
                Dimension::Organization
                | Dimension::Team
                | Dimension::User
                | Dimension::ApiKey
                | Dimension::Model
                | Dimension::Route
                | Dimension::Backend
                | Dimension::Label(_)
                | Dimension::Consumer => false,
            })
    }

    fn covers(&self, request: &RequestFacts<'_>, facts: &Facts<'_>) -> bool {
        let here = self.rules.as_ref().is_none_or(|rules| rules.binary_search(&request.rule.index).is_ok());
        here && self.budget.covers.holds(facts)
            && self.conditions.iter().all(|condition| condition.holds(request))
    }

    /// The bucket; None where the request is none of its own.
    fn key<'b>(&self, facts: &Facts<'_>, buffer: &'b mut String) -> Option<Result<&'b str, KeyTooLong>> {
        match self.lacking {
            Lacking::Uncovered => Key::write(&self.budget.per, facts, buffer).transpose(),
            Lacking::Together => {
                let (label, header) = (facts.label, facts.header);
                let nothing = Some("");
                let facts = Facts {
                    organization: facts.organization.or(nothing),
                    team: facts.team.or(nothing),
                    user: facts.user.or(nothing),
                    consumer: facts.consumer.or(nothing),
                    source: facts.source.or(nothing),
                    api_key: facts.api_key.or(nothing),
                    model: facts.model.or(nothing),
                    route: facts.route.or(nothing),
                    backend: facts.backend.or(nothing),
                    label: &|name| label(name).or(nothing),
                    header: &|name| header(name).or(nothing),
                };
                Key::write(&self.budget.per, &facts, buffer).transpose()
            }
        }
    }

    /// A budget that several of its patterns find is looked at once.
    fn is_first(&self, found: Found, value: &str) -> bool {
        let patterns = &self.budget.covers.matchers[found.matcher as usize].patterns;
        !patterns[..found.pattern as usize].iter().any(|earlier| cover::matches(earlier, value))
    }

    /// The matcher that tells most apart.
    fn anchor(&self) -> Option<usize> {
        let matchers = self.budget.covers.matchers.iter().enumerate();
        let rank = |dimension: &Dimension| match dimension {
            Dimension::Consumer | Dimension::ApiKey | Dimension::Source => 0,
            Dimension::User => 1,
            Dimension::Team => 2,
            Dimension::Organization => 3,
            Dimension::Label(_) | Dimension::Header(_) => 4,
            Dimension::Model => 5,
            Dimension::Backend => 6,
            Dimension::Route => 7,
        };
        matchers
            .min_by_key(|(_, matcher)| {
                let open = matcher.patterns.iter().any(|pattern| pattern.starts_with('*'));
                (open, rank(&matcher.dimension))
            })
            .map(|(at, _)| at)
    }
}

impl BudgetBuilder {
    pub(crate) fn add(&mut self, budget: KeptBudget) {
        self.all.push(budget);
    }

    /// A number for budgets that are alternatives of each other.
    pub(crate) fn next_alternatives(&mut self) -> u32 {
        self.alternatives += 1;
        self.alternatives
    }

    /// Indexes everything. `routes`: by rule; `backends`: those that rules call.
    pub(crate) fn build<'n>(
        self,
        routes: impl Iterator<Item = &'n ResourceName>,
        backends: impl Iterator<Item = &'n ResourceName>,
    ) -> BudgetTable {
        let mut table = BudgetTable {
            routes: routes.map(ToString::to_string).collect(),
            backends: backends.map(|name| (name.clone(), name.to_string())).collect(),
            ..BudgetTable::default()
        };
        for (number, budget) in (0..).zip(self.all) {
            table.index(number, &budget);
            table.looks_at_requests |= budget.looks_at_requests();
            table.all.push(budget);
        }
        table
    }
}

impl BudgetTable {
    fn index(&mut self, number: u32, budget: &KeptBudget) {
        let Some(at) = budget.anchor() else {
            match &budget.rules {
                Some(rules) => {
                    rules.iter().for_each(|rule| self.by_rule.entry(*rule).or_default().push(number));
                }
                None => self.everybody.push(number),
            }
            return;
        };
        let matcher = &budget.budget.covers.matchers[at];
        let known = self.by_value.iter().position(|(dimension, _)| *dimension == matcher.dimension);
        let place = known.unwrap_or_else(|| {
            self.by_value.push((matcher.dimension.clone(), PatternIndex::default()));
            self.by_value.len() - 1
        });
        let matcher_number = u32::try_from(at).expect("a checked cover has few matchers");
        for (pattern_number, pattern) in (0..).zip(&matcher.patterns) {
            let found = Found { budget: number, matcher: matcher_number, pattern: pattern_number };
            self.by_value[place].1.insert(pattern, found);
        }
    }
}

#[cfg(test)]
#[path = "budgets_test.rs"]
mod tests;
