//! Resources in the cluster's store: applied by command, served on every node, there after a restart, and never shown with
//! their secrets.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::fs;
use std::path::Path;

use rust::cluster::Cluster;
use rust::gateway::Settings;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Client, Gateway, Process, Simulator, until};

const KEY: &str = "key-of-the-backend";

/// One model, called `model`, that the upstream is asked for as `called`.
fn manifest(simulator: &Simulator, called: &str) -> String {
    let backends = format!("{{name: one, modelNameOverride: \"{called}\"}}");
    GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", "", &rule("model", &backends, ""))
}

async fn tollgate(gateway: &Client, arguments: &[&str]) -> (i32, String) {
    let url = format!("http://{}", gateway.address);
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--admin", &url]).collect();
    Process::run(&arguments, &[("CALLED", "from-a-variable")]).await
}

async fn listed(client: &Client, model: &str, is_there: bool) {
    until(model, async || {
        let answer = client.send(&Ask::get("/v1/models")).await;
        (answer.text().contains(model) == is_there).then_some(())
    })
    .await;
}

/// Whether any file below holds these bytes.
fn is_in_files(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return is_in_files(&path, bytes);
        }
        fs::read(path).unwrap_or_default().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn what_is_applied_is_served_on_every_node() {
    let simulator = Simulator::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    fs::write(&file, manifest(&simulator, "${CALLED}")).unwrap();
    let file = file.to_str().unwrap();
    let data = folder.path().join("data");
    let variables = [("TOLLGATE_DATA", data.to_str().unwrap())];

    let mut first = Gateway::with(Settings { variables: &variables, ..Settings::default() }).await;
    listed(&first.client, "tollgate-demo", true).await;
    let token = fs::read_to_string(data.join("join-token")).unwrap();
    let cluster = first.process.announced("cluster on ").await;
    let cluster = cluster.trim_end_matches(',');
    let joining = [("TOLLGATE_JOIN_TOKEN", token.trim())];
    let join = ["--join", cluster];
    let second =
        Gateway::with(Settings { arguments: &join, variables: &joining, ..Settings::default() }).await;

    let (code, output) = tollgate(&first.admin, &["apply", "-f", file, "--dry-run"]).await;
    assert!(code == 0 && output.contains("AIGatewayRoute default/all created (tried only)"), "{output}");
    listed(&first.client, "tollgate-demo", true).await;
    let (code, output) = tollgate(&first.admin, &["apply", "-f", file]).await;
    assert!(code == 0 && output.contains("AIGatewayRoute default/all created"), "{output}");
    // At once where it was applied, and soon on the other one; what was made of the environment is gone.
    first.send(&Ask::chat("model")).await.expect(200);
    assert_eq!(simulator.model("from-a-variable").await["requests"], 1);
    listed(&second.client, "tollgate-demo", false).await;
    second.send(&Ask::chat("model")).await.expect(200);
    let (code, output) = tollgate(&second.admin, &["apply", "-f", file]).await;
    assert!(code == 0 && output.contains("AIGatewayRoute default/all unchanged"), "{output}");

    // Nothing secret is shown or lies on the disk in clear text.
    for arguments in [["get", "secret", "one", "-o", "yaml"], ["get", "secret", "one", "-o", "json"]] {
        let (code, output) = tollgate(&second.admin, &arguments).await;
        assert!(code == 0 && output.contains("REDACTED") && !output.contains(KEY), "{output}");
    }
    let (_, output) = tollgate(&second.admin, &["get", "aigatewayroutes", "-o", "yaml"]).await;
    assert!(output.contains("${CALLED}") && !output.contains("from-a-variable"), "{output}");
    assert!(!is_in_files(&data, KEY.as_bytes()) && !is_in_files(&data, b"from-a-variable"));
    assert!(is_in_files(&data, b"AIGatewayRoute"), "or it was looked for in the wrong place");
    assert!(!first.process.output().contains(KEY));

    // Taken away on one node, it is gone on all.
    let (code, output) = tollgate(&second.admin, &["delete", "aigatewayroute", "all"]).await;
    assert!(code == 0 && output.contains("AIGatewayRoute default/all deleted"), "{output}");
    listed(&first.client, "\"model\"", false).await;
    let (code, output) = tollgate(&first.admin, &["get", "aigatewayroute", "all"]).await;
    assert!(code == 1 && output.contains("there is no"), "{output}");
    drop(second);
}

#[tokio::test]
async fn a_node_that_comes_back_serves_what_the_store_has() {
    let simulator = Simulator::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let variables = [("TOLLGATE_DATA", data.to_str().unwrap())];
    let text = manifest(&simulator, "first");
    let settings = Settings { manifest: &text, variables: &variables, ..Settings::default() };
    let mut gateway = Gateway::with(settings).await;
    gateway.send(&Ask::chat("model")).await.expect(200);
    // A version that can't serve does not replace the one that does, after a restart neither.
    fs::write(gateway.file(), text.replace("name: one, model", "name: absent, model")).unwrap();
    until("the problem", async || {
        let status = gateway.shown("/v1/resources/AIGatewayRoute/default/all").await;
        (status["status"] == "rejected: the last good version serves").then_some(())
    })
    .await;
    gateway.process.terminate();
    gateway.process.ended().await;

    let gateway = Gateway::with(Settings { variables: &variables, ..Settings::default() }).await;
    gateway.send(&Ask::chat("model")).await.expect(200);
    assert_eq!(simulator.model("first").await["requests"], 2);
    let shown = gateway.shown("/v1/resources/AIGatewayRoute/default/all").await;
    assert_eq!(
        (&shown["source"], shown["problems"].as_array().unwrap().len()),
        (&"files".into(), 1),
        "{shown}"
    );
    assert!(shown["problems"][0]["at"]["line"].as_u64().unwrap() > 1, "{shown}");
}

#[tokio::test]
async fn what_can_not_be_taken_changes_nothing_and_says_why() {
    let simulator = Simulator::start(&[]).await;
    let text = manifest(&simulator, "first");
    let gateway = Gateway::start(&text).await;
    let yaml = |ask: Ask| ask.header("content-type", "application/yaml");
    let put = |text: &str| Ask::post("/v1/resources", text.to_owned());
    let map =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n");
    let dangling = route("new", "", &rule("other", "{name: absent}", ""));
    let taken = openai("one", "127.0.0.1:1");
    #[rustfmt::skip]
    let rows = [
        // what is sent                               status  word of the answer
        (yaml(put(&(map("m") + &dangling))),          422,    "absent"),
        (yaml(put(&(map("m") + "---\n" + &taken))),   422,    "one from files ("),
        (yaml(put("kind: [")),                        422,    "expected YAML"),
        (yaml(put("# nothing\n")),                    400,    "at least one resource"),
        (put(&map("m")).header("content-type", ""),   415,    "application/yaml"),
        (put(&map("m")).header("content-type", "text/plain"), 415, "text/plain"),
        (Ask::get("/v1/resources/secret/default/absent"), 404, "there is no"),
        (Ask::get("/v1/resources?kin=secret"),        400,    "`kin`"),
    ];
    for (ask, status, word) in rows {
        let answer = gateway.admin.send(&ask).await;
        assert!(answer.status == status && answer.text().contains(word), "{word}: {answer:?}");
    }
    let all = gateway.shown("/v1/resources").await;
    assert!(!all.to_string().contains("\"m\"") && !all.to_string().contains(KEY), "{all}");
    gateway.admin.send(&yaml(put(&map("m")))).await.expect(200);
    assert_eq!(gateway.shown("/v1/resources?kind=configmaps").await["resources"][0]["name"], "m");

    // Commands say it with their exit code.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, map("n") + "---\n" + &dangling).unwrap();
    let (code, output) = tollgate(&gateway.admin, &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(code == 1 && output.contains("a.yaml:") && output.contains("absent"), "{output}");
    let (code, output) = tollgate(&gateway.admin, &["delete", "secret", "one"]).await;
    assert!(code == 1 && output.contains("where it came from, files"), "{output}");
    let nowhere = ["get", "secrets", "--admin", "http://127.0.0.1:1"];
    let (code, output) = Process::run(&nowhere, &[]).await;
    assert!(code == 1 && output.contains("is a node running there?"), "{output}");
}

/// A key that was taken away over one node opens no other one, while those of others stay good.
#[tokio::test]
async fn a_revoked_key_is_refused_everywhere() {
    let simulator = Simulator::start(&[]).await;
    let cluster = Cluster::start(3, "").await;
    let nodes: Vec<&Gateway> = cluster.running().collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let consumer = |name: &str, keys: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{one: sk-{name}-1, two: sk-{name}-2}}\n\
             ---\napiVersion: tollgate.dev/v1alpha1\nkind: Consumer\nmetadata: {{name: {name}}}\nspec: {{apiKeys: [{keys}]}}\n"
        )
    };
    let key = |of: &str, key: &str| format!("{{name: {key}, secretRef: {{name: {of}, key: {key}}}}}");
    let (both, bob) =
        (key("alice", "one") + ", " + &key("alice", "two"), consumer("bob", &key("bob", "one")));
    let apply = async |node: &Gateway, keys: &str| {
        fs::write(&file, manifest(&simulator, "called") + &consumer("alice", keys) + &bob).unwrap();
        let (code, output) = tollgate(&node.admin, &["apply", "-f", file.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{output}");
    };
    let status = async |node: &Gateway, key: &str| {
        node.send(&Ask::chat("model").header("authorization", &format!("Bearer {key}"))).await.status
    };
    apply(nodes[0], &both).await;
    for node in &nodes {
        until("the key to be good", async || (status(node, "sk-alice-1").await == 200).then_some(())).await;
    }
    apply(nodes[1], &key("alice", "two")).await;
    assert_eq!(status(nodes[1], "sk-alice-1").await, 401, "at once where it was said");
    for node in &nodes {
        until("the key to be bad", async || (status(node, "sk-alice-1").await == 401).then_some(())).await;
        assert_eq!(status(node, "sk-alice-2").await, 200, "her other one");
        assert_eq!(status(node, "sk-bob-1").await, 200, "somebody else's");
    }
}
