//! Opens what arrives, or says why not: garbage, strangers, replays and what is too old are dropped and counted by reason.
//!
//! A datagram is accepted once: a window over each session's counters remembers the last ones, and its time says that it is not from
//! before the window. A captured one can still be shown to *another* node within that time; what gossip carries is ordered by
//! versions of its own, so that this tells nothing new.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use ring::aead::{Aad, LessSafeKey};

use super::limit::Strangers;
use super::seal::{HEADER_LEN, Header, Keyring, Session, TAG_LEN};

/// How far a sender's clock and its way here may be off.
pub const SKEW_MOST_MS: u64 = 30_000;
/// Counters below the highest one that may still arrive.
const WINDOW: u64 = 128;
/// Sessions that are remembered: starts of nodes within [`SKEW_MOST_MS`], far more than there are nodes.
const SESSIONS_MOST: usize = 4_096;
/// A node sends a few datagrams to each peer in a second.
const PER_SESSION_MOST: u32 = 1_000;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than a header and a seal.
    Truncated,
    /// Not of this format.
    Garbage,
    /// Sealed under a key that is not accepted: another cluster's, or one that was replaced.
    UnknownKey,
    /// The seal does not fit what it covers.
    Forged,
    /// Came before.
    Replayed,
    /// This node's own, sent back to it.
    Reflected,
    /// Sent longer ago than [`SKEW_MOST_MS`], or the sender's clock is slow.
    Old,
    /// The sender's clock is fast.
    Ahead,
    /// More than its source may send.
    Crowded,
}

/// Opens what a node receives.
pub struct Opener {
    keys: Keyring,
    own: Session,
    sessions: HashMap<Session, Track>,
    strangers: Strangers,
}

impl Dropped {
    /// All reasons, as they are declared.
    pub const ALL: [Self; 9] = [
        Self::Truncated,
        Self::Garbage,
        Self::UnknownKey,
        Self::Forged,
        Self::Replayed,
        Self::Reflected,
        Self::Old,
        Self::Ahead,
        Self::Crowded,
    ];

    /// For metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Garbage => "garbage",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Reflected => "reflected",
            Self::Old => "old",
            Self::Ahead => "ahead",
            Self::Crowded => "crowded",
        }
    }
}

impl Opener {
    /// `own` is the session that this node seals in.
    pub fn new(keys: Keyring, own: Session) -> Self {
        Self { keys, own, sessions: HashMap::new(), strangers: Strangers::default() }
    }

    /// From here on other keys are accepted, and this node seals in another session.
    pub fn renew(&mut self, keys: Keyring, own: Session) {
        self.sessions.retain(|_, track| keys.find(track.key_id).is_some());
        self.keys = keys;
        self.own = own;
    }

    /// The message of a datagram.
    pub fn open(&mut self, datagram: &[u8], from: IpAddr, now_ms: u64) -> Result<Vec<u8>, Dropped> {
        let (clear, sealed) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(Dropped::Truncated)?;
        if sealed.len() < TAG_LEN {
            return Err(Dropped::Truncated);
        }
        let header = Header::parse(clear).ok_or(Dropped::Garbage)?;
        let key = self.keys.find(header.key_id).ok_or(Dropped::UnknownKey)?;
        if header.session == self.own {
            return Err(Dropped::Reflected);
        }
        check_time(header.time_ms, now_ms)?;

        let (track, opened) = match self.sessions.entry(header.session) {
            Entry::Occupied(known) => {
                let track = known.into_mut();
                if !track.is_fresh(header.counter) {
                    return Err(Dropped::Replayed);
                }
                let opened = unseal(&track.aead, &header, clear, sealed)?;
                (track, opened)
            }
            Entry::Vacant(_) => {
                if !self.strangers.admit(from, now_ms) {
                    return Err(Dropped::Crowded);
                }
                let aead = key.of_session(&header.session);
                let opened = unseal(&aead, &header, clear, sealed)?;
                (self.remember(&header, aead, now_ms)?, opened)
            }
        };
        track.count(now_ms)?;
        track.mark(&header);
        Ok(opened)
    }

    /// Begins to follow a session whose holder has shown that it knows the key.
    fn remember(&mut self, header: &Header, aead: LessSafeKey, now_ms: u64) -> Result<&mut Track, Dropped> {
        // What a forgotten session sent is too old by now to be taken for new.
        self.sessions.retain(|_, track| track.newest_ms.saturating_add(SKEW_MOST_MS) >= now_ms);
        if self.sessions.len() >= SESSIONS_MOST {
            return Err(Dropped::Crowded);
        }
        Ok(self.sessions.entry(header.session).or_insert_with(|| Track::new(header, aead)))
    }
}

fn check_time(time_ms: u64, now_ms: u64) -> Result<(), Dropped> {
    if time_ms.saturating_add(SKEW_MOST_MS) < now_ms {
        return Err(Dropped::Old);
    }
    if now_ms.saturating_add(SKEW_MOST_MS) < time_ms {
        return Err(Dropped::Ahead);
    }
    Ok(())
}

fn unseal(
    aead: &LessSafeKey,
    header: &Header,
    clear: &[u8; HEADER_LEN],
    sealed: &[u8],
) -> Result<Vec<u8>, Dropped> {
    let mut message = sealed.to_vec();
    let len = aead
        .open_in_place(header.nonce(), Aad::from(clear), &mut message)
        .map_err(|_unspecified| Dropped::Forged)?
        .len();
    message.truncate(len);
    Ok(message)
}

/// What is known of one session of a peer.
struct Track {
    key_id: u64,
    aead: LessSafeKey,
    /// The highest counter that came.
    highest: u64,
    /// Which of the last ones came; the lowest bit is the highest counter.
    came: u128,
    newest_ms: u64,
    second: u64,
    in_second: u32,
}

impl Track {
    fn new(header: &Header, aead: LessSafeKey) -> Self {
        Self {
            key_id: header.key_id,
            aead,
            highest: header.counter,
            came: 0,
            newest_ms: header.time_ms,
            second: 0,
            in_second: 0,
        }
    }

    fn is_fresh(&self, counter: u64) -> bool {
        match self.highest.checked_sub(counter) {
            None => true,
            Some(below) => below < WINDOW && (self.came >> below) & 1 == 0,
        }
    }

    fn mark(&mut self, header: &Header) {
        if let Some(below) = self.highest.checked_sub(header.counter) {
            self.came |= 1 << below;
        } else {
            let ahead = header.counter - self.highest;
            self.came = if ahead < WINDOW { (self.came << ahead) | 1 } else { 1 };
            self.highest = header.counter;
        }
        self.newest_ms = self.newest_ms.max(header.time_ms);
    }

    /// A member that sends without end is heard only so often.
    fn count(&mut self, now_ms: u64) -> Result<(), Dropped> {
        let second = now_ms / 1_000;
        if second != self.second {
            self.second = second;
            self.in_second = 0;
        }
        self.in_second += 1;
        if self.in_second <= PER_SESSION_MOST { Ok(()) } else { Err(Dropped::Crowded) }
    }
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
