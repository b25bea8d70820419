//! What lies encrypted in the store: its key is derived from the cluster's secret, outside of here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Encrypted bytes. Whoever proposes seals, whoever serves opens; the store only keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
