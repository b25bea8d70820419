//! Tollgate as its users run it: the release binary, manifests in a folder, routing by model, a credential for the
//! provider, metering, metrics, and the access log in a file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chat::Model;
use crate::process::free_address;
use crate::targets::Starter;

/// Measures another binary than the one that cargo built beside this.
const BINARY_VARIABLE: &str = "TOLLGATE_BENCH_GATEWAY";

const ACCESS_LOG: &str = "tollgate-access.log";

/// The program to measure.
pub(crate) fn binary() -> Result<PathBuf, String> {
    let given = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
    let built = option_env!("CARGO_BIN_EXE_tollgate").map(PathBuf::from);
    let path =
        given.or(built).ok_or_else(|| format!("cargo built none, and {BINARY_VARIABLE} is not set"))?;
    if path.is_file() { Ok(path) } else { Err(format!("{} is not a file", path.display())) }
}

/// The command that runs it at `address`, with its manifests written.
pub(crate) fn command(binary: &Path, address: SocketAddr, starter: &Starter) -> Result<Command, String> {
    let manifests = starter.folder.join("manifests");
    let file = manifests.join("bench.yaml");
    std::fs::create_dir_all(&manifests)
        .and_then(|()| std::fs::write(&file, manifest(starter.upstream)))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new(binary);
    command.arg("run").arg("-f").arg(&manifests);
    command.args(["--listen", &address.to_string(), "--admin", &free_address()?.to_string()]);
    command.arg("--access-log").arg(starter.folder.join(ACCESS_LOG));
    command.env("TOLLGATE_DATA", starter.folder.join("data"));
    Ok(command)
}

/// Forgets what the access log has, and says how much that was: a long run would fill the disk with it.
pub(crate) fn empty_access_log(starter: &Starter) -> usize {
    let path = starter.folder.join(ACCESS_LOG);
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) else {
        return 0;
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // The gateway appends, so that its next line goes to the new end. Where emptying fails, the run still counts.
    let _emptied = file.set_len(0);
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Routes of every model to the provider.
pub(crate) fn manifest(upstream: SocketAddr) -> String {
    let mut text = format!(
        "{OWN}\
         ---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: provider}}\n\
         spec:\n  endpoints: [{{ip: {{address: \"{}\", port: {}}}}}]\n\
         ---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: AIGatewayRoute\nmetadata: {{name: bench}}\n\
         spec:\n  parentRefs: [{{name: bench}}]\n  rules:\n  - timeouts: {{request: 10m}}\n    \
         backendRefs: [{{name: provider}}]\n    matches:\n",
        upstream.ip(),
        upstream.port()
    );
    for model in Model::ALL {
        let name = model.name();
        writeln!(text, "    - headers: [{{type: Exact, name: x-ai-eg-model, value: {name}}}]")
            .expect("writing to a string cannot fail");
    }
    text
}

/// What needs no figures.
const OWN: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: tollgate}
spec: {controllerName: tollgate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bench}
spec:
  gatewayClassName: tollgate
  listeners: [{name: http, protocol: HTTP, port: 1975}]
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {name: provider}
spec:
  schema: {name: OpenAI}
  backendRef: {group: gateway.envoyproxy.io, kind: Backend, name: provider}
---
apiVersion: v1
kind: Secret
metadata: {name: provider}
stringData: {apiKey: bench-provider-key}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: BackendSecurityPolicy
metadata: {name: provider}
spec:
  type: APIKey
  apiKey: {secretRef: {name: provider}}
  targetRefs: [{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: provider}]
";
