//! What answers the calls: a table that others fill, so that nothing here depends on them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

use super::Method;
use super::refusal::Refusal;

/// Who calls, proven by its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its Raft id.
    pub node: u64,
}

/// Says whether a node is (still) one of the cluster.
pub type Belongs = Arc<dyn Fn(u64) -> bool + Send + Sync>;
/// Something later.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;
/// Messages one after the other. The first refusal is the last item.
pub type Messages<T = Bytes> = Pin<Box<dyn Stream<Item = Result<T, Refusal>> + Send>>;

pub(crate) type Once = Arc<dyn Fn(Caller, Bytes) -> Later<Bytes> + Send + Sync>;
pub(crate) type Streamed = Arc<dyn Fn(Caller, Messages) -> Later<Messages> + Send + Sync>;

/// What answers a call.
#[derive(Clone)]
pub(crate) enum Handler {
    /// One message, one answer.
    Once(Once),
    /// Many and many.
    Streamed(Streamed),
}

/// Handlers by call. A call without one is refused.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<Method, Handler>);

impl Handlers {
    /// `answer` takes one message and gives one.
    pub(crate) fn once<F, L>(&mut self, method: Method, answer: F)
    where
        F: Fn(Caller, Bytes) -> L + Send + Sync + 'static,
        L: Future<Output = Result<Bytes, Refusal>> + Send + 'static,
    {
        let boxed = move |caller, message| Box::pin(answer(caller, message)) as Later<Bytes>;
        self.0.insert(method, Handler::Once(Arc::new(boxed)));
    }

    /// `answer` takes a stream of messages and gives one.
    pub(crate) fn streamed<F, L>(&mut self, method: Method, answer: F)
    where
        F: Fn(Caller, Messages) -> L + Send + Sync + 'static,
        L: Future<Output = Result<Messages, Refusal>> + Send + 'static,
    {
        let boxed = move |caller, messages| Box::pin(answer(caller, messages)) as Later<Messages>;
        self.0.insert(method, Handler::Streamed(Arc::new(boxed)));
    }

    pub(crate) fn of(&self, method: Method) -> Option<&Handler> {
        self.0.get(&method)
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
