//! What the three nodes serve, and what is asked of them.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ring::digest::{SHA256, digest};

use crate::chat::{self, Model};
use crate::gateway;
use crate::targets::Starter;

/// Who calls.
pub(crate) const USERS: usize = 10_000;
const TEAMS: usize = 20;
/// Requests in the order that all connections share.
const ORDER: usize = 1 << 16;
/// A kind of burst.
#[derive(Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) model: &'static str,
    max_tokens: Option<u64>,
    stream: bool,
}

impl Burst {
    pub(crate) fn name(&self) -> String {
        let cap = self.max_tokens.map_or_else(|| "none".to_owned(), |cap| cap.to_string());
        if self.stream { format!("{cap}, streamed") } else { cap }
    }
}

/// Every kind has a model of its own, and so a budget.
pub(crate) const BURSTS: [Burst; 6] = [
    Burst { model: "burst-short", max_tokens: Some(20), stream: false },
    Burst { model: "burst-short-streamed", max_tokens: Some(20), stream: true },
    Burst { model: "burst-long", max_tokens: Some(1_000), stream: false },
    Burst { model: "burst-long-streamed", max_tokens: Some(1_000), stream: true },
    Burst { model: "burst-any", max_tokens: None, stream: false },
    Burst { model: "burst-any-streamed", max_tokens: None, stream: true },
];

/// Routes alone.
pub(crate) fn routes(starter: &Starter) -> String {
    gateway::manifest(starter.upstream)
}

/// Routes, and a consumer for each user.
pub(crate) fn users(starter: &Starter) -> String {
    let mut text = routes(starter);
    for user in 0..USERS {
        let hash = digest(&SHA256, key(user).as_bytes());
        let hash: String = hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        });
        let team = user % TEAMS;
        write!(
            text,
            "---\napiVersion: tollgate.dev/v1alpha1\nkind: Consumer\nmetadata: {{name: user-{user}}}\nspec: {{organization: acme, \
             team: team-{team}, user: user-{user}, apiKeys: [{{name: k, hash: \"sha256:{hash}\"}}]}}\n"
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// The same, and four budgets that cover every request and are never scarce.
pub(crate) fn budgets(starter: &Starter) -> String {
    let mut text = users(starter);
    for (name, per, limit) in [
        ("organisation", "", "100G"),
        ("team", "per: [team], ", "20G"),
        ("user", "per: [user], ", "1G"),
        ("model", "per: [model], ", "100G"),
    ] {
        text += &budget(name, &format!("match: {{organization: acme}}, {per}"), limit, "{every: day}");
    }
    text
}

/// Routes of the bursts' models to a provider that counts truly, and a budget of so much for each.
pub(crate) fn bursts(provider: SocketAddr, limit: u64) -> String {
    let mut text = gateway::manifest(provider);
    for Burst { model, .. } in BURSTS {
        write!(
            text,
            "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: AIGatewayRoute\nmetadata: {{name: {model}}}\n\
             spec:\n  parentRefs: [{{name: bench}}]\n  rules:\n  - backendRefs: [{{name: provider}}]\n    matches: \
             [{{headers: [{{type: Exact, name: x-ai-eg-model, value: {model}}}]}}]\n"
        )
        .expect("writing to a string cannot fail");
        let of = format!("match: {{models: [{model}]}}, ");
        text += &budget(model, &of, &limit.to_string(), "{lifetime: true}");
    }
    text
}

fn budget(name: &str, of: &str, limit: &str, window: &str) -> String {
    format!(
        "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec: {{{of}unit: totalTokens, limit: {limit}, \
         window: {window}, enforcement: strict}}\n"
    )
}

fn key(user: usize) -> String {
    format!("sk-bench-{user}")
}

/// A request of 1 KB by a user.
pub(crate) fn request(address: SocketAddr, user: usize) -> Vec<u8> {
    let text = String::from_utf8(chat::request(address, Model::Small, 1)).expect("it is text");
    text.replacen("bench-client-key", &key(user), 1).into_bytes()
}

pub(crate) fn burst_request(address: SocketAddr, Burst { model, max_tokens, stream }: Burst) -> Vec<u8> {
    let cap = max_tokens.map_or_else(String::new, |cap| format!("\"max_tokens\":{cap},"));
    let stream = if stream { "\"stream\":true,\"stream_options\":{\"include_usage\":true}," } else { "" };
    let body = format!(
        "{{\"model\":\"{model}\",{cap}{stream}\"messages\":[{{\"role\":\"user\",\"content\":\"Hi!\"}}]}}"
    );
    let length = body.len();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Users by Zipf's law: the n-th calls 1/n times as often as the first.
pub(crate) fn order() -> Vec<usize> {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let weights: Vec<f64> = (1..=USERS).map(|rank| 1.0 / rank as f64).collect();
    let sum: f64 = weights.iter().sum();
    let mut bounds = Vec::with_capacity(USERS);
    let mut upto = 0.0;
    for weight in weights {
        upto += weight / sum;
        bounds.push(upto);
    }
    // Numbers that fill 0 to 1 evenly, in an order without a pattern that users could share.
    let step = 0.618_033_988_749_894_9;
    let mut point = 0.0_f64;
    (0..ORDER)
        .map(|_| {
            point = (point + step).fract();
            bounds.partition_point(|bound| *bound < point).min(USERS - 1)
        })
        .collect()
}
