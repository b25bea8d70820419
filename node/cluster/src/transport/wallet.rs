//! The stream between a node's wallet and the leader: batches up, answers and nudges down, in the wire encoding of
//! `tollgate-ratelimit`.
//!
//! A message is one byte that says what it is, the group (budgets may one day be spread over several Raft groups), and the
//! payload. A batch travels as the command that it will be, so that its version is the log's.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, future, stream};
use tollgate_ratelimit::ledger::command::{Batch, Command};
use tollgate_ratelimit::ledger::outcome::{Answer, Nudge};
use tollgate_ratelimit::wire::{
    decode_answer, decode_command, decode_nudge, encode_answer, encode_command, encode_nudge,
};

use super::handlers::{Caller, Handlers, Messages};
use super::lane::Target;
use super::refusal::Refusal;
use super::{CallError, Method, Peers};

/// From a wallet to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    /// The Raft group; there is one, 0.
    pub group: u32,
    /// What the node has to say.
    pub batch: Batch,
}

/// From the leader to a wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// What became of a batch.
    Answer {
        /// The Raft group.
        group: u32,
        /// The answer.
        answer: Answer,
    },
    /// A hint: there may be something to have again.
    Nudge {
        /// The Raft group.
        group: u32,
        /// The hint.
        nudge: Nudge,
    },
}

/// The answers of a leader. The first error is the last item.
pub type Downs = stream::BoxStream<'static, Result<Down, CallError>>;

const BATCH: u8 = b'B';
const ANSWER: u8 = b'A';
const NUDGE: u8 = b'N';

/// Opens the stream to the leader. `within` is for its beginning; afterwards it lasts until one side ends it, or the
/// connection breaks. A batch that can't be sent ends it, too.
pub async fn open(
    peers: &Peers,
    leader: &Target,
    ups: impl Stream<Item = Up> + Send + 'static,
    within: Duration,
) -> Result<Downs, CallError> {
    let messages = ups.map(|up| write_up(&up)).take_while(|message| {
        if let Err(refusal) = message {
            tracing::error!("a batch can't be sent: {refusal}");
        }
        future::ready(message.is_ok())
    });
    let messages = messages.filter_map(|message| future::ready(message.ok()));
    let answers = peers.stream(leader, Method::Wallet, messages, within).await?;
    Ok(answers
        .map(|answer| read_down(&answer?).map_err(|why| CallError::Broken { why: why.to_string() }))
        .boxed())
}

/// Has the wallets' streams answered by `serve`: who says what, and what it is told. A node that is not the leader refuses.
pub fn serve<F, L>(handlers: &mut Handlers, serve: F)
where
    F: Fn(Caller, Messages<Up>) -> L + Send + Sync + 'static,
    L: Future<Output = Result<Messages<Down>, Refusal>> + Send + 'static,
{
    handlers.streamed(Method::Wallet, move |caller, messages: Messages| {
        let ups = messages.map(|message| read_up(&message?));
        let downs = serve(caller, Box::pin(ups));
        async move {
            let downs = downs.await?;
            Ok(Box::pin(downs.map(|down| write_down(&down?))) as Messages)
        }
    });
}

fn write_up(up: &Up) -> Result<Bytes, Refusal> {
    let command = encode_command(&Command::Batches(vec![up.batch.clone()])).map_err(Refusal::malformed)?;
    Ok(framed(BATCH, up.group, &command))
}

fn read_up(message: &[u8]) -> Result<Up, Refusal> {
    let (kind, group, payload) = frame(message)?;
    if kind != BATCH {
        return Err(Refusal::malformed(format!(
            "expected a batch ({BATCH:#04x}), the kind {kind:#04x} came"
        )));
    }
    let Command::Batches(batches) = decode_command(payload).map_err(Refusal::malformed)? else {
        return Err(Refusal::malformed("expected a batch, another command came"));
    };
    let [batch] = <[Batch; 1]>::try_from(batches)
        .map_err(|batches| Refusal::malformed(format!("expected one batch, {} came", batches.len())))?;
    Ok(Up { group, batch })
}

fn write_down(down: &Down) -> Result<Bytes, Refusal> {
    match down {
        Down::Answer { group, answer } => {
            Ok(framed(ANSWER, *group, &encode_answer(answer).map_err(Refusal::malformed)?))
        }
        Down::Nudge { group, nudge } => {
            Ok(framed(NUDGE, *group, &encode_nudge(nudge).map_err(Refusal::malformed)?))
        }
    }
}

fn read_down(message: &[u8]) -> Result<Down, Refusal> {
    let (kind, group, payload) = frame(message)?;
    match kind {
        ANSWER => Ok(Down::Answer { group, answer: decode_answer(payload).map_err(Refusal::malformed)? }),
        NUDGE => Ok(Down::Nudge { group, nudge: decode_nudge(payload).map_err(Refusal::malformed)? }),
        other => {
            Err(Refusal::malformed(format!("expected an answer or a nudge, the kind {other:#04x} came")))
        }
    }
}

fn framed(kind: u8, group: u32, payload: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(5 + payload.len());
    message.put_u8(kind);
    message.put_u32(group);
    message.put_slice(payload);
    message.freeze()
}

fn frame(message: &[u8]) -> Result<(u8, u32, &[u8]), Refusal> {
    let ([kind, group @ ..], payload) = message.split_first_chunk::<5>().ok_or_else(|| {
        Refusal::malformed(format!("expected kind and group, {} bytes came", message.len()))
    })?;
    Ok((*kind, u32::from_be_bytes(*group), payload))
}

#[cfg(test)]
#[path = "wallet_test.rs"]
mod tests;
