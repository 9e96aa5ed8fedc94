//! What long work tells while it runs.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ErrorKind;

/// One event. Events of one `id` come in order: `Started`, any number of `Advanced`, one `Finished`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// A phase began.
    Started {
        /// The phase, in BuildKit's words: `exporting layers`, `writing layer sha256:…`.
        id: String,
        /// How many bytes it is about, if that is known.
        total: Option<u64>,
    },
    /// Bytes were dealt with.
    Advanced {
        /// The phase.
        id: String,
        /// Bytes so far.
        current: u64,
    },
    /// Something worth a line, which is no failure.
    Warning {
        /// The phase.
        id: String,
        /// What it is.
        message: String,
    },
    /// A phase ended.
    Finished {
        /// The phase.
        id: String,
        /// Why it failed, if it did.
        error: Option<ErrorKind>,
    },
}

/// Receives events. It must never block: it is called from the middle of the work.
pub trait Progress: Send + Sync + Debug + 'static {
    /// Takes one event.
    fn event(&self, event: ProgressEvent);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn event(&self, _event: ProgressEvent) {}
}

/// A phase that has begun. One that is dropped without [`finish`](Self::finish) ends as `Cancelled`.
#[derive(Debug)]
pub struct Phase {
    progress: Arc<dyn Progress>,
    id: Option<String>,
    current: AtomicU64,
}

impl Phase {
    /// Tells `progress` that the phase `id` began.
    pub fn start(progress: &Arc<dyn Progress>, id: impl Into<String>) -> Self {
        let id = id.into();
        progress.event(ProgressEvent::Started { id: id.clone(), total: None });
        Self { progress: Arc::clone(progress), id: Some(id), current: AtomicU64::new(0) }
    }

    /// Tells that `bytes` more are dealt with: what several tasks do of one phase is added up.
    pub fn advance_by(&self, bytes: u64) {
        self.tell_bytes(self.current.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes));
    }

    /// Tells that `current` bytes are dealt with.
    pub fn advance(&self, current: u64) {
        self.current.store(current, Ordering::Relaxed);
        self.tell_bytes(current);
    }

    fn tell_bytes(&self, current: u64) {
        if let Some(id) = &self.id {
            self.progress.event(ProgressEvent::Advanced { id: id.clone(), current });
        }
    }

    /// Tells something worth a line.
    pub fn warn(&self, message: impl Into<String>) {
        if let Some(id) = &self.id {
            self.progress.event(ProgressEvent::Warning { id: id.clone(), message: message.into() });
        }
    }

    /// Tells how the phase ended.
    pub fn finish(mut self, error: Option<ErrorKind>) {
        if let Some(id) = self.id.take() {
            self.progress.event(ProgressEvent::Finished { id, error });
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.progress.event(ProgressEvent::Finished { id, error: Some(ErrorKind::Cancelled) });
        }
    }
}
