//! A node's own record of what its wallet promised, so that a restart can give the ledger exactly what is owed: files and
//! flushing belong to whoever holds the bytes.
//!
//! ```text
//! wallet ─ records ─▶ Writer ─ bytes ─▶ file …crash… file ─▶ replay ─▶ Replayed ─▶ settle_old ─▶ batches in the old name
//! ```
//!
//! What whoever writes it must keep to, since replay rests on it:
//! 1. A record is in the file before what it says counts: `Reserved` and `Extended` before bytes go upstream, `Settled`
//!    before `Spending::book`. Written is enough against a killed process, flushed against lost power.
//!    Its parts are named when it is written: a first lease may come between [`Hold::spend`] and its `Settled`, and what stands
//!    in the bucket's name behind `Leased` is taken for something else.
//! 2. `Sent` n, with all rows of batch n, is flushed before the batch leaves the node: so nothing is ever told to the ledger
//!    that a restart forgets. What is still to be told is what was settled without what was sent: beyond these two rules no
//!    order of threads matters.
//! 3. One file belongs to one session. A new file begins with a checkpoint and takes over once that is flushed; it has a
//!    larger number than the one before. So does the first file of a session that goes on for one that was lost, see
//!    [`Books::resumed`].
//! 4. A restart flushes the old file before it sends what [`settle_old`] says: killed again, it must read the same.
//!
//! [`Hold::spend`]: crate::wallet::Hold::spend

pub mod books;
pub mod frame;
pub mod record;
pub mod replay;
pub mod settle;
mod sums;

pub use books::{Books, Disorder, LastBatch};
pub use frame::{TooLong, Writer};
pub use record::{BootId, Entry, Intent, OpenHold, Opened, Part, Place, Record, Spent};
pub use replay::{Cut, JournalError, Replayed, replay};
pub use settle::{Ending, WrongSession, settle_old};
