//! Implementations with one fault each, by which the suites are proven.

#[cfg(target_os = "linux")]
mod apply;
mod collector;
mod content;
mod diff;
mod fault;
mod fetch;
mod image;
mod ingest;
mod lease;
mod lock;
mod metadata;
#[cfg(target_os = "linux")]
mod mount;
mod reader;
mod runtime;
#[cfg(target_os = "linux")]
mod snapshot;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub use fault::Fault;

use crate::ports::{Lease, LeaseInfo, LeaseManager};

/// When a lease that should not expire does.
const SHORT: Duration = Duration::from_secs(1);

/// An implementation of a port that keeps every promise of `T` but one. It implements the ports that `T` implements; a
/// fault of another port changes nothing.
#[derive(Debug)]
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    fault: Fault,
    /// The first lease that was accepted, for the faults that take another in the place of a bad one.
    accepted: OnceLock<Lease>,
    /// Leases that were created, for the fault that lists them for ever.
    dead: Mutex<Vec<LeaseInfo>>,
    overlooked: Option<Arc<dyn LeaseManager>>,
    /// Whether something was done before, for the faults that show the second time.
    again: AtomicBool,
    /// Held by the one job that runs, for the fault that runs jobs in turn.
    turn: Arc<Mutex<()>>,
}

impl<T: ?Sized> Faulty<T> {
    /// `inner` with `fault`.
    pub fn new(inner: Arc<T>, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            accepted: OnceLock::new(),
            dead: Mutex::default(),
            overlooked: None,
            again: AtomicBool::new(false),
            turn: Arc::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}
