//! How a call to another node can fail, and whether it may have been done all the same.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::Status;

use super::connect::DialError;
use super::refusal::Refusal;
use super::verify::NOT_OURS;

/// A call that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// There is no connection: nothing was sent.
    Unreachable {
        /// Why not.
        why: String,
    },
    /// The message is larger than the call takes: nothing was sent.
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// The other node said no.
    Refused(Refusal),
    /// No answer in time.
    TimedOut {
        /// The time that it had.
        within: Duration,
    },
    /// The connection broke, or what came is no answer.
    Broken {
        /// What happened.
        why: String,
    },
}

impl CallError {
    /// Whether it is certain that nothing was done.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Refused(refusal) => !matches!(refusal, Refusal::OutcomeUnknown { .. }),
            Self::Unreachable { .. } | Self::TooLarge { .. } => true,
            Self::TimedOut { .. } | Self::Broken { .. } => false,
        }
    }

    pub(super) fn of(status: &Status) -> Self {
        if let Some(refusal) = Refusal::from_status(status) {
            return Self::Refused(refusal);
        }
        let causes = || std::iter::successors(status.source(), |&error| error.source());
        if let Some(dial) = causes().find_map(|cause| cause.downcast_ref::<DialError>()) {
            return Self::Unreachable { why: dial.to_string() };
        }
        let mut why = status.message().to_owned();
        for cause in causes() {
            let cause = cause.to_string();
            if !why.contains(&cause) {
                why = format!("{why}: {cause}");
            }
        }
        // hyper hides what TLS said after the handshake; only the alert's name is left.
        if why.contains("received fatal alert") {
            why = format!("{why}: {NOT_OURS}");
        }
        Self::Broken { why }
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { why } => f.write_str(why),
            Self::TooLarge { bytes, most } => {
                write!(f, "a message of {bytes} bytes; at most {most} are taken")
            }
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::TimedOut { within } => write!(f, "no answer within {within:?}"),
            Self::Broken { why } => write!(f, "the call broke: {why}"),
        }
    }
}

impl Error for CallError {}
