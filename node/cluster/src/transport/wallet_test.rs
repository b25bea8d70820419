//! Batches up, answers and nudges down.

use std::time::Duration;

use tollgate_ratelimit::ledger::command::{LeaseId, SessionId};
use tollgate_ratelimit::ledger::outcome::{BatchVerdict, Why};
use tollgate_ratelimit::time::Timestamp;

use super::super::testing::{Cluster, target};
use super::*;

const SOON: Duration = Duration::from_secs(10);

fn up(sequence: u64) -> Up {
    Up { group: 3, batch: Batch { session: SessionId(7), sequence, ..Batch::default() } }
}

fn answer(up: &Up) -> Down {
    let Up { group, batch: Batch { session, sequence, .. } } = up;
    let answer = Answer {
        session: *session,
        sequence: *sequence,
        at: Timestamp(5),
        verdict: BatchVerdict::Applied,
        items: Vec::new(),
    };
    Down::Answer { group: *group, answer }
}

fn nudge() -> Down {
    let lease = LeaseId { slot: 1, generation: 2 };
    Down::Nudge { group: 3, nudge: Nudge { session: SessionId(7), lease, why: Why::Recalled } }
}

#[tokio::test]
async fn what_is_said_is_heard() {
    let cluster = Cluster::new();
    let mut handlers = Handlers::default();
    // Answers each batch, and nudges after each.
    serve(&mut handlers, async |caller: Caller, ups: Messages<Up>| {
        assert_eq!(caller.node, 2);
        let downs = ups.flat_map(|up| stream::iter([up.map(|up| answer(&up)), Ok(nudge())]));
        Ok(Box::pin(downs) as Messages<Down>)
    });
    let server = cluster.serve(1, handlers).await;
    let (said, ups) = tokio::sync::mpsc::unbounded_channel();
    let ups = stream::unfold(ups, |mut ups| async { Some((ups.recv().await?, ups)) });
    let leader = target(1, server.address());
    let mut downs = open(&cluster.peers(2), &leader, ups, SOON).await.unwrap();
    for sequence in 1..10 {
        said.send(up(sequence)).unwrap();
        assert_eq!(downs.next().await.unwrap().unwrap(), answer(&up(sequence)));
        assert_eq!(downs.next().await.unwrap().unwrap(), nudge());
    }
    drop(said);
    assert!(downs.next().await.is_none(), "the wallet had nothing more to say");
}

#[tokio::test]
async fn who_does_not_lead_says_so() {
    let cluster = Cluster::new();
    let mut handlers = Handlers::default();
    let refusal = Refusal::NotLeader { leader: None };
    let said = refusal.clone();
    serve(&mut handlers, move |_: Caller, _: Messages<Up>| {
        let said = said.clone();
        async move { Err(said) }
    });
    let server = cluster.serve(1, handlers).await;
    let opened = open(&cluster.peers(2), &target(1, server.address()), stream::pending(), SOON).await;
    assert_eq!(opened.err(), Some(CallError::Refused(refusal)));
}

#[test]
fn what_is_no_batch_is_refused() {
    let batch = write_up(&up(1)).unwrap();
    let command = |command: &Command| framed(BATCH, 0, &encode_command(command).unwrap());
    let two = Command::Batches(vec![Batch::default(), Batch::default()]);
    #[rustfmt::skip]
    let cases = [
        // message                                   expected
        (Bytes::new(),                               "0 bytes came"),
        (batch.slice(..4),                           "4 bytes came"),
        (batch.slice(..batch.len() - 1),             "a command of version"),
        (write_down(&nudge()).unwrap(),              "the kind 0x4e came"),
        (command(&Command::Tick),                    "expected a batch, another"),
        (command(&two),                              "expected one batch, 2 came"),
    ];
    for (message, expected) in cases {
        let error = read_up(&message).unwrap_err().to_string();
        assert!(error.contains(expected), "expected `{expected}`: {error}");
    }
    assert!(read_down(&batch).is_err(), "a batch is no answer");
}
