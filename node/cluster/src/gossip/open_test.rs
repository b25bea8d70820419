//! Sealed datagrams, bent in every way: what opens, and the reason for what does not.

use super::super::seal::{Key, Keyring, Sealer, ShortSecret};
use super::*;

const NOW: u64 = 1_700_000_000_000;
const SECRET: &[u8] = b"a secret of 32 random bytes, say";
const OTHER_SECRET: &[u8] = b"another secret, of 33 bytes even";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn key(secret: &[u8], cluster: &str) -> Key {
    Key::derive(secret, cluster).unwrap()
}

fn ours() -> Key {
    key(SECRET, "cluster-a")
}

fn sealer() -> Sealer {
    Sealer::new(&ours(), 7, [7; 16])
}

fn opener() -> Opener {
    Opener::new(Keyring::of(ours()), [1; 16])
}

#[test]
fn what_is_sealed_opens_and_cannot_be_read() {
    for message in [vec![], b"hello".to_vec(), vec![9; 60_000]] {
        let datagram = sealer().seal(&message, NOW);
        assert!(message.len() < 5 || !datagram.windows(message.len()).any(|window| window == message));
        assert_eq!(opener().open(&datagram, PEER, NOW), Ok(message));
    }
}

#[test]
#[rustfmt::skip]
fn a_datagram_is_dropped_for_its_reason() {
    let good = sealer().seal(b"hello", NOW);
    let foreign = |secret, cluster| Sealer::new(&key(secret, cluster), 7, [7; 16]).seal(b"hello", NOW);
    let mut other_version = good.clone();
    other_version[0] = 2;
    let own = Sealer::new(&ours(), 1, [1; 16]).seal(b"hello", NOW);
    let cases = [
        // datagram                           at                       outcome                     why
        (good.clone(),                        NOW,                     Ok(())),                    // as it was sent
        (good.clone(),                        NOW + SKEW_MOST_MS,      Ok(())),                    // just not too old
        (good.clone(),                        NOW + SKEW_MOST_MS + 1,  Err(Dropped::Old)),
        (good.clone(),                        NOW - SKEW_MOST_MS,      Ok(())),                    // a fast clock within bounds
        (good.clone(),                        NOW - SKEW_MOST_MS - 1,  Err(Dropped::Ahead)),
        (vec![],                              NOW,                     Err(Dropped::Truncated)),
        (b"junk".to_vec(),                    NOW,                     Err(Dropped::Truncated)),
        (good[..HEADER_LEN + 15].to_vec(),    NOW,                     Err(Dropped::Truncated)),   // not even a seal
        (good[..good.len() - 1].to_vec(),     NOW,                     Err(Dropped::Forged)),      // its last byte is missing
        ([good.as_slice(), b"x"].concat(),    NOW,                     Err(Dropped::Forged)),      // a byte too many
        (vec![0; 1_000],                      NOW,                     Err(Dropped::Garbage)),
        (other_version,                       NOW,                     Err(Dropped::Garbage)),     // another format
        (foreign(SECRET, "cluster-b"),        NOW,                     Err(Dropped::UnknownKey)),  // the same secret elsewhere
        (foreign(OTHER_SECRET, "cluster-a"),  NOW,                     Err(Dropped::UnknownKey)),  // the same name, another secret
        (own,                                 NOW,                     Err(Dropped::Reflected)),   // our own, sent back
    ];
    for (number, (datagram, at, outcome)) in cases.into_iter().enumerate() {
        assert_eq!(opener().open(&datagram, PEER, at).map(|_message| ()), outcome, "case {number}");
    }
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let good = sealer().seal(b"hello", NOW);
    for bit in 0..good.len() * 8 {
        let mut bent = good.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(opener().open(&bent, PEER, NOW).is_err(), "bit {bit} was flipped");
    }
    // The same within a session that is known already.
    let mut opener = opener();
    let mut sealer = sealer();
    opener.open(&sealer.seal(b"first", NOW), PEER, NOW).unwrap();
    let good = sealer.seal(b"hello", NOW);
    for bit in 0..good.len() * 8 {
        let mut bent = good.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(opener.open(&bent, PEER, NOW).is_err(), "bit {bit} was flipped in a known session");
    }
    assert_eq!(opener.open(&good, PEER, NOW), Ok(b"hello".to_vec()), "none of them used its place up");
}

#[test]
fn a_datagram_opens_once() {
    let mut sealer = sealer();
    let sent: Vec<_> = (0..400_u32).map(|n| sealer.seal(&n.to_be_bytes(), NOW)).collect();
    let mut opener = opener();
    let mut open = |n: usize| opener.open(&sent[n], PEER, NOW).map(|_message| ());
    #[rustfmt::skip]
    let steps = [
        // datagram  outcome                    why
        (10,         Ok(())),                   // the first that came
        (10,         Err(Dropped::Replayed)),
        ( 9,         Ok(())),                   // overtaken on its way
        ( 9,         Err(Dropped::Replayed)),
        (12,         Ok(())),
        (11,         Ok(())),
        (10,         Err(Dropped::Replayed)),   // remembered past newer ones
        (200,        Ok(())),                   // past the whole window
        (73,         Ok(())),                   // the oldest place in it
        (72,         Err(Dropped::Replayed)),   // not known whether it came: no
        (12,         Err(Dropped::Replayed)),
        (327,        Ok(())),                   // moves the window by one less than its width
        (200,        Err(Dropped::Replayed)),   // which is now its oldest place
        (201,        Ok(())),
    ];
    for (step, (datagram, outcome)) in steps.into_iter().enumerate() {
        assert_eq!(open(datagram), outcome, "step {step}: datagram {datagram}");
    }
}

#[test]
fn a_forgotten_session_cannot_be_replayed() {
    let mut opener = opener();
    let old = sealer().seal(b"old", NOW);
    opener.open(&old, PEER, NOW).unwrap();
    let later = NOW + SKEW_MOST_MS + 1;
    let mut other = Sealer::new(&ours(), 8, [8; 16]);
    opener.open(&other.seal(b"new", later), PEER, later).unwrap();
    assert_eq!(opener.sessions.len(), 1, "the silent session is forgotten");
    assert_eq!(opener.open(&old, PEER, later), Err(Dropped::Old));
}

#[test]
#[rustfmt::skip]
fn a_key_is_exchanged_without_a_gap() {
    let (old, new) = (ours(), key(OTHER_SECRET, "cluster-a"));
    let rings = [
        Keyring::of(old.clone()),
        Keyring { send: old.clone(), also: Some(new.clone()) },
        Keyring { send: new.clone(), also: Some(old) },
        Keyring::of(new),
    ];
    let hears = |sender: usize, receiver: usize| {
        let datagram = Sealer::new(&rings[sender].send, 7, [7; 16]).seal(b"hello", NOW);
        Opener::new(rings[receiver].clone(), [1; 16]).open(&datagram, PEER, NOW).is_ok()
    };
    for step in 0..3 {
        assert!(hears(step, step + 1) && hears(step + 1, step), "nodes one step apart hear each other, step {step}");
    }
    assert!(!hears(0, 3) && !hears(3, 0), "a replaced key opens nothing");
}

#[test]
fn renewed_keys_close_the_sessions_of_those_that_are_gone() {
    let mut opener = opener();
    let mut sealer = sealer();
    opener.open(&sealer.seal(b"hello", NOW), PEER, NOW).unwrap();
    opener.renew(Keyring::of(key(OTHER_SECRET, "cluster-a")), [2; 16]);
    assert_eq!(opener.open(&sealer.seal(b"hello", NOW), PEER, NOW), Err(Dropped::UnknownKey));
    assert!(opener.sessions.is_empty());
}

#[test]
fn floods_are_cut_off() {
    let mut opener = opener();
    let mut sealer = sealer();
    opener.open(&sealer.seal(b"hello", NOW), PEER, NOW).unwrap();
    // A stranger at the peer's own address, who has seen the key's id.
    let forged = |n: u8| {
        let mut datagram = Sealer::new(&ours(), 9, [n; 16]).seal(b"hello", NOW);
        *datagram.last_mut().unwrap() ^= 1;
        datagram
    };
    let outcomes: Vec<_> = (100..200).map(|n| opener.open(&forged(n), PEER, NOW)).collect();
    let tried = outcomes.iter().filter(|outcome| **outcome == Err(Dropped::Forged)).count();
    assert_eq!(tried, 63, "the peer's own first datagram was the 64th");
    assert_eq!(outcomes.last(), Some(&Err(Dropped::Crowded)));
    assert_eq!(opener.sessions.len(), 1, "nothing is remembered of strangers");
    assert!(opener.open(&sealer.seal(b"still heard", NOW), PEER, NOW).is_ok());
    // A member that sends without end.
    let heard = (0..2_000).filter(|_| opener.open(&sealer.seal(b"", NOW), PEER, NOW).is_ok()).count();
    assert!(heard < 1_000, "{heard} datagrams were heard in one second");
    assert!(opener.open(&sealer.seal(b"", NOW), PEER, NOW + 1_000).is_ok(), "and again in the next");
}

#[test]
fn a_secret_has_a_length() {
    assert_eq!(Key::derive(b"", "cluster-a").unwrap_err(), ShortSecret { len: 0 });
    assert!(Key::derive(&[1; 15], "cluster-a").unwrap_err().to_string().contains("15 bytes"));
    let shown = format!("{:?}", ours());
    assert!(shown.starts_with("Key(") && shown.len() < 30, "the key itself is not shown: {shown}");
}
