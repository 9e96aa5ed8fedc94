//! Ingests of the memory content store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, validate_labels};
use crate::memory::content::MemoryContent;
use crate::memory::state::{Blob, Shared, State, Unfinished, Writer};
use crate::ports::{Begun, BlobInfo, Committed, Expected, Ingest, IngestStatus, Ingester, Lease, Resource, Start};

#[async_trait]
impl Ingester for MemoryContent {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        const OPERATION: &str = "begin ingest";
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, OPERATION, "the empty key"));
        }
        self.leases.own(OPERATION, lease)?;
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.lease(OPERATION, lease.id())?;
        if let Some(info) = state.find(&expected) {
            state.lease(OPERATION, lease.id())?.resources.insert(Resource::Content(info.digest));
            return Ok(Begun::AlreadyThere(info));
        }
        let fresh = IngestStatus { key: key.to_owned(), offset: 0, expected, started_at: now, updated_at: now };
        let status = match state.ingests.get_mut(key) {
            Some(Unfinished { writer: Writer::Open, .. }) => {
                return Err(Error::new(ErrorKind::Busy, OPERATION, key.escape_debug()));
            }
            Some(kept) if start == Start::Resume && kept.status.expected == expected => {
                kept.writer = Writer::Open;
                kept.status.clone()
            }
            Some(_) | None => {
                let opened = Unfinished { status: fresh.clone(), bytes: Vec::new(), writer: Writer::Open };
                state.ingests.insert(key.to_owned(), opened);
                fresh
            }
        };
        state.lease(OPERATION, lease.id())?.resources.insert(Resource::Ingest(key.to_owned()));
        Ok(Begun::Started(Box::new(MemoryIngest {
            shared: Arc::clone(&self.shared),
            lease: lease.id().to_owned(),
            key: key.to_owned(),
            started: status,
            hold: Hold::Open,
        })))
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        let mut state = self.shared.lock();
        match state.ingests.get(key) {
            None => Ok(false),
            Some(Unfinished { writer: Writer::Open, .. }) => {
                Err(Error::new(ErrorKind::Busy, "abort ingest", key.escape_debug()))
            }
            Some(Unfinished { writer: Writer::None, .. }) => {
                state.forget(key);
                Ok(true)
            }
        }
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        Ok(self.shared.lock().ingests.values().map(|ingest| ingest.status.clone()).collect())
    }
}

impl State {
    /// The blob that is expected, if it is there.
    fn find(&self, expected: &Expected) -> Option<BlobInfo> {
        let blob = self.blobs.get(&expected.digest?)?;
        expected.size.is_none_or(|size| size == blob.info.size).then(|| blob.info.clone())
    }

    /// Drops the ingest `key` and its bytes.
    fn forget(&mut self, key: &str) {
        self.ingests.remove(key);
        self.exchange(&Resource::Ingest(key.to_owned()), None);
    }
}

/// One blob on its way in. The key is free when this is dropped.
#[derive(Debug)]
struct MemoryIngest {
    shared: Arc<Shared>,
    lease: String,
    key: String,
    started: IngestStatus,
    hold: Hold,
}

/// What a writer still has of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It can be written to.
    Open,
    /// A write failed; the key is free when the writer is dropped.
    Ended,
    /// The ingest is gone and the key may be another writer's.
    Gone,
}

impl MemoryIngest {
    fn invalid(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Invalid, operation, format_args!("ended ingest {}", self.key.escape_debug()))
    }
}

#[async_trait]
impl Ingest for MemoryIngest {
    fn offset(&self) -> u64 {
        self.status().offset
    }

    fn status(&self) -> IngestStatus {
        let state = self.shared.lock();
        state.ingests.get(&self.key).map_or_else(|| self.started.clone(), |ingest| ingest.status.clone())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        const OPERATION: &str = "write to ingest";
        if self.hold != Hold::Open {
            return Err(self.invalid(OPERATION));
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let ingest = state.ingests.get_mut(&self.key).ok_or_else(|| self.invalid(OPERATION))?;
        let offset = ingest.status.offset + bytes.len() as u64;
        if ingest.status.expected.size.is_some_and(|size| offset > size) {
            self.hold = Hold::Ended;
            return Err(Error::new(ErrorKind::LimitExceeded, "write past the expected size of ingest", &self.key));
        }
        ingest.bytes.extend_from_slice(&bytes);
        ingest.status.offset = offset;
        ingest.status.updated_at = now;
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn commit(mut self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        const OPERATION: &str = "commit ingest";
        if self.hold != Hold::Open {
            return Err(self.invalid(OPERATION));
        }
        validate_labels(&labels)?;
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.lease(OPERATION, &self.lease)?;
        let ingest = state.ingests.get_mut(&self.key).ok_or_else(|| self.invalid(OPERATION))?;
        let digest = match verify(ingest, expected) {
            Ok(digest) => digest,
            Err(error) => {
                if ingest.status.is_full() {
                    state.forget(&self.key);
                    self.hold = Hold::Gone;
                }
                return Err(error);
            }
        };
        let bytes = Bytes::from(std::mem::take(&mut ingest.bytes));
        let committed = match state.blobs.get_mut(&digest) {
            Some(blob) => {
                let before = blob.info.labels.len();
                for (key, value) in labels {
                    blob.info.labels.entry(key).or_insert(value);
                }
                if blob.info.labels.len() > before {
                    blob.info.updated_at = now;
                }
                Committed::AlreadyThere(blob.info.clone())
            }
            None => {
                let info = BlobInfo { digest, size: bytes.len() as u64, created_at: now, updated_at: now, labels };
                state.blobs.insert(digest, Blob { info: info.clone(), bytes });
                Committed::New(info)
            }
        };
        state.exchange(&Resource::Ingest(self.key.clone()), Some(&Resource::Content(digest)));
        state.lease(OPERATION, &self.lease)?.resources.insert(Resource::Content(digest));
        state.forget(&self.key);
        self.hold = Hold::Gone;
        Ok(committed)
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.shared.lock().forget(&self.key);
        self.hold = Hold::Gone;
        Ok(())
    }
}

impl Drop for MemoryIngest {
    fn drop(&mut self) {
        if self.hold == Hold::Gone {
            return;
        }
        if let Some(ingest) = self.shared.lock().ingests.get_mut(&self.key) {
            ingest.writer = Writer::None;
        }
    }
}

/// The digest under which the bytes become a blob, if they are what was expected at the beginning and at the end.
fn verify(ingest: &Unfinished, expected: Option<Digest>) -> Result<Digest> {
    let begun = ingest.status.expected;
    let corrupt = |found: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Corrupt, "commit ingest", ingest.status.key.escape_debug())
            .with_source(format!("the bytes are {found}"))
    };
    if begun.size.is_some_and(|size| size != ingest.status.offset) {
        return Err(corrupt(&format_args!("{} bytes long", ingest.status.offset)));
    }
    let wanted: Vec<_> = begun.digest.into_iter().chain(expected).collect();
    for wanted in &wanted {
        let found = hash(wanted.algorithm(), &ingest.bytes);
        if found != *wanted {
            return Err(corrupt(&found));
        }
    }
    Ok(wanted.first().copied().unwrap_or_else(|| hash(Algorithm::default(), &ingest.bytes)))
}

fn hash(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = DigestHasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}
