//! What a content store over a storage driver knows of its own process: ingests that were not committed, by key, and objects
//! that nobody needs any more.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::{Algorithm, DigestHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Expected, IngestStatus, Start};
use crate::timestamp::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Ingests(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) unfinished: BTreeMap<String, Unfinished>,
    /// Objects to be deleted by the next call that may wait for it.
    pub(super) doomed: Vec<String>,
    /// How many readers are open, by object. What they read is not deleted.
    pub(super) readers: BTreeMap<String, usize>,
    /// How the names of objects begin that no other opening of the store gives.
    opening: u64,
    /// How many objects were named.
    named: u64,
}

impl Default for State {
    fn default() -> Self {
        let opening = RandomState::new().build_hasher().finish();
        Self { unfinished: BTreeMap::new(), doomed: Vec::new(), readers: BTreeMap::new(), opening, named: 0 }
    }
}

/// An ingest that was not committed.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) status: IngestStatus,
    pub(super) object: String,
    /// Has seen the bytes of the object.
    pub(super) hasher: DigestHasher,
    pub(super) writer: Writer,
    pub(super) naming: Naming,
}

/// Whether somebody writes to an ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    Open,
    None,
}

/// Whether a record may name the object of an ingest, because its commit was dropped on the way. Such an object stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Never,
    Perhaps,
}

impl Ingests {
    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens the ingest `key` for a writer.
    pub(super) fn open(&mut self, key: &str, expected: Expected, start: Start, now: Timestamp) -> Result<Unfinished> {
        match self.unfinished.get_mut(key) {
            Some(Unfinished { writer: Writer::Open, .. }) => {
                return Err(Error::new(ErrorKind::Busy, "begin ingest", key.escape_debug()));
            }
            Some(kept) if start == Start::Resume && kept.status.expected == expected => {
                kept.writer = Writer::Open;
                return Ok(kept.clone());
            }
            Some(_) | None => self.forget(key),
        }
        self.named += 1;
        let status = IngestStatus { key: key.to_owned(), offset: 0, expected, started_at: now, updated_at: now };
        let algorithm = expected.digest.map_or(Algorithm::default(), |digest| digest.algorithm());
        let fresh = Unfinished {
            status,
            object: format!("{:016x}-{}", self.opening, self.named),
            hasher: DigestHasher::new(algorithm),
            writer: Writer::Open,
            naming: Naming::Never,
        };
        self.unfinished.insert(key.to_owned(), fresh.clone());
        Ok(fresh)
    }

    /// Drops the ingest `key`, if there is one, and its bytes.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some(gone) = self.unfinished.remove(key)
            && gone.naming == Naming::Never
        {
            self.doomed.push(gone.object);
        }
    }

    /// Has `object` deleted, which no record names any more. An ingest whose dropped commit made the record is gone, too.
    pub(super) fn doom(&mut self, object: String) {
        self.unfinished.retain(|_, ingest| ingest.object != object);
        self.doomed.push(object);
    }

    /// The objects that nobody needs or reads.
    pub(super) fn deletable(&self) -> Vec<String> {
        self.doomed.iter().filter(|object| !self.readers.contains_key(*object)).cloned().collect()
    }
}
