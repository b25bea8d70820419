//! Snapshots go over whole or not at all.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::error::{NetworkError, RPCError, StreamingError};
use openraft::network::RPCOption;
use openraft::raft::SnapshotResponse;
use openraft::{ErrorSubject, ErrorVerb, RPCTypes, StorageError};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Way;
use super::parts::{self, Head, Message, PART_BYTES, Tally};
use crate::raft::types::Types;
use crate::snapshots::{Part, Shelf, SnapshotFile};
use crate::transport::envelope::unpack;
use crate::transport::handlers::Messages;
use crate::transport::{CallError, Method, Refusal};

type Failed = Arc<Mutex<Option<io::Error>>>;

/// Sends a snapshot and waits until it is installed.
pub(super) async fn send(
    way: &Way,
    vote: VoteOf<Types>,
    snapshot: SnapshotOf<Types, SnapshotFile>,
    option: RPCOption,
) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
    let SnapshotOf::<Types, SnapshotFile> { meta, snapshot: file } = snapshot;
    let signature = meta.signature();
    let head = parts::head(&Head { vote, meta, bytes: file.length() });
    let failed = Failed::default();
    let messages = stream::once(std::future::ready(head)).chain(contents(file, Arc::clone(&failed)));
    let within = option.soft_ttl();
    let answer = timeout(within, async {
        let mut answers = way.peers.stream(&way.target, Method::Snapshot, messages, within).await?;
        answers
            .next()
            .await
            .unwrap_or_else(|| Err(CallError::Broken { why: "no answer to a snapshot".to_owned() }))
    });
    let answer = answer.await.unwrap_or(Err(CallError::TimedOut { within }));
    if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(StorageError::from_io_error(
            ErrorSubject::Snapshot(Some(signature)),
            ErrorVerb::Read,
            error,
        )
        .into());
    }
    let answer = answer.map_err(|error| streaming(way.failed(RPCTypes::InstallSnapshot, error)))?;
    unpack(&answer).map_err(|why| NetworkError::from_string(why).into())
}

/// The parts and the last word. Where the disk fails, the last word is missing.
fn contents(file: SnapshotFile, failed: Failed) -> impl Stream<Item = Bytes> + Send + 'static {
    let tally = (0, crc32fast::Hasher::new());
    stream::unfold(Some((file, tally, failed)), |open| async move {
        let (file, (total, mut checksum), failed) = open?;
        match next_part(file).await {
            Ok((_file, part)) if part.is_empty() => Some((parts::end(total, checksum.finalize()), None)),
            Ok((file, part)) => {
                checksum.update(&part);
                let tally = (total + part.len() as u64, checksum);
                Some((parts::part(&part), Some((file, tally, failed))))
            }
            Err(error) => {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    })
}

async fn next_part(mut file: SnapshotFile) -> io::Result<(SnapshotFile, Vec<u8>)> {
    spawn_blocking(move || {
        let mut part = Vec::new();
        file.by_ref().take(PART_BYTES).read_to_end(&mut part)?;
        Ok((file, part))
    })
    .await?
}

fn streaming(error: RPCError<Types>) -> StreamingError<Types> {
    match error {
        RPCError::Timeout(error) => error.into(),
        RPCError::Unreachable(error) => error.into(),
        RPCError::Network(error) => error.into(),
        RPCError::RemoteError(error) => match error.source {},
    }
}

/// Receives a snapshot onto the shelf, where it lies unkept until it is installed.
pub(super) async fn receive(mut messages: Messages, shelf: &Shelf) -> Result<(Head, SnapshotFile), Refusal> {
    let Message::Head(head) = next(&mut messages).await? else {
        return Err(Refusal::malformed("expected a snapshot's head first"));
    };
    let shelf = shelf.clone();
    let mut part = blocking(move || shelf.begin()).await?;
    let mut tally = Tally::new(head.bytes);
    loop {
        match next(&mut messages).await? {
            Message::Part(bytes) => {
                tally.add(&bytes)?;
                part = blocking(move || write(part, &bytes)).await?;
            }
            Message::End { bytes, checksum } => {
                tally.close(bytes, checksum)?;
                return Ok((*head, blocking(move || part.finish()).await?));
            }
            Message::Head(_) => return Err(Refusal::malformed("a snapshot's head came twice")),
        }
    }
}

async fn next(messages: &mut Messages) -> Result<Message, Refusal> {
    let cut = || Refusal::malformed("a snapshot was cut off before its end");
    parts::read(&messages.next().await.ok_or_else(cut)??)
}

fn write(mut part: Part, bytes: &[u8]) -> io::Result<Part> {
    part.write_all(bytes)?;
    Ok(part)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await.map_err(Refusal::failed)?;
    done.map_err(|error| Refusal::failed(format!("can't receive the snapshot: {error}")))
}

#[cfg(test)]
#[path = "snapshot_test.rs"]
mod tests;
