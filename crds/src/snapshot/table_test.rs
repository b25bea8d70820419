//! Lookups: hosts, precedence, ports, and that many routes cost a lookup nothing.

use std::sync::atomic::Ordering;

use http::HeaderMap;

use super::*;
use crate::snapshot::ResourceName;

/// A rule for the hosts (`-` is any), on a port, with conditions `name=value` or `name~pattern`.
fn add(table: &mut TableBuilder, name: &str, (host, port): (&str, u16), conditions: &[&str]) {
    let rule = Arc::new(Rule {
        models: Vec::new(),
        any_model: true,
        access: None,
        route: ResourceName::new("default", name),
        name: None,
        candidates: Vec::new(),
        request_timeout: None,
        attempt_timeout: None,
        stream_idle_timeout: None,
        costs: Vec::new(),
        index: table.next_index(),
    });
    let headers = conditions
        .iter()
        .map(|condition| {
            let (name, value) = if let Some((name, value)) = condition.split_once('=') {
                (name, ValueMatch::Exact(value.to_owned()))
            } else {
                let (name, pattern) = condition.split_once('~').unwrap();
                (name, ValueMatch::pattern(pattern).unwrap())
            };
            HeaderMatch { name: name.parse().unwrap(), value }
        })
        .collect();
    let host = (host != "-").then(|| HostPattern::parse(host));
    table.add_rule(&rule);
    table.add(NewEntry {
        rule,
        headers,
        attachments: [Attachment { host, place: Place { port, except: Vec::new() } }].into(),
        listing: Some(Listing { owned_by: name.to_owned(), created_at_s: 1 }),
    });
}

fn sample() -> RouteTable {
    let mut table = TableBuilder::default();
    add(&mut table, "any", ("-", 80), &[]);
    add(&mut table, "any-m", ("-", 80), &["x-ai-eg-model=m"]);
    add(&mut table, "any-pattern", ("-", 80), &["x-ai-eg-model~m.*"]);
    add(&mut table, "any-m-gold", ("-", 80), &["x-ai-eg-model=m", "X-Tier=gold"]);
    add(&mut table, "wide", ("*.x.com", 80), &["x-ai-eg-model=w"]);
    add(&mut table, "narrow", ("*.a.x.com", 80), &["x-ai-eg-model=w"]);
    add(&mut table, "exact", ("b.a.x.com", 80), &["x-ai-eg-model=w"]);
    add(&mut table, "exact-other", ("b.a.x.com", 81), &["x-ai-eg-model=w", "x-tier=gold"]);
    table.build()
}

#[test]
fn the_most_specific_rule_answers() {
    let table = sample();
    #[rustfmt::skip]
    let rows = [
        // host        port      model  tier    rule
        ("q.com",      None,     "m",   "",     "any-m"),       // an earlier route of as many conditions
        ("q.com",      None,     "m2",  "",     "any-pattern"), // a pattern
        ("q.com",      None,     "q",   "",     "any"),         // the one that takes all, though it came first
        ("q.com",      None,     "m",   "gold", "any-m-gold"),  // more conditions win
        ("q.com",      None,     "m",   "lead", "any-m"),       // all conditions must hold
        ("b.a.x.com",  None,     "w",   "",     "exact"),       // the exact host
        ("c.a.x.com",  None,     "w",   "",     "narrow"),      // the longer suffix
        ("c.x.com",    None,     "w",   "",     "wide"),        // the shorter one
        ("x.com",      None,     "w",   "",     "any"),         // a wildcard needs a label
        (".x.com",     None,     "w",   "",     "any"),         // and not an empty one
        ("b.a.x.com",  None,     "m",   "",     "any-m"),       // less specific hosts fill in
        ("b.a.x.com",  None,     "w",   "gold", "exact-other"), // the one door serves every port
        ("b.a.x.com",  Some(80), "w",   "gold", "exact"),       // a listener serves its own
        ("b.a.x.com",  Some(81), "w",   "gold", "exact-other"), // the other one
        ("b.a.x.com",  Some(81), "w",   "",     "-"),           // nothing else is there
        ("",           None,     "q",   "",     "any"),         // no host at all
    ];
    for (host, port, model, tier, want) in rows {
        let mut headers = HeaderMap::new();
        if !tier.is_empty() {
            headers.insert("x-tier", tier.parse().unwrap());
        }
        let got = table.find(host, port, model, &headers).map_or("-", |rule| rule.route.name.as_str());
        assert_eq!(got, want, "{host} {port:?} {model} {tier}");
    }
}

#[test]
fn models_are_listed_once_by_host() {
    let table = sample();
    let rows = [
        ("q.com", None, vec![("m", "any-m-gold")]),
        ("b.a.x.com", None, vec![("w", "exact-other"), ("m", "any-m-gold")]),
        ("b.a.x.com", Some(80), vec![("w", "exact"), ("m", "any-m-gold")]),
        ("q.com", Some(81), vec![]),
    ];
    for (host, port, want) in rows {
        let models = table.models(host, port);
        let got: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.owned_by.as_str())).collect();
        assert_eq!(got, want, "{host} {port:?}");
    }
}

#[test]
fn a_lookup_among_20_000_routes_looks_at_few() {
    let mut table = TableBuilder::default();
    for number in 0..20_000 {
        let model = format!("x-ai-eg-model=m{number}");
        let host = format!("h{}.example.com", number % 7);
        add(&mut table, &format!("r{number}"), (&host, 80), &[&model]);
    }
    add(&mut table, "rest", ("-", 80), &[]);
    let table = table.build();
    let headers = HeaderMap::new();
    for (host, model, want) in [("h2.example.com", "m19999", "rest"), ("h0.example.com", "m19999", "r19999")]
    {
        // 19,999 is 0 modulo 7.
        table.looked_at.store(0, Ordering::Relaxed);
        let got = table.find(host, Some(80), model, &headers).unwrap();
        assert_eq!(got.route.name, want);
        assert_eq!(table.looked_at.load(Ordering::Relaxed), 1);
    }
}
