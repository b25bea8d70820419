//! The other side: what this node's Raft answers to its peers.

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use openraft::Raft;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::raft::TransferLeaderRequest;
use openraft::raft::{AppendEntriesRequest, VoteRequest};

use super::snapshot;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::Types;
use crate::snapshots::Shelf;
use crate::transport::envelope::{pack, unpack};
use crate::transport::handlers::Messages;
use crate::transport::{Caller, Handlers, Method, Refusal};

/// Answers Raft's calls. Snapshots are received onto `shelf`.
pub fn serve(handlers: &mut Handlers, raft: &Raft<Types, StateMachine>, shelf: &Shelf) {
    serve_entries(handlers, raft);
    serve_votes(handlers, raft);
    let (raft, shelf) = (raft.clone(), shelf.clone());
    handlers.streamed(Method::Snapshot, move |caller, messages| {
        let (raft, shelf) = (raft.clone(), shelf.clone());
        async move {
            let (head, file) = snapshot::receive(messages, &shelf).await?;
            speaks_for_itself(caller, &head.vote)?;
            let snapshot = SnapshotOf::<Types, _> { meta: head.meta, snapshot: file };
            let answer = raft.install_full_snapshot(head.vote, snapshot).await.map_err(Refusal::failed)?;
            Ok(Box::pin(stream::once(future::ready(Ok(pack(&answer))))) as Messages)
        }
    });
}

fn serve_entries(handlers: &mut Handlers, raft: &Raft<Types, StateMachine>) {
    let once = raft.clone();
    handlers.once(Method::AppendOnce, move |caller, message| {
        let raft = once.clone();
        async move {
            let request = entries(caller, &message)?;
            Ok(pack(&raft.append_entries(request).await.map_err(Refusal::failed)?))
        }
    });
    let streamed = raft.clone();
    handlers.streamed(Method::Append, move |caller, messages: Messages| {
        let raft = streamed.clone();
        async move {
            let requests = messages.map(move |message| entries(caller, &message?));
            // The sender sees the end, and begins again with what was not answered.
            let requests = requests.take_while(move |request| {
                if let Err(refusal) = request {
                    tracing::debug!(node = caller.node, "a stream of entries ended: {refusal}");
                }
                future::ready(request.is_ok())
            });
            let answers = raft.stream_append(requests.filter_map(|request| future::ready(request.ok())));
            let answers = answers.map(|answer| Ok(pack(&answer.map_err(Refusal::failed)?)));
            Ok(Box::pin(answers) as Messages)
        }
    });
}

fn serve_votes(handlers: &mut Handlers, raft: &Raft<Types, StateMachine>) {
    let vote = raft.clone();
    handlers.once(Method::Vote, move |caller, message| {
        let raft = vote.clone();
        async move { Ok(pack(&raft.vote(candidacy(caller, &message)?).await.map_err(Refusal::failed)?)) }
    });
    let pre_vote = raft.clone();
    handlers.once(Method::PreVote, move |caller, message| {
        let raft = pre_vote.clone();
        async move { Ok(pack(&raft.pre_vote(candidacy(caller, &message)?).await.map_err(Refusal::failed)?)) }
    });
    let transfer = raft.clone();
    handlers.once(Method::TransferLeader, move |caller, message| {
        let raft = transfer.clone();
        async move {
            let request: TransferLeaderRequest<Types> = unpack(&message)?;
            speaks_for_itself(caller, request.from_leader())?;
            Ok(pack(&raft.handle_transfer_leader(request).await.map_err(Refusal::failed)?))
        }
    });
}

fn entries(caller: Caller, message: &Bytes) -> Result<AppendEntriesRequest<Types>, Refusal> {
    let request: AppendEntriesRequest<Types> = unpack(message)?;
    speaks_for_itself(caller, &request.vote)?;
    Ok(request)
}

fn candidacy(caller: Caller, message: &Bytes) -> Result<VoteRequest<Types>, Refusal> {
    let request: VoteRequest<Types> = unpack(message)?;
    speaks_for_itself(caller, &request.vote)?;
    Ok(request)
}

/// Candidates and leaders speak in their own name: openraft takes the vote for the sender.
fn speaks_for_itself(caller: Caller, vote: &VoteOf<Types>) -> Result<(), Refusal> {
    let claimed = vote.leader_id().voted_for;
    if claimed == caller.node {
        return Ok(());
    }
    Err(Refusal::NotYourName { certificate: caller.node, claimed })
}

#[cfg(test)]
mod tests {
    use openraft::Vote;

    use super::*;

    #[test]
    fn nobody_speaks_for_another() {
        let vote = Vote::new_committed(7, 2);
        let entries_of_two = AppendEntriesRequest::<Types> {
            vote,
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: None,
        };
        let (entries_of_two, candidate_two) =
            (pack(&entries_of_two), pack(&VoteRequest::<Types>::new(vote, None)));
        for (node, expected) in [(2, None), (3, Some(Refusal::NotYourName { certificate: 3, claimed: 2 }))] {
            let caller = Caller { node };
            assert_eq!(entries(caller, &entries_of_two).err(), expected);
            assert_eq!(candidacy(caller, &candidate_two).err(), expected);
        }
    }
}
