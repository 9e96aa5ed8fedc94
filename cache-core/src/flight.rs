//! Single flight: work that several callers want at once is done once.

mod call;
mod held;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use call::{Call, Joined, Landing, Waiter};

pub use held::Held;

/// Runs work once for all callers that want it at the same time.
///
/// No runtime is involved and nothing is spawned: whichever caller is polled moves the work on, and every caller is woken
/// when there is something to do. So a caller that is dropped, or that is alive but not polled, stops nobody.
///
/// - The work lives as long as at least one caller wants it. When the last one leaves, it is dropped at once, and a later
///   caller starts afresh.
/// - Each caller gets a clone of the outcome, a failure too. A caller that comes after the end starts afresh.
/// - Work that panics does so in the caller that polled it; the others start afresh.
///
/// Things that the work creates under a lease of its own are handed to each caller as [`Held`], so that each lets its own
/// lease adopt them. Work must not wait for a flight of its own key. Mirrors: BuildKit `util/flightcontrol.Group`.
///
/// ```
/// use cache_core::flight::Group;
/// use futures::FutureExt as _;
///
/// let group: Group<&str, u32> = Group::new();
/// let (sender, receiver) = futures::channel::oneshot::channel();
/// let answer = receiver.shared();
/// let work = || answer.clone().map(Result::unwrap);
/// let all = async { futures::join!(group.run("key", work), group.run("key", work), async { sender.send(1) }) };
/// assert_eq!(pollster::block_on(all), (1, 1, Ok(())));
/// ```
pub struct Group<K, T> {
    calls: Mutex<HashMap<K, Arc<Call<T>>>>,
}

impl<K, T> Group<K, T> {
    /// A group in which nothing runs.
    pub fn new() -> Self {
        Self { calls: Mutex::new(HashMap::new()) }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<K, Arc<Call<T>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, T: Clone + Send + 'static> Group<K, T> {
    /// The outcome of the work `key`: of the one that runs, else of what `work` makes.
    ///
    /// `work` is called when none runs, and again if that panicked in another caller. What it makes is not polled when
    /// another caller came first.
    ///
    /// # Cancel safety
    /// A dropped call leaves the others alone; the last one that is dropped drops the work.
    pub async fn run<F, W>(&self, key: K, work: F) -> T
    where
        F: Fn() -> W,
        W: Future<Output = T> + Send + 'static,
    {
        loop {
            let seat = Seat { group: self, key: &key, waiter: self.join(&key, &work) };
            match seat.waiter.wait().await {
                Landing::Landed(outcome) => return outcome,
                Landing::Crashed => {}
            }
        }
    }

    /// How many works run.
    pub fn running(&self) -> usize {
        self.calls().len()
    }

    fn join<F, W>(&self, key: &K, work: &F) -> Waiter<T>
    where
        F: Fn() -> W,
        W: Future<Output = T> + Send + 'static,
    {
        if let Some(Joined::Aboard(waiter)) = self.calls().get(key).map(Call::join) {
            return waiter;
        }
        // The work is made without the lock, because `work` is the caller's code.
        let made = Call::new(Box::pin(work()));
        let mut calls = self.calls();
        match calls.entry(key.clone()) {
            Entry::Vacant(vacant) => Call::first(vacant.insert(made)),
            Entry::Occupied(mut occupied) => match Call::join(occupied.get()) {
                Joined::Aboard(waiter) => waiter,
                Joined::TooLate => {
                    let over = occupied.insert(Arc::clone(&made));
                    drop(calls);
                    drop(over);
                    Call::first(&made)
                }
            },
        }
    }
}

impl<K, T> Default for Group<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for Group<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("running", &self.calls().len()).finish()
    }
}

/// One caller's part in a call; leaving takes a call that is over out of the group.
struct Seat<'a, K: Eq + Hash, T> {
    group: &'a Group<K, T>,
    key: &'a K,
    waiter: Waiter<T>,
}

impl<K: Eq + Hash, T> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let leftover = self.waiter.leave();
        let call = self.waiter.call();
        if call.is_over() {
            let mut calls = self.group.calls();
            if calls.get(self.key).is_some_and(|current| Arc::ptr_eq(current, call)) {
                calls.remove(self.key);
            }
            drop(calls);
        }
        // Dropping the work runs its code, which may use the group: no lock is held here.
        drop(leftover);
    }
}
