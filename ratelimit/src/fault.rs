//! Deliberate faults, for the simulator to prove that it can fail: each stands where one guard of a promise stands. Without
//! the feature `planted-faults` all of this is the constant `false`.

/// A guard that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A batch that was applied before is applied again.
    SequenceUnchecked,
    /// What a lease gives back becomes free twice.
    ReturnedTwice,
    /// What a silent node holds is granted to others.
    ReclaimedByTimeout,
    /// A restarted node takes what it had reserved for unspent.
    JournalForgotten,
    /// A window goes on for a moment after its end.
    WindowOffByOne,
    /// A grant does not reduce what is free.
    GrantUncounted,
    /// A node reports a return and goes on to spend it.
    ReturnStillSpendable,
    /// A closed session's leases are freed rather than forfeited.
    ForfeitFreed,
    /// Cluster time follows a leader whose clock went back.
    TimeRunsBack,
    /// An overrun is not booked.
    OverrunForgotten,
    /// Rows of a batch whose answer was lost are sent with the next one again.
    RowsSentTwice,
    /// A limit that is raised gives what it was raised to, not by.
    RaiseGivesAll,
}

/// All of them, for campaigns over each.
pub const ALL: [Fault; 12] = [
    Fault::SequenceUnchecked,
    Fault::ReturnedTwice,
    Fault::ReclaimedByTimeout,
    Fault::JournalForgotten,
    Fault::WindowOffByOne,
    Fault::GrantUncounted,
    Fault::ReturnStillSpendable,
    Fault::ForfeitFreed,
    Fault::TimeRunsBack,
    Fault::OverrunForgotten,
    Fault::RowsSentTwice,
    Fault::RaiseGivesAll,
];

#[cfg(feature = "planted-faults")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault on this thread, or takes it away.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether this guard is taken away.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether this guard is taken away: never.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_fault: Fault) -> bool {
    false
}
