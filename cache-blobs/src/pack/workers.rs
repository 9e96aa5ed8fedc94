//! The threads that encode blocks.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use cache_core::{Error, ErrorKind, Result};

use crate::pack::line::Line;

/// Layers with work to do, in turn: each gets one block encoded before the next one's turn.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Arc<Line>>,
    closed: bool,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `line` a turn after those that wait already.
    pub(super) fn push(&self, line: Arc<Line>) {
        self.lock().lines.push_back(line);
        self.wake.notify_one();
    }

    /// The line whose turn it is; `None` when the workers are to end.
    fn next(&self) -> Option<Arc<Line>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(line) = state.lines.pop_front() {
                return Some(line);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let lines = std::mem::take(&mut state.lines);
        drop(state);
        self.wake.notify_all();
        for line in lines {
            line.fail(Error::new(ErrorKind::Cancelled, "pack", "a layer of a budget that is gone"));
        }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("waiting", &self.lock().lines.len()).finish()
    }
}

/// A fixed number of threads. Dropping it waits for the blocks that are being encoded.
#[derive(Debug)]
pub(super) struct Workers {
    turns: Arc<Turns>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be had.
    pub(super) fn start(count: NonZeroUsize) -> Result<Self> {
        let mut workers = Self { turns: Arc::default(), threads: Vec::with_capacity(count.get()) };
        for _ in 0..count.get() {
            let turns = Arc::clone(&workers.turns);
            let work = move || {
                while let Some(line) = turns.next() {
                    line.encode_one(&turns);
                }
            };
            let thread = std::thread::Builder::new()
                .name("layercache-pack".to_owned())
                .spawn(work)
                .map_err(|source| Error::new(ErrorKind::Unavailable, "start", "a worker thread").with_source(source))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.turns.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}
