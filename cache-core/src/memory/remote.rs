//! A remote in memory: blobs that nobody collects, and names for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{
    Begun, BlobInfo, BlobReader, Clock, Committed, Expected, ExportTarget, Fetcher, Ingest, IngestStatus, Resolver,
};

/// What a registry's repository is to an exporter and an importer. Clones are the same remote.
#[derive(Clone, Debug)]
pub struct MemoryRemote {
    contents: Arc<Mutex<Contents>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Contents {
    blobs: BTreeMap<Digest, (BlobInfo, Bytes)>,
    names: BTreeMap<String, Descriptor>,
}

impl MemoryRemote {
    /// An empty remote that takes the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { contents: Arc::default(), clock }
    }

    /// Lets `name` stand for `descriptor`.
    pub fn tag(&self, name: impl Into<String>, descriptor: Descriptor) {
        self.lock().names.insert(name.into(), descriptor);
    }

    /// Nothing panics under the lock, so a poisoned one guards a sound state.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ExportTarget for MemoryRemote {
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "begin upload", "the empty key"));
        }
        if let Some((info, _)) = expected.digest.and_then(|digest| self.lock().blobs.get(&digest).cloned()) {
            return Ok(Begun::AlreadyThere(info));
        }
        let now = self.clock.now();
        let status = IngestStatus { key: key.to_owned(), offset: 0, expected, started_at: now, updated_at: now };
        Ok(Begun::Started(Box::new(Upload { remote: self.clone(), status, bytes: Vec::new(), ended: false })))
    }
}

#[async_trait]
impl Fetcher for MemoryRemote {
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok(self.lock().blobs.get(&descriptor.digest).map(|(_, bytes)| Box::new(bytes.clone()) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl Resolver for MemoryRemote {
    async fn resolve(&self, name: &str) -> Result<Option<Descriptor>> {
        Ok(self.lock().names.get(name).cloned())
    }
}

/// One blob on its way to the remote. What is not committed is gone.
#[derive(Debug)]
struct Upload {
    remote: MemoryRemote,
    status: IngestStatus,
    bytes: Vec<u8>,
    ended: bool,
}

#[async_trait]
impl Ingest for Upload {
    fn offset(&self) -> u64 {
        self.status.offset
    }

    fn status(&self) -> IngestStatus {
        self.status.clone()
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let offset = self.status.offset + bytes.len() as u64;
        if self.ended {
            return Err(Error::new(ErrorKind::Invalid, "write to ended upload", &self.status.key));
        }
        if self.status.expected.size.is_some_and(|size| offset > size) {
            self.ended = true;
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                "write past the expected size of upload",
                &self.status.key,
            ));
        }
        self.bytes.extend_from_slice(&bytes);
        self.status.offset = offset;
        self.status.updated_at = self.remote.clock.now();
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn commit(self: Box<Self>, expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        if self.ended {
            return Err(Error::new(ErrorKind::Invalid, "commit ended upload", &self.status.key));
        }
        let corrupt = || Error::new(ErrorKind::Corrupt, "commit upload", &self.status.key);
        let wanted = [self.status.expected.digest, expected];
        if self.status.expected.size.is_some_and(|size| size != self.status.offset) {
            return Err(corrupt());
        }
        let algorithm = wanted.iter().flatten().next().map_or(Algorithm::default(), Digest::algorithm);
        let mut hasher = DigestHasher::new(algorithm);
        hasher.update(&self.bytes);
        let digest = hasher.finish();
        if wanted.iter().flatten().any(|wanted| *wanted != digest) {
            return Err(corrupt());
        }
        let now = self.remote.clock.now();
        let info = BlobInfo { digest, size: self.status.offset, created_at: now, updated_at: now, labels };
        let mut contents = self.remote.lock();
        if let Some((info, _)) = contents.blobs.get(&digest) {
            return Ok(Committed::AlreadyThere(info.clone()));
        }
        contents.blobs.insert(digest, (info.clone(), self.bytes.clone().into()));
        Ok(Committed::New(info))
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
