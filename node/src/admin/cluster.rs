//! What the admin API tells of the cluster: nodes, budgets, and who spent what. Any node answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tollgate_cluster::gossip::view::Duty;
use tollgate_cluster::state::cluster::{Change, MOST_PREFERRED, Setting};
use tollgate_cluster::state::nodes::Farewell;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::wallet::clock;
use tollgate_crds::Snapshot;
use tollgate_ratelimit::Row;
use tollgate_ratelimit::ledger::rows::{Grain, GroupBy, Line, Term};
use tollgate_ratelimit::money::format_usd;

use super::answers::{problem, typed, value};
use super::question::{self, Format, Freshness, LedgerQuestion, People};
use super::{Admin, Answer};
use crate::member::Member;

/// An answer that has to be current waits this long for the leader.
const CATCH_UP: Duration = Duration::from_secs(5);
/// So many buckets of a budget are listed.
const MOST_BUCKETS: usize = 1_000;

/// This node and the others, as `/v1/status` and `/v1/nodes` have them.
pub(super) fn nodes(member: &Member) -> Value {
    let node = &member.node;
    let metrics = node.metrics();
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let seen = node.gossip().peers().borrow().clone();
    let known: Vec<Value> = node.replica().look(|state| {
        let all = state.nodes().all().map(|(id, known)| {
            let peer = seen.get(&id);
            json!({
                "id": id,
                "name": known.member.name,
                "address": known.member.address,
                "region": known.member.region,
                "zone": known.member.zone,
                "role": if voters.contains(&id) { "voter" } else { "learner" },
                "leader": metrics.current_leader == Some(id),
                "seen": peer.is_some(),
                "duty": peer.map(|peer| peer.news.duty.name()),
                "admin": peer.map(|peer| &peer.about.admin),
                "version": peer.map(|peer| &peer.about.version),
                "applied": peer.map(|peer| peer.applied),
            })
        });
        all.collect()
    });
    json!(known)
}

/// Consensus, leases, journal, as `/v1/status` has them.
pub(super) fn summary(member: &Member) -> Value {
    let (node, till) = (&member.node, member.till.stats());
    let (metrics, desk) = (node.metrics(), node.desk().stats());
    let applied = metrics.last_applied.as_ref().map_or(0, |at| at.index);
    let last = metrics.last_log_index.unwrap_or(0);
    json!({
        "id": node.name().cluster.to_string(),
        "node": node.id(),
        "name": node.member().name,
        "address": node.member().address,
        "leader": metrics.current_leader,
        "term": metrics.current_term,
        "last_entry": last,
        "applied": applied,
        "lag": last.saturating_sub(applied),
        "nodes": nodes(member),
        "wallet": {
            "leases": till.wallet.leases,
            "buckets": till.wallet.purses,
            "held": till.wallet.held,
            "waiting": till.wallet.waiting,
            "waited": till.waits,
            "refused": till.refused,
            "batches": till.batches,
            "items": till.items,
            "round_trip_ms": till.wallet.round_trip_ms,
        },
        "journal": {"bytes": till.journal_bytes, "flushes": till.journal_flushes, "failure": member.till.failure()},
        "desk": {"entries": desk.entries, "batches": desk.batches},
    })
}

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

/// A node never comes back.
pub(super) async fn forget(member: &Member, id: &str) -> Answer {
    let Ok(node) = id.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, &format!("expected a node's id, `{id}` came"));
    };
    let serves =
        member.node.gossip().peers().borrow().get(&node).is_some_and(|peer| peer.news.duty == Duty::Serving);
    if serves {
        let why = format!(
            "node {node} is there and serves: stop it first, or let it leave by itself (tollgate node leave)"
        );
        return problem(StatusCode::CONFLICT, &why);
    }
    let proposal = Proposal::Forget(Farewell { node, at: clock::stamp() });
    let forward = member.node.forward().clone();
    let written = on(member, async move { forward.write_again(proposal, CATCH_UP).await }).await;
    let applied = match written {
        Ok(written) => written.applied,
        Err(why) => return problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    };
    if let Applied::Refused(why) = applied {
        return problem(StatusCode::NOT_FOUND, &why.to_string());
    }
    member.node.peers().forget(node);
    value(StatusCode::OK, &json!({"forgotten": node}))
}

/// A node votes from now on, instead of another one if need be.
pub(super) async fn promote(member: &Member, id: &str) -> Answer {
    let Ok(node) = id.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, &format!("expected a node's id, `{id}` came"));
    };
    if let Err(why) = caught_up(member).await {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    let known = member.node.replica().look(|state| {
        state.nodes().expect_known(node).map_err(|refused| refused.to_string())?;
        let cluster = state.cluster().ok_or("there is no cluster yet")?;
        let others = cluster.preferred.iter().filter(|one| **one != node);
        let preferred: Vec<u64> = std::iter::once(node).chain(others.copied()).take(MOST_PREFERRED).collect();
        Ok::<_, String>(Change { expects: cluster.revision, setting: Setting::Preferred(preferred) })
    });
    let change = match known {
        Ok(change) => Proposal::Change(Box::new(change)),
        Err(why) => return problem(StatusCode::NOT_FOUND, &why),
    };
    let forward = member.node.forward().clone();
    match on(member, async move { forward.write(change, CATCH_UP).await })
        .await
        .map(|written| written.applied)
    {
        Ok(Applied::Refused(why)) => problem(StatusCode::CONFLICT, &why.to_string()),
        Ok(_) => value(StatusCode::OK, &json!({"promoted": node})),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// This node leaves for good.
pub(super) fn leave(member: &Member) -> Answer {
    match member.ask_to_leave() {
        Ok(()) => value(StatusCode::ACCEPTED, &json!({"leaving": member.node.id()})),
        Err(why) => problem(StatusCode::CONFLICT, &why),
    }
}

async fn caught_up(member: &Member) -> Result<(), String> {
    let forward = member.node.forward().clone();
    on(member, async move { forward.catch_up(CATCH_UP).await }).await
}

/// On the cluster's own runtime, where its connections live.
async fn on<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    member: &Member,
    task: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, String> {
    let done = member.runtime().spawn(task).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

impl People {
    fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
        }
    }
}
