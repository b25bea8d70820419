//! Runs the golden pairs: what a client and an upstream say on one side, what each of them gets on the other.
//!
//! | file | is | made from |
//! | --- | --- | --- |
//! | `upstream.json` | the request that leaves | `client.json`, and `target.json` if the case has one |
//! | `client_reply.json` | the whole answer | `upstream_reply.json` |
//! | `client_stream.sse` | the streamed answer | `upstream_stream.sse` |
//!
//! `UPDATE_GOLDEN=1` renews the made ones; read them as a diff.
#![expect(clippy::disallowed_methods, reason = "golden data are files")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Codec, EncodeTarget, EncoderOptions, anthropic_messages, bedrock_converse, gemini, openai_chat};
use crate::canonical::Event;

/// Below this the walk has lost its way.
const FEWEST_CASES: usize = 6;

#[test]
fn a_chat_client_and_an_anthropic_upstream() {
    run("chat_to_anthropic", &openai_chat::CODEC, &anthropic_messages::CODEC, "claude-sonnet-4-5");
}

#[test]
fn a_messages_client_and_a_chat_upstream() {
    run("messages_to_openai", &anthropic_messages::CODEC, &openai_chat::CODEC, "gpt-5.1");
}

#[test]
fn a_chat_client_and_a_gemini_upstream() {
    run("chat_to_gemini", &openai_chat::CODEC, &gemini::CODEC, "gemini-2.5-flash");
}

#[test]
fn a_messages_client_and_a_gemini_upstream() {
    run("messages_to_gemini", &anthropic_messages::CODEC, &gemini::CODEC, "gemini-2.5-flash");
}

#[test]
fn a_gemini_client_and_a_chat_upstream() {
    run("gemini_to_openai", &gemini::CODEC, &openai_chat::CODEC, "gpt-5.1");
}

#[test]
fn a_gemini_client_and_an_anthropic_upstream() {
    run("gemini_to_anthropic", &gemini::CODEC, &anthropic_messages::CODEC, "claude-sonnet-4-5");
}

#[test]
fn a_chat_client_and_a_converse_upstream() {
    run("chat_to_converse", &openai_chat::CODEC, &bedrock_converse::CODEC, CLAUDE_AT_BEDROCK);
}

#[test]
fn a_messages_client_and_a_converse_upstream() {
    run("messages_to_converse", &anthropic_messages::CODEC, &bedrock_converse::CODEC, CLAUDE_AT_BEDROCK);
}

const CLAUDE_AT_BEDROCK: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn run(folder: &str, client: &Codec, upstream: &Codec, model: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let cases: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(cases.len() >= FEWEST_CASES, "{} cases in {}", cases.len(), folder.display());
    for case in cases {
        check_request(&case, client, upstream, model);
        if let Some(body) = read(&case.join("upstream_reply.json")) {
            let reply = (upstream.decode_reply)(body.as_bytes()).unwrap();
            compare_json(&case.join("client_reply.json"), &(client.encode_reply)(&reply));
        }
        check_stream(&case, client, upstream);
    }
}

fn check_request(case: &Path, client: &Codec, upstream: &Codec, model: &str) {
    let Some(body) = read(&case.join("client.json")) else {
        return;
    };
    let target: Value =
        read(&case.join("target.json")).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let target = EncodeTarget {
        model: target["model"].as_str().unwrap_or(model),
        output_cap: target["output_cap"].as_u64(),
    };
    let request = (client.decode_request)(body.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let sent = (upstream.encode_request)(&request, &target)
        .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    compare_json(&case.join("upstream.json"), &sent);
}

fn check_stream(case: &Path, client: &Codec, upstream: &Codec) {
    let Some(stream) = read(&case.join("upstream_stream.sse")) else {
        return;
    };
    let asks = read(&case.join("client.json")).is_some_and(|body| body.contains("include_usage"));
    let mut encoder = (client.encoder)(&EncoderOptions { show_usage: asks, created_s: 0 });
    let mut decoder = (upstream.decoder)();
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for event in stream.split_terminator("\n\n") {
        let name = event.lines().find_map(|line| line.strip_prefix("event: "));
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        decoder
            .decode(name, data.as_bytes(), &mut events)
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    }
    // Google's streams have no last event: the connection's end is it.
    if !events.iter().any(|event| matches!(event, Event::Ended | Event::Failed { .. })) {
        events.push(Event::Ended);
    }
    for event in &events {
        encoder.encode(event, &mut out);
    }
    compare(&case.join("client_stream.sse"), String::from_utf8(out).unwrap());
}

/// Spaces and the order of members are no part of the meaning.
fn compare_json(path: &Path, made: &[u8]) {
    let made: Value = serde_json::from_slice(made).unwrap();
    compare(path, format!("{made:#}\n"));
}

fn compare(path: &Path, made: String) {
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let golden = read(path).unwrap_or_else(|| panic!("{} is missing", path.display()));
    assert_eq!(made, golden, "{}", path.display());
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
