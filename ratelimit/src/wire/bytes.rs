//! Values to bytes and back, for everything here that is kept or sent: postcard, appended to bytes that the caller has.
//! What is read back must be the whole value and nothing else.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that a value is appended to.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends `value` to `out`.
pub(crate) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Tail(out))
        .expect("memory takes every byte, and only types whose lengths are known are written");
}

/// Reads the value that `bytes` are. A length that they claim can't make more room than they can fill: postcard reads
/// item by item, and serde makes room for at most 1 MiB ahead.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let (value, rest) = take(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(Unreadable::Trailing { bytes: rest.len() }) }
}

/// Reads the value that `bytes` begin with, and gives back what follows it.
pub(crate) fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), Unreadable> {
    postcard::take_from_bytes(bytes).map_err(|why| Unreadable::Body { why: why.to_string() })
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// They are not of that shape.
    Body {
        /// What was wrong with them.
        why: String,
    },
    /// The value ended before they did.
    Trailing {
        /// How many were left over.
        bytes: usize,
    },
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Body { why } => write!(f, "the body is not of the expected shape: {why}"),
            Self::Trailing { bytes } => write!(f, "expected the end, {bytes} bytes more came"),
        }
    }
}
