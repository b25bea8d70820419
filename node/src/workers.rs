//! Workers: one thread a core, each with a runtime of its own that shares nothing with the others. A client connection
//! lives on one worker, and so do the upstream connections that it uses: nobody is woken on another core, which costs
//! more than all the rest of a small request.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// Cost expressions are evaluated on workers, and recurse: the deepest that is accepted takes half of this in a debug
/// build.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The workers of this node.
#[derive(Clone)]
pub(crate) struct Workers {
    handles: Arc<[Handle]>,
    turn: Arc<AtomicUsize>,
    stop: Arc<watch::Sender<bool>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Workers {
    /// Starts `count` of them.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut handles = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let mut stopped = stopped.clone();
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).stack_size(STACK_BYTES);
            threads.push(thread.spawn(move || {
                INDEX.set(index);
                let _stopped_or_nobody_left = runtime.block_on(stopped.wait_for(|stopped| *stopped));
            })?);
        }
        Ok(Self {
            handles: handles.into(),
            turn: Arc::default(),
            stop: Arc::new(stop),
            threads: Arc::new(Mutex::new(threads)),
        })
    }

    /// Ends them all and waits for it; what still runs is dropped, and so settled.
    pub(crate) fn stop(&self) {
        let _all_hear = self.stop.send(true);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _a_panic_was_logged = thread.join();
        }
    }

    /// The worker whose turn it is.
    pub(crate) fn next(&self) -> &Handle {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.handles[turn % self.handles.len()]
    }
}

/// The number of the worker that this thread is; 0 on other threads.
pub(crate) fn index() -> usize {
    INDEX.get()
}
