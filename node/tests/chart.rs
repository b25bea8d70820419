//! The Helm chart: its definitions are the program's, what it renders passes an API server, its role asks for what is followed
//! and nothing else; and nodes that are started as it starts them become one cluster, and stay one.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, unused_imports, reason = "no test file uses all of it")]
mod rust;
#[expect(dead_code, reason = "no test file uses all of it")]
mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use rust::gateway::Settings;
use rust::kubernetes::{Kubernetes, NEEDS};
use rust::{Gateway, Process, until};
use support::python::{Script, Venv};
use support::skip::{PYTHON, skip};

/// What an API server alone does not have: controllers and operators bring them, or they are of groups that it leaves out.
const NOT_THERE: &str = "no matches for kind";

fn chart() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/chart"))
}

/// What Helm makes of the chart, or a reason why it can't be had.
fn rendered(values: &str) -> Result<Vec<Value>, String> {
    let venv = Venv::prepare("helm")?;
    let chart = chart();
    let environment = [("TEST_CHART", chart.to_str().unwrap()), ("TEST_VALUES", values)];
    let timeout = Duration::from_mins(1);
    let objects = venv.run(&Script { name: "render_chart.py", environment: &environment, timeout }).unwrap();
    Ok(serde_json::from_str(&objects).unwrap_or_else(|error| panic!("{error}: {objects}")))
}

#[tokio::test]
async fn its_definitions_are_those_that_are_printed() {
    let (code, printed) = Process::run(&["crds"], &[]).await;
    assert_eq!(code, 0, "{printed}");
    let kept = std::fs::read_to_string(chart().join("crds/tollgate.yaml")).unwrap();
    assert!(
        kept.trim_end() == printed.trim_end(),
        "write anew: tollgate crds > deploy/chart/crds/tollgate.yaml"
    );
}

#[tokio::test]
async fn what_it_renders_is_taken_by_an_api_server() {
    const TEST: &str = "kubernetes::chart::what_it_renders_is_taken_by_an_api_server";
    let kubernetes = match Kubernetes::start().await {
        Ok(kubernetes) => kubernetes,
        Err(reason) => return skip(TEST, &reason, NEEDS),
    };
    for values in ["default", "full"] {
        let all = match rendered(values) {
            Ok(all) => all,
            Err(reason) => return skip(TEST, &reason, PYTHON),
        };
        let mut taken = BTreeSet::new();
        for one in all {
            let kind = one["kind"].as_str().unwrap().to_owned();
            match kubernetes.try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &one.to_string()) {
                Ok(said) => {
                    assert!(said.contains("(server dry run)") && !said.contains("Warning"), "{said}");
                    taken.insert(kind);
                }
                Err(said) => assert!(said.contains(NOT_THERE), "{values}: {said}\n{one}"),
            }
        }
        println!("{values}: {taken:?}");
        for kind in ["Secret", "Service", "GatewayClass"] {
            assert!(taken.contains(kind), "{kind} was not tried: {taken:?}");
        }
    }
}

/// Every field of what it renders is one of its kind's: read by the types of Kubernetes' own description, nothing is lost.
#[test]
fn it_has_no_fields_that_kubernetes_does_not_know() {
    for values in ["default", "full"] {
        let all = match rendered(values) {
            Ok(all) => all,
            Err(reason) => return skip("chart::it_has_no_unknown_fields", &reason, PYTHON),
        };
        let mut kinds = BTreeSet::new();
        for one in all {
            let kind = one["kind"].as_str().unwrap().to_owned();
            let known = match kind.as_str() {
                "ServiceAccount" => read::<ServiceAccount>(&one),
                "Secret" => read::<Secret>(&one),
                "Service" => read::<Service>(&one),
                "StatefulSet" => read::<StatefulSet>(&one),
                "HorizontalPodAutoscaler" => read::<HorizontalPodAutoscaler>(&one),
                "PodDisruptionBudget" => read::<PodDisruptionBudget>(&one),
                "NetworkPolicy" => read::<NetworkPolicy>(&one),
                "Role" => read::<Role>(&one),
                "RoleBinding" => read::<RoleBinding>(&one),
                "ClusterRole" => read::<ClusterRole>(&one),
                "ClusterRoleBinding" => read::<ClusterRoleBinding>(&one),
                "GatewayClass" | "ServiceMonitor" => one.clone(), // Not of Kubernetes itself.
                other => panic!("a kind that nobody looks at: {other}"),
            };
            assert_eq!(known, one, "{values}");
            kinds.insert(kind);
        }
        assert_eq!(kinds.len(), if values == "full" { 13 } else { 11 }, "{kinds:?}");
    }
}

fn read<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let read: T = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
    serde_json::to_value(read).unwrap()
}

#[test]
fn its_role_is_for_the_kinds_that_are_followed_and_no_others() {
    let all = match rendered("default") {
        Ok(all) => all,
        Err(reason) => return skip("chart::its_role", &reason, PYTHON),
    };
    let plural = |kind: &str| {
        let name = kind.to_lowercase();
        match name.strip_suffix('y') {
            Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
            None if name.ends_with('s') => format!("{name}es"),
            Some(_) | None => format!("{name}s"),
        }
    };
    let kinds = tollgate_crds::kinds();
    let mut wanted: BTreeSet<(String, String)> =
        kinds.iter().map(|kind| (kind.group.to_owned(), plural(kind.kind))).collect();
    let told = |kind: &&tollgate_crds::Kind| !["Secret", "ConfigMap", "ReferenceGrant"].contains(&kind.kind);
    let told = kinds.iter().filter(told);
    wanted.extend(told.map(|kind| (kind.group.to_owned(), format!("{}/status", plural(kind.kind)))));
    let role = all.iter().find(|one| one["kind"] == "ClusterRole").unwrap();
    let mut asked = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            let resource = resource.as_str().unwrap();
            let verbs =
                if resource.ends_with("/status") { json!(["patch"]) } else { json!(["list", "watch"]) };
            assert_eq!(rule["verbs"], verbs, "{resource}");
            asked.insert((rule["apiGroups"][0].as_str().unwrap().to_owned(), resource.to_owned()));
        }
    }
    assert_eq!(asked, wanted);
}

/// A node as the chart starts it.
async fn pod(kubernetes: &Kubernetes, (name, data): (&str, &str), ports: &[u16]) -> Gateway {
    let place = usize::from(name.as_bytes()[name.len() - 1] - b'0');
    let cluster = format!("127.0.0.1:{}", ports[place]);
    let peers: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut arguments = vec!["--cluster", &cluster, "--data", data, "--node", name, "--founder", "pod-0"];
    arguments.extend(["--join-secret", "tg-join", "--kubernetes=off", "--voters", "3", "--join"]);
    arguments.extend(peers.iter().map(String::as_str));
    let kubeconfig = kubernetes.kubeconfig();
    let variables = [("KUBECONFIG", kubeconfig.as_str())];
    Gateway::with(Settings { arguments: &arguments, variables: &variables, ..Settings::default() }).await
}

async fn voters(node: &Gateway) -> BTreeSet<u64> {
    let nodes = node.shown("/v1/nodes").await;
    let voters = nodes.as_array().unwrap().iter().filter(|node| node["role"] == "voter");
    voters.map(|node| node["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pods_become_one_cluster_and_a_founder_without_its_volume_joins_it() {
    let kubernetes = match Kubernetes::start().await {
        Ok(kubernetes) => kubernetes,
        Err(reason) => {
            return skip("kubernetes::chart::pods_become_one_cluster", &reason, NEEDS);
        }
    };
    kubernetes.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: tg-join}\n");
    let free = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let [zero, one, two, new] = free.map(|listener| listener.local_addr().unwrap().port());
    let ports = [zero, one, two];
    let data = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third, fresh] = [0, 1, 2, 3].map(|at: usize| data[at].path().to_str().unwrap());
    let (founder, one, two) = tokio::join!(
        pod(&kubernetes, ("pod-0", first), &ports),
        pod(&kubernetes, ("pod-1", second), &ports),
        pod(&kubernetes, ("pod-2", third), &ports),
    );
    until("three voters", async || (voters(&one).await.len() == 3).then_some(())).await;
    let ids = voters(&two).await;

    // Its volume is lost. A new pod has a new address, too.
    drop(founder);
    let ports = [new, ports[1], ports[2]];
    let again = pod(&kubernetes, ("pod-0", fresh), &ports).await;
    let status = again.shown("/v1/status").await;
    let id = status["cluster"]["node"].as_u64().unwrap();
    assert!(!ids.contains(&id), "it is a new node of the same cluster: {status}");
    until("the others to know it", async || {
        let nodes = one.shown("/v1/nodes").await;
        nodes.as_array().unwrap().iter().any(|node| node["id"] == id).then_some(())
    })
    .await;

    // Neither is there a token, nor a volume, and the cluster lives: nobody founds another.
    drop(again);
    kubernetes.kubectl(
        &["patch", "secret", "tg-join", "--type=json", "-p", r#"[{"op":"remove","path":"/data"}]"#],
        "",
    );
    let empty = tempfile::tempdir().unwrap();
    let peers = ports.map(|port| format!("127.0.0.1:{port}"));
    let arguments = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--cluster", &peers[0]];
    let arguments =
        [&arguments[..], &["--node", "pod-0", "--founder", "pod-0", "--join-secret", "tg-join"]].concat();
    let data = ["--data", empty.path().to_str().unwrap(), "--join", &peers[0], &peers[1], &peers[2]];
    let kubeconfig = kubernetes.kubeconfig();
    let mut waits = Process::start(&[&arguments[..], &data].concat(), &[("KUBECONFIG", &kubeconfig)]);
    waits.announced("it may be of a").await;
    assert!(!empty.path().join("identity").exists());
}
