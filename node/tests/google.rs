//! Models at Google Cloud: Gemini and Claude for every kind of client, Gemini's own clients with every kind of backend, and
//! the access tokens that it takes.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use rust::gateway::Settings;
use rust::google::{TokenEndpoint, backends};
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

const GEMINI: &str = "gemini-3-pro-preview";
const CLAUDE: &str = "claude-sonnet-4-5@20250929";
const HOUR: u64 = 3_600;
/// Longer than an answer takes, shorter than a wait for a token.
const HURRY: Duration = Duration::from_millis(300);

struct Bed {
    simulator: Simulator,
    tokens: TokenEndpoint,
    gateway: Gateway,
}

/// `fields` are further ones of the policy, `rules` further ones of the route.
async fn bed(expires_in: u64, fields: &str, rules: &str) -> Bed {
    let simulator = Simulator::start(&[]).await;
    let tokens = TokenEndpoint::start(expires_in).await;
    let address = simulator.address();
    let of_google = rule(GEMINI, "{name: gemini}", "") + &rule(CLAUDE, "{name: claude}", "");
    let of_others = rule("gpt", "{name: openai}", "") + &rule("sonnet", "{name: anthropic}", "");
    let manifest = GATEWAY.to_owned()
        + &backends(&address)
        + &tokens.policy(&["gemini", "claude"], fields)
        + &openai("openai", &address)
        + &anthropic("anthropic", &address)
        + &route("all", "", &(of_google + &of_others + rules));
    let gateway = Gateway::start(&manifest).await;
    Bed { simulator, tokens, gateway }
}

/// A Gemini client's question.
fn generate(model: &str, stream: bool) -> Ask {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "How much is the fish?"}]}]});
    Ask::post(&format!("/v1beta/models/{model}:{verb}"), contents.to_string())
}

/// The text of an answer to any client, and how many tokens it says that it took.
fn read(answer: &Answer) -> (String, u64) {
    let whole = answer.header("content-type").unwrap().starts_with("application/json");
    let pieces = if whole {
        vec![answer.json()]
    } else {
        answer.events().iter().map(rust::client::Event::json).collect()
    };
    let mut text = String::new();
    let mut output = 0;
    for piece in &pieces {
        let pointers = [
            "/choices/0/message/content",
            "/choices/0/delta/content",
            "/content/0/text",
            "/delta/text",
            "/candidates/0/content/parts/0/text",
        ];
        text.extend(pointers.iter().filter_map(|pointer| piece.pointer(pointer)?.as_str()));
        let pointers =
            ["/usage/completion_tokens", "/usage/output_tokens", "/usageMetadata/candidatesTokenCount"];
        output =
            pointers.iter().filter_map(|pointer| piece.pointer(pointer)?.as_u64()).max().unwrap_or(output);
    }
    (text, output)
}

#[tokio::test]
async fn every_client_is_served_by_every_backend() {
    let Bed { simulator, tokens, gateway } = bed(HOUR, "", "").await;
    let google = "/v1/projects/a-project/locations/us-central1/publishers";
    #[rustfmt::skip]
    let models = [
        // model  path at the backend, streamed or not
        (GEMINI,   format!("{google}/google/models/{GEMINI}:generateContent"), format!("{google}/google/models/{GEMINI}:streamGenerateContent")),
        (CLAUDE,   format!("{google}/anthropic/models/{CLAUDE}:rawPredict"),   format!("{google}/anthropic/models/{CLAUDE}:streamRawPredict")),
        ("gpt",    "/v1/chat/completions".to_owned(),                          "/v1/chat/completions".to_owned()),
        ("sonnet", "/v1/messages".to_owned(),                                  "/v1/messages".to_owned()),
    ];
    for (model, whole, streamed) in models {
        let mut sent = 0;
        for stream in [false, true] {
            let chat = Ask::chat(model).with("stream", stream).showing_usage();
            let clients = [chat, Ask::messages(model).with("stream", stream), generate(model, stream)];
            for ask in clients {
                let answer = gateway.send(&ask).await.expect(200);
                let (text, output) = read(&answer);
                assert!(text.len() > 20 && output == 20, "{model} {}: {output} of {text}", ask.path);
                let request = simulator.last_request().await;
                assert_eq!(request["path"], if stream { &*streamed } else { &*whole }, "{}", ask.path);
                if [GEMINI, CLAUDE].contains(&model) {
                    assert_eq!(request["headers"]["authorization"], "Bearer token-1");
                }
                sent += 1;
            }
        }
        let row = gateway.booked(model, sent).await;
        let counted = simulator.model(model).await;
        assert_eq!(row["requests"], counted["requests"], "{model}: {row} {counted}");
        assert_eq!(row["usage"]["output"], counted["output_tokens"], "{model}: {row} {counted}");
        assert_eq!(row["usage"]["input"], counted["input_tokens"], "{model}: {row} {counted}");
    }
    let count = Ask::post(
        "/v1/messages/count_tokens",
        json!({"messages": [{"role": "user", "content": "x"}]}).to_string(),
    );
    let answer = gateway.send(&count.with("model", CLAUDE)).await.expect(200).json();
    assert!(answer["input_tokens"].as_u64() > Some(0), "{answer}");
    let request = simulator.last_request().await;
    assert_eq!(request["path"], format!("{google}/anthropic/models/count-tokens:rawPredict"));
    assert_eq!(tokens.given(), 1);
}

#[tokio::test]
async fn tools_are_called_with_and_without_what_was_signed() {
    let Bed { simulator: _running, tokens: _given, gateway } = bed(HOUR, "", "").await;
    let schema = json!({"type": "object", "required": ["fish"], "properties": {"fish": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {"name": "price", "parameters": schema}});
    for stream in [false, true] {
        let ask = Ask::chat(GEMINI).with("tools", json!([tool])).with("tool_choice", "required");
        let answer = gateway.send(&ask.with("stream", stream)).await.expect(200);
        let message = if stream { joined(&answer) } else { answer.json()["choices"][0]["message"].clone() };
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"fish":"example"}"#, "{message}");
        assert!(message["thinking_blocks"][0]["signature"].as_str().unwrap().starts_with("google:"));
        let mut forgetful = message.clone();
        forgetful.as_object_mut().unwrap().remove("thinking_blocks");
        // The simulator refuses calls that come back with another's signature, or none.
        for said in [message, forgetful] {
            let id = said["tool_calls"][0]["id"].clone();
            let messages = json!([
                {"role": "user", "content": "How much is the fish?"},
                said,
                {"role": "tool", "tool_call_id": id, "content": "9.99"},
            ]);
            let ask = Ask::chat(GEMINI).with("messages", messages).with("tools", json!([tool]));
            let (text, _) = read(&gateway.send(&ask).await.expect(200));
            assert!(!text.is_empty());
        }
    }
}

/// What an OpenAI client makes of a stream.
fn joined(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": null});
    for event in answer.events() {
        let delta = event.json()["choices"][0]["delta"].clone();
        if delta["thinking_blocks"].is_array() {
            message["thinking_blocks"] = delta["thinking_blocks"].clone();
        }
        let Some(call) = delta["tool_calls"].get(0) else { continue };
        if call["id"].is_string() {
            message["tool_calls"] = json!([call]);
        } else {
            let so_far = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned();
            let more = call["function"]["arguments"].as_str().unwrap();
            message["tool_calls"][0]["function"]["arguments"] = json!(so_far + more);
        }
    }
    message
}

#[tokio::test]
async fn gemini_clients_are_refused_in_googles_words() {
    let Bed { simulator: _running, tokens: _given, gateway } = bed(HOUR, "", "").await;
    let array =
        Ask { path: format!("/v1beta/models/{GEMINI}:streamGenerateContent"), ..generate(GEMINI, true) };
    let broken = Ask::post(&format!("/v1beta/models/{GEMINI}:generateContent"), "{");
    let untranslatable = generate("gpt", false).with("cachedContent", "c");
    #[rustfmt::skip]
    let cases = [
        // ask                                              code status               word
        (generate("nobody", false),                         404, "NOT_FOUND",         "nobody"),
        (array,                                             400, "INVALID_ARGUMENT",  "alt=sse"),
        (broken,                                            400, "INVALID_ARGUMENT",  "JSON"),
        (untranslatable,                                    422, "INVALID_ARGUMENT",  "cachedContent"),
        (generate(GEMINI, false).simulate("429"),           429, "RESOURCE_EXHAUSTED", "simulated"),
        (generate("gpt", false).simulate("429"),            429, "RESOURCE_EXHAUSTED", "simulated"),
        (Ask::get("/v1beta/models/nobody"),                 404, "NOT_FOUND",         "nobody"),
    ];
    for (ask, code, status, word) in cases {
        let answer = gateway.send(&ask).await.expect(code);
        let error = answer.json()["error"].take();
        assert_eq!(
            (&error["code"], &error["status"]),
            (&json!(code), &json!(status)),
            "{}: {error}",
            ask.path
        );
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let listed = gateway.send(&Ask::get("/v1beta/models")).await.expect(200).json();
    let names: Vec<_> = listed["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert!(names.contains(&&json!(format!("models/{GEMINI}"))), "{listed}");
    let streamed = gateway.send(&generate(GEMINI, true).simulate("error@3")).await.expect(200);
    let last = streamed.events().last().unwrap().json();
    assert_eq!(last["error"]["status"], "UNAVAILABLE", "{last}");
}

#[tokio::test]
async fn tokens_are_renewed_in_the_background_one_at_a_time() {
    let Bed { simulator, tokens, gateway } = bed(2, "", "").await;
    // Nobody asks anything meanwhile.
    until("a third token", async || (tokens.given() >= 3).then_some(())).await;
    tokens.hold(true);
    until("the next exchange", async || (tokens.waiting() > 0).then_some(())).await;
    let before = tokens.given();
    // The token that there is expires meanwhile: then everybody waits, and nobody asks for another one.
    until("requests that find no valid token", async || {
        let ask = Ask::chat(GEMINI);
        let hurried = || tokio::time::timeout(HURRY, gateway.send(&ask));
        let waits = futures_util::future::join_all((0..5).map(|_| hurried())).await;
        waits.iter().all(Result::is_err).then_some(())
    })
    .await;
    assert_eq!((tokens.waiting(), tokens.given()), (1, before));
    tokens.hold(false);
    gateway.send(&Ask::chat(GEMINI)).await.expect(200);
    let used = simulator.last_request().await["headers"]["authorization"].clone();
    let number: u64 = used.as_str().unwrap().strip_prefix("Bearer token-").unwrap().parse().unwrap();
    assert!(number > before, "{used}");
}

#[tokio::test]
async fn an_expired_token_is_never_used() {
    let elsewhere = rule("anywhere", "{name: gemini, priority: 0}, {name: openai, priority: 1}", "");
    let Bed { simulator, tokens, gateway } = bed(2, "", &elsewhere).await;
    gateway.send(&Ask::chat(GEMINI)).await.expect(200);
    tokens.deny(true);
    let refused = until("a request without a valid token", async || {
        let answer = gateway.send(&Ask::chat(GEMINI)).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert!(refused.status == 502 && refused.text().contains("access token"), "{refused:?}");
    let asked = simulator.asked(GEMINI).await;
    gateway.send(&Ask::chat(GEMINI)).await.expect(502);
    assert_eq!(simulator.asked(GEMINI).await, asked, "nothing was sent");
    gateway.send(&Ask::chat("anywhere")).await.expect(200);
    assert_eq!(simulator.last_request().await["path"], "/v1/chat/completions", "another backend took it");
    assert!(gateway.process.output().contains("Invalid JWT Signature"), "the log says why");
    tokens.deny(false);
    until("a new token", async || (gateway.send(&Ask::chat(GEMINI)).await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn callers_may_bring_their_own_token() {
    let fields = "  credentialOverride: {fromRequestHeaders: {}}\n";
    let Bed { simulator, tokens: _given, gateway } = bed(HOUR, fields, "").await;
    for model in [GEMINI, CLAUDE] {
        gateway.send(&Ask::chat(model).header("x-aigw-gcp-access-token", "theirs")).await.expect(200);
        let headers = simulator.last_request().await["headers"].take();
        assert_eq!(headers["authorization"], "Bearer theirs");
        assert_eq!(headers.get("x-aigw-gcp-access-token"), None);
        gateway.send(&Ask::chat(model)).await.expect(200);
        assert_eq!(simulator.last_request().await["headers"]["authorization"], "Bearer token-1");
    }
}

/// The machine's metadata server: gives out one token.
async fn metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
            let text = String::from_utf8(read).unwrap().to_lowercase();
            assert!(
                text.starts_with("get /computemetadata/v1/instance/service-accounts/default/token "),
                "{text}"
            );
            assert!(text.contains("metadata-flavor: google"), "{text}");
            let body = r#"{"access_token":"of-the-machine","expires_in":3599,"token_type":"Bearer"}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let _it_may_be_gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    host
}

#[tokio::test]
async fn default_credentials_are_what_the_node_finds() {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &backends(&simulator.address())
        + "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: BackendSecurityPolicy\nmetadata: {name: google}\nspec:\n  \
           type: GCPCredentials\n  gcpCredentials: {projectName: a-project, region: us-central1}\n  \
           targetRefs: [{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: gemini}]\n"
        + &route("all", "", &rule(GEMINI, "{name: gemini}", ""));
    let host = metadata().await;
    let variables = [("GCE_METADATA_HOST", host.as_str())];
    let gateway =
        Gateway::with(Settings { manifest: &manifest, arguments: &[], variables: &variables }).await;
    gateway.send(&Ask::chat(GEMINI)).await.expect(200);
    assert_eq!(simulator.last_request().await["headers"]["authorization"], "Bearer of-the-machine");

    // A key file goes before.
    let tokens = TokenEndpoint::start(HOUR).await;
    let file = tokens.key_file();
    let variables = [
        ("GCE_METADATA_HOST", host.as_str()),
        ("GOOGLE_APPLICATION_CREDENTIALS", file.path().to_str().unwrap()),
    ];
    let gateway =
        Gateway::with(Settings { manifest: &manifest, arguments: &[], variables: &variables }).await;
    gateway.send(&Ask::chat(GEMINI)).await.expect(200);
    assert_eq!(simulator.last_request().await["headers"]["authorization"], "Bearer token-1");
}
