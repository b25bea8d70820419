//! What was counted.

/// What was counted in the measured window.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// While more than a tenth of the organisation's limit was left, and after that.
    pub steady: Phase,
    /// See `steady`.
    pub tail: Phase,
    /// The organisation's bucket.
    pub organisation: Left,
    /// The buckets of users that were refused something.
    pub users: Vec<Left>,
}

/// A part of the window.
#[derive(Clone, Debug, Default)]
pub struct Phase {
    /// How long it was.
    pub length_ms: u64,
    /// Requests that came.
    pub requests: u64,
    /// Requests that were let through.
    pub admitted: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Those of them that the ledger was asked about first.
    pub refused_after_asking: u64,
    /// How long requests waited that did, in milliseconds; in no order.
    pub waits_ms: Vec<u64>,
    /// Those of them for which the organisation's lease lacked something, rather than a user's that the node had none of yet.
    pub waited_for_organisation: u64,
    /// Entries of the replicated log.
    pub entries: u64,
    /// Their items.
    pub items: Items,
}

/// Sub-commands by what they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// Somebody waits.
    pub needs: u64,
    /// A lease runs low, or the next window's is asked for.
    pub wants: u64,
    /// What was spent is told.
    pub reports: u64,
    /// A lease is given back.
    pub closes: u64,
    /// Those of all of them that were about the organisation's bucket.
    pub organisation: u64,
}

/// What a bucket had left, in parts of a million of its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Neither spent nor held anywhere when a request was first refused for want of it; 0 where that request needed more.
    pub at_first_refusal: Option<u64>,
    /// The same when a request was first told that the bucket is spent until its window ends.
    pub at_first_final_refusal: Option<u64>,
    /// Not spent when the window's last request had ended.
    pub in_the_end: u64,
    /// Requests that were refused although neither spent nor held was as much as they needed.
    pub wrongly_refused: u64,
}

impl Items {
    /// All.
    pub const fn all(&self) -> u64 {
        self.needs + self.wants + self.reports + self.closes
    }
}

impl Phase {
    /// The wait that `percent` of those who waited did not pass.
    pub fn wait_ms(&self, percent: usize) -> u64 {
        let mut waits = self.waits_ms.clone();
        waits.sort_unstable();
        let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        waits.get(at).copied().unwrap_or_default()
    }
}
