//! A node's own record of what its wallet promised, so that a restart can give the ledger exactly what is owed: files and
//! flushing belong to whoever holds the bytes.
//!
//! ```text
//! wallet ─ records ─▶ Writer ─ bytes ─▶ file …crash… file ─▶ replay ─▶ Replayed ─▶ settle_old ─▶ batches in the old name
//! ```
//!
//! What whoever writes it must keep to, since replay rests on it:
//! 1. A record is in the file before what it says counts: `Reserved` and `Extended` before bytes go upstream, `Settled`
//!    before its row is in any batch. Written is enough against a killed process, flushed against lost power.
//! 2. One writer, one order: the rows of batch n are those of the `Settled` records between `Sent` n-1 and `Sent` n.
//! 3. `Sent` n is flushed before batch n leaves the node: so nothing is ever told to the ledger that a restart forgets.
//! 4. One file belongs to one session. A new file begins with a checkpoint and takes over once that is flushed; it has a
//!    larger number than the one before.

pub mod books;
pub mod frame;
pub mod record;
pub mod replay;
pub mod settle;

pub use books::{Books, Disorder};
pub use frame::{TooLong, Writer};
pub use record::{BootId, Entry, Intent, OpenHold, Opened, Part, Place, Record, Spent};
pub use replay::{Cut, JournalError, Replayed, replay};
pub use settle::{Ending, WrongSession, settle_old};
