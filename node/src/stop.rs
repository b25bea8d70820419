//! The signals that end a node. Who hears them once is not ended by them any more: from then on, every wait has to listen.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// Ends when SIGTERM or SIGINT comes after this call.
pub(crate) fn told_to_stop() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals can't be heard: {error}"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
