//! How times, amounts and refusals read.

use jiff::Timestamp as Instant;
use tollgate_ratelimit::budget::OnExhausted;
use tollgate_ratelimit::ledger::outcome::Verdict;
use tollgate_ratelimit::money::format_usd;
use tollgate_ratelimit::time::{DAY_MS, Span, Timestamp};
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::wallet::Why;

/// Longer than anybody waits.
const AGES_MS: u64 = 1_000 * 365 * DAY_MS;

/// `1d 2h 30m`.
pub(crate) fn lasting(ms: u64) -> String {
    if ms > AGES_MS {
        return "for ever".to_owned();
    }
    let parts = [
        (ms / DAY_MS, "d"),
        (ms / 3_600_000 % 24, "h"),
        (ms / 60_000 % 60, "m"),
        (ms / 1_000 % 60, "s"),
        (ms % 1_000, "ms"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if told.is_empty() { "0s".to_owned() } else { told.join(" ") }
}

/// `2026-03-28 23:00`, UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    let instant = i64::try_from(at.0).ok().and_then(|ms| Instant::from_millisecond(ms).ok());
    let Some(instant) = instant else { return "never".to_owned() };
    let text = instant.to_string().replace('T', " ").replace('Z', "");
    text.strip_suffix(":00").map_or(text.clone(), str::to_owned)
}

/// `2026-03-28 23:00 to 2026-03-29 22:00 (23h)`.
pub(crate) fn window(span: Span) -> String {
    if span.end == Timestamp::NEVER {
        return "always".to_owned();
    }
    format!("{} to {} ({})", moment(span.start), moment(span.end), lasting(span.end.since(span.start)))
}

/// An amount in its unit.
pub(crate) fn amount(unit: &Unit, amount: i128) -> String {
    let is_money = *unit == Unit::Cost;
    match u64::try_from(amount.unsigned_abs()) {
        Ok(sum) if is_money => {
            let sign = if amount < 0 { "-" } else { "" };
            format!("{sign}${}", format_usd(sum).trim_end_matches(" USD"))
        }
        Ok(_) | Err(_) => amount.to_string(),
    }
}

/// What the ledger says of what was asked.
pub(crate) fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Granted => "granted".to_owned(),
        Verdict::Wait => "wait: others are asked to give back".to_owned(),
        Verdict::Held => "wait: held by requests that run".to_owned(),
        Verdict::Exhausted { until } if until == Timestamp::NEVER => "spent for good".to_owned(),
        Verdict::Exhausted { until } => format!("spent until {}", moment(until)),
        Verdict::TooLarge { limit } => format!("never: more than the {limit} there ever are"),
        Verdict::NotKept => "no such budget any more".to_owned(),
    }
}

/// What a wallet says to a request.
pub(crate) fn refusal(why: Why) -> String {
    match why {
        Why::Dry => "no lease, or too little on it".to_owned(),
        Why::Held { .. } => "wait: others hold what is left".to_owned(),
        Why::Exhausted { until_ms, .. } if until_ms > AGES_MS => "spent for good".to_owned(),
        Why::Exhausted { until_ms, .. } => format!("spent; come back in {}", lasting(until_ms)),
        Why::TooLarge { limit } => format!("never: more than the {limit} there ever are"),
        Why::NotKept { .. } => "the ledger does not keep it now".to_owned(),
        Why::Unreachable => "the ledger does not answer in time".to_owned(),
        Why::Draining => "this node is leaving".to_owned(),
        Why::Crowded { most } => format!("{most} requests wait already"),
    }
}

/// What then becomes of the request.
pub(crate) const fn then(on_exhausted: OnExhausted) -> &'static str {
    match on_exhausted {
        OnExhausted::Refuse => "the client is told",
        OnExhausted::NextPriority => "the next plan is tried",
    }
}
