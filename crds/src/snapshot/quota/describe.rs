//! Consumers, budgets and prices as text, for golden tests and for people. Shows neither keys nor their hashes.

use std::fmt::{self, Display};

use tollgate_ratelimit::budget::{Enforcement, OnExhausted};
use tollgate_ratelimit::cover::Matcher;
use tollgate_ratelimit::money::format_usd;
use tollgate_ratelimit::price::Rates;
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::window::{Fixed, Rolling, Window};

use super::{
    Access, ApiKeyAccess, Consumer, Issuer, Jwks, JwtAccess, KeptBudget, Lacking, PriceFor, PriceRow, Quota,
};

impl Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for consumer in self.consumers.all() {
            write_consumer(f, consumer, self.consumers.keys_of(consumer))?;
        }
        for issuer in self.issuers.all() {
            write_issuer(f, issuer)?;
        }
        for budget in self.budgets.all() {
            writeln!(f, "{budget}")?;
        }
        // Those that are built in are the same everywhere.
        self.prices.rows().iter().filter(|row| !row.built_in).try_for_each(|row| writeln!(f, "{row}"))
    }
}

fn write_consumer(f: &mut fmt::Formatter<'_>, consumer: &Consumer, keys: usize) -> fmt::Result {
    let Consumer { name: _, full_name, organization, team, user, labels } = consumer;
    write!(f, "consumer {full_name}: {keys} key(s)")?;
    for (what, value) in [("organization", organization), ("team", team), ("user", user)] {
        if let Some(value) = value {
            write!(f, ", {what} {value}")?;
        }
    }
    labels.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))?;
    writeln!(f)
}

fn write_issuer(f: &mut fmt::Formatter<'_>, one: &Issuer) -> fmt::Result {
    let Issuer { name, issuer, audiences, jwks, claims, sources } = one;
    write!(f, "issuer {name}: {} for {audiences:?}", issuer.as_deref().unwrap_or("any"))?;
    match jwks {
        Jwks::Remote { uri } => write!(f, ", keys at {uri}")?,
        Jwks::Local(_) => f.write_str(", own keys")?,
    }
    for claim in claims {
        write!(f, ", {} to {}", claim.claim.join("."), claim.header)?;
    }
    writeln!(f, ", from {sources:?}")
}

impl Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, jwt, api_keys } = self;
        write!(f, "by {policy}:")?;
        if let Some(JwtAccess { issuers, optional }) = jwt {
            let names: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
            write!(f, " a token of {}", names.join(" or "))?;
            if *optional {
                f.write_str(" if any")?;
            }
        }
        if let Some(ApiKeyAccess { clients, sources, client_header, sanitize }) = api_keys {
            write!(f, " a key of {} clients from {sources:?}", clients.all().len())?;
            if let Some(header) = client_header {
                write!(f, ", client to {header}")?;
            }
            if *sanitize {
                f.write_str(", taken off")?;
            }
        }
        Ok(())
    }
}

impl Display for KeptBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = &self.budget;
        let amount = |amount| shown(amount, &budget.unit);
        write!(f, "budget {}: {} ", budget.name, amount(budget.limit))?;
        match &budget.window {
            Window::Fixed(Fixed { every, zone, .. }) => write!(f, "each {every:?} in {zone}")?,
            Window::Rolling(Rolling { period_ms, burst }) => {
                write!(f, "over {period_ms} ms, {} at once", amount(*burst))?;
            }
            Window::Lifetime => f.write_str("for ever")?,
        }
        for dimension in &budget.per {
            write!(f, ", per {dimension}")?;
        }
        if !budget.per.is_empty() && self.lacking == Lacking::Uncovered {
            f.write_str(" where there is one")?;
        }
        match budget.enforcement {
            Enforcement::Strict => f.write_str(", strict")?,
            Enforcement::Bounded { per_node } => write!(f, ", bounded by {} a node", amount(per_node))?,
            Enforcement::Shadow => f.write_str(", shadow")?,
        }
        match budget.on_exhausted {
            OnExhausted::Refuse => {}
            OnExhausted::NextPriority => f.write_str(", then the next priority")?,
        }
        if let Some(group) = self.alternatives {
            write!(f, ", one of group {group}")?;
        }
        write_cover(f, self)
    }
}

fn write_cover(f: &mut fmt::Formatter<'_>, kept: &KeptBudget) -> fmt::Result {
    for Matcher { dimension, patterns } in &kept.budget.covers.matchers {
        write!(f, "; {dimension} {}", patterns.join(" or "))?;
    }
    for condition in &kept.conditions {
        write!(f, "; {condition}")?;
    }
    match &kept.rules {
        Some(rules) => write!(f, "; rules {rules:?}"),
        None => Ok(()),
    }
}

fn shown(amount: Amount, unit: &Unit) -> String {
    let name = match unit {
        Unit::Cost => return format_usd(amount),
        Unit::Requests => "requests",
        Unit::InputTokens => "input tokens",
        Unit::OutputTokens => "output tokens",
        Unit::TotalTokens => "total tokens",
        Unit::CachedInputTokens => "cached input tokens",
        Unit::ReasoningTokens => "reasoning tokens",
        Unit::Expression(source) => return format!("{amount} of ({source})"),
    };
    format!("{amount} {name}")
}

impl Display for PriceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, of, from_day, until_day, built_in: _, price } = self;
        write!(f, "price {model}")?;
        match of {
            PriceFor::Backends(names) => {
                names.iter().try_for_each(|(namespace, name)| write!(f, " at {namespace}/{name}"))?;
            }
            PriceFor::Provider(schema) => write!(f, " at any {schema:?}")?,
            PriceFor::Any => {}
        }
        if let Some(day) = from_day {
            write!(f, " from day {day}")?;
        }
        if let Some(day) = until_day {
            write!(f, " until day {day}")?;
        }
        write_rates(f, &price.prices.rates)?;
        if price.prices.request > 0 {
            write!(f, ", {} a request", format_usd(price.prices.request))?;
        }
        for tier in &price.prices.tiers {
            write!(f, "; over {} tokens", tier.over_input_tokens)?;
            write_rates(f, &tier.rates)?;
        }
        write!(f, " ({})", price.version)
    }
}

fn write_rates(f: &mut fmt::Formatter<'_>, rates: &Rates) -> fmt::Result {
    let Rates { input, output, cached_input, cache_creation_input, reasoning } = *rates;
    write!(f, ": {} in, {} out", format_usd(input), format_usd(output))?;
    let others = [("cached", cached_input), ("written", cache_creation_input), ("reasoning", reasoning)];
    others.iter().try_for_each(|(name, price)| match price {
        Some(price) => write!(f, ", {} {name}", format_usd(*price)),
        None => Ok(()),
    })
}
