//! What a connection is busy with: whether it may be closed without taking anything from anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Shared by all that happens on one connection, which is on one thread: nothing here orders anything else.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    asked: AtomicBool,
    running: AtomicUsize,
    /// The client does not take what is to be written.
    blocked: AtomicBool,
    written: AtomicBool,
}

/// A request that runs until its answer is handed over. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Running(Arc<Activity>);

impl Activity {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.asked.store(true, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Whether it ever brought a request.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Bytes went out.
    pub(crate) fn wrote(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// Bytes wait for the client.
    pub(crate) fn block(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    /// They wait no longer.
    pub(crate) fn unblock(&self) {
        self.blocked.store(false, Ordering::Relaxed);
    }

    /// Whether nothing runs, nothing waits to be written, and nothing was written since this was last asked: what HTTP/2
    /// holds back for a slow client shows by that alone.
    pub(crate) fn rests(&self) -> bool {
        let written = self.written.swap(false, Ordering::Relaxed);
        self.running.load(Ordering::Relaxed) == 0 && !self.blocked.load(Ordering::Relaxed) && !written
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_connection() {
        let activity = Arc::new(Activity::default());
        assert!(activity.rests() && !activity.was_asked(), "nothing yet");
        let (one, two) = (activity.begin(), activity.begin());
        drop(one);
        assert!(!activity.rests(), "the second runs");
        activity.wrote();
        activity.block();
        drop(two);
        assert!(!activity.rests(), "bytes went out, and more wait");
        assert!(!activity.rests(), "more wait");
        activity.unblock();
        assert!(activity.rests() && activity.was_asked(), "all is over");
    }
}
