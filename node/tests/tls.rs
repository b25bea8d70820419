//! TLS on both sides: to clients on the same port as clear text, with certificates that change while it serves; and to
//! upstreams, whose names are checked.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use rust::client::{open_over, send_h2_over};
use rust::manifest::{GATEWAY, KeyOf, key, openai, route, rule};
use rust::{Ask, Gateway, Process, Simulator, until};

/// Signs certificates for the tests.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn sign(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client's side, which trusts this authority alone and offers these protocols.
    fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// Ends TLS in front of the simulator. Dropped, it is gone.
struct Front {
    port: u16,
    serving: JoinHandle<()>,
}

impl Front {
    async fn start(identity: &Identity, simulator: &Simulator) -> Self {
        let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = simulator.client.address;
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return; // The name was not the right one.
                    };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _either_side_left = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        Self { port, serving }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn indented(pem: &str) -> String {
    format!("    {}\n", pem.trim_end().replace('\n', "\n    "))
}

fn secret(name: &str, identity: &Identity) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}}}\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        indented(&identity.certificate),
        indented(&identity.key)
    )
}

/// A backend behind TLS with this `validation` of its certificate.
fn backend(name: &str, port: u16, validation: &str) -> String {
    format!(
        "---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {{name: {name}}}
spec: {{schema: {{name: OpenAI}}, backendRef: {{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{endpoints: [{{ip: {{address: 127.0.0.1, port: {port}}}}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}]
  validation: {{{validation}}}
"
    )
}

async fn connect(
    gateway: &Gateway,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gateway.client.address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    connector.connect(name, stream).await
}

#[tokio::test]
async fn clients_may_use_tls_on_the_same_port() {
    let simulator = Simulator::start(&[]).await;
    let authority = Authority::new();
    let listeners = "  listeners:
  - {name: http, protocol: HTTP, port: 1975}
  - {name: exact, protocol: HTTPS, port: 8443, hostname: gateway.test, tls: {certificateRefs: [{name: exact}]}}
  - {name: wild, protocol: HTTPS, port: 8443, hostname: \"*.gateway.test\", tls: {certificateRefs: [{name: wild}]}}
";
    let gateway_with_tls =
        GATEWAY.replace("  listeners: [{name: http, protocol: HTTP, port: 1975}]\n", listeners);
    assert_ne!(gateway_with_tls, GATEWAY);
    let manifest = |exact: &Identity| {
        gateway_with_tls.clone()
            + &secret("exact", exact)
            + &secret("wild", &authority.sign(&["*.gateway.test"]))
            + &openai("one", &simulator.address())
            + &route("all", "", &rule("gpt", "{name: one}", ""))
    };
    let gateway = Gateway::start(&manifest(&authority.sign(&["gateway.test"]))).await;

    gateway.send(&Ask::chat("gpt")).await.expect(200); // Clear text.
    gateway.client.send_h2(&Ask::chat("gpt")).await.expect(200);
    for name in ["gateway.test", "a.gateway.test"] {
        let ask = Ask::chat("gpt").streamed().header("host", name);
        let stream = connect(&gateway, &authority.connector(&["http/1.1"]), name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = open_over(stream, &ask).await.rest().await.expect(200);
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{name}: {answer:?}");

        let stream = connect(&gateway, &authority.connector(&["h2", "http/1.1"]), name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        send_h2_over(stream, &Ask::chat("gpt")).await.expect(200);
    }
    let mut stream = connect(&gateway, &authority.connector(&["http/1.1"]), "gateway.test").await.unwrap();
    let upload =
        [&b"POST /nowhere HTTP/1.1\r\nhost: h\r\ncontent-length: 8388608\r\n\r\n"[..], &vec![0; 8 << 20]];
    stream.write_all(&upload.concat()).await.expect("what was refused can be sent to its end");
    let mut refusal = String::new();
    stream.read_to_string(&mut refusal).await.unwrap();
    assert!(refusal.starts_with("HTTP/1.1 404 "), "{refusal}");

    let wrong = connect(&gateway, &authority.connector(&[]), "other.test").await;
    assert!(wrong.is_err(), "it has no certificate for that name");

    // A certificate of another authority takes over without a restart, and running connections go on.
    let kept = connect(&gateway, &authority.connector(&["http/1.1"]), "gateway.test").await.unwrap();
    let next = Authority::new();
    fs::write(gateway.file(), manifest(&next.sign(&["gateway.test"]))).unwrap();
    let stream = until("the new certificate", async || {
        connect(&gateway, &next.connector(&["http/1.1"]), "gateway.test").await.ok()
    })
    .await;
    open_over(stream, &Ask::chat("gpt")).await.rest().await.expect(200);
    assert!(
        connect(&gateway, &authority.connector(&[]), "gateway.test").await.is_err(),
        "the old one is gone"
    );
    open_over(kept, &Ask::chat("gpt")).await.rest().await.expect(200);
}

/// Neither a broken certificate nor a broken authority takes away what served before it; both are told.
#[tokio::test]
async fn bad_certificates_are_told_and_the_last_good_ones_serve() {
    let simulator = Simulator::start(&[]).await;
    let authority = Authority::new();
    let good = authority.sign(&["gateway.test"]);
    let front = Front::start(&authority.sign(&["up.test"]), &simulator).await;
    let https = "[{name: https, protocol: HTTPS, port: 8443, tls: {certificateRefs: [{name: cert}]}}]";
    let gateway_with_tls = GATEWAY.replace("[{name: http, protocol: HTTP, port: 1975}]", https);
    assert_ne!(gateway_with_tls, GATEWAY);
    let validation = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}], hostname: up.test";
    let manifest = |identity: &Identity, roots: &str, model: &str| {
        gateway_with_tls.clone()
            + &secret("cert", identity)
            + &format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ca}}\ndata:\n  ca.crt: |\n{}",
                indented(roots)
            )
            + &backend("one", front.port, validation)
            + &key("one", KeyOf::OpenAi, "k")
            + &route("all", "", &rule(model, "{name: one}", ""))
    };
    let gateway = Gateway::start(&manifest(&good, &authority.pem(), "model-0")).await;
    let file = gateway.file();
    let identity =
        |certificate: &str, key: &str| Identity { certificate: certificate.into(), key: key.into() };
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let other = authority.sign(&["gateway.test"]);
    let ca = authority.pem();
    #[rustfmt::skip]
    let cases = [
        // certificate and key                          authority    who is told
        (identity(&good.certificate, &other.key),       ca.as_str(), "Secret default/cert"),   // of another certificate
        (identity(garbage, &good.key),                  ca.as_str(), "Secret default/cert"),   // no certificate
        (identity("nonsense", &good.key),               ca.as_str(), "Secret default/cert"),   // no PEM
        (identity(&good.certificate, "nonsense"),       ca.as_str(), "Secret default/cert"),   // no key
        (identity(&good.certificate, &good.key),        garbage,     "ConfigMap default/ca"),
        (identity(&good.certificate, &good.key),        "nonsense",  "ConfigMap default/ca"),
    ];
    for (at, (identity, roots, told)) in (1..).zip(cases) {
        let model = format!("model-{at}"); // Its route is good, so that its answer says that the edit is in force.
        fs::write(&file, manifest(&identity, roots, &model)).unwrap();
        let (code, output) = Process::run(&["validate", "-f", file.to_str().unwrap()], &[]).await;
        assert!(code == 1 && output.contains(told), "{told}: {output}");
        until(&model, async || (gateway.send(&Ask::chat(&model)).await.status == 200).then_some(())).await;
        let stream = connect(&gateway, &authority.connector(&["http/1.1"]), "gateway.test").await.unwrap();
        open_over(stream, &Ask::chat(&model)).await.rest().await.expect(200);
        let problems = gateway.shown("/v1/status").await["config"]["problems"].to_string();
        assert!(problems.contains(told) && !problems.contains("PRIVATE"), "{told}: {problems}");
    }

    let untyped = manifest(&good, &ca, "model-7").replace("type: kubernetes.io/tls\n", "");
    fs::write(&file, untyped).unwrap();
    until("model-7", async || (gateway.send(&Ask::chat("model-7")).await.status == 200).then_some(())).await;
    connect(&gateway, &authority.connector(&[]), "gateway.test").await.expect("its type was forgotten");
}

#[tokio::test]
async fn upstreams_are_called_by_tls_and_their_names_are_checked() {
    let simulator = Simulator::start(&[]).await;
    let authority = Authority::new();
    let stranger = Authority::new();
    let front = Front::start(&authority.sign(&["up.test", "alt.test"]), &simulator).await;
    let config_map = |name: &str, authority: &Authority| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  ca.crt: |\n{}",
            indented(&authority.pem())
        )
    };
    #[rustfmt::skip]
    let cases = [
        // model      validation                                                               status why
        ("right",     "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}], hostname: up.test",     200, "authority and name are right"),
        ("wrong",     "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}], hostname: down.test",   502, "the name is not on the certificate"),
        ("alt",       "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}], hostname: sni.test, subjectAltNames: [{type: Hostname, hostname: none.test}, {type: Hostname, hostname: alt.test}]", 200, "another name is asked for"),
        ("alt-wrong", "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}], hostname: up.test, subjectAltNames: [{type: Hostname, hostname: none.test}]", 502, "the hostname is for SNI alone then"),
        ("stranger",  "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: strange}], hostname: up.test", 502, "signed by somebody else"),
        ("system",    "wellKnownCACertificates: System, hostname: up.test",                                   502, "unknown to this machine"),
    ];
    let mut manifest = GATEWAY.to_owned() + &config_map("ca", &authority) + &config_map("strange", &stranger);
    for (name, validation, ..) in cases {
        manifest += &backend(name, front.port, validation);
        manifest += &key(name, KeyOf::OpenAi, "k");
        manifest += &route(name, "", &rule(name, &format!("{{name: {name}}}"), ""));
    }
    let gateway = Gateway::start(&manifest).await;
    for (name, _, status, why) in cases {
        let answer = gateway.send(&Ask::chat(name).streamed()).await;
        assert_eq!(answer.status, status, "{name}: {why}: {answer:?}");
        assert_eq!(simulator.asked(name).await, u64::from(status == 200), "{name}: {why}");
    }
}
