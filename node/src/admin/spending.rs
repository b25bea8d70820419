//! What the admin API tells of money and tokens: budgets, and who spent what. Any node answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tollgate_cluster::wallet::clock;
use tollgate_crds::Snapshot;
use tollgate_ratelimit::Row;
use tollgate_ratelimit::ledger::rows::{Grain, GroupBy, Line, Term};
use tollgate_ratelimit::money::format_usd;

use super::answers::{problem, typed, value};
use super::nodes::caught_up;
use super::question::{self, Format, Freshness, LedgerQuestion, People};
use super::{Admin, Answer};
use crate::member::Member;

/// So many buckets of a budget are listed.
const MOST_BUCKETS: usize = 1_000;

pub(super) fn budgets(member: &Member) -> Answer {
    let all: Vec<Value> = member.node.replica().look(|state| {
        let ledger = state.quota();
        let now = clock::stamp().max(ledger.now());
        let mut buckets: BTreeMap<_, Vec<Value>> = BTreeMap::new();
        for bucket in ledger.buckets_at(now) {
            let list = buckets.entry(bucket.name.budget).or_default();
            if list.len() < MOST_BUCKETS {
                list.push(json!({
                    "key": bucket.name.key.0,
                    "from_ms": bucket.window.start.0,
                    "until_ms": bucket.window.end.0,
                    "allowed": i64::try_from(bucket.allowed).unwrap_or(i64::MAX),
                    "spent": bucket.spent,
                    "leased": bucket.outstanding,
                    "left": i64::try_from(bucket.free).unwrap_or(i64::MAX),
                    "forfeited": bucket.forfeited,
                }));
            }
        }
        let budgets = ledger.budgets().map(|(id, budget)| {
            json!({
                "name": budget.name,
                "unit": budget.unit,
                "limit": budget.limit,
                "enforcement": budget.enforcement,
                "on_exhausted": budget.on_exhausted,
                "buckets": buckets.remove(&id).unwrap_or_default(),
            })
        });
        budgets.collect()
    });
    value(StatusCode::OK, &json!({"budgets": all}))
}

/// Who spent what.
pub(super) async fn ledger(admin: &Admin, query: Option<&str>) -> Answer {
    let asked = match question::ledger(query) {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let member = &admin.gateway.member;
    if asked.freshness == Freshness::Current
        && let Err(why) = caught_up(member).await
    {
        let hint = "ask for freshness=replica to see what this node has";
        return problem(StatusCode::SERVICE_UNAVAILABLE, &format!("no current answer: {why}; {hint}"));
    }
    let mut query = asked.query.clone();
    if !asked.by_people.is_empty() && !query.group_by.contains(&GroupBy::Consumer) {
        query.group_by.push(GroupBy::Consumer);
    }
    let (lines, at) =
        member.node.replica().look(|state| (state.quota().rows().query(&query), state.quota().now()));
    let config = admin.gateway.config.latest();
    let lines = by_people(lines, &asked, &config.snapshot);
    match asked.format {
        Format::Json => {
            let rows: Vec<Value> = lines.iter().map(described).collect();
            let lag_ms = clock::stamp().0.saturating_sub(at.0);
            let of = match asked.freshness {
                Freshness::Current => json!("current"),
                Freshness::Replica => json!({"replica_at_ms": at.0, "lag_ms": lag_ms}),
            };
            value(StatusCode::OK, &json!({"freshness": of, "rows": rows}))
        }
        Format::Csv => typed(StatusCode::OK, "text/csv; charset=utf-8", Bytes::from(csv(&lines))),
    }
}

/// A line, and what its consumer belongs to if that was asked for.
struct Told {
    people: BTreeMap<People, String>,
    line: Line,
}

fn by_people(lines: Vec<Line>, asked: &LedgerQuestion, snapshot: &Snapshot) -> Vec<Told> {
    if asked.by_people.is_empty() {
        return lines.into_iter().map(|line| Told { people: BTreeMap::new(), line }).collect();
    }
    let consumers = snapshot.quota.consumers.all();
    let with_consumer = asked.query.group_by.contains(&GroupBy::Consumer);
    let mut sums: Vec<Told> = Vec::new();
    for mut line in lines {
        let name = line.consumer.as_deref();
        let consumer = consumers.iter().find(|one| Some(one.full_name.as_str()) == name);
        let of = |people: &People| {
            let found = consumer.and_then(|one| match people {
                People::Organization => one.organization.clone(),
                People::Team => one.team.clone(),
            });
            (*people, found.unwrap_or_default())
        };
        let people: BTreeMap<People, String> = asked.by_people.iter().map(of).collect();
        if !with_consumer {
            line.consumer = None;
        }
        let same = |told: &&mut Told| {
            told.people == people
                && (&told.line.consumer, &told.line.model, &told.line.backend, told.line.term)
                    == (&line.consumer, &line.model, &line.backend, line.term)
        };
        match sums.iter_mut().find(same) {
            Some(told) => {
                told.line.row.merge(&line.row);
                told.line.change.merge(&line.change);
            }
            None => sums.push(Told { people, line }),
        }
    }
    sums
}

fn described(told: &Told) -> Value {
    let Told { people, line } = told;
    let mut shown = serde_json::Map::new();
    for (people, name) in people {
        shown.insert(people.name().to_owned(), json!(name));
    }
    for (field, text) in [("consumer", &line.consumer), ("model", &line.model), ("backend", &line.backend)] {
        if let Some(text) = text {
            shown.insert(field.to_owned(), json!(text));
        }
    }
    if let Some(term) = line.term {
        let (day, hour, until) = when(term);
        shown.insert("day".to_owned(), json!(day));
        if let Some(hour) = hour {
            shown.insert("hour".to_owned(), json!(hour));
        }
        shown.insert("until".to_owned(), json!(until));
    }
    let Row { requests, estimated_requests, unknown_requests, .. } = line.row;
    shown.insert("requests".to_owned(), json!(requests));
    shown.insert("estimated_requests".to_owned(), json!(estimated_requests));
    shown.insert("unknown_requests".to_owned(), json!(unknown_requests));
    shown.insert("usage".to_owned(), json!(line.row.usage));
    shown.insert("estimated_usage".to_owned(), json!(line.row.estimated_usage));
    shown.insert("unknown_usage".to_owned(), json!(line.row.unknown_usage));
    shown.insert("cost_nano_usd".to_owned(), json!(line.row.cost_nano_usd));
    shown.insert("cost_usd".to_owned(), json!(dollars(line.row.cost_nano_usd)));
    shown.insert("corrections".to_owned(), json!(line.change));
    Value::Object(shown)
}

/// The day that a term begins on, the hour if it is one, and the first day or hour after it.
fn when(term: Term) -> (String, Option<String>, String) {
    let day = Term::of(Grain::Day, term.first_hour).to_string();
    let is_hour = term.grain == Grain::Hour;
    let after = if is_hour { Grain::Hour } else { Grain::Day };
    (day, is_hour.then(|| term.to_string()), Term::of(after, term.end_hour()).to_string())
}

fn csv(lines: &[Told]) -> String {
    let mut text = String::from(
        "organization,team,consumer,model,backend,day,hour,requests,estimated_requests,unknown_requests,input_tokens,\
         output_tokens,total_tokens,cost_usd\n",
    );
    for Told { people, line } in lines {
        let named = |one: &People| people.get(one).map_or(String::new(), |name| quoted(name));
        let text_of = |field: &Option<String>| field.as_deref().map_or(String::new(), quoted);
        let (day, hour, _) = line.term.map(when).unwrap_or_default();
        let hour = hour.unwrap_or_default();
        let Row { requests, estimated_requests, unknown_requests, usage, cost_nano_usd, .. } = &line.row;
        let _to_a_string_always_succeeds = writeln!(
            text,
            "{},{},{},{},{},{day},{hour},{requests},{estimated_requests},{unknown_requests},{},{},{},{}",
            named(&People::Organization),
            named(&People::Team),
            text_of(&line.consumer),
            text_of(&line.model),
            text_of(&line.backend),
            usage.input,
            usage.output,
            usage.total,
            dollars(*cost_nano_usd),
        );
    }
    text
}

fn dollars(nano_usd: u64) -> String {
    format_usd(nano_usd).trim_end_matches(" USD").to_owned()
}

/// A field that would be taken for several, or for a formula, is put in quotes (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

impl People {
    fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
        }
    }
}
