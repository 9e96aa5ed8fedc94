//! The side of the caller's task, which takes what a line gives.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use cache_core::{Error, ErrorKind, Result};

use crate::pack::line::{Failure, Line, Output};

/// The layer is given up.
#[derive(Clone, Copy, Debug)]
pub(in crate::pack) struct GivenUp;

impl Line {
    /// The next bytes of the blob; `None` after the last ones.
    ///
    /// # Errors
    /// [`GivenUp`] as soon as the layer is given up; [`ended`](Self::ended) says why.
    pub(in crate::pack) async fn next_output(&self) -> Result<Option<Output>, GivenUp> {
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
    pub(in crate::pack) async fn ended(&self) -> Option<Failure> {
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
    pub(in crate::pack) fn written(&self, charged: Charge) {
        let Some(bytes) = charged.0 else { return };
        let mut state = self.lock();
        state.blocks -= 1;
        let given_back = state.give_back(bytes, None);
        self.unlock_and_wake(state, given_back);
    }

    /// The caller's task is done with the layer, for good or in the middle.
    pub(in crate::pack) fn leave(&self) {
        let mut state = self.lock();
        state.left = true;
        self.give_up(state, Failure::Here(Error::new(ErrorKind::Cancelled, "pack", "a layer that nobody waits for")));
    }
}

/// What is given back when an output is written.
#[derive(Debug)]
pub(in crate::pack) struct Charge(Option<u64>);

impl Output {
    /// The bytes and what they cost.
    pub(in crate::pack) fn into_parts(self) -> (Bytes, Charge) {
        (self.bytes, Charge(self.charged))
    }
}
