//! Every task starts here: with a name for its logs, and counted, so that a stop can wait for all of them.

use std::future::Future;

use tokio::sync::mpsc;

/// Hands out tickets; [`Tasks::ended`] waits until all are back.
pub(crate) struct Tasks {
    ticket: mpsc::Sender<()>,
    returned: mpsc::Receiver<()>,
}

/// Starts tasks that a stop waits for.
#[derive(Clone)]
pub(crate) struct Spawner {
    ticket: mpsc::Sender<()>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        let (ticket, returned) = mpsc::channel(1);
        Self { ticket, returned }
    }

    pub(crate) fn spawner(&self) -> Spawner {
        Spawner { ticket: self.ticket.clone() }
    }

    /// Waits until no task is left. No more can be started by then, once the spawners are gone.
    pub(crate) async fn ended(self) {
        let Self { ticket, mut returned } = self;
        drop(ticket);
        let _nobody_sends = returned.recv().await;
    }
}

impl Spawner {
    /// Starts a task. A panic in it is logged and ends only it.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&tokio::runtime::Handle::current(), name, task);
    }

    /// The same, on the runtime of `handle`.
    pub(crate) fn spawn_on(
        &self,
        handle: &tokio::runtime::Handle,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let ticket = self.ticket.clone();
        handle.spawn(async move {
            task.await;
            tracing::trace!(name, "task ended");
            drop(ticket);
        });
    }
}
