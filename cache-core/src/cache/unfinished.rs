//! Calls that go on after their caller has left.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::cache::core::Core;
use crate::ports::LockGuard;

type Call = Shared<BoxFuture<'static, ()>>;

/// Calls that were begun and that nobody waits for. Half done, they would leave behind what no record names; and what a
/// backend does for a dropped future may still happen after that was cleared. So the manager's next operation goes on with
/// them. Bounded by the calls that were dropped since the last operation.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    calls: Mutex<Vec<Call>>,
}

impl Unfinished {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all calls that were left until now. Dropped, it leaves them to the next one.
    pub(super) async fn finish(&self) {
        let left = self.calls().clone();
        for call in left {
            call.await;
        }
        let mut calls = self.calls();
        let (over, left): (Vec<_>, _) = mem::take(&mut *calls).into_iter().partition(|call| call.peek().is_some());
        *calls = left;
        // What they hold is let go of where the list is not locked.
        drop(calls);
        drop(over);
    }
}

impl Core {
    /// The outcome of `call`. Dropped before that, it leaves the rest to the manager's next operation, and holds `in_use`
    /// until then: so nobody clears what `call` is about while something of it may still happen.
    ///
    /// `call` must not hold the manager or an entry: they would keep each other for ever.
    pub(super) async fn complete<T>(
        &self,
        in_use: Arc<dyn LockGuard>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T
    where
        T: Clone + Send + Sync + 'static,
    {
        let call = async move {
            let outcome = call.await;
            drop(in_use);
            outcome
        };
        let call = call.boxed().shared();
        let rest = AssertUnwindSafe(call.clone()).catch_unwind().map(|outcome| {
            if outcome.is_err() {
                tracing::error!("a call that its caller left panicked");
            }
        });
        let mut seat = Seat { unfinished: &self.unfinished, call: Some(rest.boxed().shared()) };
        let outcome = call.await;
        seat.call = None;
        outcome
    }
}

/// Hands the call over when its caller leaves.
struct Seat<'a> {
    unfinished: &'a Unfinished,
    call: Option<Call>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.unfinished.calls().extend(self.call.take());
    }
}
