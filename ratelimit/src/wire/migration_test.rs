//! A made-up version 0 is read beside the current one: the way that a real change takes.

use serde::{Deserialize, Serialize};

use super::*;
use crate::ledger::command::{LeaseId, SessionId};
use crate::ledger::outcome::Why;

/// Nudges as they never were: without a reason, since there was only one.
mod v0 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Nudge {
        pub(super) session: SessionId,
        pub(super) lease: LeaseId,
    }

    impl From<Nudge> for super::Nudge {
        fn from(old: Nudge) -> Self {
            Self { session: old.session, lease: old.lease, why: Why::Recalled }
        }
    }
}

const BOTH: Form<Nudge> = Form {
    kind: b'N',
    name: "nudge",
    most_bytes: 64,
    versions: &[(0, |body| bytes::read::<v0::Nudge>(body).map(Nudge::from)), (1, bytes::read)],
};

#[test]
fn an_old_version_is_read_as_the_new_one() {
    let (session, lease) = (SessionId(7), LeaseId { slot: 300, generation: 2 });
    let mut old = vec![b'N', 0];
    bytes::append(&v0::Nudge { session, lease }, &mut old);
    let new = Nudge { session, lease, why: Why::Recalled };

    assert_eq!(BOTH.decode(&old), Ok(new));
    assert_eq!(BOTH.encode(&new).map(|out| out[1]), Ok(1), "the newest version is written");
    assert_eq!(BOTH.decode(&BOTH.encode(&new).expect("short")), Ok(new));
    assert_eq!(
        decode_nudge(&old),
        Err(WireError::Version { name: "nudge", known: vec![1], got: 0 }),
        "who was never told of the old version refuses it"
    );
}

#[test]
fn what_is_not_one_is_refused_with_what_was_expected() {
    let nudge = Nudge { session: SessionId(1), lease: LeaseId { slot: 1, generation: 1 }, why: Why::Changed };
    let good = encode_nudge(&nudge).expect("short");
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad);
        decode_nudge(&bad).expect_err("bad").to_string()
    };
    #[rustfmt::skip]
    let cases = [
        (with(Vec::clear), "expected kind and version, 0 bytes came"),
        (with(|bad| bad.truncate(1)), "expected kind and version, 1 bytes came"),
        (with(|bad| bad[0] = b'C'), "expected a nudge, the kind 0x43 came"),
        (with(|bad| bad[1] = 9), "version 9 of a nudge is not known; known are [1]"),
        (with(|bad| bad.push(0)), "a nudge of version 1: expected the end, 1 bytes more came"),
        (with(|bad| bad.resize(65, 0)), "a nudge of 65 bytes; at most 64 are taken"),
    ];
    for (got, expected) in cases {
        assert_eq!(got, expected);
    }
    assert!(
        with(|bad| _ = bad.pop()).starts_with("a nudge of version 1: the body is not of the expected shape")
    );
}

#[test]
fn a_value_that_nobody_could_read_is_not_written() {
    let name = "x".repeat(MOST_COMMAND_BYTES);
    let bytes = MOST_COMMAND_BYTES + 2 + 1 + 4;
    assert_eq!(
        encode_command(&Command::DeleteBudget { name }),
        Err(WireError::TooLong { name: "command", bytes, most: MOST_COMMAND_BYTES })
    );
}
