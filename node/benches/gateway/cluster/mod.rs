//! Three nodes on this machine: what budgets cost when they are on, and that they hold when everybody asks at once.

mod admin;
mod manifest;
mod nodes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chat::{self, Model};
use crate::load::{self, Expect, Outcome, Plan};
use crate::measure::{count, median, micros};
use crate::options::Options;
use crate::targets::Starter;
use crate::wire::Wire;
use nodes::Nodes;

/// Connections of the load.
const CONNECTIONS: usize = 48;
/// Connections to each node on which every user calls for the first time.
const FIRST_CALLS: usize = 16;
/// Leases are as large as they get after so long.
const GROWTH: Duration = Duration::from_secs(3);

/// What one round says of one cluster.
struct Figures {
    per_second: f64,
    cpu_us: f64,
    entries: f64,
    admission: admin::Waits,
}

/// Prints the cost of budgets.
pub(crate) async fn compare(options: &Options, starter: &Starter) -> Result<(), String> {
    eprintln!("… three nodes for anybody, for users, and for users with budgets"); // Progress, kept out of the report.
    let open = Nodes::start("open", &manifest::routes(starter), starter).await?;
    let keyed = Nodes::start("keyed", &manifest::users(starter), starter).await?;
    let with = Nodes::start("with", &manifest::budgets(starter), starter).await?;
    let order = manifest::order();
    let anybody = vec![chat::request(open.clients[0], Model::Small, 1)];
    let users: Vec<Vec<u8>> =
        (0..manifest::USERS).map(|user| manifest::request(with.clients[0], user)).collect();
    first_calls(&with, &users).await?;
    let mut rows = [const { Vec::new() }; 3];
    for round in 0..=options.rounds {
        let plans =
            [(&open, &anybody, vec![0]), (&keyed, &users, order.clone()), (&with, &users, order.clone())];
        for ((nodes, requests, order), row) in plans.into_iter().zip(&mut rows) {
            let mut plan = plan(nodes, requests.clone(), order);
            // The first round is for leases to grow.
            plan.window = if round == 0 { GROWTH } else { options.times.cluster };
            let figures = measure(nodes, plan).await?;
            if round > 0 {
                row.push(figures);
            }
        }
    }
    print(&rows);
    Ok(())
}

/// Every user calls every node once, so that what follows is steady load. Prints what that costs: a lease each.
async fn first_calls(nodes: &Nodes, requests: &[Vec<u8>]) -> Result<(), String> {
    let before = admin::read(nodes).await?;
    let begin = Instant::now();
    let requests: Arc<[Vec<u8>]> = requests.into();
    let mut clients = JoinSet::new();
    for address in nodes.clients.clone() {
        for first in 0..FIRST_CALLS {
            let requests = Arc::clone(&requests);
            clients.spawn(async move {
                let mut wire = Wire::connect(address).await?;
                for request in requests.iter().skip(first).step_by(FIRST_CALLS) {
                    wire.send(request).await?;
                    let head = wire.head().await?.ok_or("no answer to a first call")?;
                    if head.status != 200 {
                        return Err(format!("status {} for a first call", head.status));
                    }
                    let mut body = head.body;
                    while wire.piece(&mut body).await?.is_some() {}
                }
                Ok::<_, String>(())
            });
        }
    }
    clients.join_all().await.into_iter().collect::<Result<(), String>>()?;
    let after = admin::read(nodes).await?;
    let calls = after.admitted() - before.admitted();
    println!(
        "\nfirst calls of {} users on each of three nodes: {:.0} a second, {:.4} entries each",
        requests.len(),
        calls / begin.elapsed().as_secs_f64(),
        (after.entries - before.entries) / calls
    );
    Ok(())
}

fn plan(nodes: &Nodes, requests: Vec<Vec<u8>>, order: Vec<usize>) -> Plan {
    Plan {
        addresses: nodes.clients.clone(),
        requests,
        order,
        expect: Expect::Body { bytes: chat::answer_body(Model::Small).len() },
        connections: CONNECTIONS,
        spread: Duration::ZERO,
        warm_up: Duration::from_millis(500),
        window: Duration::ZERO,
    }
}

async fn measure(nodes: &Nodes, plan: Plan) -> Result<Figures, String> {
    let before = admin::read(nodes).await?;
    let outcome: Outcome = load::run(plan, &nodes.pids()).await?;
    let after = admin::read(nodes).await?;
    let requests = count(outcome.finished);
    // The window is shorter than what lies between the two looks: only shares are taken of what was counted there.
    let (admitted, entries) = (after.admitted() - before.admitted(), after.entries - before.entries);
    Ok(Figures {
        per_second: requests / outcome.window.as_secs_f64(),
        cpu_us: outcome.cpu.map_or(0.0, micros) / requests,
        entries: entries / admitted.max(1.0),
        admission: after.waits.since(&before.waits),
    })
}

fn print(rows: &[Vec<Figures>; 3]) {
    println!(
        "\nthree nodes, 1 KB requests, {CONNECTIONS} connections; users: {} of them, each with a key and a row of the ledger; \
         budgets: four that cover every request",
        manifest::USERS
    );
    println!(
        "  {:<9} {:>9} {:>9} {:>14} {:>16} {:>16}",
        "", "req/s", "CPU us", "entries/req", "admission p50 us", "admission p99 us"
    );
    let middle = |row: &[Figures], figure: fn(&Figures) -> f64| {
        median(row.iter().map(figure).collect()).unwrap_or(0.0)
    };
    for (name, row) in ["anybody", "users", "budgets"].iter().zip(rows) {
        println!(
            "  {name:<9} {:>9.0} {:>9.1} {:>14.4} {:>16} {:>16}",
            middle(row, |one| one.per_second),
            middle(row, |one| one.cpu_us),
            middle(row, |one| one.entries),
            at_most(middle(row, |one| one.admission.percentile(50.0))),
            at_most(middle(row, |one| one.admission.percentile(99.0))),
        );
    }
    let ratio = |of: usize, figure: fn(&Figures) -> f64| {
        let each = rows[2].iter().zip(&rows[of]).map(|(with, without)| figure(with) / figure(without));
        median(each.collect()).unwrap_or(0.0)
    };
    for (name, of) in [("users", 1), ("anybody", 0)] {
        println!(
            "  budgets / {name}: {:.2} times the requests a second, {:.2} times the CPU a request",
            ratio(of, |one| one.per_second),
            ratio(of, |one| one.cpu_us)
        );
    }
    println!(
        "  goals: requests a second at least 0.85 of the same load without budgets; CPU at most 1.4 of a request of anybody"
    );
    println!("  goals: entries a request under 0.02; admission p50 under 20 us, p99 under 1,000 us");
}

/// Percentiles are known to the bucket.
fn at_most(seconds: f64) -> String {
    if seconds.is_finite() { format!("<= {:.0}", seconds * 1e6) } else { "more".to_owned() }
}

/// Prints how many of 100 requests at once a budget of 20 serves.
pub(crate) async fn burst(starter: &Starter) -> Result<(), String> {
    eprintln!("… 100 requests at once on a budget of 20"); // Progress, kept out of the report.
    let (provider, address) = nodes::provider(starter).await?;
    let one = manifest::burst_request(address, manifest::BURSTS[0]);
    let limit = 20 * admin::tokens_of(address, &one).await?;
    let nodes = Nodes::start("burst", &manifest::bursts(address, limit), starter).await?;
    println!("\n100 requests at once over three nodes, a strict budget of exactly 20 requests' tokens");
    println!("  {:<22} {:>7} {:>10} {:>10}", "max_tokens", "served", "spent", "of");
    for case in manifest::BURSTS {
        let request = manifest::burst_request(nodes.clients[0], case);
        let mut asked = JoinSet::new();
        for number in 0..100 {
            let (address, request) = (nodes.clients[number % nodes.clients.len()], request.clone());
            asked.spawn(async move {
                let mut wire = Wire::connect(address).await?;
                wire.send(&request).await?;
                let mut body = match wire.head().await? {
                    Some(head) if head.status == 200 => head.body,
                    Some(_) | None => return Ok::<_, String>(0),
                };
                while wire.piece(&mut body).await?.is_some() {}
                Ok(1)
            });
        }
        let mut served = 0;
        for one in asked.join_all().await {
            served += one?;
        }
        sleep(Duration::from_secs(2)).await; // Rows are told within a second.
        let spent = admin::spent(&nodes, case.model).await?;
        let over = if spent > limit { "  !!! OVERSPENT" } else { "" };
        println!("  {:<22} {served:>7} {spent:>10} {limit:>10}{over}", case.name());
    }
    drop(provider);
    Ok(())
}
