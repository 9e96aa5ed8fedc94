//! One shared work and the callers that wait for it.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A work with its waiters. It is its own waker: the work wakes the call, the call wakes all waiters, and the first one
/// that is polled takes the work out, polls it, and puts it back.
pub(super) struct Call<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    stage: Stage<T>,
    /// The work was woken since it was last polled.
    ready: bool,
    /// Callers by number. One that was woken and not polled since has no waker here.
    waiters: HashMap<u64, Option<Waker>>,
    next: u64,
}

enum Stage<T> {
    Idle(Work<T>),
    Polling,
    Landed(T),
    Crashed,
    Abandoned,
}

/// How a call ended for a waiter.
pub(super) enum Landing<T> {
    Landed(T),
    Crashed,
}

/// Whether a caller could still join.
pub(super) enum Joined<T> {
    Aboard(Waiter<T>),
    TooLate,
}

/// What nobody wants any more.
pub(super) struct Leftover<T> {
    _stage: Option<Stage<T>>,
}

/// One caller of a call.
pub(super) struct Waiter<T> {
    call: Arc<Call<T>>,
    number: u64,
}

impl<T> Call<T> {
    pub(super) fn new(work: Work<T>) -> Arc<Self> {
        let state = State { stage: Stage::Idle(work), ready: true, waiters: HashMap::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// The caller that a call is made for.
    pub(super) fn first(call: &Arc<Self>) -> Waiter<T> {
        call.state().admit(call)
    }

    pub(super) fn join(call: &Arc<Self>) -> Joined<T> {
        let mut state = call.state();
        match state.stage {
            Stage::Idle(_) | Stage::Polling => Joined::Aboard(state.admit(call)),
            Stage::Landed(_) | Stage::Crashed | Stage::Abandoned => Joined::TooLate,
        }
    }

    /// Whether nobody can join any more.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state().stage, Stage::Idle(_) | Stage::Polling)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the turn of the waiter that polls and wakes whom that concerns.
    fn put_back(&self, stage: Stage<T>) {
        let mut state = self.state();
        let over = !matches!(stage, Stage::Idle(_));
        state.stage = stage;
        let woken = if over || state.ready { state.wakers() } else { Vec::new() };
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<T> State<T> {
    fn admit(&mut self, call: &Arc<Call<T>>) -> Waiter<T> {
        let number = self.next;
        self.next += 1;
        self.waiters.insert(number, None);
        Waiter { call: Arc::clone(call), number }
    }

    fn wakers(&mut self) -> Vec<Waker> {
        self.waiters.values_mut().filter_map(Option::take).collect()
    }
}

impl<T: Send> Wake for Call<T> {
    fn wake(self: Arc<Self>) {
        let mut state = self.state();
        state.ready = true;
        // While a waiter polls, it sees `ready` when it puts the work back.
        let woken = if matches!(state.stage, Stage::Idle(_)) { state.wakers() } else { Vec::new() };
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<T> Waiter<T> {
    pub(super) fn call(&self) -> &Arc<Call<T>> {
        &self.call
    }

    /// Leaves; gives the work or its outcome when nobody wants it any more, to be dropped where no lock is held.
    pub(super) fn leave(&self) -> Leftover<T> {
        let mut state = self.call.state();
        let waker = state.waiters.remove(&self.number);
        let stage = state.waiters.is_empty().then(|| mem::replace(&mut state.stage, Stage::Abandoned));
        drop(state);
        // A waker's drop may drop the task of another waiter, which then takes the lock.
        drop(waker);
        Leftover { _stage: stage }
    }
}

impl<T: Clone + Send + 'static> Waiter<T> {
    pub(super) async fn wait(&self) -> Landing<T> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Landing<T>> {
        match self.take_turn(context.waker()) {
            Turn::Work(work) => self.work(work),
            Turn::Wait => Poll::Pending,
            Turn::Over(landing) => Poll::Ready(landing),
        }
    }

    fn take_turn(&self, waker: &Waker) -> Turn<T> {
        let waker = waker.clone();
        let mut state = self.call.state();
        let earlier = state.waiters.insert(self.number, Some(waker));
        let turn = match &state.stage {
            Stage::Idle(_) if state.ready => {
                state.ready = false;
                match mem::replace(&mut state.stage, Stage::Polling) {
                    Stage::Idle(work) => Turn::Work(work),
                    _ => Turn::Wait,
                }
            }
            Stage::Idle(_) | Stage::Polling => Turn::Wait,
            Stage::Landed(outcome) => Turn::Over(Landing::Landed(outcome.clone())),
            Stage::Crashed | Stage::Abandoned => Turn::Over(Landing::Crashed),
        };
        drop(state);
        drop(earlier);
        turn
    }

    fn work(&self, mut work: Work<T>) -> Poll<Landing<T>> {
        let crash = Crash { call: &self.call };
        let waker = Waker::from(Arc::clone(&self.call));
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        let (stage, polled) = match polled {
            Poll::Pending => (Stage::Idle(work), Poll::Pending),
            Poll::Ready(outcome) => {
                drop(work);
                (Stage::Landed(outcome.clone()), Poll::Ready(Landing::Landed(outcome)))
            }
        };
        mem::forget(crash);
        self.call.put_back(stage);
        polled
    }
}

enum Turn<T> {
    Work(Work<T>),
    Wait,
    Over(Landing<T>),
}

/// Tells the other waiters when the poll panics.
struct Crash<'a, T> {
    call: &'a Call<T>,
}

impl<T> Drop for Crash<'_, T> {
    fn drop(&mut self) {
        self.call.put_back(Stage::Crashed);
    }
}
