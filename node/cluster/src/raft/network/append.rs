//! Entries as a stream: the next request leaves before the last one is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::error::{NetworkError, RPCError, Timeout};
use openraft::network::RPCOption;
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

pub(super) async fn stream<'s, S>(
    way: &'s Way,
    input: S,
    option: RPCOption,
) -> Answered<BoxStream<'s, Answered<StreamAppendResult<Types>>>>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    let patience = option.hard_ttl() * HEARTBEATS;
    let sent = Arc::new(AtomicU64::new(0));
    let requests = requests(input, Arc::clone(&sent));
    let answers = way.peers.stream(&way.target, Method::Append, requests, patience).await;
    let answers = answers.map_err(|error| way.failed(RPCTypes::AppendEntries, error))?;
    Ok(watched(way, answers, Clock { sent, answered: 0, patience }))
}

fn requests<S>(input: S, sent: Arc<AtomicU64>) -> impl Stream<Item = Bytes> + Send + 'static
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    stream::unfold(Some((input, sent)), |open| async move {
        let (mut input, sent) = open?;
        let Fitted { message, whole } = fit(input.next().await?, Method::Append.most_bytes());
        sent.fetch_add(1, Ordering::Relaxed);
        Some((message, whole.then_some((input, sent))))
    })
}

/// A request as it is sent.
struct Fitted {
    message: Bytes,
    /// If not, its last entries were left out, and nothing may follow: openraft sees by the answer how far it came, and goes
    /// on from there with another stream.
    whole: bool,
}

fn fit(mut request: AppendEntriesRequest<Types>, most_bytes: usize) -> Fitted {
    let mut whole = true;
    loop {
        let message = pack(&request);
        if message.len() <= most_bytes || request.entries.len() <= 1 {
            return Fitted { message, whole };
        }
        request.entries.truncate(request.entries.len() / 2);
        whole = false;
    }
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
mod tests {
    use openraft::Vote;
    use openraft::alias::EntryOf;
    use openraft::entry::RaftEntry;
    use openraft::impls::leader_id_std::LeaderId;
    use tollgate_ratelimit::ledger::command::Command;
    use tollgate_ratelimit::time::Timestamp;

    use super::*;
    use crate::state::Proposal;

    fn request(entries: u64) -> AppendEntriesRequest<Types> {
        let vote = Vote::<LeaderId<u64, u64>>::new_committed(1, 1);
        let position =
            |index| openraft::LogId::new(openraft::vote::RaftLeaderId::to_committed(vote.leader_id()), index);
        let commands = vec![Command::DeleteBudget { name: "x".repeat(100) }];
        let proposal = Proposal::Quota { at: Timestamp(0), commands };
        let entry = |index| EntryOf::<Types>::new_normal(position(index), proposal.clone());
        AppendEntriesRequest {
            vote,
            prev_log_id: None,
            entries: (1..=entries).map(entry).collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn what_is_too_large_is_cut_and_ends_the_stream() {
        #[rustfmt::skip]
        let cases = [
            // entries most  sent  whole   why
            (8,  100_000,    8,    true),  // there is room
            (8,  600,        4,    false), // half of it fits
            (8,  250,        1,    false), // one always goes, so that the stream moves
            (1,  10,         1,    true),  // one that is too large is refused, not cut
            (0,  10,         0,    true),  // nothing to cut
        ];
        for (entries, most, sent, whole) in cases {
            let fitted = fit(request(entries), most);
            let read: AppendEntriesRequest<Types> = unpack(&fitted.message).unwrap();
            assert_eq!(
                (read.entries.len(), fitted.whole),
                (sent, whole),
                "{entries} entries in {most} bytes"
            );
        }
    }
}
