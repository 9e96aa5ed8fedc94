//! The workers' side of a line.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::Encoded;
use crate::pack::line::{Failure, Line, State, panicked};
use crate::pack::memory::GivenBack;
use crate::pack::workers::Turns;

impl State {
    /// Counts a block that is encoded no more. Says whether the line wants its next turn.
    fn encoded_one(&mut self, parallel: bool) -> bool {
        self.encoding -= 1;
        if parallel {
            return false;
        }
        self.has_turn = !self.pending.is_empty();
        self.has_turn
    }
}

impl Line {
    /// Encodes one block on the calling thread.
    pub(in crate::pack) fn encode_one(self: Arc<Self>, turns: &Turns) {
        let mut state = self.lock();
        let Some((number, mut block)) = state.pending.pop_front() else {
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

        let outcome = catch_unwind(AssertUnwindSafe(|| self.stage.encode(&mut block)));
        let outcome = outcome.unwrap_or_else(|_| Err(panicked("encoder")));
        let outcome = outcome.map(|Encoded { bytes, notes }| {
            let cost = bytes.cost();
            ((Bytes::from(bytes), cost), notes)
        });

        let mut state = self.lock();
        let turn = if state.failure.is_none() {
            let turn = state.encoded_one(parallel);
            match outcome {
                Ok((bytes, notes)) => {
                    let given_back = self.put(&mut state, number, bytes, notes, Some(block.bytes));
                    self.unlock_and_wake(state, given_back);
                }
                Err(error) => {
                    drop(block);
                    self.give_up(state, Failure::Here(error));
                }
            }
            turn
        } else {
            // Nobody may be told that the layer has ended while its memory lives.
            drop(state);
            drop((outcome, block));
            let mut state = self.lock();
            let turn = state.encoded_one(parallel);
            self.unlock_and_wake(state, GivenBack::default());
            turn
        };
        if turn {
            turns.push(self);
        }
    }
}
