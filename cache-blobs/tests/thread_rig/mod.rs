//! Threads that wait for each other.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::{ThreadId, current, yield_now};

/// So often a thread looks for another one. Only in a test that fails there is none after the first few.
const LOOKS: usize = 5_000_000;

/// Where threads wait until there are two.
#[derive(Debug, Default)]
pub(crate) struct Meeting(Mutex<HashSet<ThreadId>>);

impl Meeting {
    /// Waits until another thread has come too; panics where none does.
    pub(crate) fn come(&self) {
        self.0.lock().unwrap().insert(current().id());
        for _ in 0..LOOKS {
            if self.0.lock().unwrap().len() > 1 {
                return;
            }
            yield_now();
        }
        panic!("no other thread came");
    }

    /// All that have come.
    pub(crate) fn threads(&self) -> HashSet<ThreadId> {
        self.0.lock().unwrap().clone()
    }
}
