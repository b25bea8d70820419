//! Real clients drive the gateway: the official `openai`, `anthropic`, `google-genai` and `cohere` Python packages, the first
//! two in a current and an older pin, against a gateway whose backends are a simulated provider. What each client must see is in `python/`.
//!
//! ```text
//! python/openai_client.py, anthropic_client.py, … ─▶ tollgate run ─▶ tollgate simulate-provider
//!              └── scripts failures, reads what arrived and what was counted ──▶┘
//! ```
//!
//! Each test has a gateway, a simulator and a virtual environment of its own. Run one case alone with
//! `TEST_CASES=word cargo test --test clients`.

mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use support::child::{Server, gateway};
use support::manifest::{Backend, Key, Manifest};
use support::python::{Script, Venv};
use support::skip::{PYTHON, skip};

/// What the gateway's backends hold; `python/testbed.py` has it too.
const BACKEND_KEY: &str = "backend-key-of-the-gateway";
/// The key that the simulator always refuses.
const BAD_KEY: &str = "sk-bad";
/// Nothing listens on TCP port 1 of a machine that was set up in this century.
const NOWHERE: &str = "http://127.0.0.1:1";
/// All cases of one client take about half a minute on two busy cores.
const TIMEOUT: Duration = Duration::from_mins(4);

#[test]
fn openai_current() {
    drive("openai_current", "openai-current", "openai_client.py");
}

#[test]
fn openai_older() {
    drive("openai_older", "openai-older", "openai_client.py");
}

#[test]
fn anthropic_current() {
    drive("anthropic_current", "anthropic-current", "anthropic_client.py");
}

#[test]
fn cohere_current() {
    drive("cohere_current", "cohere-current", "cohere_client.py");
}

#[test]
fn gemini_current() {
    drive("gemini_current", "gemini-current", "gemini_client.py");
}

#[test]
fn anthropic_older() {
    drive("anthropic_older", "anthropic-older", "anthropic_client.py");
}

/// Runs all cases of one client.
fn drive(test: &str, venv: &str, script: &str) {
    let venv = match Venv::prepare(venv) {
        Ok(venv) => venv,
        Err(reason) => return skip(&format!("clients::{test}"), &reason, PYTHON),
    };
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    simulate.args(["simulate-provider", "--listen", "127.0.0.1:0"]);
    let simulator = Server::start(&mut simulate, &["listening on "]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("clients.yaml");
    fs::write(&file, manifest(simulator.url(0)).text()).expect("the folder is writable");
    let gateway = gateway(&file);

    let cases = std::env::var("TEST_CASES").unwrap_or_default();
    let environment = [
        ("TEST_GATEWAY", gateway.url(0)),
        ("TEST_ADMIN", gateway.url(1)),
        ("TEST_SIMULATOR", simulator.url(0)),
        ("TEST_CASES", cases.as_str()),
    ];
    match venv.run(&Script { name: script, environment: &environment, timeout: TIMEOUT }) {
        Ok(output) => println!("{output}"),
        Err(output) => panic!("{output}\n---- the gateway's last words:\n{}", gateway.last_words()),
    }
}

/// Models named after what they are for; `gpt-*` lead to a backend that speaks OpenAI's dialect, `claude-*` to one that
/// speaks Anthropic's.
fn manifest(simulator: &str) -> Manifest {
    let backend = |name, schema, url, key| Backend { name, schema, url, key };
    Manifest::new()
        .backend(&backend("openai", "OpenAI", simulator, Key::Bearer(BACKEND_KEY)))
        .backend(&backend("openai-spare", "OpenAI", simulator, Key::Bearer(BACKEND_KEY)))
        .backend(&backend("openai-badkey", "OpenAI", simulator, Key::Bearer(BAD_KEY)))
        .backend(&backend("anthropic", "Anthropic", simulator, Key::Anthropic(BACKEND_KEY)))
        .backend(&backend("anthropic-bearer", "Anthropic", simulator, Key::Bearer(BACKEND_KEY)))
        .backend(&backend("anthropic-badkey", "Anthropic", simulator, Key::Anthropic(BAD_KEY)))
        .backend(&backend("gemini", "GCPVertexAI", simulator, Key::Bearer(BACKEND_KEY)))
        .backend(&backend("cohere", "Cohere", simulator, Key::Bearer(BACKEND_KEY)))
        .backend(&backend("nowhere", "OpenAI", NOWHERE, Key::Bearer(BACKEND_KEY)))
        .rule("gpt-sim", &["openai"], "")
        .rule("gpt-badkey", &["openai-badkey"], "")
        .rule("gpt-hurried", &["openai"], ", timeouts: {request: 1s}")
        .rule("gpt-impatient", &["openai"], ", streamIdleTimeout: 1s")
        .rule("gpt-failover", &["nowhere", "openai-spare"], "")
        .rule("gpt-unreachable", &["nowhere"], "")
        .rule("gpt-nobackend", &[], "")
        .rule("gemini-sim", &["gemini"], "")
        .rule("rerank-sim", &["cohere"], "")
        .rule("claude-sim", &["anthropic"], "")
        .rule("claude-bearer", &["anthropic-bearer"], "")
        .rule("claude-badkey", &["anthropic-badkey"], "")
        .rule("claude-hurried", &["anthropic"], ", timeouts: {request: 1s}")
        .rule("claude-impatient", &["anthropic"], ", streamIdleTimeout: 1s")
}
