//! What nodes say of themselves: metrics, and what the ledger has.

use std::net::SocketAddr;

use super::nodes::Nodes;
use crate::load::succeeded;
use crate::wire::Wire;

/// Counted until now, over all nodes.
pub(crate) struct Counted {
    /// Entries of the log.
    pub(crate) entries: f64,
    pub(crate) waits: Waits,
}

/// How long admission took: how many took at most so many seconds.
pub(crate) struct Waits(Vec<(f64, f64)>);

impl Counted {
    /// Requests that were admitted.
    pub(crate) fn admitted(&self) -> f64 {
        self.waits.0.last().map_or(0.0, |(_, count)| *count)
    }
}

impl Waits {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let then = |bound: f64| {
            before.0.iter().find(|(at, _)| at.to_bits() == bound.to_bits()).map_or(0.0, |one| one.1)
        };
        Self(self.0.iter().map(|(bound, count)| (*bound, count - then(*bound))).collect())
    }

    /// The bound in seconds that so many per cent are within.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let all = self.0.last().map_or(0.0, |(_, count)| *count);
        let found = self.0.iter().find(|(_, count)| *count >= all * percent / 100.0);
        found.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}

/// Reads all nodes.
pub(crate) async fn read(nodes: &Nodes) -> Result<Counted, String> {
    let (mut entries, mut waits): (f64, Vec<(f64, f64)>) = (0.0, Vec::new());
    for admin in &nodes.admins {
        let text = get(*admin, "/metrics").await?;
        entries = entries.max(number(&text, "tollgate_raft_last_entry ").unwrap_or(0.0));
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("tollgate_admission_duration_bucket{le=\"") else { continue };
            let Some((bound, count)) = rest.split_once("\"} ") else { continue };
            let bound = if bound == "+Inf" { f64::INFINITY } else { parsed(bound)? };
            let count = parsed(count)?;
            match waits.iter_mut().find(|(at, _)| at.to_bits() == bound.to_bits()) {
                Some((_, sum)) => *sum += count,
                None => waits.push((bound, count)),
            }
        }
    }
    Ok(Counted { entries, waits: Waits(waits) })
}

/// One metric without labels.
pub(crate) async fn metric(admin: SocketAddr, name: &str) -> Result<f64, String> {
    let text = get(admin, "/metrics").await?;
    number(&text, &format!("{name} ")).ok_or_else(|| format!("no {name}"))
}

/// Tokens of a model, as the ledger has them now.
pub(crate) async fn spent(nodes: &Nodes, model: &str) -> Result<u64, String> {
    let text = get(nodes.admins[0], &format!("/v1/ledger?group_by=model&model={model}")).await?;
    let answer: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(answer["rows"][0]["usage"]["total"].as_u64().unwrap_or(0))
}

/// What a provider says that a request took in all.
pub(crate) async fn tokens_of(provider: SocketAddr, request: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(request).replacen(
        "content-type",
        "authorization: Bearer k\r\ncontent-type",
        1,
    );
    let mut wire = Wire::connect(provider).await?;
    wire.send(text.as_bytes()).await?;
    let answer: serde_json::Value =
        serde_json::from_str(&read_all(&mut wire).await?).map_err(|error| error.to_string())?;
    answer["usage"]["total_tokens"].as_u64().ok_or_else(|| format!("expected usage, {answer} came"))
}

/// What a path answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let mut wire = Wire::connect(address).await?;
    wire.send(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    read_all(&mut wire).await
}

async fn read_all(wire: &mut Wire) -> Result<String, String> {
    let mut body = succeeded(wire).await?;
    let mut text = Vec::new();
    while let Some(piece) = wire.piece(&mut body).await? {
        text.extend_from_slice(piece);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn number(text: &str, start: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(start)?.parse().ok())
}

fn parsed(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|error| format!("expected a number, `{text}` came: {error}"))
}
