//! Entries as a stream: the next request leaves before the last one is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::error::{NetworkError, RPCError, Timeout};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{OptionalSend, RPCTypes};
use tokio::time::timeout;

use super::{Answered, Way};
use crate::raft::types::Types;
use crate::transport::envelope::{pack, unpack};
use crate::transport::{CallError, Method};

/// openraft gives an answer the time of one heartbeat. That is right for a heartbeat; entries wait for a disk, too, and to
/// send them again makes a slow disk no faster. Nobody waits for a follower that is silent: its entries are all that does.
const HEARTBEATS: u32 = 10;

/// Nobody is dialled before there is something to say: openraft makes us wait for its first request after a failure, and only
/// there. So a failure to connect, too, is told in the stream; told at once it would be tried again at once.
pub(super) fn stream<S>(
    way: &Way,
    mut input: S,
    heartbeat: Duration,
) -> BoxStream<'_, Answered<StreamAppendResult<Types>>>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    let patience = heartbeat * HEARTBEATS;
    let opened = async move {
        let Some(first) = input.next().await else { return stream::empty().boxed() };
        let sent = Arc::new(AtomicU64::new(0));
        let requests = requests(stream::iter([first]).chain(input), Arc::clone(&sent));
        match way.peers.stream(&way.target, Method::Append, requests, patience).await {
            Ok(answers) => watched(way, answers, Clock { sent, answered: 0, patience }),
            Err(error) => stream::iter([Err(way.failed(RPCTypes::AppendEntries, error))]).boxed(),
        }
    };
    Box::pin(opened.flatten_stream())
}

fn requests<S>(input: S, sent: Arc<AtomicU64>) -> impl Stream<Item = Bytes> + Send + 'static
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    // None is too large: the log gives a few MiB at a time, or one entry.
    input.map(move |request| {
        sent.fetch_add(1, Ordering::Relaxed);
        pack(&request)
    })
}

/// Whose turn it is.
struct Clock {
    sent: Arc<AtomicU64>,
    answered: u64,
    patience: Duration,
}

/// The answers, up to a silence in which one is owed. A silence with nothing to answer is peace.
fn watched<'s>(
    way: &'s Way,
    answers: stream::BoxStream<'static, Result<Bytes, CallError>>,
    clock: Clock,
) -> BoxStream<'s, Answered<StreamAppendResult<Types>>> {
    Box::pin(stream::unfold(Some((answers, clock)), move |open| async move {
        let (mut answers, mut clock) = open?;
        loop {
            let owed = clock.sent.load(Ordering::Relaxed) > clock.answered;
            match timeout(clock.patience, answers.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(answer))) => {
                    clock.answered += 1;
                    return Some(match unpack(&answer) {
                        Ok(result) => (Ok(result), Some((answers, clock))),
                        Err(why) => (Err(NetworkError::from_string(why).into()), None),
                    });
                }
                Ok(Some(Err(error))) => return Some((Err(way.failed(RPCTypes::AppendEntries, error)), None)),
                Err(_elapsed) if owed => return Some((Err(silent(way, clock.patience)), None)),
                Err(_elapsed) => {}
            }
        }
    }))
}

fn silent(way: &Way, timeout: Duration) -> RPCError<Types> {
    let (id, target) = (way.peers.here(), way.target.node);
    Timeout { action: RPCTypes::AppendEntries, id, target, timeout }.into()
}

#[cfg(test)]
#[path = "append_test.rs"]
mod tests;
