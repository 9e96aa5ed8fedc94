//! The producer's side of a line.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use cache_core::{Error, ErrorKind, Result};

use crate::codec::{Block, BlockBytes, Notes};
use crate::pack::line::{Failure, Line, Output, State};
use crate::pack::memory::{GivenBack, Lent};
use crate::pack::stage::Stage;
use crate::pack::workers::Turns;

impl Line {
    /// Waits until there is memory for one more block, and gives that of its bytes.
    ///
    /// # Errors
    /// `Cancelled` when the layer is given up.
    pub(in crate::pack) fn reserve(&self) -> Result<BlockBytes> {
        let cost = self.stage.block_cost();
        let capacity = self.stage.block_bytes();
        let mut state = self.lock();
        loop {
            check(&state)?;
            let room = state.blocks < self.max_blocks;
            if room && let Some(taken) = state.share.as_mut().and_then(|share| share.try_take(cost, capacity)) {
                state.blocks += 1;
                drop(state);
                return Ok(taken.into_buffer(capacity));
            }
            state = self.producer_wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends a block, for which memory was reserved, on its way.
    pub(in crate::pack) fn submit(self: &Arc<Self>, block: Block, turns: &Turns) {
        let mut state = self.lock();
        if state.failure.is_some() {
            return;
        }
        let number = state.submitted;
        state.submitted += 1;
        if let Stage::Identity = self.stage {
            let bytes = Bytes::from_owner(Lent::new(block.bytes, &self.memory));
            let cost = bytes.len();
            let given_back = self.put(&mut state, number, (bytes, cost), None, None);
            self.unlock_and_wake(state, given_back);
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
    pub(in crate::pack) fn wait_encoded(&self) -> Result<()> {
        let mut state = self.lock();
        while !state.pending.is_empty() || state.encoding > 0 {
            check(&state)?;
            state = self.producer_wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        check(&state)
    }

    /// The length of the encoded block `number` and what is told of it, once it is encoded.
    pub(in crate::pack) fn take_notes(&self, number: u64) -> Option<(u64, Option<Notes>)> {
        self.lock().notes.remove(&number)
    }

    /// Bytes behind all blocks.
    pub(in crate::pack) fn push_trailer(&self, trailer: Vec<u8>) {
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
        self.unlock_and_wake(state, GivenBack::default());
    }

    /// The producer's job is over. Call it once.
    pub(in crate::pack) fn producer_ended(&self, succeeded: bool) {
        let mut state = self.lock();
        state.producer_ended = true;
        if succeeded {
            self.unlock_and_wake(state, GivenBack::default());
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
