//! Pairs of directories that are compared before it is their turn, by whoever has time.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::pair::{Pair, Steps};

/// Pairs that are compared and not yet asked for; each may hold its directories open.
const AHEAD: usize = 16;
/// Steps in them, after which no other pair is begun. One takes about 300 bytes.
const STEPS_AHEAD: usize = 1024;

/// Whoever asks for pairs in order, and its helpers.
///
/// A pair that is not begun when it is asked for is compared by who asks, who also works ahead while a helper is still at
/// the wanted one. So it makes progress without any helper, and two threads share the work evenly.
pub(super) struct Lookahead {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Nobody has begun these; the first is asked for first.
    waiting: VecDeque<(u64, Pair)>,
    done: HashMap<u64, Outcome>,
    /// Pairs that are done or begun before somebody asked.
    ahead: usize,
    steps_ahead: usize,
    helpers: usize,
    closed: bool,
}

/// The payload of a panic is thrown again where the pair is asked for.
type Outcome = Result<Steps, Box<dyn Any + Send>>;

fn steps_in(outcome: &Outcome) -> usize {
    outcome.as_ref().map_or(0, |steps| steps.as_ref().map_or(0, Vec::len))
}

impl State {
    fn has_room(&self) -> bool {
        self.ahead < AHEAD && self.steps_ahead < STEPS_AHEAD
    }

    fn begin_ahead(&mut self) -> Option<(u64, Pair)> {
        let (number, pair) = if self.has_room() { self.waiting.pop_front()? } else { return None };
        self.ahead += 1;
        Some((number, pair))
    }

    fn end_ahead(&mut self, number: u64, outcome: Outcome) {
        self.steps_ahead += steps_in(&outcome);
        self.done.insert(number, outcome);
    }
}

impl Shared {
    /// Nobody panics under this lock, so a poisoned one still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn help(&self) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.helpers += 1;
        while !state.closed {
            let Some((number, pair)) = state.begin_ahead() else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| pair.compare()));
            state = self.lock();
            state.end_ahead(number, outcome);
            self.wake.notify_all();
        }
        state.helpers -= 1;
        self.wake.notify_all();
    }
}

impl Lookahead {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// Work for one more thread, which ends when nothing is asked for any more.
    pub(super) fn helper(&self) -> impl FnOnce() + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.help()
    }

    /// Announces pairs that are asked for in this order, and before those that were announced earlier; gives their numbers.
    pub(super) fn announce(&self, pairs: impl DoubleEndedIterator<Item = Pair> + ExactSizeIterator) -> u64 {
        let mut state = self.shared.lock();
        let first = state.next;
        state.next += pairs.len() as u64;
        let numbered = (first..state.next).zip(pairs).collect::<Vec<_>>();
        for pair in numbered.into_iter().rev() {
            state.waiting.push_front(pair);
        }
        drop(state);
        self.shared.wake.notify_all();
        first
    }

    /// What the pair `wanted` says. Ask once for each that was announced.
    pub(super) fn take(&self, wanted: u64) -> Steps {
        let mut state = self.shared.lock();
        loop {
            if let Some(outcome) = state.done.remove(&wanted) {
                state.ahead -= 1;
                state.steps_ahead -= steps_in(&outcome);
                drop(state);
                self.shared.wake.notify_all();
                return outcome.unwrap_or_else(|payload| resume_unwind(payload));
            }
            if state.waiting.front().is_some_and(|(number, _)| *number == wanted) {
                let (_, pair) = state.waiting.pop_front().expect("it is the first");
                drop(state);
                return pair.compare();
            }
            let Some((number, pair)) = state.begin_ahead() else {
                state = self.shared.wait(state);
                continue;
            };
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| pair.compare()));
            state = self.shared.lock();
            state.end_ahead(number, outcome);
        }
    }
}

impl Drop for Lookahead {
    /// Waits for the helpers, each of which ends after the pair that it is at.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.wake.notify_all();
        while state.helpers > 0 {
            state = self.shared.wait(state);
        }
        let left = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.done));
        drop(state);
        drop(left);
    }
}

impl fmt::Debug for Lookahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Lookahead").field("waiting", &state.waiting.len()).field("helpers", &state.helpers).finish()
    }
}
