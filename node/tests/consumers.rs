//! Who calls: keys of Consumers and of SecurityPolicies, in every place where clients put them. And that a key that was
//! presented to us is seen by nobody behind us, nor by a reader of logs.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::fs;

use serde_json::Value;

use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

/// Alice by a Secret, a service by the hash of `abc` and by a key that is over.
const CONSUMERS: &str = "---
apiVersion: v1
kind: Secret
metadata: {name: alice}
stringData: {k1: sk-alice-1, k2: sk-alice-2}
---
apiVersion: tollgate.dev/v1alpha1
kind: Consumer
metadata: {name: alice}
spec:
  organization: acme
  user: alice
  apiKeys:
  - {name: laptop, secretRef: {name: alice, key: k1}}
  - {name: phone, secretRef: {name: alice, key: k2}}
---
apiVersion: tollgate.dev/v1alpha1
kind: Consumer
metadata: {name: service}
spec:
  apiKeys:
  - {name: by-hash, hash: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}
---
apiVersion: v1
kind: Secret
metadata: {name: old}
stringData: {k: sk-old}
---
apiVersion: tollgate.dev/v1alpha1
kind: Consumer
metadata: {name: old}
spec: {apiKeys: [{name: gone, secretRef: {name: old, key: k}, notAfter: 2020-01-01T00:00:00Z}]}
";

/// Clients of one route alone.
const POLICY: &str = "---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: aigateway.envoyproxy.io, kind: AIGatewayRoute, name: guarded}]
  apiKeyAuth:
    credentialRefs: [{name: clients}]
    extractFrom: [{headers: [X-Client-Key]}, {params: [key]}, {cookies: [key]}]
    forwardClientIDHeader: X-Client
---
apiVersion: v1
kind: Secret
metadata: {name: clients}
stringData: {carol: sk-carol}
";

fn models(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &route("open", "", &(rule("gpt", "{name: openai}", "") + &rule("other", "{name: openai}", "")))
        + &route("guarded", "", &rule("guarded", "{name: openai}", ""))
}

fn code(answer: &Answer) -> Value {
    let error = &answer.json()["error"];
    if error["code"].is_null() { error["type"].clone() } else { error["code"].clone() }
}

#[tokio::test]
async fn callers_prove_who_they_are() {
    let simulator = Simulator::start(&[]).await;
    let gateway = Gateway::start(&(models(&simulator) + CONSUMERS)).await;
    let chat = |name: &str, value: &str| Ask::chat("gpt").header(name, value);
    #[rustfmt::skip]
    let cases = [
        // request                                           whose, or the code of its 401    why
        (chat("authorization", "Bearer sk-alice-1"),         Ok("default/alice"),             "as OpenAI's SDK sends it"),
        (chat("authorization", "bearer  sk-alice-2"),        Ok("default/alice"),             "another key, loosely written"),
        (chat("x-api-key", "sk-alice-1"),                    Ok("default/alice"),             "as Anthropic's did"),
        (chat("api-key", "abc"),                             Ok("default/service"),           "as Azure's does; by its hash"),
        (chat("x-api-key", "abc").header("authorization", "Bearer other"), Ok("default/service"), "one of two is known"),
        (chat("x-none", "sk-alice-1"),                       Err("invalid_api_key"),          "no place for a key"),
        (chat("authorization", "Bearer sk-mallory"),         Err("invalid_api_key"),          "nobody's"),
        (chat("authorization", "Bearer"),                    Err("invalid_api_key"),          "empty"),
        (chat("authorization", "Bearer sk-old"),             Err("invalid_api_key"),          "over"),
        (Ask::messages("gpt").header("x-api-key", "sk-x"),   Err("authentication_error"),     "in Anthropic's words"),
        (Ask::chat("unserved"),                              Err("invalid_api_key"),          "models can't be tried out without a key"),
        (Ask::get("/v1/models"),                             Err("invalid_api_key"),          "nor read"),
    ];
    for (ask, whose, why) in cases {
        let answer = gateway.send(&ask).await;
        match whose {
            Ok(name) => {
                let answer = answer.expect(200);
                assert_eq!(gateway.logged(&answer).await["consumer"], name, "{why}");
                let seen = simulator.last_request().await.to_string();
                assert!(seen.contains("key-of-the-backend"), "{why}: {seen}");
                assert!(!seen.contains("sk-alice") && !seen.contains("\"abc\""), "{why}: {seen}");
            }
            Err(expected) => {
                let answer = answer.expect(401);
                assert_eq!(code(&answer), expected, "{why}");
                assert_eq!(answer.header("x-should-retry"), Some("false"), "{why}");
            }
        }
    }
    let listed = gateway.send(&Ask::get("/v1/models").header("authorization", "Bearer sk-alice-1")).await;
    listed.expect(200);
    let rows = gateway.shown("/v1/ledger").await.to_string();
    assert!(rows.contains("default/alice") && rows.contains("default/service"), "{rows}");
    let secrets = ["sk-alice", "sk-mallory", "sk-old", "\"abc\""];
    let log =
        fs::read_to_string(gateway.folder.path().join("access.log")).unwrap() + &gateway.process.output();
    assert!(!secrets.iter().any(|secret| log.contains(secret)), "{log}");
}

#[tokio::test]
async fn a_policy_has_clients_of_its_own() {
    let simulator = Simulator::start(&[]).await;
    let gateway = Gateway::start(&(models(&simulator) + CONSUMERS + POLICY)).await;
    let guarded = || Ask::chat("guarded");
    let by_query = Ask { path: "/v1/chat/completions?a=b&key=sk%2Dcarol".to_owned(), ..guarded() };
    #[rustfmt::skip]
    let cases = [
        (guarded().header("x-client-key", "sk-carol"),                 200, "its header"),
        (by_query,                                                     200, "its parameter"),
        (guarded().header("cookie", "a=b; key=sk-carol"),              200, "its cookie"),
        (guarded().header("authorization", "Bearer sk-carol"),         401, "no place of its own"),
        (guarded().header("authorization", "Bearer sk-alice-1"),       401, "a Consumer is no client of the policy"),
        (guarded().header("x-client-key", "sk-alice-1"),               401, "wherever the key stands"),
        (Ask::chat("other").header("x-client-key", "sk-carol"),      401, "nor is its client a Consumer elsewhere"),
    ];
    for (ask, status, why) in cases {
        let answer = gateway.send(&ask.header("x-client", "eve")).await;
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        if status == 200 {
            assert_eq!(gateway.logged(&answer).await["consumer"], "default/keys/carol", "{why}");
            let seen = simulator.last_request().await.to_string();
            assert!(seen.contains("\"carol\"") && !seen.contains("eve"), "its name goes on: {why}: {seen}");
            assert!(!seen.contains("sk-carol"), "its key does not: {why}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_taken_away_is_refused() {
    let simulator = Simulator::start(&[]).await;
    let manifest = models(&simulator) + CONSUMERS;
    let gateway = Gateway::start(&manifest).await;
    let ask = Ask::chat("gpt").header("authorization", "Bearer sk-alice-1");
    gateway.send(&ask).await.expect(200);
    let without = manifest.replace("  - {name: laptop, secretRef: {name: alice, key: k1}}\n", "");
    assert_ne!(without, manifest);
    fs::write(gateway.file(), without).unwrap();
    until("the key to be refused", async || (gateway.send(&ask).await.status == 401).then_some(())).await;
    gateway.send(&Ask::chat("gpt").header("authorization", "Bearer sk-alice-2")).await.expect(200);
}
