//! A clock that stands still until it is told to move.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::ports::Clock;
use crate::timestamp::Timestamp;

/// 2024-01-01T00:00:00Z, where a clock begins that is given no time.
const DEFAULT_START: i64 = 1_704_067_200;

/// A clock that stands still until [`advance`](Self::advance). Sleepers wake when the time that they wait for is
/// reached.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(State { now, sleepers: Vec::new() }) }
    }

    /// Moves the time on by `duration`, at most to the year 9999, and wakes the sleepers that waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        let Some(now) = state.now.checked_add(duration) else { return };
        state.now = now;
        let sleepers = std::mem::take(&mut state.sleepers);
        let (due, waiting): (Vec<_>, Vec<_>) = sleepers.into_iter().partition(|(until, _)| *until <= now);
        state.sleepers = waiting;
        drop(state);
        for (_, sleeper) in due {
            // The sleeper may be gone; then nobody is to be woken.
            let _ = sleeper.send(());
        }
    }

    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// A clock that stands at the beginning of 2024.
    fn default() -> Self {
        Self::new(Timestamp::from_unix(DEFAULT_START, 0).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        match state.now.checked_add(duration) {
            Some(until) if until > state.now => state.sleepers.push((until, sender)),
            // A sleep past the end of time never ends.
            None => return futures::future::pending().boxed(),
            Some(_) => return futures::future::ready(()).boxed(),
        }
        receiver.map(drop).boxed()
    }
}
