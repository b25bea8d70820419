//! Budgets as written to budgets of the core.

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::Dimension;
use tollgate_ratelimit::invalid::Invalid;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::window::{self, Fixed, Period, Rolling, Window};

use super::{Routed, amount, covers, reach};
use crate::compile::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{BudgetSpec, BudgetWindow, OnExhaustedText, PeriodText, Untyped};
use crate::schema::brief;
use crate::snapshot::{
    BudgetBuilder, ConsumerTable, Cost, Expression, KeptBudget, Lacking, Measure, PriceTable,
};

/// What budgets are compiled against.
pub(super) struct Context<'a, 'i> {
    pub(super) index: &'i Index<'a>,
    pub(super) routed: Routed<'i>,
    pub(super) consumers: &'i ConsumerTable,
    pub(super) prices: &'i PriceTable,
}

/// Where in a Budget something is wrong: the field below `spec`, what came, and what was expected.
struct Wrong {
    field: &'static str,
    value: String,
    expected: String,
}

/// Compiles every Budget.
pub(super) fn compile(context: &Context<'_, '_>, budgets: &mut BudgetBuilder, problems: &mut Vec<Problem>) {
    for entry in context.index.budgets.iter() {
        match read(context, entry, problems) {
            Ok(kept) => {
                without_next(context, entry.loaded, &kept, problems);
                add(context, (entry.loaded, "spec"), kept, (budgets, problems));
            }
            Err(Wrong { field, value, expected }) => {
                problems.push(entry.loaded.problem(&format!("spec.{field}"), value, expected));
            }
        }
    }
}

/// Checks a budget as the core does, and as prices and priorities need it, and takes it. `path`: where it is written.
pub(super) fn add(
    context: &Context<'_, '_>,
    (loaded, path): (&Loaded, &str),
    kept: KeptBudget,
    (budgets, problems): (&mut BudgetBuilder, &mut Vec<Problem>),
) {
    // Any boundaries do: the core's rules for them do not depend on which they are.
    let checked = kept.definition(Timestamp(0), 2).map(|budget| budget.check());
    let fault = match checked {
        Ok(Ok(())) => None,
        Ok(Err(Invalid { field: "name", expected })) => Some(("metadata.name".to_owned(), expected)),
        Ok(Err(Invalid { field, expected })) => Some((format!("{path}.{field}"), expected)),
        Err(error) => Some((path.to_owned(), error.to_string())),
    };
    if let Some((field, expected)) = fault {
        problems.push(loaded.problem(&field, "", expected));
        return;
    }
    unpriced(context, loaded, &kept, problems);
    budgets.add(kept);
}

fn read(
    context: &Context<'_, '_>,
    entry: Entry<'_, BudgetSpec>,
    problems: &mut Vec<Problem>,
) -> Result<KeptBudget, Wrong> {
    let Entry { loaded, spec } = entry;
    let BudgetSpec { covers, per, unit, limit, window, enforcement, on_exhausted } = spec;
    let (unit, expression) = read_unit(unit)?;
    let limit = read_amount("limit", limit, &unit)?;
    let covers = covers::cover(context, loaded, covers, problems);
    let per = covers::divisions(per);
    let by_backend = per.contains(&Dimension::Backend)
        || covers.matchers.iter().any(|matcher| matcher.dimension == Dimension::Backend);
    let budget = Budget {
        name: loaded.name.to_string(),
        covers,
        per,
        limit,
        window: read_window(window, limit, &unit)?,
        enforcement: read_enforcement(enforcement.as_ref(), &unit)?,
        on_exhausted: match on_exhausted {
            OnExhaustedText::Refuse => OnExhausted::Refuse,
            OnExhaustedText::NextPriority => OnExhausted::NextPriority,
        },
        unit,
    };
    Ok(KeptBudget {
        resource: format!("{} {}", loaded.kind, loaded.name),
        budget,
        expression,
        alternatives: None,
        by_backend,
        conditions: Vec::new(),
        rules: None,
        lacking: Lacking::Together,
    })
}

fn read_unit(Untyped(unit): &Untyped) -> Result<(Unit, Option<Cost>), Wrong> {
    let known = match unit.as_str() {
        Some("requests") => Some(Unit::Requests),
        Some("inputTokens") => Some(Unit::InputTokens),
        Some("outputTokens") => Some(Unit::OutputTokens),
        Some("totalTokens") => Some(Unit::TotalTokens),
        Some("cachedInputTokens") => Some(Unit::CachedInputTokens),
        Some("reasoningTokens") => Some(Unit::ReasoningTokens),
        Some("cost") => Some(Unit::Cost),
        Some(_) | None => None,
    };
    if let Some(unit) = known {
        return Ok((unit, None));
    }
    match (only_field(unit, "cel"), unit) {
        (Some(Value::String(source)), _) => expression(source)
            .map_err(|expected| Wrong { field: "unit.cel", value: shown(source), expected })
            .map(|(unit, cost)| (unit, Some(cost))),
        (_, other) => Err(Wrong {
            field: "unit",
            value: brief(other),
            expected: "one of requests, inputTokens, outputTokens, totalTokens, cachedInputTokens, reasoningTokens, cost, or {cel: expression}".to_owned(),
        }),
    }
}

/// A unit that is an expression over usage.
pub(super) fn expression(source: &str) -> Result<(Unit, Cost), String> {
    let compiled = Expression::compile(source)
        .map_err(|error| format!("an expression that gives a whole number: {error}"))?;
    let cost = Cost { metadata_key: source.to_owned(), measure: Measure::Cel(Arc::new(compiled)) };
    Ok((Unit::Expression(source.to_owned()), cost))
}

fn read_amount(field: &'static str, text: &str, unit: &Unit) -> Result<Amount, Wrong> {
    amount::read(text, unit).map_err(|expected| Wrong { field, value: shown(text), expected })
}

fn read_window(window: &BudgetWindow, limit: Amount, unit: &Unit) -> Result<Window, Wrong> {
    // One of three is there: without the other two it is for ever.
    let BudgetWindow { every, time_zone, rolling, burst, lifetime: _ } = window;
    if let Some(every) = every {
        return calendar(*every, time_zone.as_deref().unwrap_or("UTC"));
    }
    let Some(rolling) = rolling else { return Ok(Window::Lifetime) };
    let burst = burst.as_ref().map_or(Ok(limit), |burst| read_amount("window.burst", burst, unit))?;
    let length: Duration = rolling.length();
    let period_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let window = Window::Rolling(Rolling { period_ms, burst });
    window.check().map_err(|invalid| {
        let (field, value) = match invalid.field {
            "burst" => ("window.burst", burst.to_string()),
            _ => ("window.rolling", rolling.to_string()),
        };
        Wrong { field, value, expected: invalid.expected }
    })?;
    Ok(window)
}

fn calendar(every: PeriodText, zone: &str) -> Result<Window, Wrong> {
    let every = match every {
        PeriodText::Second => Period::Second,
        PeriodText::Minute => Period::Minute,
        PeriodText::Hour => Period::Hour,
        PeriodText::Day => Period::Day,
        PeriodText::Week => Period::Week,
        PeriodText::Month => Period::Month,
        PeriodText::Year => Period::Year,
    };
    window::upcoming(every, zone, Timestamp(0), 2).map_err(|_| Wrong {
        field: "window.timeZone",
        value: shown(zone),
        expected: "a time zone as IANA names it, such as Europe/Berlin".to_owned(),
    })?;
    Ok(Window::Fixed(Fixed { every, zone: zone.to_owned(), boundaries: Vec::new() }))
}

fn read_enforcement(written: Option<&Untyped>, unit: &Unit) -> Result<Enforcement, Wrong> {
    let Some(Untyped(written)) = written else { return Ok(Enforcement::Strict) };
    let wrong = |value| Wrong {
        field: "enforcement",
        value,
        expected: "strict, shadow, or {bounded: {perNode: amount}}".to_owned(),
    };
    match written.as_str() {
        Some("strict") => return Ok(Enforcement::Strict),
        Some("shadow") => return Ok(Enforcement::Shadow),
        Some(other) => return Err(wrong(shown(other))),
        None => {}
    }
    let per_node = only_field(written, "bounded").and_then(|bounded| only_field(bounded, "perNode"));
    let text = match per_node {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(_) | None => return Err(wrong(brief(written))),
    };
    Ok(Enforcement::Bounded { per_node: read_amount("enforcement.bounded.perNode", &text, unit)? })
}

/// The field of a mapping that has no other.
fn only_field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.as_object().filter(|fields| fields.len() == 1)?.get(name)
}

/// A budget of cost over a model without a price would refuse it at every request.
fn unpriced(context: &Context<'_, '_>, loaded: &Loaded, kept: &KeptBudget, problems: &mut Vec<Problem>) {
    if kept.budget.unit != Unit::Cost {
        return;
    }
    for reached in reach::reached(context.routed, kept) {
        let backend = &reached.candidate.backend;
        for model in reach::models(reached, kept) {
            if !context.prices.knows(backend, model) {
                let what = format!(
                    "a price for every model that it covers: {model} at {} has none, and is refused",
                    backend.name
                );
                let problem = loaded.problem("spec.unit", "cost", what);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
}

/// There is no next priority where all backends have the same.
fn without_next(context: &Context<'_, '_>, loaded: &Loaded, kept: &KeptBudget, problems: &mut Vec<Problem>) {
    if kept.budget.on_exhausted != OnExhausted::NextPriority {
        return;
    }
    for reach::Reached { rule, .. } in reach::reached(context.routed, kept) {
        let mut priorities = rule.candidates.iter().map(|candidate| candidate.priority);
        let first = priorities.next();
        if priorities.all(|priority| Some(priority) == first) {
            let name = rule.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let what = format!(
                "rules with backends of several priorities: {}{name} has one, and refuses",
                rule.route
            );
            let problem = loaded.problem("spec.onExhausted", "NextPriority", what);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
}
