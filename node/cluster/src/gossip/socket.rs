//! chitchat's transport: a UDP socket on which every datagram is sealed.
//!
//! Nothing queues here: the kernel's receive buffer is the bound, and what does not fit it is lost, as gossip expects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport};
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::codec::Codec;
use super::open::{Dropped, Opener};
use super::seal::{Keyring, Sealer, Session};

/// More than a datagram carries.
const DATAGRAM_MOST: usize = 65_536;
/// Errors of a socket are most often of one datagram. So many without a success between them are not.
const ERRORS_MOST: u32 = 64;
const ERROR_PAUSE: Duration = Duration::from_millis(50);
/// Datagrams that were sent.
pub(crate) const SENT: &str = "tollgate.gossip.datagrams_sent";
/// Datagrams that could not be sent.
pub(crate) const UNSENT: &str = "tollgate.gossip.datagrams_unsent";
/// Datagrams that came and could be opened.
pub(crate) const RECEIVED: &str = "tollgate.gossip.datagrams_received";
/// Datagrams that came and were dropped, by reason.
pub(crate) const DROPPED: &str = "tollgate.gossip.datagrams_dropped";

/// Wall-clock time since 1970-01-01 UTC, in milliseconds.
pub(super) fn unix_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Makes sealed sockets of one that is bound already.
pub(super) struct Sealed {
    pub(super) outside: Arc<UdpSocket>,
    pub(super) keys: watch::Receiver<Keyring>,
    pub(super) node: u64,
    pub(super) tally: Arc<Tally>,
}

/// What was dropped since the node started, by reason, and what the socket would not send.
#[derive(Debug, Default)]
pub(super) struct Tally {
    dropped: [AtomicU64; Dropped::ALL.len()],
    unsent: AtomicU64,
}

impl Tally {
    pub(super) fn dropped(&self) -> Vec<(Dropped, u64)> {
        Dropped::ALL
            .iter()
            .zip(&self.dropped)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)))
            .collect()
    }

    fn count_unsent(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(UNSENT).increment(1);
    }

    fn count(&self, why: Dropped) {
        if let Some(position) = Dropped::ALL.iter().position(|reason| *reason == why) {
            self.dropped[position].fetch_add(1, Ordering::Relaxed);
        }
        metrics::counter!(DROPPED, "reason" => why.name()).increment(1);
    }
}

#[async_trait]
impl Transport for Sealed {
    /// The address is that of the socket that is there.
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let keys = self.keys.clone();
        let ring = keys.borrow().clone();
        let sealer = Sealer::new(&ring.send, self.node, new_session());
        Ok(Box::new(SealedSocket {
            outside: Arc::clone(&self.outside),
            codec: Codec::open().await?,
            opener: Opener::new(ring, sealer.session()),
            sealer,
            keys,
            node: self.node,
            tally: Arc::clone(&self.tally),
            buffer: vec![0; DATAGRAM_MOST].into(),
            in_codec: None,
            errors: 0,
        }))
    }
}

fn new_session() -> Session {
    rand::random()
}

struct SealedSocket {
    outside: Arc<UdpSocket>,
    codec: Codec,
    sealer: Sealer,
    opener: Opener,
    keys: watch::Receiver<Keyring>,
    node: u64,
    tally: Arc<Tally>,
    buffer: Box<[u8]>,
    /// Who sent the message that the codec holds.
    in_codec: Option<(SocketAddr, usize)>,
    errors: u32,
}

#[async_trait]
impl Socket for SealedSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.outside.local_addr()?)
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        self.follow_keys();
        let message = self.codec.encode(envelope).await?;
        let datagram = self.sealer.seal(message, unix_ms());
        let sent = self.outside.send_to(&datagram, to).await;
        let num_bytes_sent = sent.inspect_err(|_error| self.tally.count_unsent())?;
        metrics::counter!(SENT).increment(1);
        Ok(SendOutcome { num_bytes_sent })
    }

    /// chitchat cancels this to gossip itself: what was taken off the socket is kept for the next call.
    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            if let Some((from_addr, num_bytes_received)) = self.in_codec {
                let message = self.codec.take().await?;
                self.in_codec = None;
                if let Some(envelope) = message {
                    return Ok(RecvOutcome { from_addr, envelope, num_bytes_received });
                }
                tracing::debug!(%from_addr, "a peer gossips in a format that this version does not know");
            }
            let (len, from) = self.receive().await?;
            self.follow_keys();
            match self.opener.open(&self.buffer[..len], from.ip(), unix_ms()) {
                Ok(message) => {
                    metrics::counter!(RECEIVED).increment(1);
                    match self.codec.feed(&message).await {
                        Ok(()) => self.in_codec = Some((from, len)),
                        // As a datagram that was lost on its way.
                        Err(error) => tracing::debug!(%error, "a gossip datagram did not reach the codec"),
                    }
                }
                Err(why) => {
                    self.tally.count(why);
                    tracing::debug!(%from, len, reason = why.name(), "a gossip datagram was dropped");
                }
            }
        }
    }
}

impl SealedSocket {
    async fn receive(&mut self) -> anyhow::Result<(usize, SocketAddr)> {
        loop {
            match self.outside.recv_from(&mut self.buffer).await {
                Ok(received) => {
                    self.errors = 0;
                    return Ok(received);
                }
                Err(error) => {
                    self.errors += 1;
                    if self.errors >= ERRORS_MOST {
                        return Err(error.into());
                    }
                    tracing::debug!(%error, "receiving a gossip datagram");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Takes up the keys of a rotation. The session is a new one, since its key is.
    fn follow_keys(&mut self) {
        if self.keys.has_changed().unwrap_or(false) {
            let ring = self.keys.borrow_and_update().clone();
            self.sealer = Sealer::new(&ring.send, self.node, new_session());
            self.opener.renew(ring, self.sealer.session());
        }
    }
}

#[cfg(test)]
#[path = "socket_test.rs"]
mod tests;
