//! The way of one variant's blocks from the producer over the workers to the ingest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cache_core::{Error, ErrorKind, Result};

use crate::codec::{Block, Encoded, Notes};
use crate::pack::memory::Share;
use crate::pack::stage::Stage;
use crate::pack::workers::Turns;

/// One variant of a layer on its way. Shared by its producer, the workers and the caller's task; no lock is held while any of them
/// works.
pub(super) struct Line {
    stage: Stage,
    max_blocks: usize,
    state: Mutex<State>,
    /// Wakes the producer: room, an encoded block, or a failure.
    producer_wake: Condvar,
}

struct State {
    /// `None` when nothing of the layer lives any more.
    share: Option<Share>,
    blocks: usize,
    submitted: u64,
    pending: VecDeque<(u64, Block)>,
    has_turn: bool,
    encoding: usize,
    ready: BTreeMap<u64, Output>,
    next_output: u64,
    notes: BTreeMap<u64, (u64, Option<Notes>)>,
    producer_ended: bool,
    failure: Option<Failure>,
    left: bool,
    waker: Option<Waker>,
}

/// Why a layer is given up.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The producer says why.
    Producer,
    /// A worker, the ingest or the caller's task failed first.
    Here(Error),
    /// Another variant of the layer failed, which says why.
    Beside,
}

/// The layer is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp;

/// Bytes of the blob, in order.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) bytes: Bytes,
    /// Bytes to be given back when they are written; `None` for a trailer, which is no block.
    charged: Option<u64>,
}

impl State {
    fn idle(&self) -> bool {
        self.producer_ended && self.encoding == 0
    }

    /// What can be dropped when the caller has left and the jobs have ended.
    fn settle(&mut self) -> Option<Share> {
        if !self.left || !self.idle() {
            return None;
        }
        self.ready.clear();
        self.share.take()
    }

    fn give_back(&mut self, bytes: u64) -> Option<Waker> {
        self.share.as_mut().and_then(|share| share.give_back(bytes))
    }
}

impl Line {
    pub(super) fn new(stage: Stage, share: Share, max_blocks: usize) -> Self {
        let state = State {
            share: Some(share),
            blocks: 0,
            submitted: 0,
            pending: VecDeque::new(),
            has_turn: false,
            encoding: 0,
            ready: BTreeMap::new(),
            next_output: 0,
            notes: BTreeMap::new(),
            producer_ended: false,
            failure: None,
            left: false,
            waker: None,
        };
        Self { stage, max_blocks, state: Mutex::new(state), producer_wake: Condvar::new() }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Nobody panics under this lock, so a poisoned one still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unlocks, then wakes the caller's task, the producer and `admitted`.
    fn unlock_and_wake(&self, mut state: MutexGuard<'_, State>, admitted: Option<Waker>) {
        let waker = state.waker.take();
        let settled = state.settle();
        drop(state);
        self.producer_wake.notify_all();
        for waker in waker.into_iter().chain(admitted) {
            waker.wake();
        }
        drop(settled);
    }

    /// Gives the layer up for `error`, if nobody did before.
    pub(super) fn fail(&self, error: Error) {
        self.give_up(self.lock(), Failure::Here(error));
    }

    /// Gives this variant up because another one was, if nobody did before.
    pub(super) fn fail_beside(&self) {
        self.give_up(self.lock(), Failure::Beside);
    }

    fn give_up(&self, mut state: MutexGuard<'_, State>, failure: Failure) {
        state.failure.get_or_insert(failure);
        let dropped = (std::mem::take(&mut state.pending), std::mem::take(&mut state.ready));
        self.unlock_and_wake(state, None);
        drop(dropped);
    }
}

/// The producer's side.
impl Line {
    /// Waits until there is memory for one more block.
    ///
    /// # Errors
    /// `Cancelled` when the layer is given up.
    pub(super) fn reserve(&self) -> Result<()> {
        let cost = self.stage.block_cost();
        let mut state = self.lock();
        loop {
            check(&state)?;
            let room = state.blocks < self.max_blocks;
            if room && state.share.as_mut().is_some_and(|share| share.try_take(cost)) {
                state.blocks += 1;
                return Ok(());
            }
            state = self.producer_wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends a block, for which memory was reserved, on its way.
    pub(super) fn submit(self: &Arc<Self>, block: Block, turns: &Turns) {
        let mut state = self.lock();
        if state.failure.is_some() {
            return;
        }
        let number = state.submitted;
        state.submitted += 1;
        if let Stage::Identity = self.stage {
            let encoded = Encoded { bytes: block.bytes, notes: None };
            let admitted = self.put(&mut state, number, encoded);
            self.unlock_and_wake(state, admitted);
            return;
        }
        state.pending.push_back((number, block));
        let turn = !std::mem::replace(&mut state.has_turn, true);
        drop(state);
        if turn {
            turns.push(Arc::clone(self));
        }
    }

    /// Waits until every submitted block is encoded.
    ///
    /// # Errors
    /// `Cancelled` when the layer is given up.
    pub(super) fn wait_encoded(&self) -> Result<()> {
        let mut state = self.lock();
        while !state.pending.is_empty() || state.encoding > 0 {
            check(&state)?;
            state = self.producer_wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        check(&state)
    }

    /// The length of the encoded block `number` and what is told of it, once it is encoded.
    pub(super) fn take_notes(&self, number: u64) -> Option<(u64, Option<Notes>)> {
        self.lock().notes.remove(&number)
    }

    /// Bytes behind all blocks.
    pub(super) fn push_trailer(&self, trailer: Vec<u8>) {
        if trailer.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.failure.is_some() {
            return;
        }
        let number = state.submitted;
        state.submitted += 1;
        state.ready.insert(number, Output { bytes: Bytes::from(trailer), charged: None });
        self.unlock_and_wake(state, None);
    }

    /// The producer's job is over. Call it once.
    pub(super) fn producer_ended(&self, succeeded: bool) {
        let mut state = self.lock();
        state.producer_ended = true;
        if succeeded {
            self.unlock_and_wake(state, None);
        } else {
            self.give_up(state, Failure::Producer);
        }
    }
}

fn check(state: &State) -> Result<()> {
    match &state.failure {
        Some(_) => Err(Error::new(ErrorKind::Cancelled, "pack", "a layer that was given up")),
        None => Ok(()),
    }
}

/// The workers' side.
impl Line {
    /// Encodes one block on the calling thread.
    pub(super) fn encode_one(self: Arc<Self>, turns: &Turns) {
        let mut state = self.lock();
        let Some((number, block)) = state.pending.pop_front() else {
            state.has_turn = false;
            return;
        };
        state.encoding += 1;
        let parallel = self.stage.is_parallel();
        let turn = parallel && !state.pending.is_empty();
        state.has_turn = turn || !parallel;
        drop(state);
        if turn {
            turns.push(Arc::clone(&self));
        }

        let outcome = catch_unwind(AssertUnwindSafe(|| self.stage.encode(block)));
        let outcome = outcome.unwrap_or_else(|_| Err(panicked("encoder")));

        let mut state = self.lock();
        state.encoding -= 1;
        let turn = !parallel && !state.pending.is_empty();
        if !parallel {
            state.has_turn = turn;
        }
        match outcome {
            Ok(encoded) if state.failure.is_none() => {
                let admitted = self.put(&mut state, number, encoded);
                self.unlock_and_wake(state, admitted);
            }
            Ok(_) => self.unlock_and_wake(state, None),
            Err(error) => self.give_up(state, Failure::Here(error)),
        }
        if turn {
            turns.push(self);
        }
    }

    fn put(&self, state: &mut State, number: u64, encoded: Encoded) -> Option<Waker> {
        let bytes = encoded.bytes.len() as u64;
        if self.stage.keeps_notes() {
            state.notes.insert(number, (bytes, encoded.notes));
        }
        state.ready.insert(number, Output { bytes: Bytes::from(encoded.bytes), charged: Some(bytes) });
        state.give_back(self.stage.block_cost() - bytes)
    }
}

/// What a panic in a codec or a producer is reported as, like a panic in the work of a pool.
pub(super) fn panicked(what: &str) -> Error {
    Error::new(ErrorKind::Cancelled, "pack", format_args!("a layer whose {what} panicked"))
}

/// The side of the caller's task.
impl Line {
    /// The next bytes of the blob; `None` after the last ones.
    ///
    /// # Errors
    /// [`GivenUp`] as soon as the layer is given up; [`ended`](Self::ended) says why.
    pub(super) async fn next_output(&self) -> Result<Option<Output>, GivenUp> {
        poll_fn(|context| self.poll_output(context)).await
    }

    fn poll_output(&self, context: &mut Context<'_>) -> Poll<Result<Option<Output>, GivenUp>> {
        let mut state = self.lock();
        if state.failure.is_some() {
            return Poll::Ready(Err(GivenUp));
        }
        let number = state.next_output;
        if let Some(output) = state.ready.remove(&number) {
            state.next_output += 1;
            return Poll::Ready(Ok(Some(output)));
        }
        if state.producer_ended && state.next_output == state.submitted {
            return Poll::Ready(Ok(None));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until the producer and the workers have let go of the layer; why it was given up, if it was.
    pub(super) async fn ended(&self) -> Option<Failure> {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.idle() {
                return Poll::Ready(state.failure.clone());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Says that the ingest has taken `output`, whose bytes are gone.
    pub(super) fn written(&self, charged: Charge) {
        let Some(bytes) = charged.0 else { return };
        let mut state = self.lock();
        state.blocks -= 1;
        let admitted = state.give_back(bytes);
        self.unlock_and_wake(state, admitted);
    }

    /// The caller's task is done with the layer, for good or in the middle.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.left = true;
        self.give_up(state, Failure::Here(Error::new(ErrorKind::Cancelled, "pack", "a layer that nobody waits for")));
    }
}

/// What is given back when an output is written.
#[derive(Debug)]
pub(super) struct Charge(Option<u64>);

impl Output {
    /// The bytes and what they cost.
    pub(super) fn into_parts(self) -> (Bytes, Charge) {
        (self.bytes, Charge(self.charged))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Line")
            .field("stage", &self.stage)
            .field("blocks", &state.blocks)
            .field("failure", &state.failure)
            .finish_non_exhaustive()
    }
}
