//! Manifests applied with kubectl to a real API server: they serve, on every node; what is broken there keeps its last good
//! version here and says so; what is gone there goes here, however it went.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;
#[expect(dead_code, reason = "Python is not needed here")]
#[path = "support/skip.rs"]
mod skip;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use rust::cluster::Cluster;
use rust::gateway::Settings;
use rust::kubernetes::{Kubernetes, NEEDS, create};
use rust::manifest::{GATEWAY, backend, openai, rule};
use rust::{Ask, Client, Gateway, Simulator, until};

/// An API server, or a reason why the test is skipped, which is told.
async fn started(test: &str) -> Option<Kubernetes> {
    let started = Kubernetes::start().await;
    started.map_err(|reason| skip::skip(&format!("kubernetes::{test}"), &reason, NEEDS)).ok()
}

async fn gateway(kubernetes: &Kubernetes) -> Gateway {
    gateway_with(&kubernetes.kubeconfig()).await
}

async fn gateway_with(kubeconfig: &str) -> Gateway {
    let variables = [("KUBECONFIG", kubeconfig)];
    let settings = Settings { arguments: &["--kubernetes"], variables: &variables, ..Settings::default() };
    Gateway::with(settings).await
}

fn route(name: &str, (gateway, model, backend): (&str, &str, &str)) -> String {
    format!(
        "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: AIGatewayRoute\nmetadata: {{name: {name}}}\nspec:\n  \
         parentRefs: [{{name: {gateway}}}]\n  rules:\n{}",
        rule(model, &format!("{{name: {backend}}}"), "")
    )
}

/// A configuration for one model.
fn everything(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("provider", &simulator.address())
        + &route("all", ("tollgate", "sim", "provider"))
}

/// Waits until a model is answered like that.
async fn answered(client: &Client, model: &str, status: u16) {
    until(&format!("{status} for {model}"), async || {
        let answer = client.try_send(&Ask::chat(model)).await?;
        (answer.status == status).then_some(())
    })
    .await;
}

/// The sum of a metric's values, rounded down.
async fn count(gateway: &Gateway, metric: &str) -> u64 {
    let metrics = gateway.metrics().await;
    let counted = metrics.lines().filter(|line| line.starts_with(metric));
    let whole = |line: &str| line.rsplit_once(' ').unwrap().1.split('.').next().unwrap().parse::<u64>();
    counted.map(|line| whole(line).unwrap()).sum()
}

#[tokio::test]
async fn manifests_serve_from_kubectl_apply_to_kubectl_delete() {
    let Some(kubernetes) = started("manifests_serve_from_kubectl_apply_to_kubectl_delete").await else {
        return;
    };
    let (simulator, gateway) = (Simulator::start(&[]).await, gateway(&kubernetes).await);
    kubernetes.apply(&everything(&simulator));
    let theirs = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: other}\n\
                  spec: {controllerName: example.com/other}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: theirs}\n\
                  stringData: {apiKey: secret}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
                  metadata: {name: other}\nspec:\n  gatewayClassName: other\n  listeners: [{name: http, protocol: HTTP, port: 80}]\n";
    kubernetes.apply(&(theirs.to_owned() + &route("theirs", ("other", "other", "provider"))));
    answered(&gateway.client, "sim", 200).await;
    assert_eq!(gateway.send(&Ask::chat("other")).await.status, 404, "another controller's");

    // Everything that is ours is told so.
    kubernetes.condition(("gatewayclass", "tollgate"), ("Accepted", "True")).await;
    kubernetes.condition(("aiservicebackend", "provider"), ("Accepted", "True")).await;
    kubernetes.condition(("backendsecuritypolicy", "provider"), ("Accepted", "True")).await;
    kubernetes.condition(("aigatewayroute", "all"), ("Accepted", "True")).await;
    kubernetes.condition(("gateway", "tollgate"), ("Programmed", "True")).await;
    until("its route on the listener", async || {
        let listener = kubernetes.object("gateway", "tollgate")["status"]["listeners"][0].take();
        let holds = |one: &Value| one["status"] == "True";
        let all = listener["conditions"].as_array()?.iter().filter(|one| holds(one)).count();
        (listener["name"] == "http" && listener["attachedRoutes"] == 1 && all == 3).then_some(())
    })
    .await;

    // An edit, and one that breaks.
    kubernetes.apply(&route("all", ("tollgate", "edited", "provider")));
    answered(&gateway.client, "edited", 200).await;
    answered(&gateway.client, "sim", 404).await;
    kubernetes.apply(&route("all", ("tollgate", "broken", "nobody")));
    let said = kubernetes.condition(("aigatewayroute", "all"), ("NotAccepted", "False")).await;
    let message = said["message"].as_str().unwrap();
    assert!(
        message.contains("nobody") && message.contains("the last good version keeps serving"),
        "{message}"
    );
    assert_eq!(gateway.send(&Ask::chat("edited")).await.status, 200, "the last good version serves");
    kubernetes.apply(&route("all", ("tollgate", "mended", "provider")));
    answered(&gateway.client, "mended", 200).await;
    kubernetes.condition(("aigatewayroute", "all"), ("Accepted", "True")).await;

    // What is others' is neither taken nor told anything.
    let known = gateway.shown("/v1/resources").await.to_string();
    assert!(
        known.contains("provider") && !known.contains("theirs") && !known.contains("\"other\""),
        "{known}"
    );
    for (kind, name) in [("gatewayclass", "other"), ("gateway", "other"), ("aigatewayroute", "theirs")] {
        assert_eq!(kubernetes.object(kind, name)["status"], Value::Null, "{kind} {name}");
    }
    kubernetes.kubectl(&["delete", "aigatewayroute", "all"], "");
    answered(&gateway.client, "mended", 404).await;
    assert_eq!(count(&gateway, "tollgate_kubernetes_status_writes_total{outcome=\"failed\"}").await, 0);
}

#[tokio::test]
async fn a_key_is_rotated_under_load_without_a_failed_request() {
    let Some(kubernetes) = started("a_key_is_rotated_under_load_without_a_failed_request").await else {
        return;
    };
    let (simulator, gateway) = (Simulator::start(&[]).await, gateway(&kubernetes).await);
    kubernetes.apply(&everything(&simulator));
    answered(&gateway.client, "sim", 200).await;

    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let (client, over, served) = (
            Client::new(&format!("http://{}", gateway.client.address)),
            Arc::clone(&over),
            Arc::clone(&served),
        );
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                client.send(&Ask::chat("sim")).await.expect(200);
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for rotation in 0..5 {
        let key = format!("rotated-{rotation}");
        kubernetes.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: provider}}\nstringData: {{apiKey: {key}}}\n"
        ));
        let before = served.load(Ordering::Relaxed);
        until(&key, async || {
            let request = simulator.last_request().await.to_string();
            (request.contains(&key) && served.load(Ordering::Relaxed) > before).then_some(())
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert!(!gateway.shown("/v1/resources").await.to_string().contains("rotated-"));
}

#[tokio::test]
async fn an_api_server_that_is_away_changes_nothing_and_what_was_missed_is_made_good() {
    let Some(mut kubernetes) = started("an_api_server_that_is_away_changes_nothing").await else { return };
    let (simulator, gateway) = (Simulator::start(&[]).await, gateway(&kubernetes).await);
    let second = route("second", ("tollgate", "second", "provider"));
    kubernetes.apply(&(everything(&simulator) + &second));
    answered(&gateway.client, "sim", 200).await;
    answered(&gateway.client, "second", 200).await;

    kubernetes.pause();
    until("errors to be counted", async || {
        (count(&gateway, "tollgate_kubernetes_errors_total").await > 0).then_some(())
    })
    .await;
    answered(&gateway.client, "sim", 200).await;
    gateway.admin.send(&Ask::get("/readyz")).await.expect(200);

    // No watcher will ever be told of this: the beginning of its watch is forgotten.
    kubernetes.forget("/aigatewayroutes/default/second").await;
    kubernetes.resume().await;
    let expired = "tollgate_kubernetes_expired_total";
    until("a watch to be refused", async || (count(&gateway, expired).await > 0).then_some(())).await;
    answered(&gateway.client, "second", 404).await;
    answered(&gateway.client, "sim", 200).await;
    kubernetes.apply(&route("third", ("tollgate", "third", "provider")));
    answered(&gateway.client, "third", 200).await;
}

#[tokio::test]
async fn the_next_leader_follows_on_and_takes_nothing_away_that_is_there() {
    let Some(kubernetes) = started("the_next_leader_follows_on").await else { return };
    let simulator = Simulator::start(&[]).await;
    kubernetes.apply(&(everything(&simulator) + &route("second", ("tollgate", "second", "provider"))));
    let mut cluster = Cluster::following(&kubernetes.kubeconfig()).await;
    for node in cluster.running() {
        answered(&node.client, "sim", 200).await;
        answered(&node.client, "second", 200).await;
    }
    cluster.kill(cluster.leader().await);
    // While nobody looks.
    kubernetes.kubectl(&["delete", "aigatewayroute", "second"], "");
    kubernetes.apply(&route("third", ("tollgate", "third", "provider")));
    for node in cluster.running() {
        // Not once is it gone.
        until("what is new on every node, and what is old without a break", async || {
            node.send(&Ask::chat("sim")).await.expect(200);
            let gone = node.send(&Ask::chat("second")).await.status == 404;
            let new = node.send(&Ask::chat("third")).await.status == 200;
            (gone && new).then_some(())
        })
        .await;
    }
    kubernetes.condition(("aigatewayroute", "third"), ("Accepted", "True")).await;
}

/// How long it takes from a word to the API server until every node serves by it. A command of its own, since it takes a
/// minute: `cargo test -p tollgate --test kubernetes -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "prints figures"]
async fn two_thousand_routes_are_served() {
    const AT_ONCE: usize = 2_000;
    let Some(kubernetes) = started("two_thousand_routes_are_served").await else { return };
    let simulator = Simulator::start(&[]).await;
    kubernetes.apply(&everything(&simulator));
    let cluster = Cluster::following(&kubernetes.kubeconfig()).await;
    for node in cluster.running() {
        answered(&node.client, "sim", 200).await;
    }
    let client = kubernetes.client().await;
    let path = "/apis/aigateway.envoyproxy.io/v1beta1/namespaces/default/aigatewayroutes";
    let object = |name: &str| {
        json!({"apiVersion": "aigateway.envoyproxy.io/v1beta1", "kind": "AIGatewayRoute", "metadata": {"name": name},
            "spec": {"parentRefs": [{"name": "tollgate", "group": "gateway.networking.k8s.io", "kind": "Gateway"}],
                "rules": [{"backendRefs": [{"name": "provider"}],
                    "matches": [{"headers": [{"name": "x-ai-eg-model", "value": name}]}]}]}})
    };
    let mut one = Vec::new();
    for number in 0..20 {
        let name = format!("one-{number}");
        let begin = Instant::now();
        create(&client, path, &object(&name)).await.unwrap();
        for node in cluster.running() {
            answered(&node.client, &name, 200).await;
        }
        one.push(begin.elapsed());
    }
    one.sort();
    println!("one route, of 20: median {:?}, slowest {:?}", one[10], one[19]);

    let begin = Instant::now();
    let all = (0..AT_ONCE).map(|number| object(&format!("many-{number}")));
    let created = stream::iter(all).map(|one| {
        let client = client.clone();
        async move { create(&client, path, &one).await }
    });
    let created: Vec<_> = created.buffer_unordered(32).collect().await;
    let told = begin.elapsed();
    assert!(created.iter().all(Result::is_ok), "{:?}", created.iter().find(|one| one.is_err()));
    for node in cluster.running() {
        until("all to be served", async || {
            let models = node.send(&Ask::get("/v1/models")).await.json();
            (models["data"].as_array()?.len() > AT_ONCE + one.len()).then_some(())
        })
        .await;
    }
    println!(
        "{AT_ONCE} routes at once: the API server had them after {told:?}, every node after {:?}",
        begin.elapsed()
    );
    for number in [0, 777, AT_ONCE - 1] {
        answered(&cluster.running().next().unwrap().client, &format!("many-{number}"), 200).await;
    }
}

#[tokio::test]
async fn what_must_not_be_seen_does_not_stop_the_rest() {
    let Some(kubernetes) = started("what_must_not_be_seen_does_not_stop_the_rest").await else { return };
    let simulator = Simulator::start(&["--no-auth"]).await;
    let gateway = gateway_with(&kubernetes.kubeconfig_without_secrets()).await;
    let open = backend("open", "{name: OpenAI}", &simulator.address());
    kubernetes.apply(&(everything(&simulator) + &open + &route("open", ("tollgate", "open", "open"))));
    answered(&gateway.client, "open", 200).await;
    let said = kubernetes.condition(("backendsecuritypolicy", "provider"), ("NotAccepted", "False")).await;
    assert!(said["message"].as_str().unwrap().contains("a Secret that exists"), "{said}");
    kubernetes.kubectl(&["delete", "aigatewayroute", "open"], "");
    answered(&gateway.client, "open", 404).await;
}

#[tokio::test]
async fn a_word_from_the_api_server_is_noticed() {
    let Some(mut kubernetes) = started("a_word_from_the_api_server_is_noticed").await else { return };
    let gateway = gateway(&kubernetes).await;
    let age = "tollgate_kubernetes_event_age{kind=\"AIGatewayRoute\"}";
    until("silence", async || (count(&gateway, age).await >= 2).then_some(())).await;
    kubernetes.apply(&route("one", ("tollgate", "one", "nobody")));
    until("an event", async || (count(&gateway, age).await < 2).then_some(())).await;
    kubernetes.pause();
    until("silence again", async || (count(&gateway, age).await >= 3).then_some(())).await;
}
