//! `tollgate validate` gives an API server's own verdict without one: thousands of objects, each a good one that was changed in
//! one place, are taken or refused by both alike. And each rule that our CRDs carry was the reason of a refusal.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

mod mutants;
mod objects;
#[expect(dead_code, unused_imports, reason = "no test file uses all of it")]
#[path = "../rust/mod.rs"]
mod rust;
#[expect(dead_code, reason = "Python is not needed here")]
#[path = "../support/skip.rs"]
mod skip;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tollgate_crds::Severity;

use mutants::Mutant;
use rust::Process;
use rust::kubernetes::{Kubernetes, NEEDS};

/// An empty list passes for a text that has a format there, and nothing can be read from it.
const OWN_SLIPS: [&str; 2] = ["/spec/rules/0/modelsCreatedAt: []", "/spec/apiKeys/0/notAfter: []"];
/// Requests at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn we_take_what_an_api_server_takes_and_nothing_else() {
    let kubernetes = match Kubernetes::start().await {
        Ok(kubernetes) => kubernetes,
        Err(reason) => return skip::skip("kubernetes::verdicts", &reason, NEEDS),
    };
    let client = kubernetes.client().await;
    let mut disputed = Vec::new();
    for (plural, version, bases) in objects::all() {
        let definition = definition(&kubernetes, plural);
        let spec = &definition["spec"];
        let schema = (spec["versions"].as_array().unwrap().iter())
            .find(|one| one["name"] == version)
            .map(|one| &one["schema"]["openAPIV3Schema"])
            .unwrap();
        let group = spec["group"].as_str().unwrap();
        let path =
            format!("/apis/{group}/{version}/namespaces/default/{plural}?dryRun=All&fieldValidation=Strict");
        let object = |spec_of: &Value| {
            json!({"apiVersion": format!("{group}/{version}"), "kind": spec["names"]["kind"],
                "metadata": {"name": "one", "namespace": "default"}, "spec": spec_of})
        };
        let all: Vec<Mutant> =
            bases.iter().flat_map(|base| mutants::mutants(&object(base), schema)).collect();
        let theirs: Vec<Result<(), String>> = stream::iter(&all)
            .map(|one| verdict(&client, &path, &one.object))
            .buffered(AT_ONCE)
            .collect()
            .await;

        let taken = theirs.iter().filter(|verdict| verdict.is_ok()).count();
        println!("{plural} {version}: {} objects, {taken} of them taken", all.len());
        assert!(taken > 5 && theirs[0].is_ok(), "{plural} {version}: {:?}", theirs[0]);
        let other = all.iter().zip(&theirs).filter(|(mutant, _)| !OWN_SLIPS.contains(&mutant.done.as_str()));
        for (mutant, theirs) in other {
            let ours = our_verdict(&mutant.object);
            if ours.is_ok() != theirs.is_ok() {
                disputed.push(format!(
                    "{plural} {version} {}\n  they: {theirs:?}\n  we:   {ours:?}",
                    mutant.done
                ));
            }
        }
        let said: String = theirs.iter().filter_map(|verdict| verdict.as_ref().err().cloned()).collect();
        for message in messages(schema) {
            assert!(said.contains(&message), "{plural} {version}: no object broke the rule `{message}`");
        }
    }
    assert!(disputed.is_empty(), "{} verdicts differ:\n{}", disputed.len(), disputed.join("\n"));
}

/// The command says what the parts say.
#[tokio::test]
async fn the_command_refuses_what_a_rule_forbids() {
    let folder = tempfile::tempdir().unwrap();
    let budget = |window: &str| {
        format!(
            "apiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: b}}\nspec: {{unit: requests, limit: 1, \
             window: {window}}}\n"
        )
    };
    for (window, code, says) in [
        ("{every: day}", 0, ""),
        ("{every: day, lifetime: true}", 1, "spec.window"),
        ("{every: dya}", 1, "dya"),
    ] {
        let file = folder.path().join("budget.yaml");
        std::fs::write(&file, budget(window)).unwrap();
        let (ended, said) = Process::run(&["validate", "-f", file.to_str().unwrap()], &[]).await;
        assert!(ended == code && said.contains(says), "{window}: {ended} {said}");
    }
}

fn definition(kubernetes: &Kubernetes, plural: &str) -> Value {
    let all = kubernetes.kubectl(&["get", "crd", "-o", "json"], "");
    let mut all: Value = serde_json::from_str(&all).unwrap();
    let mut found = all["items"].as_array_mut().unwrap().iter_mut();
    found.find(|one| one["spec"]["names"]["plural"] == plural).unwrap().take()
}

/// The API server's. An error says why it refuses.
async fn verdict(client: &kube::Client, path: &str, object: &Value) -> Result<(), String> {
    rust::kubernetes::create(client, path, object).await
}

fn our_verdict(object: &Value) -> Result<(), String> {
    let (_, problems) = tollgate_crds::parse_as_is("mutant", &object.to_string());
    let refused: Vec<String> = (problems.iter())
        .filter(|problem| problem.severity == Severity::Rejected)
        .map(|problem| format!("{}: expected {}, {} came", problem.field, problem.expected, problem.value))
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.join("; ")) }
}

/// What the rules of a schema say when they are broken.
fn messages(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let rules = schema["x-kubernetes-validations"].as_array();
    all.extend(rules.into_iter().flatten().map(|rule| rule["message"].as_str().unwrap().to_owned()));
    let inner = schema["properties"].as_object().into_iter().flatten().map(|(_, inner)| inner);
    for inner in
        inner.chain([&schema["items"], &schema["additionalProperties"]]).filter(|inner| inner.is_object())
    {
        all.extend(messages(inner));
    }
    all
}
