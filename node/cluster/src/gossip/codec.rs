//! chitchat's messages as bytes, and back.
//!
//! chitchat 0.13 keeps its wire format to itself: only its own UDP socket reads and writes it. So one of those is bound to loopback and
//! talks to a plain socket beside it, and nothing else: what it is told to send comes out there as bytes, and bytes that are put in
//! there come out of it as a message.
//!
//! ```text
//!  message ──▶ chitchat's socket ──▶ plain socket ──▶ bytes      (encode)
//!  message ◀── chitchat's socket ◀── plain socket ◀── bytes      (feed, take)
//! ```
//!
//! The kernel is part of it: the plain socket is connected and hears nobody else, and what chitchat's socket hears from anyone but the
//! plain one is dropped. Another process of this machine could only fill its queue, which loses datagrams, as any network does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{Socket, UdpSocket as Chitchats};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Longer than the kernel needs by far. Past it the datagram was lost, or was no message of chitchat's.
const PATIENCE: Duration = Duration::from_millis(200);
/// More than a datagram carries.
const DATAGRAM_MOST: usize = 65_536;

/// The two sockets.
pub(super) struct Codec {
    chitchats: Chitchats,
    pub(super) chitchats_at: SocketAddr,
    plain: UdpSocket,
    plain_at: SocketAddr,
    buffer: Box<[u8]>,
}

impl Codec {
    pub(super) async fn open() -> anyhow::Result<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let chitchats = Chitchats::open(anywhere).await?;
        let chitchats_at = chitchats.local_addr()?;
        let plain = UdpSocket::bind(anywhere).await.context("binding gossip's codec to loopback")?;
        let plain_at = plain.local_addr()?;
        plain.connect(chitchats_at).await.context("connecting gossip's codec")?;
        Ok(Self { chitchats, chitchats_at, plain, plain_at, buffer: vec![0; DATAGRAM_MOST].into() })
    }

    /// The bytes of a message. After an error the pair is a new one, so that no late answer is taken for the next.
    pub(super) async fn encode(&mut self, message: ChitchatEnvelope) -> anyhow::Result<&[u8]> {
        match self.pass(message).await {
            Ok(len) => Ok(&self.buffer[..len]),
            Err(error) => {
                *self = Self::open().await?;
                Err(error)
            }
        }
    }

    async fn pass(&mut self, message: ChitchatEnvelope) -> anyhow::Result<usize> {
        self.chitchats.send(self.plain_at, message).await?;
        let received = timeout(PATIENCE, self.plain.recv(&mut self.buffer)).await;
        Ok(received.context("gossip's codec gave no bytes for a message")??)
    }

    /// Puts the bytes of one message in. Another one follows only after [`take`](Self::take).
    pub(super) async fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.plain.send(bytes).await.map(|_len| ())
    }

    /// The message that was put in; None where the bytes were none. May be cancelled and called again.
    pub(super) async fn take(&mut self) -> anyhow::Result<Option<ChitchatEnvelope>> {
        let Ok(received) = timeout(PATIENCE, self.take_ours()).await else {
            *self = Self::open().await?;
            return Ok(None);
        };
        received.map(Some)
    }

    async fn take_ours(&mut self) -> anyhow::Result<ChitchatEnvelope> {
        loop {
            let received = self.chitchats.recv().await?;
            if received.from_addr == self.plain_at {
                return Ok(received.envelope);
            }
            tracing::warn!(from = %received.from_addr, at = %self.chitchats_at, "a process of this machine wrote to gossip's codec");
        }
    }
}
