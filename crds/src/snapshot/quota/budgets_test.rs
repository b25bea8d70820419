//! Which budgets cover which requests, with which keys, and how many are looked at to find them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Method};
use tollgate_ratelimit::budget::{Enforcement, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Matcher};
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::Period;

use super::super::Consumer;
use super::*;
use crate::snapshot::Snapshot;

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
  rules: [{name: one, backendRefs: [{name: a}]}, {name: two, backendRefs: [{name: a, modelNameOverride: house}]}]
";

fn routes() -> Snapshot {
    let (loaded, problems) = crate::load::parse("in.yaml", ROUTES, &|_| None);
    let (snapshot, more) = crate::compile(&loaded);
    assert_eq!((problems, more), (vec![], vec![]));
    snapshot
}

fn matchers(of: &[(Dimension, &[&str])]) -> Vec<Matcher> {
    let matcher = |(dimension, patterns): &(Dimension, &[&str])| Matcher {
        dimension: dimension.clone(),
        patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
    };
    of.iter().map(matcher).collect()
}

fn kept(name: &str, of: &[(Dimension, &[&str])], per: &[Dimension]) -> KeptBudget {
    let budget = Budget {
        name: name.to_owned(),
        covers: Cover { matchers: matchers(of) },
        per: per.to_vec(),
        unit: Unit::Requests,
        limit: 1,
        window: Window::Lifetime,
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    };
    KeptBudget {
        resource: name.to_owned(),
        budget,
        expression: None,
        alternatives: None,
        by_backend: false,
        conditions: Vec::new(),
        rules: None,
        lacking: Lacking::Together,
    }
}

fn table(snapshot: &Snapshot, budgets: Vec<KeptBudget>) -> BudgetTable {
    let mut builder = BudgetBuilder::default();
    for budget in budgets {
        builder.add(budget);
    }
    let rules = snapshot.routes.rules().iter().map(|rule| &rule.route);
    builder.build(rules, snapshot.backends.iter().map(|backend| &backend.name))
}

fn alice() -> Arc<Consumer> {
    Arc::new(Consumer {
        name: ResourceName::new("default", "alice"),
        full_name: "default/alice".to_owned(),
        organization: Some("acme".to_owned()),
        team: None,
        user: Some("alice".to_owned()),
        labels: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
    })
}

/// `name=key` of each budget that covers alice's request for gpt-4o by the rule.
fn covering(
    table: &BudgetTable,
    snapshot: &Snapshot,
    rule: usize,
    consumer: Option<&Arc<Consumer>>,
) -> Vec<String> {
    let rule = &snapshot.routes.rules()[rule];
    let mut headers = HeaderMap::new();
    headers.insert("x-project", "search".parse().unwrap());
    let facts = RequestFacts {
        consumer,
        api_key: consumer.map(|_| "default/alice/laptop"),
        model: "gpt-4o",
        rule,
        candidate: &rule.candidates[0],
        headers: &headers,
        method: &Method::POST,
        path: "/v1/chat/completions",
        source: Some("10.0.0.1".parse().unwrap()),
    };
    let (mut buffer, mut found) = (String::new(), Vec::new());
    table.for_request(&facts, &mut buffer, |budget, key| {
        found.push(format!("{}={}", budget.budget.name, key.unwrap_or("too long")));
    });
    found.sort();
    found
}

#[test]
#[rustfmt::skip]
fn a_request_is_covered_by_what_matches_it() {
    use Dimension::{ApiKey, Backend, Consumer, Header, Label, Model, Organization, Route, Source, Team, User};
    let snapshot = routes();
    let header = |name: &str| Header(name.to_owned());
    let label = |name: &str| Label(name.to_owned());
    let long = "x".repeat(300);
    let rows: Vec<(KeptBudget, Option<&str>, Option<&str>, &str)> = vec![
        // budget                                                              alice's               a stranger's   why
        (kept("b", &[], &[]),                                                  Some(""),             Some(""),      "everybody"),
        (kept("b", &[(Organization, &["acme"])], &[User]),                     Some("alice"),        None,          "a bucket a user"),
        (kept("b", &[(Organization, &["other", "a*", "*"])], &[]),             Some(""),             None,          "several of its patterns fit, and it is found once"),
        (kept("b", &[(Model, &["gpt-*"])], &[Team]),                           Some(""),             Some(""),      "who has no team shares a bucket with the others who have none"),
        (kept("b", &[(Team, &["*"])], &[]),                                    None,                 None,          "no team is no match"),
        (kept("b", &[(Consumer, &["default/alice"])], &[Consumer]),            Some("default%2Falice"), None,       "by the resource"),
        (kept("b", &[(ApiKey, &["*/laptop"])], &[ApiKey]),                     Some("default%2Falice%2Flaptop"), None, "a key's name is its consumer's"),
        (kept("b", &[(label("tier"), &["gold"])], &[label("tier")]),           Some("gold"),         None,          "a label"),
        (kept("b", &[(header("x-project"), &["s*"])], &[header("x-none")]),    Some(""),             Some(""),      "leaving a header out opens no way around it"),
        (kept("b", &[(header("x-ai-eg-model"), &["gpt-4o"])], &[]),            Some(""),             Some(""),      "the model's header is what the gateway read"),
        (kept("b", &[(Route, &["default/chat"])], &[Route, Model]),            Some("default%2Fchat/gpt-4o"), Some("default%2Fchat/gpt-4o"), "a route"),
        (kept("b", &[(Backend, &["default/b"])], &[]),                         None,                 None,          "another backend"),
        (kept("b", &[(Source, &["10.*"])], &[Source]),                         Some("10.0.0.1"),     Some("10.0.0.1"), "where it came from"),
        (kept("b", &[(Model, &["gpt-4o"]), (User, &["bob"])], &[]),            None,                 None,          "all conditions"),
        (KeptBudget { rules: Some([1].into()), ..kept("b", &[], &[]) },        None,                 None,          "another rule"),
        (KeptBudget { rules: Some([0].into()), ..kept("b", &[], &[]) },        Some(""),             Some(""),      "this rule"),
        (KeptBudget { lacking: Lacking::Uncovered, ..kept("b", &[], &[User]) }, Some("alice"),       None,          "distinct values, of those who have one"),
        (KeptBudget { conditions: vec![Condition::UpstreamModel("house".into())], ..kept("b", &[], &[]) }, None, None, "not what the upstream is asked for"),
        (KeptBudget { rules: Some([0].into()), ..kept("b", &[(User, &["alice"])], &[]) }, Some(""), None,           "a rule and a user"),
        (kept("b", &[(User, &[&long, "alice"])], &[]),                         Some(""),             None,          "the last of its patterns"),
    ];
    for (budget, hers, strangers, why) in rows {
        let table = table(&snapshot, vec![budget]);
        let want = |key: Option<&str>| key.map(|key| format!("b={key}")).into_iter().collect::<Vec<_>>();
        assert_eq!(covering(&table, &snapshot, 0, Some(&alice())), want(hers), "{why}");
        assert_eq!(covering(&table, &snapshot, 0, None), want(strangers), "a stranger: {why}");
    }
    let upstream = KeptBudget { conditions: vec![Condition::UpstreamModel("house".into())], ..kept("b", &[], &[]) };
    assert_eq!(covering(&table(&snapshot, vec![upstream]), &snapshot, 1, None), ["b="], "by its override");
}

#[test]
fn budgets_that_look_at_requests_are_known() {
    let snapshot = routes();
    let header = Dimension::Header("x-project".into());
    let of = |condition: Condition| KeptBudget { conditions: vec![condition], ..kept("b", &[], &[]) };
    #[rustfmt::skip]
    let rows = [
        (kept("b", &[(Dimension::User, &["a*"])], &[Dimension::Model, Dimension::Backend]), false, "who calls for what"),
        (kept("b", &[(Dimension::Source, &["10.*"])], &[]),      true,  "where it came from"),
        (kept("b", &[(header.clone(), &["s*"])], &[]),           true,  "a header is matched"),
        (kept("b", &[], &[Dimension::User, header]),             true,  "it is divided by one"),
        (of(Condition::UpstreamModel("house".into())),           false, "the candidate's model"),
        (of(Condition::Methods(vec![(Method::POST, false)])),    true,  "the method"),
    ];
    for (budget, want, why) in rows {
        let table = table(&snapshot, vec![kept("a", &[], &[]), budget, kept("c", &[], &[])]);
        assert_eq!(table.looks_at_requests(), want, "{why}");
    }
}

#[test]
fn a_key_that_is_too_long_is_told() {
    let snapshot = routes();
    let table = table(&snapshot, vec![kept("b", &[], &[Dimension::User])]);
    let long = Arc::new(Consumer { user: Some("x".repeat(300)), ..(*alice()).clone() });
    assert_eq!(covering(&table, &snapshot, 0, Some(&long)), ["b=too long"]);
}

#[test]
fn ten_thousand_budgets_are_not_walked() {
    let snapshot = routes();
    let mut budgets: Vec<KeptBudget> = Vec::new();
    for number in 0..2_500 {
        let (user, team) = (format!("user-{number}"), format!("team-{number}*"));
        let (model, org) = (format!("model-{number}"), format!("org-{number}"));
        budgets.push(kept("u", &[(Dimension::User, &[&user])], &[]));
        budgets.push(kept("t", &[(Dimension::Team, &[&team])], &[]));
        budgets.push(kept("m", &[(Dimension::Model, &[&model])], &[Dimension::User]));
        budgets.push(kept("o", &[(Dimension::Organization, &[&org]), (Dimension::Model, &["*"])], &[]));
    }
    budgets.push(kept("alice", &[(Dimension::User, &["alice"])], &[]));
    budgets.push(kept("all", &[], &[]));
    let table = table(&snapshot, budgets);
    assert_eq!(covering(&table, &snapshot, 0, Some(&alice())), ["alice=", "all="]);
    assert_eq!(table.looked_at.load(Ordering::Relaxed), 2, "those that cover her, and no other");
}

#[test]
fn a_definition_carries_its_calendar() {
    let window =
        Window::Fixed(Fixed { every: Period::Day, zone: "Europe/Berlin".to_owned(), boundaries: Vec::new() });
    let kept = kept("b", &[], &[]);
    let daily = KeptBudget { budget: Budget { window, ..kept.budget.clone() }, ..kept };
    let noon = Timestamp(1_795_345_200_000); // 2026-11-22T11:00:00Z, which is noon in Berlin.
    let budget = daily.definition(noon, 3).unwrap();
    assert_eq!(budget.check(), Ok(()));
    let span = budget.window.span_at(noon).unwrap();
    assert_eq!(span.start.0, noon.0 - 12 * 3_600_000, "from midnight of the zone");
}
