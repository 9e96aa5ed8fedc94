//! How a blob is copied.

use std::sync::atomic::AtomicBool;

use cache_core::Labels;
use cache_core::ports::{Manager, Phase};

/// What a copy does while another writer has its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BusyKey {
    /// It fails as `Busy`.
    #[default]
    Fail,
    /// It writes under a key of its own, so that neither has to wait for the other. A copy that breaks off there is not gone on
    /// with.
    UseAnother,
}

/// How [`copy_blob`](super::copy_blob) copies.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CopyOptions<'a> {
    /// Labels that the blob gets; none by default.
    pub labels: Labels,
    /// Who gives the labels to a blob that the target has already; by default it keeps those that it has.
    pub manager: Option<&'a dyn Manager>,
    /// Which phase is told of bytes. Those that an earlier copy left, or that the target has, count as dealt with.
    pub phase: Option<&'a Phase>,
    /// Ends the copy as `Cancelled` once it is set. What has come by then is kept for the next copy.
    pub stop: Option<&'a AtomicBool>,
    /// What is done while another writer has the key.
    pub busy_key: BusyKey,
}

impl<'a> CopyOptions<'a> {
    /// The same with `labels`.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The same with the labels set by `manager` on a blob that the target has already. Labels of other keys stay.
    #[must_use]
    pub fn with_manager(mut self, manager: &'a dyn Manager) -> Self {
        self.manager = Some(manager);
        self
    }

    /// The same, adding the bytes to `phase`.
    #[must_use]
    pub fn with_phase(mut self, phase: &'a Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// The same, ending once `stop` is set.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The same with `busy_key`.
    #[must_use]
    pub fn with_busy_key(mut self, busy_key: BusyKey) -> Self {
        self.busy_key = busy_key;
        self
    }
}
