//! Limits and rules of the kinds about who may spend what, from both sides.

use serde_json::{Value, json};

use super::limits::{check, times};

const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn consumers() {
    let key = |fields: Value| json!({"apiKeys": [fields]});
    let keys = |count| json!({"apiKeys": times(count, |n| json!({"name": format!("k{n}"), "hash": HASH}))});
    let reference = json!({"name": "s", "key": "k"});
    #[rustfmt::skip]
    check("Consumer", vec![
        (json!({}),                                                    "", "a name is enough"),
        (key(json!({"name": "k", "hash": HASH})),                      "", "a hash"),
        (key(json!({"name": "k", "secretRef": reference})),            "", "a Secret"),
        (key(json!({"name": "k", "hash": HASH, "secretRef": reference})), "either secretRef or hash", "not both"),
        (key(json!({"name": "k"})),                                    "either secretRef or hash", "nor neither"),
        (key(json!({"name": "k", "hash": HASH.to_uppercase()})),       "a text that fits", "as sha256sum writes it"),
        (key(json!({"name": "K/1", "hash": HASH})),                    "a text that fits", "names are parts of names"),
        (key(json!({"name": "k", "hash": HASH, "notAfter": "2027"})),  "a moment such as", "a whole moment"),
        (json!({"apiKeys": [{"name": "k", "hash": HASH}, {"name": "k", "hash": HASH}]}), "entries that differ in name", "one of a name"),
        (keys(32),                                                     "", "32 keys"),
        (keys(33),                                                     "at most 32 entries", "33 keys"),
        (json!({"user": ""}),                                          "from 1 to 128 characters", "an empty user is none"),
        (json!({"user": "u".repeat(129)}),                             "from 1 to 128 characters", "keys of buckets are short"),
        (json!({"jwt": {"issuer": "i"}}),                              "spec.jwt.subject", "an issuer alone is everybody"),
        (json!({"email": "a@b"}),                                      "no such field", "no field that is skipped"),
    ]);
}

#[test]
fn budgets() {
    let with = |name: &str, value: Value| {
        let mut spec = json!({"unit": "requests", "limit": 1, "window": {"every": "day"}});
        spec[name] = value;
        spec
    };
    let header = |name: &str| json!({"headers": [{"name": name, "value": "v"}]});
    #[rustfmt::skip]
    check("Budget", vec![
        (with("limit", json!("10M")),                                  "", "a text"),
        (with("limit", json!(0)),                                      "", "nothing"),
        (with("limit", json!(-1)),                                     "spec.limit: a whole number that is not negative", "less than nothing"),
        (with("limit", json!(1.5)),                                    "spec.limit: a whole number", "a part"),
        (with("limit", json!("")),                                     "spec.limit: a whole number", "an empty text"),
        (with("window", json!({})),                                    "exactly one of every, rolling and lifetime", "no window"),
        (with("window", json!({"lifetime": true})),                    "", "for ever"),
        (with("window", json!({"lifetime": false})),                   "lifetime is true or absent", "not for ever is not said what"),
        (with("window", json!({"lifetime": true, "every": "day"})),    "exactly one of", "two windows"),
        (with("window", json!({"rolling": "1m", "burst": "1k"})),      "", "a rate"),
        (with("window", json!({"every": "day", "burst": 1})),          "burst comes with rolling", "a calendar has no burst"),
        (with("window", json!({"rolling": "1m", "timeZone": "UTC"})),  "timeZone comes with every", "nor a rate a zone"),
        (with("window", json!({"rolling": "1 minute"})),               "a text that fits", "as Gateway API writes times"),
        (with("per", json!(["header:X-Team", "label:tier", "user"])),  "", "dimensions"),
        (with("per", json!(["header:"])),                              "a text that fits", "of what header"),
        (with("per", json!(["user", "user"])),                         "entries that differ", "twice"),
        (with("per", times(9, |n| json!(format!("label:l{n}")))),      "at most 8 entries", "one too many"),
        (with("match", header("x y")),                                 "a text that fits", "no header's name"),
        (with("match", json!({"models": times(257, |n| json!(n.to_string()))})), "at most 256 entries", "too many models"),
        (with("onExhausted", json!("Queue")),                          "one of Refuse, NextPriority", "what is not served"),
        (json!({"unit": "requests", "limit": 1}),                      "spec.window: a value", "a window is required"),
    ]);
}

#[test]
fn price_lists() {
    let with = |name: &str, value: Value| {
        let mut entry = json!({"models": ["m"], "perMillionTokens": {"input": "1.25"}});
        entry[name] = value;
        json!({"prices": [entry]})
    };
    #[rustfmt::skip]
    check("PriceList", vec![
        (with("perRequest", json!("0.01")),                            "", "beside tokens"),
        (with("perMillionTokens", json!({"input": 1.25})),             "input: a text", "numbers with a point lose digits"),
        (with("perMillionTokens", json!({"input": "1,25"})),           "a text that fits", "a comma"),
        (with("perMillionTokens", json!({"input": "-1"})),             "a text that fits", "less than nothing"),
        (with("perMillionTokens", json!({"output": "1"})),             "perMillionTokens.input: a value", "input is required"),
        (with("notBefore", json!("2026-1-1")),                         "a text that fits", "a day has ten letters"),
        (with("models", json!([])),                                    "from 1 to 64 entries", "of no model"),
        (with("tiers", times(17, |n| json!({"overInputTokens": n + 1, "perMillionTokens": {"input": "1"}}))), "at most 16 entries", "too many tiers"),
        (with("tiers", json!([{"overInputTokens": 0, "perMillionTokens": {"input": "1"}}])), "from 1 to", "which is no tier"),
        (json!({"prices": [{"models": ["m"], "backends": ["b"], "provider": "OpenAI", "perMillionTokens": {"input": "1"}}]}), "by backends or by provider", "not both"),
        (json!({"prices": []}),                                        "from 1 to 1024 entries", "no prices"),
    ]);
}

#[test]
fn policies() {
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}]);
    let rule = |rule: Value| json!({"targetRefs": target, "rateLimit": {"global": {"rules": [rule]}}});
    let limit = json!({"requests": 1, "unit": "Hour"});
    let selected = |selector: Value| rule(json!({"limit": limit, "clientSelectors": [selector]}));
    let cost = |cost: Value| rule(json!({"limit": limit, "cost": {"response": cost}}));
    #[rustfmt::skip]
    check("BackendTrafficPolicy", vec![
        (json!({"targetRefs": target, "loadBalancer": {"type": "Random"}}), "", "fields of others pass, and are told later"),
        (rule(json!({"limit": {"requests": 1, "unit": "Fortnight"}})), "one of Second, Minute", "no such unit"),
        (rule(json!({"limit": {"requests": -1, "unit": "Hour"}})),     "requests: a whole number", "less than nothing"),
        (selected(json!({})),                                          "clientSelectors[0]: at least 1 field", "a selector of nothing"),
        (selected(json!({"headers": [{"name": "h", "type": "Prefix", "value": "v"}]})), "one of Exact, RegularExpression, Distinct", "no such comparison"),
        (cost(json!({"from": "Number", "number": 2})),                 "", "a number"),
        (cost(json!({"from": "Number"})),                              "Number comes with number", "which"),
        (cost(json!({"from": "Metadata", "number": 2})),               "Number comes with number", "the other's field"),
    ]);
    let quota = |quota: Value| json!({"perModelQuotas": [{"modelName": "m", "quota": quota}]});
    let value = |limit: i64, duration: &str| json!({"limit": limit, "duration": duration});
    #[rustfmt::skip]
    check("QuotaPolicy", vec![
        (quota(json!({"mode": "Shared", "defaultBucket": value(1, "1d")})), "", "a bucket"),
        (quota(json!({"mode": "Exclusive"})),                          "one of Shared", "the one mode"),
        (quota(json!({"defaultBucket": value(1, "2h")})),              "one of 1s, 1m, 1h, 1d", "no such time"),
        (quota(json!({"defaultBucket": value(-1, "1h")})),             "limit: a whole number", "less than nothing"),
        (json!({"perModelQuotas": [{"quota": {}}]}),                   "modelName: a value", "of which model"),
        (json!({"targetRefs": [{"group": "", "kind": "Service", "name": "s"}]}), "must reference AIServiceBackend", "another kind"),
    ]);
    let provider = |more: Value| {
        let mut provider = json!({"name": "p"});
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"targetRefs": target, "jwt": {"providers": [provider]}})
    };
    let keys = |from: Value| json!({"targetRefs": target, "apiKeyAuth": {"credentialRefs": [{"name": "s"}], "extractFrom": from}});
    #[rustfmt::skip]
    check("SecurityPolicy", vec![
        (provider(json!({"remoteJWKS": {"uri": "https://a/jwks"}})),   "", "fetched"),
        (provider(json!({"remoteJWKS": {"uri": "ftp://a/jwks"}})),     "a text that fits", "from where we don't fetch"),
        (provider(json!({})),                                          "exactly one of remoteJWKS and localJWKS", "no keys"),
        (provider(json!({"localJWKS": {"type": "ValueRef", "inline": "{}"}})), "ValueRef with valueRef", "the other's field"),
        (json!({"targetRefs": target, "jwt": {"providers": []}}),      "from 1 to 4 entries", "nobody could have issued it"),
        (keys(json!([{"headers": ["x-key"]}])),                        "", "a header"),
        (keys(json!([{"headers": ["x-key"], "params": ["key"]}])),     "exactly 1 field", "one place an entry"),
        (keys(json!([])),                                              "from 1 to 16 entries", "keys that stand nowhere"),
    ]);
}
