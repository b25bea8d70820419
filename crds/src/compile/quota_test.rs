//! What manifests about money come to when a request asks: the golden cases, looked up.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderMap, Method};
use tollgate_ratelimit::budget::Enforcement;
use tollgate_ratelimit::time::Timestamp;

use super::tests::{folder, read, variables};
use super::*;
use crate::snapshot::{KeyRefused, RequestFacts};

fn snapshot(case: &str) -> Snapshot {
    let text = read(&folder("testdata").join(case).join("in.yaml"));
    let (loaded, _) = crate::load::parse("in.yaml", &text, &variables);
    compile(&loaded).0
}

/// `name=key` of what covers a request by candidate `at` of rule `rule`.
fn covering(
    snapshot: &Snapshot,
    (rule, at): (usize, usize),
    headers: &[(&'static str, &str)],
) -> Vec<String> {
    let rule = &snapshot.routes.rules()[rule];
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let facts = RequestFacts {
        consumer: None,
        api_key: None,
        model: "house",
        rule,
        candidate: &rule.candidates[at],
        headers: &headers,
        method: &Method::POST,
        path: "/v1/chat/completions",
        source: None,
    };
    let mut found = Vec::new();
    snapshot.quota.budgets.for_request(&facts, &mut String::new(), |budget, key| {
        found.push(format!("{}={}", budget.budget.name, key.unwrap()));
    });
    found.sort();
    found
}

#[test]
fn five_rules_for_every_tenant_are_five_budgets() {
    let snapshot = snapshot("traffic_limits");
    let tokens = covering(&snapshot, (0, 0), &[("x-tenant-id", "t1")]);
    let want: Vec<String> =
        (0..5).map(|at| format!("BackendTrafficPolicy/default/tokens/{at}/route/chat=t1")).collect();
    assert_eq!(tokens, want);
    assert_eq!(covering(&snapshot, (0, 0), &[]), [""; 0], "no tenant, no descriptor");
    let special = covering(&snapshot, (2, 0), &[("x-tenant-id", "t1")]);
    assert_eq!(special, ["BackendTrafficPolicy/default/of-a-rule/0/shared="], "a rule's own policy alone");
    let usual = covering(&snapshot, (3, 0), &[]);
    assert_eq!(
        usual,
        ["BackendTrafficPolicy/default/by-gateway/1/gateway/front=default%2Fother"],
        "a route of the Gateway"
    );
    let strict =
        snapshot.quota.budgets.all().iter().filter(|one| one.budget.enforcement == Enforcement::Strict);
    assert_eq!(strict.count(), 7, "all but the one in shadow");
}

#[test]
fn buckets_of_a_model_stand_for_each_other() {
    let snapshot = snapshot("quota_policies");
    let a = "QuotaPolicy/default/first/a";
    #[rustfmt::skip]
    let rows = [
        ((0, 0), vec![],                      vec![format!("{a}/gpt-5/default="), format!("{a}/service=")], "the default bucket, and the backend's"),
        ((0, 0), vec![("x-user-id", "u1")],   vec![format!("{a}/gpt-5/0=u1"), format!("{a}/gpt-5/default="), format!("{a}/service=")], "each user has one beside it"),
        ((0, 0), vec![("x-tier", "gold")],    vec![format!("{a}/gpt-5/1="), format!("{a}/gpt-5/default="), format!("{a}/service=")], "in shadow"),
        ((0, 1), vec![("x-user-id", "u1")],   vec!["QuotaPolicy/default/third/b/house/0=".to_owned()], "another backend, asked for the model itself"),
    ];
    for (place, headers, want, why) in rows {
        assert_eq!(covering(&snapshot, place, &headers), want, "{why}");
    }
    let group = |name: &str| {
        let all = snapshot.quota.budgets.all();
        let kept = all.iter().find(|kept| kept.budget.name == format!("{a}/{name}")).unwrap();
        (kept.alternatives, kept.by_backend)
    };
    assert_eq!(group("gpt-5/default"), (Some(1), true));
    assert_eq!(group("gpt-5/0"), (Some(1), true), "one of them must have room");
    assert_eq!(group("gpt-5/1"), (None, true), "a shadow gives no room to others");
    assert_eq!(group("service"), (None, true), "needed in any case");
}

#[test]
fn every_budget_of_every_case_can_be_proposed_under_a_name_of_its_own() {
    let mut seen = 0;
    for case in std::fs::read_dir(folder("testdata")).unwrap() {
        let snapshot = snapshot(case.unwrap().file_name().to_str().unwrap());
        let mut names = BTreeSet::new();
        for kept in snapshot.quota.budgets.all() {
            let definition = kept.definition(Timestamp(1_795_345_200_000), 4).unwrap();
            assert_eq!(definition.check(), Ok(()), "{kept}");
            assert!(names.insert(&kept.budget.name), "{kept}");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} budgets");
}

#[test]
fn keys_are_found_and_guarded_rules_only_by_who_sees_to_it() {
    let own = snapshot("own_quota").quota.consumers;
    assert_eq!(own.find(b"sk-alice", 0).unwrap().key, "default/alice/laptop");
    assert_eq!(own.find(b"abc", 1_798_761_599).unwrap().consumer.full_name, "default/service");
    let expired = KeyRefused::Expired { key: "default/service/by-hash".to_owned() };
    assert_eq!(own.find(b"abc", 1_798_761_600), Err(expired), "2027-01-01T00:00:00Z");

    let access = snapshot("access");
    let headers = HeaderMap::new();
    assert!(access.routes.find("h", Some(80), "m", &headers).is_none(), "nobody would ask for the token");
    let rule = access.routes.find_guarded("h", Some(80), "m", &headers).unwrap();
    assert_eq!(rule.access.as_ref().unwrap().policy, "default/tokens");
    let keys = access.routes.rules()[1].access.as_ref().unwrap().api_keys.as_ref().unwrap();
    assert_eq!(keys.clients.find(b"sk-b", 0).unwrap().consumer.user.as_deref(), Some("bob"));
    let alice = access.quota.consumers.by_subject("https://id.example.com", "a1").unwrap();
    assert!(Arc::ptr_eq(alice, &access.quota.consumers.all()[0]), "the first who has the subject");
    assert_eq!(access.quota.issuers.of("https://id.example.com").len(), 1);
}
