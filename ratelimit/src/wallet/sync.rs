//! What threads share: the standard atomics, or those of `loom` when the model checker looks at the same code.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use swap::Swap;

/// Locks, also after a panic elsewhere: what our locks guard is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(loom))]
mod swap {
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    /// A shared value that is replaced as a whole, while readers keep what they have.
    #[derive(Debug)]
    pub struct Swap<T>(ArcSwap<T>);

    impl<T> Swap<T> {
        /// Begins with `value`.
        pub fn new(value: Arc<T>) -> Self {
            Self(ArcSwap::new(value))
        }

        /// What is there now.
        pub fn load(&self) -> Arc<T> {
            self.0.load_full()
        }

        /// Puts `value` in its place.
        pub fn store(&self, value: Arc<T>) {
            self.0.store(value);
        }
    }
}

#[cfg(loom)]
mod swap {
    use std::sync::Arc;

    use loom::sync::Mutex;

    /// The same for the model checker, which does not know `arc-swap`.
    #[derive(Debug)]
    pub struct Swap<T>(Mutex<Arc<T>>);

    impl<T> Swap<T> {
        /// Begins with `value`.
        pub fn new(value: Arc<T>) -> Self {
            Self(Mutex::new(value))
        }

        /// What is there now.
        pub fn load(&self) -> Arc<T> {
            Arc::clone(&self.0.lock().expect("no test panics in here"))
        }

        /// Puts `value` in its place.
        pub fn store(&self, value: Arc<T>) {
            *self.0.lock().expect("no test panics in here") = value;
        }
    }
}
