//! Calls that were seen before: who calls, for which model, by which rule and candidate. What covered one covers the next,
//! as long as no budget looks at more of a request than that.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use tollgate_crds::{Consumer, RequestFacts};

use super::shares::Shares;

/// Calls that are remembered; past it, all are forgotten.
const MOST_CALLS: usize = 20_000;
/// Longer names of models are not remembered: clients choose them.
const LONGEST_MODEL: usize = 200;

/// See the file's purpose.
#[derive(Default)]
pub(super) struct Calls {
    table: HashTable<Call>,
    hasher: DefaultHashBuilder,
}

struct Call {
    consumer: Option<Arc<Consumer>>,
    api_key: Option<Box<str>>,
    model: Box<str>,
    rule: usize,
    candidate: usize,
    shares: Arc<Shares>,
}

impl Calls {
    /// What covers a call like this one.
    pub(super) fn find(&self, facts: &RequestFacts<'_>) -> Option<Arc<Shares>> {
        let candidate = candidate(facts)?;
        let call = self.table.find(self.hash(facts), |call| call.is(facts, candidate))?;
        Some(Arc::clone(&call.shares))
    }

    pub(super) fn remember(&mut self, facts: &RequestFacts<'_>, shares: &Arc<Shares>) {
        let Some(candidate) = candidate(facts) else { return };
        if facts.model.len() > LONGEST_MODEL {
            return;
        }
        if self.table.len() >= MOST_CALLS {
            self.table.clear();
        }
        let call = Call {
            consumer: facts.consumer.cloned(),
            api_key: facts.api_key.map(Into::into),
            model: facts.model.into(),
            rule: facts.rule.index,
            candidate,
            shares: Arc::clone(shares),
        };
        let (hash, hasher) = (self.hash(facts), self.hasher.clone());
        self.table.insert_unique(hash, call, |call| {
            let consumer = call.consumer.as_deref().map(|consumer| consumer.full_name.as_str());
            hash_of(&hasher, consumer, &call.model)
        });
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
    }

    fn hash(&self, facts: &RequestFacts<'_>) -> u64 {
        hash_of(&self.hasher, facts.consumer.map(|consumer| consumer.full_name.as_str()), facts.model)
    }
}

impl Call {
    fn is(&self, facts: &RequestFacts<'_>, candidate: usize) -> bool {
        let same_consumer = match (&self.consumer, facts.consumer) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other) || own == other,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_consumer
            && (self.rule, self.candidate) == (facts.rule.index, candidate)
            && *self.model == *facts.model
            && self.api_key.as_deref() == facts.api_key
    }
}

fn candidate(facts: &RequestFacts<'_>) -> Option<usize> {
    facts.rule.candidates.iter().position(|candidate| std::ptr::eq(candidate, facts.candidate))
}

fn hash_of(hasher: &DefaultHashBuilder, consumer: Option<&str>, model: &str) -> u64 {
    hasher.hash_one((consumer, model))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderMap, Method};
    use tollgate_crds::{ResourceName, Rule};

    use super::*;

    const ROUTES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: tollgate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: c, listeners: [{name: http, protocol: HTTP, port: 80}]}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {name: a}
spec: {schema: {name: OpenAI}, backendRef: {group: tollgate.dev, kind: Host, name: 'a:80'}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: gw}]
  rules:
  - {name: one, backendRefs: [{name: a}, {name: a, modelNameOverride: house}]}
  - {name: two, backendRefs: [{name: a}]}
";

    fn consumer(team: &str) -> Arc<Consumer> {
        Arc::new(Consumer {
            name: ResourceName::new("default", "alice"),
            full_name: "default/alice".to_owned(),
            organization: None,
            team: Some(team.to_owned()),
            user: None,
            labels: BTreeMap::new(),
        })
    }

    /// A call: consumer, key, model, and the places of rule and candidate.
    type Called<'a> = (Option<&'a Arc<Consumer>>, Option<&'a str>, &'a str, usize, usize);

    fn with<T>(
        rules: &[Arc<Rule>],
        (consumer, api_key, model, rule, candidate): Called<'_>,
        then: impl FnOnce(&RequestFacts<'_>) -> T,
    ) -> T {
        let (headers, rule) = (HeaderMap::new(), &rules[rule]);
        then(&RequestFacts {
            consumer,
            api_key,
            model,
            rule,
            candidate: &rule.candidates[candidate],
            headers: &headers,
            method: &Method::POST,
            path: "/",
            source: None,
        })
    }

    #[test]
    fn only_a_call_that_is_the_same_in_everything_is_found() {
        let (loaded, _) = tollgate_crds::parse("in.yaml", ROUTES, &|_| None);
        let (snapshot, problems) = tollgate_crds::compile(&loaded);
        assert_eq!(problems, []);
        let rules = snapshot.routes.rules();
        let (alice, again, moved) = (consumer("red"), consumer("red"), consumer("blue"));
        let long = "m".repeat(LONGEST_MODEL + 1);
        let mut calls = Calls::default();
        let shares = Arc::new(Shares::default());
        for called in
            [(Some(&alice), Some("k"), "gpt", 0, 0), (None, None, "gpt", 0, 0), (None, None, &*long, 0, 0)]
        {
            with(rules, called, |facts| calls.remember(facts, &shares));
        }
        #[rustfmt::skip]
        let rows: [(Called<'_>, bool, &str); 11] = [
            ((Some(&alice), Some("k"), "gpt", 0, 0),  true,  "the same"),
            ((Some(&again), Some("k"), "gpt", 0, 0),  true,  "the same consumer, made anew"),
            ((Some(&moved), Some("k"), "gpt", 0, 0),  false, "of another team by now"),
            ((None, Some("k"), "gpt", 0, 0),          false, "nobody, with a key"),
            ((Some(&alice), Some("l"), "gpt", 0, 0),  false, "another key"),
            ((Some(&alice), None, "gpt", 0, 0),       false, "none"),
            ((Some(&alice), Some("k"), "gpt-5", 0, 0), false, "another model"),
            ((Some(&alice), Some("k"), "gpt", 1, 0),  false, "another rule"),
            ((Some(&alice), Some("k"), "gpt", 0, 1),  false, "another candidate"),
            ((None, None, "gpt", 0, 0),               true,  "nobody"),
            ((None, None, &long, 0, 0),               false, "clients choose names: long ones are not kept"),
        ];
        for (called, want, why) in rows {
            assert_eq!(with(rules, called, |facts| calls.find(facts).is_some()), want, "{why}");
        }
        for number in 0..MOST_CALLS {
            let model = number.to_string();
            with(rules, (None, None, &model, 0, 0), |facts| calls.remember(facts, &shares));
        }
        assert!(calls.table.len() <= MOST_CALLS);
        calls.clear();
        assert!(with(rules, (None, None, "1", 0, 0), |facts| calls.find(facts).is_none()));
    }
}
