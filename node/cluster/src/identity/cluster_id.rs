//! A cluster's id: random, so that two clusters never have the same.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hex;

/// 128 bits, of which 126 are random: written down, the first digit is a letter, so that the id can end a host name.
/// (A name that ends in a number is an address, says the URL standard, and rustls.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId([u8; 16]);

const LETTER: u8 = 0xc0;

impl ClusterId {
    /// Another one than there ever was.
    pub fn random() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        bytes[0] |= LETTER;
        Self(bytes)
    }

    /// The id that these bytes are, if they are one.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes[0] & LETTER == LETTER).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClusterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hex::decode(text).and_then(Self::from_bytes).ok_or_else(|| {
            format!("expected a cluster id (32 hexadecimal digits, the first c to f), `{text}` came")
        })
    }
}
