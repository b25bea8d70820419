//! What members of a cluster send each other and keep in the replicated log, as bytes: one byte that says what it is, one
//! that says which version of it, and the value in postcard.
//!
//! How a shape is changed, so that logs and members of before can still be read:
//! 1. copy the types as they were into `wire/v<n>.rs`, with a `From` into the types as they are now, which says what the
//!    missing part is taken to be;
//! 2. make the old reader `|body| bytes::read::<v<n>::Command>(body).map(Command::from)`, and put the new version at the
//!    end of the form's list: the last one is written, all of them are read;
//! 3. renew the golden bytes (`UPDATE_GOLDEN=1`), and keep the old ones as `<name>.v<n>.txt`, which must still be read.
//!
//! Members write a new version only once all of them can read it: the cluster's version, not the program's, decides.

pub(crate) mod bytes;
pub mod snapshot;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::bytes::Unreadable;
use crate::ledger::command::Command;
use crate::ledger::outcome::{Answer, Nudge, Outcome};

/// The largest command: far more than a full entry of batches, and little enough to hold many of them.
pub const MOST_COMMAND_BYTES: usize = 16 << 20;
/// The largest answer to a command; no answer is longer than what it answers by more than a few times.
pub const MOST_ANSWER_BYTES: usize = 64 << 20;

const COMMAND: Form<Command> =
    Form { kind: b'C', name: "command", most_bytes: MOST_COMMAND_BYTES, versions: &[(1, bytes::read)] };
const OUTCOME: Form<Outcome> =
    Form { kind: b'O', name: "outcome", most_bytes: MOST_ANSWER_BYTES, versions: &[(1, bytes::read)] };
const ANSWER: Form<Answer> =
    Form { kind: b'A', name: "answer", most_bytes: MOST_ANSWER_BYTES, versions: &[(1, bytes::read)] };
const NUDGE: Form<Nudge> = Form { kind: b'N', name: "nudge", most_bytes: 64, versions: &[(1, bytes::read)] };

/// A command's bytes.
pub fn encode_command(command: &Command) -> Result<Vec<u8>, WireError> {
    COMMAND.encode(command)
}

/// The command that `input` is.
pub fn decode_command(input: &[u8]) -> Result<Command, WireError> {
    COMMAND.decode(input)
}

/// An outcome's bytes.
pub fn encode_outcome(outcome: &Outcome) -> Result<Vec<u8>, WireError> {
    OUTCOME.encode(outcome)
}

/// The outcome that `input` is.
pub fn decode_outcome(input: &[u8]) -> Result<Outcome, WireError> {
    OUTCOME.decode(input)
}

/// An answer's bytes.
pub fn encode_answer(answer: &Answer) -> Result<Vec<u8>, WireError> {
    ANSWER.encode(answer)
}

/// The answer that `input` is.
pub fn decode_answer(input: &[u8]) -> Result<Answer, WireError> {
    ANSWER.decode(input)
}

/// A nudge's bytes.
pub fn encode_nudge(nudge: &Nudge) -> Result<Vec<u8>, WireError> {
    NUDGE.encode(nudge)
}

/// The nudge that `input` is.
pub fn decode_nudge(input: &[u8]) -> Result<Nudge, WireError> {
    NUDGE.decode(input)
}

/// Bytes that can't be taken, or a value that has none: what was expected, and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Too short to say what it is.
    TooShort {
        /// How long it is.
        bytes: usize,
    },
    /// Longer than one of them may be.
    TooLong {
        /// What it is.
        name: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// Something else than what was asked for.
    Kind {
        /// What was expected.
        expected: &'static str,
        /// The byte that came in place of its own.
        got: u8,
    },
    /// A version that this program does not know.
    Version {
        /// What it is.
        name: &'static str,
        /// The versions that are known.
        known: Vec<u8>,
        /// The one that came.
        got: u8,
    },
    /// The version is known, the bytes are not one.
    Unreadable {
        /// What it should be.
        name: &'static str,
        /// Its version.
        version: u8,
        /// What was wrong.
        why: Unreadable,
    },
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort { bytes } => write!(f, "expected kind and version, {bytes} bytes came"),
            Self::TooLong { name, bytes, most } => {
                write!(f, "a {name} of {bytes} bytes; at most {most} are taken")
            }
            Self::Kind { expected, got } => write!(f, "expected a {expected}, the kind {got:#04x} came"),
            Self::Version { name, known, got } => {
                write!(f, "version {got} of a {name} is not known; known are {known:?}")
            }
            Self::Unreadable { name, version, why } => write!(f, "a {name} of version {version}: {why}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Turns the body of some version into the value as it is today.
type Reader<T> = fn(&[u8]) -> Result<T, Unreadable>;

/// How values of one type are written.
struct Form<T: 'static> {
    /// The first byte, so that nothing is taken for something else.
    kind: u8,
    name: &'static str,
    most_bytes: usize,
    /// Every version that can be read. The last is the one that is written.
    versions: &'static [(u8, Reader<T>)],
}

impl<T: Serialize + DeserializeOwned> Form<T> {
    /// Refuses what `decode` would refuse: an entry of the log that no member can read would stop them all.
    fn encode(&self, value: &T) -> Result<Vec<u8>, WireError> {
        let (version, _) = self.versions.last().expect("a form has a version");
        let mut out = vec![self.kind, *version];
        bytes::append(value, &mut out);
        self.fits(&out)?;
        Ok(out)
    }

    fn decode(&self, input: &[u8]) -> Result<T, WireError> {
        self.fits(input)?;
        let [kind, version, body @ ..] = input else {
            return Err(WireError::TooShort { bytes: input.len() });
        };
        if *kind != self.kind {
            return Err(WireError::Kind { expected: self.name, got: *kind });
        }
        let Some((_, read)) = self.versions.iter().find(|(known, _)| known == version) else {
            let known = self.versions.iter().map(|(known, _)| *known).collect();
            return Err(WireError::Version { name: self.name, known, got: *version });
        };
        read(body).map_err(|why| WireError::Unreadable { name: self.name, version: *version, why })
    }

    fn fits(&self, bytes: &[u8]) -> Result<(), WireError> {
        if bytes.len() > self.most_bytes {
            return Err(WireError::TooLong { name: self.name, bytes: bytes.len(), most: self.most_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "migration_test.rs"]
mod tests;
