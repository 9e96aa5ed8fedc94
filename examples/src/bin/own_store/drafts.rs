//! The other half of the store: what is being written. A key is taken while a writer shares its draft with the map.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cache_core::ports::{Begun, BlobInfo, Committed, Expected, IngestStatus, Ingester, Lease, Resource, Start};
use cache_core::{Digest, Error, ErrorKind, Labels, Result};

use crate::blobs::Store;
use crate::writer::Writer;

pub(crate) type Draft = (IngestStatus, Vec<u8>);

pub(crate) fn lock(draft: &Mutex<Draft>) -> MutexGuard<'_, Draft> {
    draft.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Ingester for Store {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "begin ingest", "the empty key"));
        }
        // Attaching also tells whether the lease is alive and ours.
        self.leases.attach(lease, &[Resource::Ingest(key.to_owned())]).await?;
        let there = expected.digest.and_then(|digest| self.maps().blobs.get(&digest).map(|(info, _)| info.clone()));
        if let Some(info) = there.filter(|info| expected.size.is_none_or(|size| size == info.size)) {
            self.leases.attach(lease, &[Resource::Content(info.digest)]).await?;
            return Ok(Begun::AlreadyThere(info));
        }
        let (mut maps, now) = (self.maps(), self.clock.now());
        let fresh = IngestStatus { key: key.to_owned(), offset: 0, expected, started_at: now, updated_at: now };
        let draft = maps.drafts.entry(key.to_owned()).or_insert_with(|| Arc::new(Mutex::new((fresh.clone(), vec![]))));
        if Arc::strong_count(draft) > 1 {
            return Err(Error::new(ErrorKind::Busy, "begin ingest", key.escape_debug()));
        }
        if start == Start::Fresh || lock(draft).0.expected != expected {
            *lock(draft) = (fresh, vec![]);
        }
        let (store, lease, draft) = (self.clone(), lease.clone(), Arc::clone(draft));
        Ok(Begun::Started(Box::new(Writer { store, lease, draft, is_ended: false })))
    }
    async fn abort(&self, key: &str) -> Result<bool> {
        let mut maps = self.maps();
        if maps.drafts.get(key).is_some_and(|draft| Arc::strong_count(draft) > 1) {
            return Err(Error::new(ErrorKind::Busy, "abort ingest", key.escape_debug()));
        }
        Ok(maps.drafts.remove(key).is_some())
    }
    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        Ok(self.maps().drafts.values().map(|draft| lock(draft).0.clone()).collect())
    }
}

impl Store {
    /// Drops the draft of a refused commit, unless further bytes may mend it.
    pub(crate) fn refuse(&self, status: &IngestStatus) {
        if status.is_full() {
            self.maps().drafts.remove(&status.key);
        }
    }
    /// Makes the draft `key` the blob `digest`, unless that is there.
    pub(crate) fn take(&self, key: &str, digest: Digest, labels: Labels) -> Committed {
        let (mut maps, now) = (self.maps(), self.clock.now());
        let bytes = maps.drafts.remove(key).map(|draft| std::mem::take(&mut lock(&draft).1)).unwrap_or_default();
        if let Some((info, _)) = maps.blobs.get_mut(&digest) {
            info.labels = labels.into_iter().chain(std::mem::take(&mut info.labels)).collect();
            return Committed::AlreadyThere(info.clone());
        }
        let info = BlobInfo { digest, size: bytes.len() as u64, created_at: now, updated_at: now, labels };
        maps.blobs.insert(digest, (info.clone(), bytes.into()));
        Committed::New(info)
    }
}
