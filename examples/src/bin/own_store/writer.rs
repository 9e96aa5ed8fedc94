//! One draft on its way to a blob.
use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{Committed, Ingest, IngestStatus, Lease, Resource};
use cache_core::{Digest, DigestHasher, Error, ErrorKind, Labels, Result, validate_labels};
use std::sync::{Arc, Mutex};

use crate::blobs::Store;
use crate::drafts::{Draft, lock};
/// The writer of a draft. It shares the draft with the map, which is how the map knows that the key is taken.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) draft: Arc<Mutex<Draft>>,
    pub(crate) is_ended: bool,
}

impl Writer {
    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.status().key.escape_debug())
    }
    /// The digest of the bytes, if they are what was expected.
    fn verified(&self, expected: Option<Digest>) -> Result<Digest> {
        let (status, bytes) = &*lock(&self.draft);
        let mut wanted = [status.expected.digest, expected].into_iter().flatten();
        let is_the = |digest: Digest| {
            let mut hasher = DigestHasher::new(digest.algorithm());
            hasher.update(bytes);
            hasher.finish() == digest
        };
        let is_whole = status.expected.size.is_none_or(|size| size == status.offset);
        if is_whole && wanted.clone().all(is_the) {
            return Ok(wanted.next().unwrap_or_else(|| Digest::of(bytes)));
        }
        Err(Error::new(ErrorKind::Corrupt, "commit ingest", status.key.escape_debug()))
    }
}

#[async_trait]
impl Ingest for Writer {
    fn offset(&self) -> u64 {
        self.status().offset
    }
    fn status(&self) -> IngestStatus {
        lock(&self.draft).0.clone()
    }
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        let past = self.status().expected.size.is_some_and(|size| self.offset() + piece.len() as u64 > size);
        if self.is_ended {
            return Err(self.error(ErrorKind::Invalid, "write to ended ingest"));
        }
        if past {
            self.is_ended = true;
            return Err(self.error(ErrorKind::LimitExceeded, "write past the expected size of ingest"));
        }
        let (status, bytes) = &mut *lock(&self.draft);
        bytes.extend_from_slice(&piece);
        (status.offset, status.updated_at) = (bytes.len() as u64, self.store.clock.now());
        Ok(())
    }
    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn commit(self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        if self.is_ended {
            return Err(self.error(ErrorKind::Invalid, "commit ended ingest"));
        }
        validate_labels(&labels)?;
        let digest = self.verified(expected).inspect_err(|_| self.store.refuse(&self.status()))?;
        self.store.leases.attach(&self.lease, &[Resource::Content(digest)]).await?;
        Ok(self.store.take(&self.status().key, digest, labels))
    }
    async fn abort(self: Box<Self>) -> Result<()> {
        self.store.maps().drafts.remove(&self.status().key);
        Ok(())
    }
}
