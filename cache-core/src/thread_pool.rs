//! An elastic pool of threads.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Job, Pool};

/// How long an idle thread waits for its next job before it ends. Long enough to serve the next store call of a running
/// build, short enough that an idle embedder soon has none of our threads.
const IDLE: Duration = Duration::from_secs(2);

/// A [`Pool`] that starts a thread for every job that finds none idle. Threads end after two idle seconds, and when the
/// pool is dropped.
#[derive(Debug, Default)]
pub struct ThreadPool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared").field("waiting", &state.jobs.len()).field("idle", &state.idle).finish()
    }
}

impl Shared {
    /// Jobs run outside of the lock, so a poisoned lock still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, first: Job) {
        run(first);
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                run(job);
                state = self.lock();
                continue;
            }
            if state.closed {
                return;
            }
            state.idle += 1;
            let (woken, timeout) = self.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                return;
            }
        }
    }
}

/// A job that panics ends alone: whoever waits for it sees its channel closed.
fn run(job: Job) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
        tracing::error!("a job of the thread pool panicked");
    }
}

impl ThreadPool {
    /// A pool without threads yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Pool for ThreadPool {
    fn spawn(&self, job: Job) -> Result<()> {
        let mut state = self.shared.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            self.shared.wake.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name("layercache".to_owned())
            .spawn(move || shared.work(job))
            .map(drop)
            .map_err(|source| Error::new(ErrorKind::Unavailable, "start", "a pool thread").with_source(source))
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}
