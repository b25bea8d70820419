//! Azure with tokens of Entra: an application's secret is exchanged, and the token is renewed and never used late.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, backend, route, rule};
use rust::{Ask, Gateway, Simulator, until};

/// Entra's token endpoint for one tenant: gives out `token-1`, `token-2`, …, each for three seconds.
struct Entra {
    url: String,
    given: Arc<AtomicU64>,
    denies: Arc<AtomicBool>,
}

impl Entra {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (given, denies) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, refuses) = (Arc::clone(&given), Arc::clone(&denies));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut read = Vec::new();
                while !ends(&read) && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
                let text = String::from_utf8(read).unwrap();
                assert!(text.starts_with("POST /a-tenant/oauth2/v2.0/token "), "{text}");
                for part in [
                    "grant_type=client_credentials&client_id=an-app",
                    "client_secret=s%26cret",
                    "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default",
                ] {
                    assert!(text.contains(part), "{part} in {text}");
                }
                let (status, body) = if refuses.load(Ordering::SeqCst) {
                    ("401 Unauthorized", r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"}"#.to_owned())
                } else {
                    let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                    (
                        "200 OK",
                        format!(
                            r#"{{"token_type":"Bearer","expires_in":3,"access_token":"token-{number}"}}"#
                        ),
                    )
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _it_may_be_gone = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { url, given, denies }
    }
}

/// Whether a request with a form is whole.
fn ends(read: &[u8]) -> bool {
    String::from_utf8_lossy(read)
        .split_once("\r\n\r\n")
        .is_some_and(|(_, form)| form.contains("scope=") && form.ends_with(".default"))
}

fn manifest(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &backend("azure", "{name: AzureOpenAI, version: v1}", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: azure}", ""))
        + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {client-secret: \"s&cret\"}\n---\n\
           apiVersion: aigateway.envoyproxy.io/v1beta1\nkind: BackendSecurityPolicy\nmetadata: {name: azure}\nspec:\n  \
           type: AzureCredentials\n  azureCredentials: {clientID: an-app, tenantID: a-tenant, clientSecretRef: {name: app}}\n  \
           credentialOverride: {fromRequestHeaders: {}}\n  \
           targetRefs: [{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: azure}]\n"
}

#[tokio::test]
async fn an_applications_secret_is_exchanged_for_tokens() {
    let simulator = Simulator::start(&[]).await;
    let entra = Entra::start().await;
    let manifest = manifest(&simulator);
    let variables = [("AZURE_AUTHORITY_HOST", entra.url.as_str())];
    let gateway =
        Gateway::with(Settings { manifest: &manifest, arguments: &[], variables: &variables }).await;
    gateway.send(&Ask::chat("gpt")).await.expect(200);
    let used = simulator.last_request().await["headers"]["authorization"].clone();
    assert!(used.as_str().unwrap().starts_with("Bearer token-"), "{used}");
    // Nobody asks anything meanwhile.
    until("a third token", async || (entra.given.load(Ordering::SeqCst) >= 3).then_some(())).await;
    gateway.send(&Ask::chat("gpt").header("x-aigw-azure-access-token", "theirs")).await.expect(200);
    let headers = simulator.last_request().await["headers"].take();
    assert_eq!(headers["authorization"], "Bearer theirs");
    assert_eq!(headers.get("x-aigw-azure-access-token"), None);

    entra.denies.store(true, Ordering::SeqCst);
    let refused = until("a request without a valid token", async || {
        let answer = gateway.send(&Ask::chat("gpt")).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert!(refused.status == 502 && refused.text().contains("access token"), "{refused:?}");
    let output = gateway.process.output();
    assert!(
        output.contains("AADSTS7000215") && !output.contains("s&cret"),
        "the log says why, and not the secret"
    );
    entra.denies.store(false, Ordering::SeqCst);
    until("a new token", async || (gateway.send(&Ask::chat("gpt")).await.status == 200).then_some(())).await;
}
