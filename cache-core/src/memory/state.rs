//! What the collected memory backends share: blobs, ingests, leases and image names under one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{BlobInfo, Clock, Image, IngestStatus, LeaseInfo, Resource};
use crate::timestamp::Timestamp;

/// The state and the clock by which leases end.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl Shared {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), clock }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The state, without the leases that have ended. Nothing panics under the lock, so a poisoned one guards a sound
    /// state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.leases.retain(|_, lease| lease.info.expires_at.is_none_or(|end| end > now));
        state
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) blobs: BTreeMap<Digest, Blob>,
    pub(super) ingests: BTreeMap<String, Unfinished>,
    pub(super) leases: BTreeMap<String, LeaseEntry>,
    pub(super) images: BTreeMap<String, Image>,
    /// How many leases without a given name there were.
    pub(super) fresh_leases: u64,
}

/// A committed blob.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) info: BlobInfo,
    pub(super) bytes: Bytes,
}

/// An ingest that was not committed.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) status: IngestStatus,
    pub(super) bytes: Vec<u8>,
    pub(super) writer: Writer,
}

/// Whether somebody writes to an ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    Open,
    None,
}

#[derive(Debug)]
pub(super) struct LeaseEntry {
    pub(super) info: LeaseInfo,
    pub(super) expires_after: Option<Duration>,
    pub(super) resources: BTreeSet<Resource>,
}

impl State {
    /// The live lease `id`.
    pub(super) fn lease(&mut self, operation: &'static str, id: &str) -> Result<&mut LeaseEntry> {
        self.leases
            .get_mut(id)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, operation, format_args!("dead lease {id}")))
    }

    /// Puts `to` in the place of `from` in every lease that holds it.
    pub(super) fn exchange(&mut self, from: &Resource, to: Option<&Resource>) {
        for lease in self.leases.values_mut() {
            if lease.resources.remove(from) {
                lease.resources.extend(to.cloned());
            }
        }
    }
}
