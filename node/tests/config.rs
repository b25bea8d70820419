//! Configuration as people handle it: checked, started with, edited while it serves, broken and repaired.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway, Process, Simulator, until};

type Words<'a> = &'a [&'a str];
type Variables<'a> = &'a [(&'a str, &'a str)];
type Environment<'a> = Vec<(&'a str, &'a str)>;
/// A model, the path at its provider if that can be seen, and the key that arrives there.
type Expected<'a> = (&'a str, Option<&'a str>, &'a str);

/// One model, called `model`, that the upstream is asked for as `called`.
fn manifest(simulator: &Simulator, called: &str) -> String {
    let backends = format!("{{name: one, modelNameOverride: \"{called}\"}}");
    GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", "", &rule("model", &backends, ""))
}

/// Waits until requests for `model` arrive as `called`.
async fn arrives_as(gateway: &Gateway, simulator: &Simulator, called: &str) {
    until(called, async || {
        gateway.send(&Ask::chat("model")).await.expect(200);
        let body = simulator.last_request().await["body"].take();
        let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
        (body["model"] == called).then_some(())
    })
    .await;
}

async fn problems(gateway: &Gateway) -> Vec<Value> {
    let status = gateway.shown("/v1/status").await;
    status["config"]["problems"].as_array().unwrap().clone()
}

/// The gauge's value, as soon as `is_it`.
async fn problems_counted(gateway: &Gateway, is_it: impl Fn(u64) -> bool) {
    until("the gauge of problems", async || {
        let metrics = gateway.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with("tollgate_config_problems "));
        let count = line?.rsplit(' ').next()?.parse().ok()?;
        is_it(count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn validate_names_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good =
        GATEWAY.to_owned() + &openai("one", "127.0.0.1:1") + &route("all", "", &rule("m", "{name: one}", ""));
    let good = file("good.yaml", &good);
    let (code, output) = Process::run(&["validate", "-f", &good], &[]).await;
    assert_eq!((code, output.as_str()), (0, "6 resources, no problem"));

    let unknown_field = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringDatas: {a: b}\n";
    let dangling = GATEWAY.to_owned() + &route("all", "", &rule("m", "{name: absent}", ""));
    let at = dangling.lines().count(); // The rule is the last line.
    let unset = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: \"${NOWHERE_SET}\"}\n";
    #[rustfmt::skip]
    let cases = [
        // name            text                                                     words of the output
        ("syntax.yaml",    "kind: Secret\nmetadata: {name: s\n".to_owned(),         vec!["syntax.yaml:".to_owned()]),
        ("field.yaml",     unknown_field.to_owned(),                                vec!["field.yaml:4: Secret".to_owned(), "stringDatas".to_owned()]),
        ("dangling.yaml",  dangling,                                                vec![format!("dangling.yaml:{at}: AIGatewayRoute default/all"), "spec.rules[0].backendRefs[0].name".to_owned(), "absent".to_owned()]),
        ("unset.yaml",     unset.to_owned(),                                        vec!["unset.yaml:4: ".to_owned(), "NOWHERE_SET".to_owned()]),
    ];
    for (name, text, words) in cases {
        let path = file(name, &text);
        let (code, output) = Process::run(&["validate", "-f", &path], &[]).await;
        assert_eq!(code, 1, "{name}: {output}");
        for word in words {
            assert!(output.contains(&word), "{name}: {word} in {output}");
        }
    }
    let more = file("more.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n");
    for arguments in [["validate", "-f", &good, &more].as_slice(), &["validate", "-f", &good, "-f", &more]] {
        let (code, output) = Process::run(arguments, &[]).await;
        assert_eq!((code, output.as_str()), (0, "7 resources, no problem"), "{arguments:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let named = empty.path().to_str().unwrap();
    for (name, text) in [("notes.txt", "kind: ["), ("comments.yaml", "# nothing yet\n")] {
        fs::write(empty.path().join(name), text).unwrap();
        let (code, output) = Process::run(&["validate", "-f", named], &[]).await;
        assert!(code == 1 && output.contains(&format!("no resources found in {named}")), "{name}: {output}");
    }
    let unset = folder.path().join("unset.yaml");
    let (code, output) =
        Process::run(&["validate", "-f", unset.to_str().unwrap()], &[("NOWHERE_SET", "x")]).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = Process::run(&["validate", "-f", "nowhere.yaml"], &[]).await;
    assert!(code == 1 && output.contains("nowhere.yaml"), "{output}");
}

#[tokio::test]
async fn crds_are_printed() {
    let (code, output) = Process::run(&["crds"], &[]).await;
    assert_eq!(code, 0);
    let documents: Vec<&str> = output.split("---\n").filter(|text| !text.trim().is_empty()).collect();
    let ai = ["AIGatewayRoute", "AIServiceBackend", "BackendSecurityPolicy", "GatewayConfig", "QuotaPolicy"];
    let own = ["Consumer", "Budget", "PriceList"];
    for kind in ai.iter().chain(&own) {
        let named = |text: &&&str| {
            text.contains(&format!("kind: {kind}\n")) && text.contains("kind: CustomResourceDefinition")
        };
        assert_eq!(documents.iter().filter(named).count(), 1, "{kind}");
    }
    assert_eq!(documents.len(), ai.len() + own.len());
}

#[tokio::test]
async fn starts_that_are_refused_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, "kind: {").unwrap();
    let broken = broken.to_str().unwrap();
    let run = ["run", "--listen", "127.0.0.1:0"];
    let azure = ("AZURE_OPENAI_API_KEY", "k");
    #[rustfmt::skip]
    let cases: [(Words<'_>, Variables<'_>, i32, Words<'_>); 8] = [
        // arguments                            variables                  code  words
        (&["--admin", "127.0.0.1:0", "-f", broken], &[],                      1, &["broken.yaml", "nothing in"]),
        (&["--admin", "127.0.0.1:0", "-f", "nowhere.yaml"], &[],              1, &["nowhere.yaml", "nothing in"]),
        (&["--admin", "0.0.0.0:0"],             &[],                          1, &["--admin 0.0.0.0:0", "TOLLGATE_ADMIN_TOKEN"]),
        (&["--admin", "127.0.0.1:0"],           &[azure],                     1, &["AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"]),
        (&["--admin", "127.0.0.1:0"],           &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://x")], 1, &["OPENAI_BASE_URL", "ftp://x"]),
        (&["--admim", "127.0.0.1:0"],           &[],                          2, &["--admim", "--admin"]),
        (&["--max-running", "0"],               &[],                          2, &["--max-running"]),
        (&["--access-log", "/nowhere/at/all"],  &[],                          1, &["--access-log /nowhere/at/all"]),
    ];
    for (arguments, variables, code, words) in cases {
        let arguments: Vec<&str> = run.iter().chain(arguments).copied().collect();
        let (got, output) = Process::run(&arguments, variables).await;
        assert_eq!(got, code, "{arguments:?}: {output}");
        for word in words {
            assert!(output.contains(word), "{word}: {output}");
        }
    }
}

#[tokio::test]
async fn the_admin_api_asks_for_its_token_off_loopback() {
    let token = "let-me-in";
    let mut process = Process::start(
        &["run", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"],
        &[("TOLLGATE_ADMIN_TOKEN", token)],
    );
    process.announced("clients on ").await; // Until then it is not ready.
    let url = process.announced("admin on ").await.replace("0.0.0.0", "127.0.0.1");
    let admin = rust::Client::new(&url);
    let with = |token: &str| Ask::get("/v1/status").header("authorization", &format!("Bearer {token}"));
    admin.send(&Ask::get("/v1/status")).await.expect(401);
    admin.send(&Ask::get("/metrics")).await.expect(401);
    admin.send(&with("let-me-im")).await.expect(401);
    admin.send(&with("let-me")).await.expect(401);
    admin.send(&with(token)).await.expect(200);
    admin.send(&Ask::get("/healthz")).await.expect(200);
    admin.send(&Ask::get("/readyz")).await.expect(200);
    assert!(!process.output().contains(token));
}

#[tokio::test]
async fn the_admin_api_says_what_it_has() {
    let gateway = Gateway::start(GATEWAY).await;
    for path in ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/ledger", "/openapi.json"] {
        gateway.admin.send(&Ask::get(path)).await.expect(200);
        let index = gateway.admin.send(&Ask::get("/")).await.expect(200);
        assert!(index.text().contains(path), "{path}");
        let described = gateway.shown("/openapi.json").await;
        assert!(described["paths"][path]["get"].is_object(), "{path}");
        gateway.admin.send(&Ask::post(path, "")).await.expect(405);
    }
    gateway.admin.send(&Ask::get("/v1/nothing")).await.expect(404);
    let status = gateway.shown("/v1/status").await;
    assert_eq!(status["config"]["revision"], 1, "{status}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

/// Requests all the time, while the file is edited again and again: none fails.
#[tokio::test]
async fn edits_take_effect_while_requests_go_on() {
    let simulator = Simulator::start(&[]).await;
    let gateway = Gateway::start(&manifest(&simulator, "first")).await;
    let going_on = Arc::new(AtomicBool::new(true));
    let served = Arc::new(AtomicU64::new(0));
    let clients = [false, true].map(|streamed| {
        let (going_on, served, client) = (Arc::clone(&going_on), Arc::clone(&served), gateway.client);
        tokio::spawn(async move {
            while going_on.load(Ordering::Relaxed) {
                let answer = client.send(&Ask::chat("model").with("stream", streamed)).await;
                assert!(answer.status == 200 && !answer.cut, "{answer:?}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for called in ["second", "third", "fourth"] {
        fs::write(gateway.file(), manifest(&simulator, called)).unwrap();
        until(called, async || (simulator.asked(called).await > 0).then_some(())).await;
    }
    // As editors save: a new file in the place of the old.
    let aside = gateway.folder.path().join("manifest.yaml.new");
    fs::write(&aside, manifest(&simulator, "renamed")).unwrap();
    fs::rename(&aside, gateway.file()).unwrap();
    until("renamed", async || (simulator.asked("renamed").await > 0).then_some(())).await;
    going_on.store(false, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(served.load(Ordering::Relaxed) > 50, "too few to tell");
}

/// What is written in pieces takes effect as a whole: the half states in between never serve, although every one of
/// them would load, and although others keep writing into the same folder.
#[tokio::test]
async fn a_file_is_not_taken_half_written() {
    let first = GATEWAY.to_owned() + &openai("one", "127.0.0.1:1");
    let gateway = Gateway::start(&first).await;
    let revision = async || gateway.shown("/v1/status").await["config"]["revision"].as_u64().unwrap();
    for attempt in 1..=10 {
        let before = revision().await;
        let mut file = fs::File::create(gateway.file()).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        for piece in 1..=20 {
            tokio::time::sleep(Duration::from_millis(10)).await; // The pace of a slow writer.
            let name = format!("r-{attempt}-{piece}");
            file.write_all(route(&name, "", &rule(&name, "{name: one}", "")).as_bytes()).unwrap();
            fs::write(gateway.folder.path().join("noise.log"), &name).unwrap();
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        let whole = format!("r-{attempt}-20");
        until("all of the file", async || {
            let listed = gateway.send(&Ask::get("/v1/models")).await;
            listed.text().contains(&whole).then_some(())
        })
        .await;
        // A machine on which this test itself could not write at its pace has shown nothing.
        if longest < Duration::from_millis(50) {
            assert_eq!(revision().await, before + 1, "{longest:?}");
            return;
        }
    }
    panic!("this machine is too busy to write at a pace");
}

/// A folder that is moved away takes nothing with it, and is followed again when it, or another, has its name.
#[tokio::test]
async fn a_watched_folder_may_be_moved_and_replaced() {
    let simulator = Simulator::start(&[]).await;
    let above = tempfile::tempdir().unwrap();
    let (folder, aside) = (above.path().join("conf"), above.path().join("aside"));
    let fill = |folder: &Path, model: &str| {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a.yaml"), GATEWAY.to_owned() + &openai("one", &simulator.address())).unwrap();
        fs::write(folder.join("b.yaml"), route("b", "", &rule(model, "{name: one}", ""))).unwrap();
    };
    fill(&folder, "first");
    let path = folder.to_str().unwrap();
    let gateway = Gateway::with(Settings { arguments: &["-f", path], ..Settings::default() }).await;
    let listed = async |model: &str| {
        until(model, async || {
            let listed = gateway.send(&Ask::get("/v1/models")).await;
            listed.text().contains(model).then_some(())
        })
        .await;
    };
    listed("first").await;

    fs::rename(&folder, &aside).unwrap();
    problems_counted(&gateway, |count| count == 1).await;
    gateway.send(&Ask::chat("first")).await.expect(200);
    fs::write(aside.join("b.yaml"), route("b", "", &rule("second", "{name: one}", ""))).unwrap();
    fs::rename(&aside, &folder).unwrap();
    listed("second").await;
    problems_counted(&gateway, |count| count == 0).await;

    fs::remove_dir_all(&folder).unwrap();
    problems_counted(&gateway, |count| count == 1).await;
    gateway.send(&Ask::chat("second")).await.expect(200);
    fill(&folder, "third");
    listed("third").await;

    // Replaced at once, so that its name is never seen missing.
    fill(&aside, "third");
    fs::rename(&folder, above.path().join("old")).unwrap();
    fs::rename(&aside, &folder).unwrap();
    fs::write(folder.join("b.yaml"), route("b", "", &rule("fourth", "{name: one}", ""))).unwrap();
    listed("fourth").await;
    fs::remove_dir_all(above.path().join("old")).unwrap();
    fs::write(folder.join("b.yaml"), route("b", "", &rule("fifth", "{name: one}", ""))).unwrap();
    listed("fifth").await;
}

/// A request keeps the configuration that it began with.
#[tokio::test]
async fn an_edit_does_not_touch_running_answers() {
    let simulator = Simulator::start(&[]).await;
    let gateway = Gateway::start(&manifest(&simulator, "before")).await;
    let slow = Ask::chat("model").streamed().simulate("tokens=200,slow=10ms");
    let mut flowing = gateway.client.open(&slow).await;
    flowing.piece().await.unwrap().unwrap();
    fs::write(gateway.file(), GATEWAY).unwrap(); // Route, backend and key: all gone.
    until("the route to be gone", async || {
        (gateway.send(&Ask::chat("model")).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(simulator.model("before").await["open_streams"], 1, "it still runs");
    let answer = flowing.rest().await;
    assert!(!answer.cut && answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
    let produced = simulator.model("before").await;
    let row = gateway.booked("model", produced["requests"].as_u64().unwrap()).await;
    assert_eq!(row["usage"]["output"], produced["output_tokens"], "{row}");
    assert_eq!(row["estimated_requests"], 0, "{row}");
}

#[tokio::test]
async fn what_is_broken_by_an_edit_keeps_serving_as_it_was() {
    let simulator = Simulator::start(&[]).await;
    let good = |called: &str| manifest(&simulator, called);
    let gateway = Gateway::start(&good("good-0")).await;
    assert_eq!(problems(&gateway).await, Vec::<Value>::new());
    #[rustfmt::skip]
    let cases = [
        // what is written in place of what                             resource in the problem          field or word
        ("  rules:",               "  rules: [}",                       "",                              "", "bad syntax"),
        ("  rules:",               "  rulez: 1\n  rules:",              "AIGatewayRoute default/all",    "rulez", "an unknown field"),
        ("backendRefs: [{name: one", "backendRefs: [{name: absent",     "AIGatewayRoute default/all",    "backendRefs", "a dangling reference"),
        ("schema: {name: OpenAI}", "schema: {name: Acme}",              "AIServiceBackend default/one",  "schema", "an unknown schema"),
        ("secretRef: {name: one}", "secretRef: {name: absent}",         "BackendSecurityPolicy default/one", "secretRef", "a missing Secret"),
    ];
    for (index, (before, after, resource, field, why)) in cases.into_iter().enumerate() {
        let now = format!("good-{index}");
        fs::write(gateway.file(), good("never").replace(before, after)).unwrap();
        let found = until(why, async || {
            let found = problems(&gateway).await;
            (!found.is_empty()).then_some(found)
        })
        .await;
        let named = |one: &&Value| {
            let has = |name: &str, word: &str| one[name].as_str().unwrap().contains(word);
            has("resource", resource) && has("field", field)
        };
        let problem = found.iter().find(named).unwrap_or_else(|| panic!("{why}: {found:?}"));
        assert_eq!(problem["severity"], "rejected", "{why}");
        assert!(problem["at"]["file"].as_str().unwrap().ends_with("manifest.yaml"), "{problem}");
        assert!(problem["at"]["line"].as_u64().unwrap() > 0, "{problem}");
        problems_counted(&gateway, |count| count > 0).await;
        for _ in 0..5 {
            gateway.send(&Ask::chat("model")).await.expect(200);
            let body = simulator.last_request().await["body"].take();
            let said = format!("{why}: {body}");
            if why == "an unknown schema" || why == "a missing Secret" {
                continue; // The route itself is good, and new.
            }
            assert!(body.as_str().unwrap().contains(&now), "{said}");
        }
        fs::write(gateway.file(), good(&format!("good-{}", index + 1))).unwrap();
        arrives_as(&gateway, &simulator, &format!("good-{}", index + 1)).await;
        assert_eq!(problems(&gateway).await, Vec::<Value>::new(), "{why}");
        problems_counted(&gateway, |count| count == 0).await;
    }
}

#[tokio::test]
async fn files_come_and_go_in_a_watched_folder() {
    let simulator = Simulator::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", &(GATEWAY.to_owned() + &openai("one", &simulator.address())));
    write("b.yaml", &route("b", "", &rule("model-b", "{name: one}", "")));
    write("broken.yaml", "kind: [");
    write("notes.txt", "kind: [");
    let path = folder.path().to_str().unwrap();
    let gateway = Gateway::with(Settings { arguments: &["-f", path], ..Settings::default() }).await;
    gateway.send(&Ask::chat("model-b")).await.expect(200);
    let found = problems(&gateway).await;
    assert!(found.len() == 1 && found[0].to_string().contains("broken.yaml"), "{found:?}");

    let answers = async |model: &str, status: u16| {
        until(&format!("{model} to be {status}"), async || {
            (gateway.send(&Ask::chat(model)).await.status == status).then_some(())
        })
        .await;
    };
    write("c.yaml", &route("c", "", &rule("model-c", "{name: one}", "")));
    answers("model-c", 200).await;
    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    answers("model-b", 404).await;
    gateway.send(&Ask::chat("model-c")).await.expect(200);
    fs::remove_file(folder.path().join("broken.yaml")).unwrap();
    problems_counted(&gateway, |count| count == 0).await;
}

#[tokio::test]
async fn variables_come_from_the_environment() {
    let simulator = Simulator::start(&[]).await;
    let text = manifest(&simulator, "${CALLED:-by-default}").replace("key-of-the-backend", "${KEY}");
    for (variables, called) in
        [(vec![("KEY", "k-1")], "by-default"), (vec![("KEY", "k-2"), ("CALLED", "as-told")], "as-told")]
    {
        let gateway =
            Gateway::with(Settings { manifest: &text, variables: &variables, ..Settings::default() }).await;
        arrives_as(&gateway, &simulator, called).await;
        let authorization = simulator.last_request().await["headers"]["authorization"].take();
        assert_eq!(authorization, format!("Bearer {}", variables[0].1));
    }
}

#[tokio::test]
async fn keys_in_the_environment_make_routes() {
    let simulator = Simulator::start(&[]).await;
    let base = format!("http://{}", simulator.address());
    let with_version = format!("{base}/v1");
    let openai = [
        ("OPENAI_API_KEY", "k-openai"),
        ("OPENAI_BASE_URL", &with_version),
        ("OPENAI_ORG_ID", "org-1"),
        ("OPENAI_PROJECT_ID", "proj-1"),
    ];
    let anthropic = [("ANTHROPIC_API_KEY", "k-anthropic"), ("ANTHROPIC_BASE_URL", &base)];
    let azure = [
        ("AZURE_OPENAI_ENDPOINT", &*base),
        ("AZURE_OPENAI_API_KEY", "k-azure"),
        ("OPENAI_API_VERSION", "2025-01-01-preview"),
    ];
    let openai_path = "/v1/chat/completions";
    let azure_path = "/openai/deployments/any/chat/completions";
    let demo = ("tollgate-demo", None, "");
    #[rustfmt::skip]
    let cases: [(Environment<'_>, Vec<Expected<'_>>); 5] = [
        // variables                           model, path at the provider, its key
        (vec![],                               vec![demo]),
        (openai.to_vec(),                      vec![("any", Some(openai_path), "k-openai"), ("claude-x", Some(openai_path), "k-openai"), demo]),
        (anthropic.to_vec(),                   vec![("any", Some("/v1/messages"), "k-anthropic"), ("claude-x", Some("/v1/messages"), "k-anthropic"), demo]),
        (azure.to_vec(),                       vec![("any", Some(azure_path), "k-azure"), demo]),
        ([&openai[..], &anthropic, &azure].concat(), vec![("any", Some(openai_path), "k-openai"), ("claude-x", Some("/v1/messages"), "k-anthropic"), demo]),
    ];
    for (variables, models) in cases {
        let gateway = Gateway::with(Settings { variables: &variables, ..Settings::default() }).await;
        for (model, path, key) in models {
            gateway.send(&Ask::chat(model)).await.expect(200);
            gateway.send(&Ask::messages(model).streamed()).await.expect(200);
            let Some(path) = path else { continue };
            let request = simulator.last_request().await;
            assert_eq!(request["path"], path, "{variables:?}");
            assert!(request["headers"].to_string().contains(key), "{request}");
            let organisation = if key == "k-openai" { "org-1".into() } else { Value::Null };
            assert_eq!(request["headers"]["openai-organization"], organisation);
        }
        if variables.is_empty() {
            gateway.send(&Ask::chat("any")).await.expect(404);
        }
    }
}
