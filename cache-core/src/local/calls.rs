//! Calls whose futures were dropped while they ran.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which calls run on which key. A call has the key's ingest or lock until its job ends, also when nobody waits for it any more. The
/// next call on the key waits for such a job, rather than telling its caller that somebody else has the key.
#[derive(Debug, Default)]
pub(super) struct Calls {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    running: BTreeMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    key: String,
    is_abandoned: bool,
}

impl Calls {
    /// Notes a call on `key`. The first value is for whoever waits, the second for the job.
    pub(super) fn start(self: &Arc<Self>, key: &str) -> (Waiting, Running) {
        let mut state = self.lock();
        state.last += 1;
        let id = state.last;
        state.running.insert(id, Call { key: key.to_owned(), is_abandoned: false });
        (Waiting { calls: Arc::clone(self), id }, Running { calls: Arc::clone(self), id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for the call.
#[derive(Debug)]
pub(super) struct Waiting {
    calls: Arc<Calls>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(call) = self.calls.lock().running.get_mut(&self.id) {
            call.is_abandoned = true;
            self.calls.changed.notify_all();
        }
    }
}

/// The call runs. To be dropped after what it has.
#[derive(Debug)]
pub(super) struct Running {
    calls: Arc<Calls>,
    id: u64,
}

impl Running {
    /// Waits until every earlier call on the same key that nobody waits for has ended.
    pub(super) fn wait_for_abandoned(&self) {
        let mut state = self.calls.lock();
        loop {
            let Some(own) = state.running.get(&self.id) else { return };
            if !state.running.range(..self.id).any(|(_, call)| call.is_abandoned && call.key == own.key) {
                return;
            }
            state = self.calls.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for `duration`, or until nobody waits for the call any more; whether somebody does.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let is_wanted = |state: &mut State| state.running.get(&self.id).is_some_and(|call| !call.is_abandoned);
        let state = self.calls.lock();
        let (mut state, _) =
            self.calls.changed.wait_timeout_while(state, duration, is_wanted).unwrap_or_else(PoisonError::into_inner);
        is_wanted(&mut state)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.lock().running.remove(&self.id);
        self.calls.changed.notify_all();
    }
}
