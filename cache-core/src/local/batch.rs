//! Transactions that several threads share.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::Result;

/// Changes that are committed together at most, so that the first of them does not wait for ever.
pub(super) const LONGEST: usize = 32;

/// A transaction that is open while threads hand it on. Each makes its change in it and waits; the one that finds nobody behind
/// it commits for all. So N threads that want to commit at once need two syncs, not 2 N.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Changes that are in it.
    pub(super) changes: usize,
    outcome: Arc<Outcome>,
}

/// How a batch ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    ended: Mutex<Option<Result<()>>>,
    is_ended: Condvar,
}

impl Batch {
    /// For who made a change and hands the batch on.
    pub(super) fn outcome(&self) -> Arc<Outcome> {
        Arc::clone(&self.outcome)
    }

    /// Tells everybody whose changes are in it.
    pub(super) fn end(self, outcome: Result<()>) {
        *self.outcome.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.outcome.is_ended.notify_all();
    }
}

impl Outcome {
    /// Waits for the end of the batch.
    pub(super) fn wait(&self) -> Result<()> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*ended {
                return outcome.clone();
            }
            ended = self.is_ended.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
