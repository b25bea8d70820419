//! A real server as upstream: llama.cpp over a tiny random model that is made here. Its token counts are true, its
//! prefix cache is real, and it counts for itself what it reads and generates; the gateway's ledger has to agree.
//!
//! ```text
//! python/llama_clients.py ─▶ tollgate run ─▶ python/llama_server.py: one spoken to in OpenAI's dialect,
//!        └── /v1/ledger ────────┘            one in Anthropic's, one for embeddings
//!        └── /metrics ───────────────────────▶┘
//! ```

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::child::{Server, gateway};
use support::manifest::{Backend, Key, Manifest};
use support::python::{Script, Venv};
use support::skip::{PYTHON, skip};

/// A hundred requests and some that are left in the middle: seconds, also on two busy cores.
const TIMEOUT: Duration = Duration::from_mins(3);

#[test]
fn the_ledger_agrees_with_the_servers_own_counters() {
    let venv = match Venv::prepare("llama") {
        Ok(venv) => venv,
        Err(reason) => {
            return skip("llama::the_ledger_agrees_with_the_servers_own_counters", &reason, PYTHON);
        }
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let openai = llama(&venv, &folder.path().join("openai"), "chat");
    let anthropic = llama(&venv, &folder.path().join("anthropic"), "chat");
    let embeddings = llama(&venv, &folder.path().join("embeddings"), "embeddings");
    let file = folder.path().join("llama.yaml");
    // The servers ask for no key.
    let (bearer, x_api_key) = (Key::Bearer("unused"), Key::Anthropic("unused"));
    let manifest = Manifest::new()
        .backend(&backend("openai", "OpenAI", openai.url(0), bearer))
        .backend(&backend("anthropic", "Anthropic", anthropic.url(0), x_api_key))
        .backend(&backend("embeddings", "OpenAI", embeddings.url(0), bearer))
        .rule("llama-openai", &["openai"], "")
        .rule("llama-anthropic", &["anthropic"], "")
        .rule("llama-embeddings", &["embeddings"], "");
    fs::write(&file, manifest.text()).expect("the folder is writable");
    let gateway = gateway(&file);

    let environment = [
        ("TEST_GATEWAY", gateway.url(0)),
        ("TEST_ADMIN", gateway.url(1)),
        ("TEST_OPENAI", openai.url(0)),
        ("TEST_ANTHROPIC", anthropic.url(0)),
        ("TEST_EMBEDDINGS", embeddings.url(0)),
    ];
    let script = Script { name: "llama_clients.py", environment: &environment, timeout: TIMEOUT };
    match venv.run(&script) {
        Ok(output) => println!("{output}"),
        Err(output) => panic!("{output}\n---- the gateway's last words:\n{}", gateway.last_words()),
    }
}

/// Starts a server over a model of its own, in a folder of its own.
fn llama(venv: &Venv, folder: &Path, role: &str) -> Server {
    fs::create_dir(folder).expect("its parent is writable");
    let mut command = venv.command("llama_server.py");
    Server::start(command.arg(folder).arg(role), &["llama.cpp on "])
}

fn backend<'a>(name: &'a str, schema: &'a str, url: &'a str, key: Key<'a>) -> Backend<'a> {
    Backend { name, schema, url, key }
}
