//! A stream of entries to a node that does not answer.

use std::time::Instant;

use openraft::Vote;
use tokio::time::error::Elapsed;

use super::*;
use crate::transport::handlers::Messages;
use crate::transport::testing::{Cluster, target};
use crate::transport::{Handlers, Lane, Target};

/// Way too short for a disk, which is why it is not taken at its word.
const TTL: Duration = Duration::from_millis(50);

/// A node that answers the first request of a stream, and no other.
fn once() -> Handlers {
    let mut handlers = Handlers::default();
    handlers.streamed(Method::Append, async |_, messages: Messages| {
        let answer = pack(&StreamAppendResult::<Types>::Ok(None));
        let answers = messages.take(1).map(move |_| Ok(answer.clone())).chain(stream::pending());
        Ok(Box::pin(answers) as Messages)
    });
    handlers
}

fn request() -> AppendEntriesRequest<Types> {
    AppendEntriesRequest {
        vote: Vote::new_committed(1, 2),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    }
}

#[tokio::test]
async fn only_a_silence_in_which_an_answer_is_owed_ends_a_stream() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, once()).await;
    let target = Target { lane: Lane::Log, ..target(1, server.address()) };
    let way = Way { peers: cluster.peers(2), target };
    let (say, said) = tokio::sync::mpsc::channel(4);
    let input = Box::pin(stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) }));
    let mut answers = super::stream(&way, input, TTL);
    say.send(request()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), Ok(None));

    // Nothing is said, so nothing is owed.
    let idle: Result<_, Elapsed> = timeout(3 * HEARTBEATS * TTL, answers.next()).await;
    assert!(idle.is_err(), "{idle:?}");

    let began = Instant::now();
    say.send(request()).await.unwrap();
    let silent = timeout(10 * HEARTBEATS * TTL, answers.next()).await.expect("it is noticed").unwrap();
    assert!(matches!(silent, Err(RPCError::Timeout(_))), "{silent:?}");
    // It may have begun to wait just before.
    assert!((HEARTBEATS * TTL..5 * HEARTBEATS * TTL).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(answers.next().await.is_none());
}

/// openraft waits before it gives a request, the longer the more often it failed: who fails without asking for one is asked again
/// at once, for ever.
#[tokio::test]
async fn nobody_is_dialled_before_there_is_something_to_say() {
    let cluster = Cluster::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target { lane: Lane::Log, ..target(1, nobody) };
    let way = Way { peers: cluster.peers(2), target };
    let (say, said) = tokio::sync::mpsc::channel(4);
    let input = Box::pin(stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) }));
    let mut answers = super::stream(&way, input, TTL);
    let waits: Result<_, Elapsed> = timeout(2 * TTL, answers.next()).await;
    assert!(waits.is_err(), "{waits:?}");

    say.send(request()).await.unwrap();
    let failed = answers.next().await.expect("it is told");
    assert!(matches!(failed, Err(RPCError::Unreachable(_))), "{failed:?}");
    assert!(answers.next().await.is_none());
}
