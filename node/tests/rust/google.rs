//! Google's token endpoint as a service account sees it, and manifests of backends at Google Cloud.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::manifest;

/// Made for these tests; it opens nothing.
const KEY_FILE: &str = include_str!("../../../crds/testdata/google/service_account.json");

/// Gives out `token-1`, `token-2`, … for assertions that the account signed.
pub(crate) struct TokenEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    given: AtomicU64,
    /// Requests that were not answered yet.
    waiting: AtomicU64,
    expires_in: AtomicU64,
    /// It says no.
    denies: AtomicBool,
    /// It answers nobody for now.
    holds: AtomicBool,
    public_key: Vec<u8>,
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl TokenEndpoint {
    pub(crate) async fn start(expires_in: u64) -> Self {
        let file: Value = serde_json::from_str(KEY_FILE).unwrap();
        let pem = file["private_key"].as_str().unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let shared = Arc::new(Shared {
            given: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            expires_in: AtomicU64::new(expires_in),
            denies: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            public_key: key.public_key().as_ref().to_vec(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let of_all = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&of_all), address));
            }
        });
        Self { address, shared, serving }
    }

    /// How many tokens it gave.
    pub(crate) fn given(&self) -> u64 {
        self.shared.given.load(Ordering::SeqCst)
    }

    /// How many requests wait for an answer.
    pub(crate) fn waiting(&self) -> u64 {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn deny(&self, denies: bool) {
        self.shared.denies.store(denies, Ordering::SeqCst);
    }

    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// The account's key file, on the disk.
    pub(crate) fn key_file(&self) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.key()).unwrap();
        file
    }

    fn key(&self) -> String {
        let mut file: Value = serde_json::from_str(KEY_FILE).unwrap();
        file["token_uri"] = json!(format!("http://{}/token", self.address));
        file.to_string()
    }

    /// A Secret with the account's key file, which names this endpoint, and the policy of these backends.
    pub(crate) fn policy(&self, backends: &[&str], fields: &str) -> String {
        let data = base64::prelude::BASE64_STANDARD.encode(self.key());
        let target =
            |name: &&str| format!("{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: {name}}}");
        let targets: Vec<String> = backends.iter().map(target).collect();
        format!(
            "---
apiVersion: v1
kind: Secret
metadata: {{name: google}}
data: {{service_account.json: {data}}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: BackendSecurityPolicy
metadata: {{name: google}}
spec:
  targetRefs: [{}]
  type: GCPCredentials
  gcpCredentials: {{projectName: a-project, region: us-central1, credentialsFile: {{secretRef: {{name: google}}}}}}
{fields}",
            targets.join(", ")
        )
    }
}

/// Gemini and Claude at this address.
pub(crate) fn backends(address: &str) -> String {
    manifest::backend("gemini", "{name: GCPVertexAI}", address)
        + &manifest::backend("claude", "{name: GCPAnthropic}", address)
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>, address: SocketAddr) {
    let Some(body) = read_body(&mut stream).await else { return };
    shared.waiting.fetch_add(1, Ordering::SeqCst);
    while shared.holds.load(Ordering::SeqCst) {
        tokio::time::sleep(super::POLL).await;
    }
    shared.waiting.fetch_sub(1, Ordering::SeqCst);
    let (status, answer) = if shared.denies.load(Ordering::SeqCst) {
        ("400 Bad Request", json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}))
    } else {
        check(&body, &shared.public_key, address);
        let number = shared.given.fetch_add(1, Ordering::SeqCst) + 1;
        let expires_in = shared.expires_in.load(Ordering::SeqCst);
        let granted = json!({
            "access_token": format!("token-{number}"), "expires_in": expires_in, "token_type": "Bearer",
        });
        ("200 OK", granted)
    };
    let body = answer.to_string();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let _it_may_be_gone = stream.write_all((head + &body).as_bytes()).await;
}

async fn read_body(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length: usize = head.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
            if body.len() >= length {
                assert!(head.starts_with("post /token "), "{head}");
                return Some(body.to_owned());
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A wrong assertion ends the task, and so gets no answer.
fn check(body: &str, public_key: &[u8], address: SocketAddr) {
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the grant of RFC 7523");
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
    key.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).expect("signed by the account");
    let claims = signed.split_once('.').unwrap().1;
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "gateway@a-project.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("http://{address}/token"));
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let [issued, ends] = ["iat", "exp"].map(|claim| claims[claim].as_u64().unwrap());
    assert!(issued <= now_s && now_s < ends && ends - issued <= 3_600, "{claims}");
}
