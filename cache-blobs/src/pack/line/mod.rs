//! The way of one variant's blocks from the producer over the workers to the ingest.

mod draining;
mod encoding;
mod producing;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use cache_core::{Error, ErrorKind};

pub(in crate::pack) use draining::GivenUp;

use crate::codec::{Block, BlockBytes, Notes};
use crate::pack::memory::{GivenBack, Memory, Share};
use crate::pack::stage::Stage;

/// One variant of a layer on its way. Shared by its producer, the workers and the caller's task; no lock is held while any of them
/// works.
pub(in crate::pack) struct Line {
    stage: Stage,
    memory: Arc<Memory>,
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
pub(in crate::pack) enum Failure {
    /// The producer says why.
    Producer,
    /// A worker, the ingest or the caller's task failed first.
    Here(Error),
    /// Another variant of the layer failed, which says why.
    Beside,
}

/// Bytes of the blob, in order.
#[derive(Debug)]
pub(in crate::pack) struct Output {
    pub(in crate::pack) bytes: Bytes,
    /// Bytes to be given back when they are written; `None` for a trailer, which is no block.
    charged: Option<u64>,
}

impl State {
    fn idle(&self) -> bool {
        self.producer_ended && self.encoding == 0
    }

    /// What can be dropped, when no lock is held, when the caller has left and the jobs have ended.
    fn settle(&mut self) -> Option<(BTreeMap<u64, Output>, Option<Share>)> {
        (self.left && self.idle()).then(|| (std::mem::take(&mut self.ready), self.share.take()))
    }

    fn give_back(&mut self, bytes: u64, buffer: Option<BlockBytes>) -> GivenBack {
        self.share.as_mut().map(|share| share.give_back(bytes, buffer)).unwrap_or_default()
    }
}

impl Line {
    pub(in crate::pack) fn new(stage: Stage, share: Share, max_blocks: usize) -> Self {
        let memory = Arc::clone(share.memory());
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
        Self { stage, memory, max_blocks, state: Mutex::new(state), producer_wake: Condvar::new() }
    }

    pub(in crate::pack) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Nobody panics under this lock, so a poisoned one still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unlocks, then wakes the caller's task, the producer and whoever can go on by what was given back.
    fn unlock_and_wake(&self, mut state: MutexGuard<'_, State>, given_back: GivenBack) {
        let waker = state.waker.take();
        let settled = state.settle();
        drop(state);
        self.producer_wake.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        given_back.settle();
        drop(settled);
    }

    /// Gives the layer up for `error`, if nobody did before.
    pub(in crate::pack) fn fail(&self, error: Error) {
        self.give_up(self.lock(), Failure::Here(error));
    }

    /// Gives this variant up because another one was, if nobody did before.
    pub(in crate::pack) fn fail_beside(&self) {
        self.give_up(self.lock(), Failure::Beside);
    }

    fn give_up(&self, mut state: MutexGuard<'_, State>, failure: Failure) {
        state.failure.get_or_insert(failure);
        let dropped = (std::mem::take(&mut state.pending), std::mem::take(&mut state.ready));
        self.unlock_and_wake(state, GivenBack::default());
        drop(dropped);
    }

    /// Keeps what a block became, and costs `cost` bytes, until its turn, and leaves the memory of the block, if there is some, to another one.
    fn put(
        &self,
        state: &mut State,
        number: u64,
        (bytes, cost): (Bytes, usize),
        notes: Option<Notes>,
        block: Option<BlockBytes>,
    ) -> GivenBack {
        if self.stage.keeps_notes() {
            state.notes.insert(number, (bytes.len() as u64, notes));
        }
        let reserved = self.stage.block_cost();
        let cost = reserved.min(cost as u64);
        state.ready.insert(number, Output { bytes, charged: Some(cost) });
        state.give_back(reserved - cost, block)
    }
}

/// What a panic in a codec or a producer is reported as, like a panic in the work of a pool.
pub(in crate::pack) fn panicked(what: &str) -> Error {
    Error::new(ErrorKind::Cancelled, "pack", format_args!("a layer whose {what} panicked"))
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
