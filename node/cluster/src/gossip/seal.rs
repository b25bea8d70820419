//! A datagram as it travels: sealed under the cluster's key, so that who does not hold it can neither read nor speak.
//!
//! ```text
//!  version 1 · key id 8 · sender 8 · session 16 · counter 8 · time 8 │ ChaCha20-Poly1305 of the message
//!  └──────────────────── in clear, and covered by the seal ─────────┘
//! ```
//!
//! 1. A nonce never comes twice under one key: each start of a node draws a session at random (128 bits), each session has a key of
//!    its own, and its datagrams are counted.
//! 2. The key comes from the cluster's secret by HKDF with the cluster's id as salt: one secret in two clusters is two keys.
//! 3. What a node holds in memory for it does not depend on what strangers send.
//!
//! Opening is in [`open`](super::open). Nothing here has a clock, a socket or randomness: they are arguments.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// The format. Another one is not opened.
const VERSION: u8 = 1;
/// Bytes in clear.
pub(super) const HEADER_LEN: usize = 49;
/// What the seal adds behind the message.
pub(super) const TAG_LEN: usize = 16;
/// A secret that is shorter could be guessed.
const SECRET_LEAST: usize = 16;

/// Drawn at random at each start, so that counters need not be remembered.
pub type Session = [u8; 16];

/// A key of the cluster, of which each session's key is derived.
#[derive(Clone)]
pub struct Key {
    id: u64,
    root: Prk,
}

/// The keys of the moment. A rotation has three steps, each on all nodes before the next, and no datagram is lost:
/// `{old, also new}`, `{new, also old}`, `{new}`.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// Seals what is sent, and is accepted.
    pub send: Key,
    /// Is accepted as well.
    pub also: Option<Key>,
}

/// A secret that no key can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortSecret {
    /// Its length in bytes.
    pub len: usize,
}

/// Seals what one node sends in one session.
pub struct Sealer {
    key_id: u64,
    sender: u64,
    session: Session,
    aead: LessSafeKey,
    counter: u64,
}

impl Key {
    /// The key of the cluster with this id. The secret has at least 16 bytes, all of them random.
    pub fn derive(secret: &[u8], cluster: &str) -> Result<Self, ShortSecret> {
        if secret.len() < SECRET_LEAST {
            return Err(ShortSecret { len: secret.len() });
        }
        let root = Salt::new(HKDF_SHA256, cluster.as_bytes()).extract(secret);
        Ok(Self { id: id_of(&root), root })
    }

    /// The key of one session.
    pub(super) fn of_session(&self, session: &Session) -> LessSafeKey {
        let info: [&[u8]; 2] = [b"tollgate gossip: session", session];
        let derived =
            self.root.expand(&info, &CHACHA20_POLY1305).expect("32 bytes are less than HKDF can give");
        LessSafeKey::new(UnboundKey::from(derived))
    }
}

/// Names a key without telling it.
fn id_of(root: &Prk) -> u64 {
    let mut id = [0; 8];
    root.expand(&[b"tollgate gossip: key id"], IdLength)
        .and_then(|bytes| bytes.fill(&mut id))
        .expect("8 bytes are less than HKDF can give");
    u64::from_be_bytes(id)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:016x})", self.id)
    }
}

impl Keyring {
    /// One key, for sending and for receiving.
    pub fn of(key: Key) -> Self {
        Self { send: key, also: None }
    }

    /// The accepted key of this id.
    pub(super) fn find(&self, id: u64) -> Option<&Key> {
        [Some(&self.send), self.also.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }
}

impl fmt::Display for ShortSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster's secret has {} bytes; at least {SECRET_LEAST} are needed", self.len)
    }
}

impl std::error::Error for ShortSecret {}

impl Sealer {
    /// For a node that has just started: `session` was never used before.
    pub fn new(key: &Key, sender: u64, session: Session) -> Self {
        Self { key_id: key.id, sender, session, aead: key.of_session(&session), counter: 0 }
    }

    /// The session that this seals in.
    pub fn session(&self) -> Session {
        self.session
    }

    /// The datagram of a message.
    pub fn seal(&mut self, message: &[u8], now_ms: u64) -> Vec<u8> {
        let header = Header {
            key_id: self.key_id,
            sender: self.sender,
            session: self.session,
            counter: self.counter,
            time_ms: now_ms,
        };
        self.counter += 1;
        let clear = header.to_bytes();
        let mut datagram = Vec::with_capacity(HEADER_LEN + message.len() + TAG_LEN);
        datagram.extend_from_slice(&clear);
        datagram.extend_from_slice(message);
        let tag = seal_in_place(&self.aead, header.nonce(), clear, &mut datagram[HEADER_LEN..]);
        datagram.extend_from_slice(tag.as_ref());
        datagram
    }
}

fn seal_in_place(aead: &LessSafeKey, nonce: Nonce, clear: [u8; HEADER_LEN], message: &mut [u8]) -> Tag {
    aead.seal_in_place_separate_tag(nonce, Aad::from(clear), message)
        .expect("a message is less than the cipher can seal")
}

/// What is in clear before the sealed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key_id: u64,
    pub(super) sender: u64,
    pub(super) session: Session,
    pub(super) counter: u64,
    pub(super) time_ms: u64,
}

impl Header {
    /// None where the bytes are not of this format.
    pub(super) fn parse(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (sender, rest) = rest.split_first_chunk()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (counter, rest) = rest.split_first_chunk()?;
        let time_ms = rest.first_chunk()?;
        (*version == VERSION).then_some(Self {
            key_id: u64::from_be_bytes(*key_id),
            sender: u64::from_be_bytes(*sender),
            session: *session,
            counter: u64::from_be_bytes(*counter),
            time_ms: u64::from_be_bytes(*time_ms),
        })
    }

    fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.key_id.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.sender.to_be_bytes());
        bytes[17..33].copy_from_slice(&self.session);
        bytes[33..41].copy_from_slice(&self.counter.to_be_bytes());
        bytes[41..49].copy_from_slice(&self.time_ms.to_be_bytes());
        bytes
    }

    /// The counter, to which a session's key is used once.
    pub(super) fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The length of a key's id, for HKDF.
struct IdLength;

impl KeyType for IdLength {
    fn len(&self) -> usize {
        8
    }
}
