//! What requests spend over three nodes: a strict budget is never exceeded, the ledger has every request once, and the loss of
//! a leader is not noticed by those who hold leases.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use support::{Member, SOON, budget, cluster, intent, row, until};
use tollgate_cluster::state::Proposal;
use tollgate_cluster::wallet::{Till, clock};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::budget::{BucketName, Key};
use tollgate_ratelimit::ledger::rows::Query;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::wallet::{Purse, Terms, Why};

const PATIENCE: Duration = Duration::from_millis(250);

fn purse(till: &Till, member: &Member, name: &str) -> Arc<Purse> {
    let (id, budget) = member
        .node
        .replica()
        .look(|state| state.quota().budget(name).map(|(id, budget)| (id, budget.clone())))
        .expect("it was set, and the node has caught up");
    let terms = Terms { unit: Unit::TotalTokens, enforcement: budget.enforcement, limit: budget.limit };
    till.purse(&BucketName { budget: id, key: Key::default() }, &terms).unwrap()
}

/// Spends `each` until the budget is spent. How much that was, and how often the cluster was not in reach.
async fn spend(till: Till, purse: Arc<Purse>, each: u64) -> (u64, u64) {
    let (mut spent, mut unreachable) = (0, 0);
    loop {
        let asked = (&Arc::from([Arc::clone(&purse)]), &[each][..]);
        match till.reserve(asked, &intent("someone"), PATIENCE).await {
            Ok(reservation) => {
                let actual = each / 2 + 1;
                let (key, row) = row("someone", actual);
                reservation.settle(&[actual], key.into(), row);
                spent += actual;
                tokio::task::yield_now().await;
            }
            Err(refused) => match refused.why {
                Why::Exhausted { .. } | Why::TooLarge { .. } => return (spent, unreachable),
                Why::Held { .. } | Why::Dry => {}
                Why::Unreachable | Why::NotKept { .. } | Why::Draining | Why::Crowded { .. } => {
                    unreachable += 1;
                    assert!(unreachable < 2_000, "never again: {}", refused.why);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
}

fn told(member: &Member) -> u64 {
    member.node.replica().look(|state| {
        let lines = state.quota().rows().query(&Query::default());
        lines.iter().map(|line| line.row.usage.total).sum()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_spend_a_strict_budget_to_its_end_and_never_more() {
    let members = cluster(3).await;
    budget(&members[0], "all", 20_000).await;
    let mut tasks = Vec::new();
    for member in &members {
        member.caught_up().await;
        for _ in 0..4 {
            let purse = purse(&member.till, member, "all");
            tasks.push(tokio::spawn(spend(member.till.clone(), purse, 10)));
        }
    }
    let mut spent = 0;
    for task in tasks {
        spent += task.await.unwrap().0;
    }
    assert!((19_900..=20_000).contains(&spent), "{spent}");
    until("the ledger has all of it", || (told(&members[0]) == spent).then_some(())).await;
    for member in &members {
        assert!(member.till.drain(SOON).await, "all was told");
    }
    for member in members {
        member.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_goes_is_not_noticed_by_who_holds_a_lease() {
    let mut members = cluster(3).await;
    budget(&members[0], "all", 50_000).await;
    let mut tasks = Vec::new();
    let leader = members.iter().position(|member| member.node.leads()).unwrap();
    for member in &members {
        member.caught_up().await;
        let purse = purse(&member.till, member, "all");
        tasks.push(tokio::spawn(spend(member.till.clone(), purse, 10)));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let gone = members.remove(leader);
    let stopped = tokio::spawn(async move {
        let drained = gone.till.drain(SOON).await;
        gone.node.stop().await;
        drained
    });
    let mut spent = BTreeMap::new();
    for (at, task) in tasks.into_iter().enumerate() {
        if at == leader {
            task.abort();
            let _its_till_is_closed = task.await;
        } else {
            spent.insert(at, task.await.unwrap());
        }
    }
    assert!(stopped.await.unwrap(), "its wallet told everything before it went");
    let here: u64 = spent.values().map(|(spent, _)| spent).sum();
    assert!(here <= 50_000);
    // Rows are told within a second; what buckets say is told with the leases.
    let in_buckets = |member: &Member| {
        member.node.replica().look(|state| state.quota().buckets().map(|bucket| bucket.spent).sum::<u64>())
    };
    for member in &members {
        until("rows and buckets agree", || (told(member) == in_buckets(member)).then_some(())).await;
        assert!((49_900..=50_000).contains(&told(member)), "{}", told(member));
    }
    for member in &members {
        assert!(member.till.drain(SOON).await, "all was told");
    }
    for member in members {
        member.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ended_suddenly_is_told_by_the_next() {
    let mut members = cluster(1).await;
    budget(&members[0], "all", 1_000).await;
    members[0].caught_up().await;
    let member = members.remove(0);
    {
        let purse = purse(&member.till, &member, "all");
        let asked = (&Arc::from([Arc::clone(&purse)]), &[100][..]);
        let ended = member.till.reserve(asked, &intent("ended"), PATIENCE).await.unwrap();
        let (key, row) = row("ended", 40);
        ended.settle(&[40], key.into(), row);
        let open = member.till.reserve(asked, &intent("open"), PATIENCE).await.unwrap();
        std::mem::forget(open); // As if the process had died.
    }
    let folder = member.crash().await;
    let member = Member::start(folder, None).await;
    member.caught_up().await;
    let told_of = |consumer: &str| {
        member.node.replica().look(|state| {
            let rows = state.quota().rows();
            rows.rows().find(|(key, _)| key.consumer == consumer).map(|(_, row)| row.usage.total)
        })
    };
    until("what ended", || (told_of("ended") == Some(40)).then_some(())).await;
    until("what was open, in full", || (told_of("open") == Some(100)).then_some(())).await;
    let purse = purse(&member.till, &member, "all");
    let asked = (&Arc::from([Arc::clone(&purse)]), &[860][..]);
    let rest = member.till.reserve(asked, &intent("rest"), Duration::from_secs(5)).await;
    rest.expect("1,000 less 40 and 100 are there").release();
    assert!(member.till.drain(SOON).await);
    member.node.stop().await;
}

/// The ledger closes a session whose process lives, as an operator's word about the wrong node does: it goes on under another
/// one, and every request is in the rows once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_lost_is_followed_by_another() {
    let member = cluster(1).await.remove(0);
    budget(&member, "all", 10_000).await;
    member.caught_up().await;
    let purse = purse(&member.till, &member, "all");
    let spend = async |much: u64| {
        let asked = (&Arc::from([Arc::clone(&purse)]), &[much][..]);
        let until = tokio::time::Instant::now() + SOON;
        loop {
            match member.till.reserve(asked, &intent("someone"), PATIENCE).await {
                Ok(reservation) => {
                    let (key, row) = row("someone", much);
                    return reservation.settle(&[much], key.into(), row);
                }
                Err(refused) => assert!(tokio::time::Instant::now() < until, "never again: {}", refused.why),
            }
        }
    };
    let sessions = || {
        member.node.replica().look(|state| state.quota().sessions().map(|(id, ..)| id).collect::<Vec<_>>())
    };
    spend(40).await;
    let [lost] = sessions()[..] else { panic!("one session: {:?}", sessions()) };
    let commands = vec![Command::CloseSession { session: lost }];
    let closing = Proposal::Quota { at: clock::stamp(), commands };
    member.node.forward().write_again(closing, SOON).await.unwrap();
    spend(7).await;
    until("another session", || (!sessions().is_empty() && !sessions().contains(&lost)).then_some(())).await;
    spend(5).await;
    until("all rows", || (told(&member) == 40 + 7 + 5).then_some(())).await;
    assert!(member.till.drain(SOON).await, "all was told");
    assert_eq!(told(&member), 52, "each once");
    member.node.stop().await;
}
