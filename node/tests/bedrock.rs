//! Models at Amazon Bedrock: Converse and Claude in its own words for every kind of client, signed, and the keys that sign.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, backend, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

const NOVA: &str = "us.amazon.nova-pro-v1:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const GPT: &str = "openai.gpt-oss-120b-1:0";
const KEY: &str = "AKIATEST:a+secret/that=signs";

/// Who signs: keys in a Secret, or what the node finds; `fields` are further ones of the policy.
fn manifest(simulator: &Simulator, credentials: &str, fields: &str) -> String {
    let address = simulator.address();
    let (id, secret) = KEY.split_once(':').unwrap();
    GATEWAY.to_owned()
        + &backend("converse", "{name: AWSBedrock}", &address)
        + &backend("claude", "{name: AWSAnthropic}", &address)
        + &backend("openai", "{name: AWSOpenAI}", &address)
        + &route(
            "all",
            "",
            &(rule(NOVA, "{name: converse}", "")
                + &rule(CLAUDE, "{name: claude}", "")
                + &rule(GPT, "{name: openai}", "")),
        )
        + &format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData:\n  credentials: |\n    [default]\n    \
             aws_access_key_id = {id}\n    aws_secret_access_key = {secret}\n---\n\
             apiVersion: aigateway.envoyproxy.io/v1beta1\nkind: BackendSecurityPolicy\nmetadata: {{name: amazon}}\nspec:\n  \
             type: AWSCredentials\n  awsCredentials: {{region: us-east-1{credentials}}}\n{fields}  targetRefs:\n  \
             - {{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: converse}}\n  \
             - {{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: claude}}\n  \
             - {{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: openai}}\n"
        )
}

const FROM_SECRET: &str = ", credentialsFile: {secretRef: {name: keys}}";

/// The text of an answer to any client, and how many tokens it says that it took.
fn read(answer: &Answer) -> (String, u64) {
    let pieces = if answer.header("content-type").unwrap().starts_with("application/json") {
        vec![answer.json()]
    } else {
        answer.events().iter().map(rust::client::Event::json).collect()
    };
    let texts = [
        "/choices/0/message/content",
        "/choices/0/delta/content",
        "/content/0/text",
        "/delta/text",
        "/candidates/0/content/parts/0/text",
    ];
    let counts = ["/usage/completion_tokens", "/usage/output_tokens", "/usageMetadata/candidatesTokenCount"];
    let mut text = String::new();
    let mut output = 0;
    for piece in &pieces {
        text.extend(texts.iter().filter_map(|pointer| piece.pointer(pointer)?.as_str()));
        let said = counts.iter().filter_map(|pointer| piece.pointer(pointer)?.as_u64());
        output = said.max().unwrap_or(output);
    }
    (text, output)
}

fn generate(model: &str, stream: bool) -> Ask {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "How much is the fish?"}]}]});
    Ask::post(&format!("/v1beta/models/{model}:{verb}"), contents.to_string())
}

#[tokio::test]
async fn every_client_is_served_and_every_request_is_signed() {
    let simulator = Simulator::start(&["--aws-key", KEY]).await;
    let gateway = Gateway::start(&manifest(&simulator, FROM_SECRET, "")).await;
    for (model, operations) in
        [(NOVA, ["converse", "converse-stream"]), (CLAUDE, ["invoke", "invoke-with-response-stream"])]
    {
        let mut sent = 0;
        for (stream, operation) in [false, true].into_iter().zip(operations) {
            let chat = Ask::chat(model).with("stream", stream).showing_usage();
            for ask in [chat, Ask::messages(model).with("stream", stream), generate(model, stream)] {
                let answer = gateway.send(&ask).await.expect(200);
                let (text, output) = read(&answer);
                assert!(text.len() > 20 && output == 20, "{model} {}: {output} of {text}", ask.path);
                let request = simulator.last_request().await;
                let path = request["path"].as_str().unwrap();
                assert!(path.starts_with("/model/") && path.ends_with(&format!("/{operation}")), "{path}");
                sent += 1;
            }
        }
        let row = gateway.booked(model, sent).await;
        let counted = simulator.model(model).await;
        for (ours, theirs) in [("output", "output_tokens"), ("input", "input_tokens")] {
            assert_eq!(row["usage"][ours], counted[theirs], "{model}: {row} {counted}");
        }
        assert_eq!(row["requests"], counted["requests"], "{model}: {row} {counted}");
    }
}

#[tokio::test]
async fn failures_are_told_in_the_clients_words() {
    let simulator = Simulator::start(&["--aws-key", KEY]).await;
    let gateway = Gateway::start(&manifest(&simulator, FROM_SECRET, "")).await;
    for model in [NOVA, CLAUDE] {
        for (script, status, chat, messages) in [
            ("429", 429, "rate_limit_exceeded", "rate_limit_error"),
            ("400", 400, "", "invalid_request_error"),
            ("404", 404, "", "not_found_error"),
        ] {
            let answer = gateway.send(&Ask::chat(model).simulate(script)).await.expect(status);
            let error = answer.json()["error"].take();
            assert!(error["message"].as_str().unwrap().contains("simulated"), "{model}: {error}");
            assert!(chat.is_empty() || error["code"] == chat, "{model}: {error}");
            let answer = gateway.send(&Ask::messages(model).simulate(script)).await.expect(status);
            assert_eq!(answer.json()["error"]["type"], messages, "{model}");
        }
        // In the stream: an exception is told, and a connection that breaks is no end.
        let streamed = gateway.send(&Ask::messages(model).streamed().simulate("error@3")).await.expect(200);
        let last = streamed.events().last().unwrap().json();
        assert_eq!(last["error"]["type"], "overloaded_error", "{model}: {last}");
        for script in ["reset@3", "cut@3", "garbage@3"] {
            let broken = gateway.send(&Ask::chat(model).streamed().simulate(script)).await;
            let text = String::from_utf8_lossy(&broken.body).into_owned();
            let whole = !broken.cut && text.contains("[DONE]") && !text.contains("\"error\"");
            assert!(!whole, "{model} {script}: {text}");
        }
    }
}

#[tokio::test]
async fn tools_are_called() {
    let simulator = Simulator::start(&["--aws-key", KEY]).await;
    let gateway = Gateway::start(&manifest(&simulator, FROM_SECRET, "")).await;
    let schema = json!({"type": "object", "required": ["fish"], "properties": {"fish": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {"name": "price", "parameters": schema}});
    for model in [NOVA, CLAUDE] {
        let ask = Ask::chat(model).with("tools", json!([tool])).with("tool_choice", "required");
        let answer = gateway.send(&ask).await.expect(200);
        let message = answer.json()["choices"][0]["message"].clone();
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"fish":"example"}"#, "{message}");
        let id = message["tool_calls"][0]["id"].clone();
        let messages = json!([
            {"role": "user", "content": "How much is the fish?"},
            message,
            {"role": "tool", "tool_call_id": id, "content": "9.99"},
        ]);
        let ask = Ask::chat(model).with("messages", messages).with("tools", json!([tool]));
        let (text, _) = read(&gateway.send(&ask).await.expect(200));
        assert!(!text.is_empty());
    }
}

#[tokio::test]
async fn callers_may_bring_their_own_keys() {
    let simulator = Simulator::start(&["--aws-key", "AKIACALLER:theirs"]).await;
    let fields = "  credentialOverride: {fromRequestHeaders: {}}\n";
    let gateway = Gateway::start(&manifest(&simulator, FROM_SECRET, fields)).await;
    let ask = Ask::chat(NOVA)
        .header("x-aigw-aws-access-key-id", "AKIACALLER")
        .header("x-aigw-aws-secret-access-key", "theirs");
    gateway.send(&ask).await.expect(200);
    let headers = simulator.last_request().await["headers"].take();
    let kept = headers.as_object().unwrap().keys().find(|name| name.starts_with("x-aigw-"));
    assert_eq!(kept, None, "{headers}");
    assert!(headers["authorization"].as_str().unwrap().contains("Credential=AKIACALLER/"), "{headers}");
    // With the gateway's own keys the provider refuses.
    gateway.send(&Ask::chat(NOVA)).await.expect(403);
}

/// A container's endpoint for keys: each answer names another key, which is good for two minutes.
struct Keys {
    url: String,
    given: Arc<AtomicU64>,
    denies: Arc<AtomicBool>,
}

async fn keys(life_s: i64) -> Keys {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (given, denies) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counter, refuses) = (Arc::clone(&given), Arc::clone(&denies));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
            let (status, body) = if refuses.load(Ordering::SeqCst) {
                ("500 Internal Server Error", "no keys today".to_owned())
            } else {
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(life_s);
                let keys: Value = json!({
                    "AccessKeyId": format!("ASIA{number}"), "SecretAccessKey": "s", "Token": "t",
                    "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                });
                ("200 OK", keys.to_string())
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _it_may_be_gone = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    Keys { url, given, denies }
}

#[tokio::test]
async fn keys_that_the_node_finds_are_renewed_and_never_used_late() {
    let simulator = Simulator::start(&[]).await;
    // Usable for five seconds, and renewed from half their life on.
    let keys = keys(20).await;
    let manifest = manifest(&simulator, "", "");
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.url.as_str()), ("HOME", "/nonexistent")];
    let settings = Settings { manifest: &manifest, arguments: &[], variables: &variables };
    let gateway = Gateway::with(settings).await;
    gateway.send(&Ask::chat(NOVA)).await.expect(200);
    let headers = simulator.last_request().await["headers"].take();
    assert!(headers["authorization"].as_str().unwrap().contains("Credential=ASIA1/"), "{headers}");
    assert_eq!(headers["x-amz-security-token"], "t");
    keys.denies.store(true, Ordering::SeqCst);
    let refused = until("a request without keys that are good", async || {
        let answer = gateway.send(&Ask::messages(CLAUDE)).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert_eq!(refused.json()["type"], "error");
    let asked = simulator.total().await["requests"].clone();
    gateway.send(&Ask::chat(NOVA)).await.expect(502);
    assert_eq!(simulator.total().await["requests"], asked, "nothing was sent");
    assert!(gateway.process.output().contains("no keys today"), "the log says why");
    keys.denies.store(false, Ordering::SeqCst);
    until("new keys", async || (gateway.send(&Ask::chat(NOVA)).await.status == 200).then_some(())).await;
    assert!(keys.given.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn openais_own_api_at_bedrock_is_signed_too() {
    let simulator = Simulator::start(&["--aws-key", KEY]).await;
    let gateway = Gateway::start(&manifest(&simulator, FROM_SECRET, "")).await;
    let respond =
        Ask::post("/v1/responses", json!({"model": GPT, "input": "How much is the fish?"}).to_string());
    for (ask, path) in [
        (Ask::chat(GPT), "/openai/v1/chat/completions"),
        (Ask::messages(GPT).streamed(), "/openai/v1/chat/completions"),
        (respond, "/openai/v1/responses"),
    ] {
        gateway.send(&ask).await.expect(200);
        assert_eq!(simulator.last_request().await["path"], path);
    }
    let embed = Ask::post("/v1/embeddings", json!({"model": GPT, "input": "x"}).to_string());
    let refused = gateway.send(&embed).await.expect(422);
    assert!(refused.text().contains("AWSOpenAI"), "{refused:?}");
    let row = gateway.booked(GPT, 3).await;
    assert_eq!(row["usage"]["output"], simulator.model(GPT).await["output_tokens"]);
}
