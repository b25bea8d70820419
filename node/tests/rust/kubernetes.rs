//! A real API server on a real etcd, as child processes, with the custom resources that `tollgate crds` prints; and kubectl,
//! which people use to speak to it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Ask, Client, Process, until};

/// A folder with kube-apiserver, etcd and kubectl.
const FOLDER: &str = "TOLLGATE_TEST_KUBE";
/// What else tells where they are, one by one.
const ONE_BY_ONE: [(&str, &str); 3] = [
    ("kube-apiserver", "TEST_ASSET_KUBE_APISERVER"),
    ("etcd", "TEST_ASSET_ETCD"),
    ("kubectl", "TEST_ASSET_KUBECTL"),
];
/// What a test that is skipped needs.
pub(crate) const NEEDS: &str = "kube-apiserver, etcd and kubectl in a folder that TOLLGATE_TEST_KUBE names";
/// Kinds of others, which no `tollgate crds` prints.
const OTHERS: &str = include_str!("kubernetes_kinds.yaml");
const TOKEN: &str = "a-token-of-the-tests";
/// Of a user who may do little.
const LITTLE_TOKEN: &str = "another-token-of-the-tests";
/// Who may do what: user, verb, group, resource. No Secrets.
const LITTLE: &str = "little * aigateway.envoyproxy.io *\nlittle * tollgate.dev *\nlittle * gateway.networking.k8s.io *\n\
                      little * gateway.envoyproxy.io *\nlittle * core configmaps\n";

/// Where the programs are.
struct Programs {
    server: PathBuf,
    etcd: PathBuf,
    kubectl: PathBuf,
}

/// A running API server. Dropped, it is ended.
pub(crate) struct Kubernetes {
    programs: Programs,
    folder: TempDir,
    database: Child,
    etcd: Client,
    port: u16,
    server: Option<Child>,
}

impl Programs {
    /// An error says which is not there: a reason to skip.
    fn find() -> Result<Self, String> {
        let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let find = |(program, variable): (&str, &str)| {
            let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
            let path = named.or_else(|| Some(folder.as_ref()?.join(program)));
            let path = path.ok_or_else(|| format!("neither {FOLDER} nor {variable} is set"))?;
            path.is_file().then_some(path.clone()).ok_or_else(|| format!("{} is not there", path.display()))
        };
        let [server, etcd, kubectl] = ONE_BY_ONE.map(find);
        Ok(Self { server: server?, etcd: etcd?, kubectl: kubectl? })
    }
}

impl Kubernetes {
    /// Starts both, and installs the kinds. An error is a reason to skip.
    pub(crate) async fn start() -> Result<Self, String> {
        let programs = Programs::find()?;
        let folder = tempfile::tempdir().unwrap();
        let [clients, peers, port] = free_ports();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (clients, peers) = (url(clients), url(peers));
        let data = folder.path().join("etcd");
        let etcd = Command::new(&programs.etcd)
            .args(["--data-dir".as_ref(), data.as_os_str()])
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync"])
            .args(["--log-level", "error"])
            .stderr(log(folder.path(), "etcd.log"))
            .spawn()
            .unwrap();
        let tokens = format!("{TOKEN},admin,1,\"system:masters\"\n{LITTLE_TOKEN},little,2\n");
        fs::write(folder.path().join("tokens"), tokens).unwrap();
        fs::write(folder.path().join("policy"), LITTLE).unwrap();
        let mut kubernetes =
            Self { programs, folder, database: etcd, etcd: Client::new(&clients), port, server: None };
        kubernetes.resume().await;
        kubernetes.install().await;
        Ok(kubernetes)
    }

    /// The file that says how to reach it.
    pub(crate) fn kubeconfig(&self) -> String {
        self.path("kubeconfig").to_str().unwrap().to_owned()
    }

    /// The same for somebody who may see no Secrets.
    pub(crate) fn kubeconfig_without_secrets(&self) -> String {
        let all = fs::read_to_string(self.path("kubeconfig")).unwrap();
        fs::write(self.path("little"), all.replace(TOKEN, LITTLE_TOKEN)).unwrap();
        self.path("little").to_str().unwrap().to_owned()
    }

    /// Kills the API server, and nothing else.
    pub(crate) fn pause(&mut self) {
        end(&mut self.server.take().unwrap());
    }

    /// Starts it again, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        let etcd = format!("http://{}", self.etcd.address);
        let server = Command::new(&self.programs.server)
            .args(["--etcd-servers", &etcd, "--bind-address", "127.0.0.1"])
            .args(["--secure-port", &self.port.to_string()])
            .args(["--cert-dir".as_ref(), self.path("certificates").as_os_str()])
            .args(["--token-auth-file".as_ref(), self.path("tokens").as_os_str()])
            .args(["--policy-file".as_ref(), self.path("policy").as_os_str()])
            .stdout(Stdio::null())
            .stderr(log(self.folder.path(), "server.log"))
            .spawn()
            .unwrap();
        self.server = Some(server);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.path("certificates/apiserver.crt"),
            }}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        fs::write(self.path("kubeconfig"), config.to_string()).unwrap();
        until("an API server", async || self.try_kubectl(&["get", "--raw", "/readyz"], "").ok()).await;
        until("the default namespace", async || self.try_kubectl(&["get", "namespace", "default"], "").ok())
            .await;
    }

    async fn install(&self) {
        let (code, ours) = Process::run(&["crds"], &[]).await;
        assert_eq!(code, 0, "{ours}");
        // Those of others first: they are what ours refer to.
        self.kubectl(&["apply", "--server-side", "-f", "-"], OTHERS);
        let said = self.kubectl(&["apply", "--server-side", "-f", "-"], &ours);
        assert!(!said.contains("Warning"), "{said}");
        let established = ["wait", "--for", "condition=established", "--timeout", "30s", "crd", "--all"];
        self.kubectl(&established, "");
    }

    /// Runs kubectl, which has to do it: what it said.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        self.try_kubectl(arguments, input).unwrap_or_else(|said| panic!("kubectl {arguments:?}: {said}"))
    }

    /// A client of many requests at once, which kubectl is not.
    pub(crate) async fn client(&self) -> kube::Client {
        let _another_test_may_have_done_so = rustls::crypto::ring::default_provider().install_default();
        let read = Kubeconfig::read_from(self.path("kubeconfig")).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Applies a manifest as people do.
    pub(crate) fn apply(&self, manifest: &str) {
        self.kubectl(&["apply", "-f", "-"], manifest);
    }

    /// An object as it is there now.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", kind, name, "-o", "json"], "")).unwrap()
    }

    /// Waits until the newest generation of an object has a condition with this status, and gives it.
    pub(crate) async fn condition(&self, (kind, name): (&str, &str), says: (&str, &str)) -> Value {
        until(&format!("{kind} {name} to be {says:?}"), async || {
            let object = self.object(kind, name);
            let mut conditions = object["status"]["conditions"].as_array()?.iter();
            let found = conditions.find(|one| one["type"] == says.0 && one["status"] == says.1)?;
            let is_new = found["observedGeneration"] == object["metadata"]["generation"];
            is_new.then(|| found.clone())
        })
        .await
    }

    /// Takes an object away behind the back of the API server, and has etcd forget all that was before.
    pub(crate) async fn forget(&self, path: &str) {
        let all = json!({"key": BASE64.encode("/"), "range_end": BASE64.encode("0"), "keys_only": true});
        let all = self.ask_etcd("range", &all).await;
        let is_it = |key: &&str| BASE64.decode(key).unwrap().ends_with(path.as_bytes());
        let mut keys = all["kvs"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap());
        let key = keys.find(is_it).unwrap_or_else(|| panic!("no {path} in {all}"));
        let deleted = self.ask_etcd("deleterange", &json!({"key": key})).await;
        self.ask_etcd("compaction", &json!({"revision": deleted["header"]["revision"]})).await;
    }

    async fn ask_etcd(&self, what: &str, question: &Value) -> Value {
        let ask = Ask::post(&format!("/v3/kv/{what}"), question.to_string());
        self.etcd.send(&ask).await.expect(200).json()
    }

    /// The same; an error is what it said.
    pub(crate) fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut kubectl = Command::new(&self.programs.kubectl)
            .args(["--kubeconfig".as_ref(), self.path("kubeconfig").as_os_str()])
            .args(["--cache-dir".as_ref(), self.path("cache").as_os_str()])
            .args(arguments.iter().map(OsStr::new))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = kubectl.wait_with_output().unwrap();
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        write!(said, "{}", String::from_utf8_lossy(&output.stderr)).unwrap();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.server.iter_mut().for_each(end);
        end(&mut self.database);
    }
}

/// Creates an object. An error says why the API server refuses.
pub(crate) async fn create(client: &kube::Client, path: &str, object: &Value) -> Result<(), String> {
    let request = http::Request::post(path).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes()).unwrap();
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

fn end(child: &mut Child) {
    let _already_ended = child.kill();
    let _reaped = child.wait();
}

fn log(folder: &Path, name: &str) -> Stdio {
    fs::File::options().create(true).append(true).open(folder.join(name)).unwrap().into()
}

/// Free now; others may take them before they are used, which fails loudly.
fn free_ports() -> [u16; 3] {
    let taken = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    taken.map(|listener| listener.local_addr().unwrap().port())
}
